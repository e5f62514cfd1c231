package numberscan

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/redis/go-redis/v9"

	"campaign-runner/internal/redistest"
)

// Every hiding place of a number is found, and a neighbour's is not taken for it.
func TestFindKnowsEveryHidingPlace(t *testing.T) {
	rdb := redistest.Shared(t)
	ctx := t.Context()
	const value = uint64(966501234567)
	text := "+966 50-123-4567"
	zip, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	rdb.Set(ctx, "text", text, 0)
	rdb.Set(ctx, "at home", "call ٠٥٠١٢٣٤٥٦٧ now", 0)
	rdb.Set(ctx, "little", binary.LittleEndian.AppendUint64([]byte("x"), value), 0)
	rdb.Set(ctx, "big", binary.BigEndian.AppendUint64([]byte("xy"), value), 0)
	rdb.Set(ctx, "s2 of a varint", s2.Encode(nil, binary.AppendUvarint([]byte("rows"), value)), 0)
	rdb.Set(ctx, "zstd behind a head", zip.EncodeAll([]byte(text), []byte{3, 9}), 0)
	rdb.Set(ctx, "base64", `{"body":"`+base64.StdEncoding.EncodeToString([]byte(text))+`"}`, 0)
	rdb.Set(ctx, "hex", hex.EncodeToString([]byte(text)), 0)
	rdb.Set(ctx, "of +966501234567", "1", 0)
	rdb.HSet(ctx, "field", text, "1")
	rdb.HSet(ctx, "value", "f", text)
	rdb.RPush(ctx, "list", text)
	rdb.SAdd(ctx, "set", text)
	rdb.SAdd(ctx, "quotients:"+strconv.FormatUint(value%buckets, 10), value/buckets)
	rdb.ZAdd(ctx, "member", redis.Z{Member: text})
	rdb.ZAdd(ctx, "score", redis.Z{Score: float64(value), Member: "x"})
	rdb.XAdd(ctx, &redis.XAddArgs{Stream: "stream", Values: []string{"body", text}})
	want := rdb.Keys(ctx, "*").Val()
	slices.Sort(want)
	if len(want) != 17 {
		t.Fatalf("%d keys", len(want))
	}
	rdb.Set(ctx, "neighbour", "+966501234568", 0)
	rdb.SAdd(ctx, "quotients:7", value/buckets)
	rdb.Set(ctx, "date", "2026-11-30 12:34:56.7", 0)
	if got := Find(t, rdb, Number{"966501234567", "501234567"}); !slices.Equal(got, want) {
		t.Errorf("found in %q, want %q", got, want)
	}
}
