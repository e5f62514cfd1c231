package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// The series of a campaign is its tally over time. A sample is taken only when
// contacts have moved, so a paused or finished campaign costs nothing.
const (
	// SampleEvery is the shortest time between two samples of a campaign.
	SampleEvery = 5 * time.Second
	// MaxSamples bounds the samples of a campaign. Beyond it every second one is
	// dropped, so older ones lie further apart.
	MaxSamples = 500
)

// A Sample is a campaign's tally at a moment, without its reasons. The tally stayed
// so until the next one.
type Sample struct {
	At    time.Time
	Tally campaign.Tally
}

// sampleScript appends a sample unless another worker has, or the campaign is gone.
// KEYS campaign, series; ARGV the last sample as read, empty for none; the new one;
// most samples. Answers whether it did.
var sampleScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 or (redis.call('LINDEX', KEYS[2], -1) or '') ~= ARGV[1] then return 0 end
if redis.call('LLEN', KEYS[2]) >= tonumber(ARGV[3]) then
  local all = redis.call('LRANGE', KEYS[2], 0, -1)
  redis.call('DEL', KEYS[2])
  for i = 1, #all, 2 do redis.call('RPUSH', KEYS[2], all[i]) end
end
redis.call('RPUSH', KEYS[2], ARGV[2])
return 1`)

// TakeSample adds the present tally to a campaign's series when contacts have moved
// and enough time has passed. Any number of workers may call it at any time.
func (s *Store) TakeSample(ctx context.Context, name string, now time.Time) (taken bool, err error) {
	var first, last *redis.StringCmd
	var counts *redis.SliceCmd
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		first = p.LIndex(ctx, keySeries(name), 0)
		last = p.LIndex(ctx, keySeries(name), -1)
		counts = p.HMGet(ctx, keyTally(name), stateFields...)
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("sample %s: %w", name, err)
	}
	next := strings.Join(append([]string{strconv.FormatInt(now.UnixMilli(), 10)}, texts(counts.Val())...), " ")
	due, err := sampleDue(first.Val(), last.Val(), next)
	if err != nil || !due {
		return false, err
	}
	taken, err = sampleScript.Run(ctx, s.rdb, []string{keyCampaign(name), keySeries(name)}, last.Val(), next, MaxSamples).Bool()
	if err != nil {
		return false, fmt.Errorf("sample %s: %w", name, err)
	}
	return taken, nil
}

// sampleDue decides whether next follows the samples between first and last, which
// are empty when there are none: it must differ, and come after a share of the time
// that the series covers.
func sampleDue(first, last, next string) (bool, error) {
	now, err := decodeSample(next)
	if err != nil {
		return false, err
	}
	if last == "" {
		return now.Tally.Contacts() > 0, nil
	}
	start, err := decodeSample(first)
	if err != nil {
		return false, err
	}
	before, err := decodeSample(last)
	if err != nil {
		return false, err
	}
	wait := max(SampleEvery, before.At.Sub(start.At)/MaxSamples)
	return now.Tally.States != before.Tally.States && now.At.Sub(before.At) >= wait, nil
}

// Series are the samples of a campaign, the oldest first.
func (s *Store) Series(ctx context.Context, name string) ([]Sample, error) {
	list, err := s.rdb.LRange(ctx, keySeries(name), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("read series of %s: %w", name, err)
	}
	series := make([]Sample, len(list))
	for i, text := range list {
		if series[i], err = decodeSample(text); err != nil {
			return nil, fmt.Errorf("read series of %s: %w", name, err)
		}
	}
	return series, nil
}

// decodeSample reads the time in ms, and how many contacts are in each state.
func decodeSample(text string) (Sample, error) {
	parts := strings.Fields(text)
	numbers := make([]int64, len(parts))
	for i, part := range parts {
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			return Sample{}, fmt.Errorf("sample: %w", err)
		}
		numbers[i] = n
	}
	var sample Sample
	if len(numbers) != 1+len(sample.Tally.States) {
		return Sample{}, fmt.Errorf("sample: want %d numbers, have %d", 1+len(sample.Tally.States), len(numbers))
	}
	sample.At = timeOf(numbers[0])
	for state, n := range numbers[1:] {
		sample.Tally.States[state] = int(n)
	}
	return sample, nil
}

// stateFields are the tally's fields for the states.
var stateFields = func() (fields []string) {
	for _, state := range campaign.States() {
		fields = append(fields, strconv.Itoa(int(state)))
	}
	return fields
}()

// texts are Redis's answers, with 0 for missing ones.
func texts(values []any) []string {
	list := make([]string, len(values))
	for i, value := range values {
		text, ok := value.(string)
		if !ok {
			text = "0"
		}
		list[i] = text
	}
	return list
}
