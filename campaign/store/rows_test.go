package store

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/s2"
	"pgregory.net/rapid"

	"campaign-runner/campaign"
)

// hostile are cells that text formats get wrong.
var hostile = []string{"", "\x00", "\xff\xfe", "نورة", "a,b", "\"", "\r\n", "=1+1", "+966501234567", "+1", strings.Repeat("x", 300)}

func drawCell(t *rapid.T) string {
	return rapid.OneOf(
		rapid.SampledFrom(hostile),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	).Draw(t, "cell")
}

func TestRowsSurviveRedis(t *testing.T) {
	s := New(nil)
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.IntRange(0, 4).Draw(t, "columns")
		want := make([]campaign.Contact, rapid.IntRange(1, 8).Draw(t, "contacts"))
		line := 0
		for i := range want {
			line += rapid.IntRange(0, 1000).Draw(t, "lines")
			phone := campaign.Phone(rapid.Uint64().Draw(t, "phone"))
			fields := make([]string, columns)
			for k := range fields {
				fields[k] = drawCell(t)
				if own := phone.E164(); rapid.Bool().Draw(t, "its own number") {
					digits := strings.TrimPrefix(own, "+")
					fields[k] = rapid.SampledFrom([]string{own, own, own + "0", "+0" + digits, digits, "+" + digits[len(digits)/2:]}).Draw(t, "or nearly")
				}
			}
			want[i] = campaign.Contact{Phone: phone, Line: line, Fields: fields}
		}
		blob, err := encodeRows(want, columns)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.decodeRows(blob)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("rows (-want +got):\n%s", diff)
		}
	})
}

// encodeRows packs contacts as a load does.
func encodeRows(contacts []campaign.Contact, columns int) ([]byte, error) {
	rows := NewRows(columns)
	for _, c := range contacts {
		if err := rows.Add(c); err != nil {
			return nil, err
		}
	}
	return rows.encode()
}

// Cells lie beside each other in memory: appending to one row must not write
// into the next.
func TestDecodedRowsAreApart(t *testing.T) {
	s := New(nil)
	blob, err := encodeRows(people(0, 2), 2)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.decodeRows(blob)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(got[0].Fields, "more")
	if diff := cmp.Diff(people(0, 2), got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestEncodeRowsRefuses(t *testing.T) {
	short := person(1)
	short.Fields = short.Fields[:1]
	huge := person(0)
	huge.Fields = []string{strings.Repeat("x", maxBlobBytes), ""}
	for _, tt := range []struct {
		name     string
		contacts []campaign.Contact
		want     string
	}{
		{"a row with a cell missing", []campaign.Contact{person(0), short}, "encode rows: line 3: want 2 cells, have 1"},
		{"rows out of order", []campaign.Contact{person(1), person(0)}, "encode rows: line 2 after line 3"},
		{"more than could be read again", []campaign.Contact{huge}, "use a smaller --chunk-size"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := encodeRows(tt.contacts, 2); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestDecodeRowsRefuses(t *testing.T) {
	s := New(nil)
	raw := func(numbers ...uint64) []byte {
		var b []byte
		for _, n := range numbers {
			b = binary.AppendUvarint(b, n)
		}
		return s2.Encode(nil, b)
	}
	whole, err := encodeRows(people(0, 3), 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		blob []byte
	}{
		{"nothing", nil},
		{"nothing compressed", []byte("phone,name\n+966501234567,Noura\n")},
		{"more bytes than a chunk may take", binary.AppendUvarint(nil, maxBlobBytes+1)},
		{"an earlier version's, cut", []byte(zstdMagic + "x")},
		{"cut", whole[:len(whole)-3]},
		{"an empty text", raw()},
		{"a count alone", raw(1)},
		{"contacts without their text", raw(3, 2)},
		{"more contacts than a chunk may hold", s2.Encode(nil, append(binary.AppendUvarint(nil, campaign.MaxChunkSize+1), make([]byte, 3*campaign.MaxChunkSize)...))},
		{"more cells than bytes", raw(2, 1<<40)},
		{"more contacts than memory", raw(1<<63, 0)},
		{"a cell longer than the rest", raw(1, 1, 966501234567, 2, 9)},
		{"a number that never ends", s2.Encode(nil, bytes.Repeat([]byte{0xff}, 40))},
		{"bytes behind the last cell", raw(1, 1, 966501234567, 2, 0, 7)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := s.decodeRows(tt.blob); err == nil || !strings.HasPrefix(err.Error(), "decode rows: ") {
				t.Errorf("got %d contacts, %v", len(got), err)
			}
		})
	}
}

// Whatever stands in Redis, reading it ends in rows that can be written again,
// or in an error.
func FuzzDecodeRows(f *testing.F) {
	s := New(nil)
	for _, contacts := range [][]campaign.Contact{nil, people(0, 1), people(0, 5)} {
		blob, err := encodeRows(contacts, 2)
		if err != nil {
			f.Fatal(err)
		}
		raw, err := s2.Decode(nil, blob)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(blob, false)
		f.Add(raw, true)
		f.Add(s.encoder.EncodeAll(raw, nil), false) // as an earlier version packed them
	}
	f.Fuzz(func(t *testing.T, blob []byte, raw bool) {
		if raw { // spares the fuzzer the search for blocks
			blob = s2.Encode(nil, blob)
		}
		contacts, err := s.decodeRows(blob)
		if err != nil {
			return
		}
		if len(contacts) == 0 {
			return // no chunk is empty
		}
		again, err := encodeRows(contacts, len(contacts[0].Fields))
		if err != nil {
			return // line numbers that overflow
		}
		got, err := s.decodeRows(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(contacts, got); diff != "" {
			t.Errorf("rows (-first +second):\n%s", diff)
		}
	})
}
