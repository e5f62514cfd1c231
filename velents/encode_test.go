package velents

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestEncoding(t *testing.T) {
	webhook := &Webhook{Link: "https://runner.example/hook?campaign=a&sig=<1>", Headers: map[string]string{"x-b": "2", "x-a": "1"}}
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"a batch, its values sorted", Batch{ChannelID: 3, Name: "ramadan/0/1-1", Rows: []Row{
			{Phone: "+966500000001", Values: map[string]string{"order": "1212", "name": "ليلى", "city": "الرياض"}},
			{Phone: "+966500000002"},
		}}.appendJSON(nil), `{"channel_id":3,"name":"ramadan/0/1-1","rows":[` +
			`{"phone":"+966500000001","values":{"city":"الرياض","name":"ليلى","order":"1212"}},` +
			`{"phone":"+966500000002","values":{}}]}`},
		{"a batch without rows still has a list", Batch{}.appendJSON(nil),
			`{"channel_id":0,"name":"","rows":[]}`},
		{"a webhook has a body and headers even if empty", Batch{ChannelID: 3, Webhook: webhook}.appendJSON(nil),
			`{"channel_id":3,"name":"","rows":[],"webhook":{"link":"https://runner.example/hook?campaign=a&sig=<1>",` +
				`"body":{},"headers":{"x-a":"1","x-b":"2"}}}`},
		{"a dispatch", Dispatch{ChannelID: 7, Phone: "+966500000001", Values: map[string]string{"name": "A"}, Webhook: &Webhook{}}.appendJSON(nil),
			`{"channel_id":7,"phone":"+966500000001","values":{"name":"A"},"webhook":{"link":"","body":{},"headers":{}}}`},
		{"escapes", appendString(nil, "a\"b\\c\nd\re\tf\x00g\x1fh\x7fi\u2028j"), `"a\"b\\c\nd\re\tf\u0000g\u001fh` + "\x7fi\u2028j" + `"`},
		{"what is not UTF-8 is replaced", appendString(nil, "ok\xff\xfe\xd9"), "\"ok\uFFFD\uFFFD\uFFFD\""},
		{"a replacement character that was there stays one", appendString(nil, "\uFFFD"), "\"\uFFFD\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, string(tt.got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Any batch means to a JSON decoder what encoding/json would have written.
func TestBatchEncodesAsTheStandardLibraryDoes(t *testing.T) {
	anyString := rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "raw") {
			return string(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes"))
		}
		return rapid.String().Draw(t, "text")
	})
	anyMap := rapid.MapOfN(rapid.StringMatching(`[a-z"\\]{1,3}`), anyString, 0, 5)
	rapid.Check(t, func(t *rapid.T) {
		batch := Batch{ChannelID: rapid.Int().Draw(t, "channel"), Name: anyString.Draw(t, "name")}
		for range rapid.IntRange(0, 4).Draw(t, "rows") {
			batch.Rows = append(batch.Rows, Row{anyString.Draw(t, "phone"), anyMap.Draw(t, "values")})
		}
		type row struct {
			Phone  string            `json:"phone"`
			Values map[string]string `json:"values"`
		}
		rows := []row{}
		for _, r := range batch.Rows {
			rows = append(rows, row(r))
		}
		standard, err := json.Marshal(map[string]any{"channel_id": batch.ChannelID, "name": batch.Name, "rows": rows})
		if err != nil {
			t.Fatal(err)
		}
		encoded := batch.appendJSON(nil)
		if batch.Size() != len(encoded) {
			t.Errorf("Size = %d, want %d", batch.Size(), len(encoded))
		}
		if !batch.Fits(len(encoded)) || batch.Fits(len(encoded)-1) {
			t.Errorf("Fits is wrong about %d bytes", len(encoded))
		}
		var want, got any
		if err := json.Unmarshal(standard, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encoded, &got); err != nil {
			t.Fatalf("%v: %s", err, encoded)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-standard +ours):\n%s", diff)
		}
	})
}

func batchOf(rows int) Batch {
	b := Batch{ChannelID: 3, Name: "ramadan/12/1-1", Webhook: &Webhook{Link: "https://runner.example/webhooks/velents?campaign=ramadan&sig=" + strings.Repeat("a", 64)}}
	for i := range rows {
		b.Rows = append(b.Rows, Row{
			Phone:  fmt.Sprintf("+9665%08d", i),
			Values: map[string]string{"name": "عبد الرحمن", "order_id": "A-1212", "city": "الرياض"},
		})
	}
	return b
}

// A batch of ordinary size is known to fit without being encoded.
func TestFitsCostsNoEncoding(t *testing.T) {
	batch := batchOf(500)
	if n := testing.AllocsPerRun(1, func() { batch.Fits(900_000) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEncode500Rows(b *testing.B) {
	batch := batchOf(500)
	b.ReportAllocs()
	b.SetBytes(int64(batch.Size()))
	for b.Loop() {
		batch.appendJSON(nil)
	}
}
