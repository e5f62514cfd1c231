// Package numberscan looks for phone numbers in everything that a Redis holds, for tests
// of what must not be there any more.
//
// It is written apart from the code that hides and erases numbers, and knows of the
// store's packing only what is said here: compressed values, numbers of eight bytes or as
// varints, sets of quotients by bucket.
package numberscan

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/redis/go-redis/v9"
)

// buckets is by how many the store divides a number in its sets: NAME:REMAINDER holds
// quotients.
const buckets = 32749

// A Number is one to look for: its digits with the country code, and without.
type Number struct{ International, National string }

// Find are the keys in which any of the numbers stands, sorted: in the key's name or in
// any part of its value, in any spelling, packed or compressed. It asks every server of a
// cluster.
func Find(t testing.TB, rdb redis.UniversalClient, numbers ...Number) (keys []string) {
	t.Helper()
	ctx := context.Background()
	look := looker{}
	for _, n := range numbers {
		value, err := strconv.ParseUint(n.International, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		look.values = append(look.values, value)
		look.binary = append(look.binary, binary.LittleEndian.AppendUint64(nil, value), binary.BigEndian.AppendUint64(nil, value), binary.AppendUvarint(nil, value))
		look.text = append(look.text, n.National)
	}
	var mu sync.Mutex
	each := func(ctx context.Context, server redis.UniversalClient) error {
		scan := server.Scan(ctx, 0, "*", 500).Iterator()
		for scan.Next(ctx) {
			if look.key(ctx, server, scan.Val()) {
				mu.Lock()
				keys = append(keys, scan.Val())
				mu.Unlock()
			}
		}
		return scan.Err()
	}
	var err error
	if cluster, is := rdb.(*redis.ClusterClient); is {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, server *redis.Client) error { return each(ctx, server) })
	} else {
		err = each(ctx, rdb)
	}
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

type looker struct {
	values []uint64
	binary [][]byte
	text   []string // national digits
}

// key reports whether a key holds a number.
func (l looker) key(ctx context.Context, rdb redis.UniversalClient, key string) bool {
	parts := []string{key}
	switch rdb.Type(ctx, key).Val() {
	case "string":
		parts = append(parts, rdb.Get(ctx, key).Val())
	case "hash":
		for field, value := range rdb.HGetAll(ctx, key).Val() {
			parts = append(parts, field, value)
		}
	case "list":
		parts = append(parts, rdb.LRange(ctx, key, 0, -1).Val()...)
	case "set":
		members := rdb.SMembers(ctx, key).Val()
		parts = append(parts, members...)
		if l.quotient(key, members) {
			return true
		}
	case "zset":
		for _, z := range rdb.ZRangeWithScores(ctx, key, 0, -1).Val() {
			member, _ := z.Member.(string)
			parts = append(parts, member, strconv.FormatFloat(z.Score, 'f', -1, 64))
		}
	case "stream":
		for _, m := range rdb.XRange(ctx, key, "-", "+").Val() {
			for field, value := range m.Values {
				text, _ := value.(string)
				parts = append(parts, m.ID, field, text)
			}
		}
	}
	return slices.ContainsFunc(parts, func(part string) bool { return l.holds([]byte(part), 3) })
}

// quotient reports whether a set of quotients holds a number.
func (l looker) quotient(key string, members []string) bool {
	remainder, err := strconv.ParseUint(key[strings.LastIndex(key, ":")+1:], 10, 64)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(members, func(member string) bool {
		q, err := strconv.ParseUint(member, 10, 64)
		return err == nil && slices.Contains(l.values, q*buckets+remainder)
	})
}

// holds looks into a value, and into what is encoded in it, up to a depth.
func (l looker) holds(value []byte, layers int) bool {
	for _, b := range l.binary {
		if bytes.Contains(value, b) {
			return true
		}
	}
	for _, run := range digitRun.FindAllString(plainDigits(string(value)), -1) {
		digits := notDigit.ReplaceAllString(run, "")
		if slices.ContainsFunc(l.text, func(number string) bool { return strings.Contains(digits, number) }) {
			return true
		}
	}
	return layers > 0 && slices.ContainsFunc(inside(value), func(v []byte) bool { return l.holds(v, layers-1) })
}

// plainDigits writes the digits of every script in ASCII, and leaves out what cannot be
// seen.
func plainDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cf, unicode.Mn) {
			return -1
		}
		for _, span := range unicode.Nd.R16 {
			if r >= rune(span.Lo) && r <= rune(span.Hi) {
				return '0' + (r-rune(span.Lo))%10
			}
		}
		for _, span := range unicode.Nd.R32 {
			if r >= rune(span.Lo) && r <= rune(span.Hi) {
				return '0' + (r-rune(span.Lo))%10
			}
		}
		return r
	}, text)
}

var (
	digitRun   = regexp.MustCompile(`[0-9](?:[^\pL0-9]{0,4}[0-9]){6,}`)
	notDigit   = regexp.MustCompile(`[^0-9]`)
	base64Text = regexp.MustCompile(`[A-Za-z0-9+/_-]{12,}`)
	hexText    = regexp.MustCompile(`(?:[0-9A-Fa-f]{2}){8,}`)
	unzstd, _  = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20)) // fails on bad options only
)

// inside are the values that may be encoded in one: as a whole, or from some byte on.
func inside(value []byte) (all [][]byte) {
	if size, err := s2.DecodedLen(value); err == nil && size < 64<<20 {
		if plain, err := s2.Decode(nil, value); err == nil {
			all = append(all, plain)
		}
	}
	for at := range value {
		switch {
		case bytes.HasPrefix(value[at:], []byte("\x28\xb5\x2f\xfd")):
			if plain, err := unzstd.DecodeAll(value[at:], nil); err == nil {
				all = append(all, plain)
			}
		case bytes.HasPrefix(value[at:], []byte("\x1f\x8b")):
			if r, err := gzip.NewReader(bytes.NewReader(value[at:])); err == nil {
				if plain, err := io.ReadAll(io.LimitReader(r, 64<<20)); err == nil {
					all = append(all, plain)
				}
			}
		}
	}
	for _, text := range base64Text.FindAll(value, -1) {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			for skip := range 4 { // it may begin anywhere in what looks like it
				part := text[skip:]
				if len(part)%4 == 1 {
					part = part[:len(part)-1]
				}
				plain, _ := encoding.DecodeString(string(part)) // as far as it goes
				all = append(all, plain)
			}
		}
	}
	for _, text := range hexText.FindAll(value, -1) {
		if plain, err := hex.DecodeString(string(text)); err == nil {
			all = append(all, plain)
		}
	}
	return all
}
