package contacts

import (
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// cut returns the rows of a text that is read in blocks of some bytes.
func cut(t *testing.T, text string, block int) (rows []string) {
	t.Helper()
	s := splitter{src: iotest.HalfReader(strings.NewReader(text)), comma: ',', block: block, line: 1}
	for {
		block, spans, err := s.next(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(spans) == 0 {
			return rows
		}
		for _, at := range spans {
			row := block[at.start:at.end]
			if at.broken {
				row = "broken: " + row
			}
			rows = append(rows, row)
		}
	}
}

// FuzzBlocks cuts anything into blocks of any size. The end of a block must not change
// the rows, and no byte may be lost between two.
func FuzzBlocks(f *testing.F) {
	for _, text := range []string{
		"a,b\nc,d\n", "a,\"b\nc\"\r\nd", "\"\"\"\"\n\"\n", "a\r", "\"a\"\r", "\"a\"\r\n\"b", "\"a\"x\n\"b\"\r\r\n", "\n\n\"\n", "ا,\"ب\"\n",
		strings.Repeat("\"\"\"a\n\",", 20),
	} {
		for _, block := range []byte{1, 2, 3, 7, 64} {
			f.Add(text, block)
		}
	}
	f.Fuzz(func(t *testing.T, text string, block byte) {
		want := cut(t, text, blockBytes)
		got := cut(t, text, max(int(block), 1))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("rows (-in one block +in blocks of %d):\n%s", block, diff)
		}
		bare := strings.NewReplacer("\r", "", "\n", "").Replace
		for i, row := range got {
			got[i] = bare(strings.TrimPrefix(row, "broken: "))
		}
		if all := strings.Join(got, ""); all != bare(text) && !strings.Contains(text, "broken: ") {
			t.Fatalf("rows hold %q of %q", all, text)
		}
	})
}
