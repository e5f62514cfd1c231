package sandbox

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Config describes the platform to imitate. A zero field means its default.
type Config struct {
	Tokens        []string            // agents' tokens; any token is an agent when empty
	SupportTokens map[string][]string // Support Center tokens with their abilities, "*" for all; any of four parts joined by _ when empty

	Limit     int           // requests of a token per window; 30; Unlimited
	Window    time.Duration // 1m
	Overrun   int           // requests admitted beyond the limit while others of the token are in flight
	NoHeaders bool          // keep the limit but not the X-RateLimit headers
	Laravel   int           // version whose texts are used, from 8; 10

	Channels    []int       // accepted channel ids; 3 (voice) and 7
	ValueKeys   []string    // values every contact needs; none
	ValuesShape ValuesShape // form of the answer with the value keys; ShapeData
	BadNumbers  []string    // well-formed numbers that are refused
	Unnamed422  bool        // refuse bad contacts without saying which
	MaxRows     int         // contacts of a batch; 1000
	MaxBody     int64       // bytes of a request that nginx accepts; 1 MiB
	MaxPost     int64       // bytes of a request that PHP accepts; any

	Faults Faults // none
	Seed   uint64 // of the faults and conversations

	Webhooks Webhooks     // off
	Logger   *slog.Logger // requests at debug level, without numbers; discards when nil
}

// Unlimited, as Config.Limit, admits every request and sends no X-RateLimit headers.
const Unlimited = -1

func (cfg *Config) setDefaults() {
	cfg.Limit = cmp.Or(cfg.Limit, 30)
	cfg.Window = cmp.Or(cfg.Window, time.Minute)
	cfg.ValuesShape = cmp.Or(cfg.ValuesShape, ShapeData)
	cfg.MaxRows = cmp.Or(cfg.MaxRows, 1000)
	cfg.MaxBody = cmp.Or(cfg.MaxBody, 1<<20)
	cfg.Laravel = cmp.Or(cfg.Laravel, 10)
	if len(cfg.Channels) == 0 {
		cfg.Channels = []int{3, 7}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
}

func (cfg *Config) check() error {
	switch {
	case cfg.Limit < Unlimited:
		return fmt.Errorf("limit %d: want a number of requests, or Unlimited", cfg.Limit)
	case cfg.Window < 0:
		return fmt.Errorf("window %v: want more than 0", cfg.Window)
	case cfg.Overrun < 0:
		return fmt.Errorf("overrun %d: want 0 or more requests", cfg.Overrun)
	case cfg.Laravel < 8:
		return fmt.Errorf("laravel %d: want version 8 or later", cfg.Laravel)
	case cfg.MaxRows < 0:
		return fmt.Errorf("rows %d: want more than 0", cfg.MaxRows)
	case cfg.MaxBody < 0 || cfg.MaxPost < 0:
		return fmt.Errorf("body of %d bytes: want more than 0", min(cfg.MaxBody, cfg.MaxPost))
	case !slices.Contains(shapes, cfg.ValuesShape):
		return fmt.Errorf("values shape %q: want %s", cfg.ValuesShape, oneOf(shapes))
	}
	return cfg.Webhooks.check()
}

// oneOf is a choice: "a, b or c".
func oneOf[T ~string](names []T) string {
	text, last := "", len(names)-1
	for i, name := range names {
		switch {
		case i == last && i > 0:
			text += " or "
		case i > 0:
			text += ", "
		}
		text += string(name)
	}
	return text
}
