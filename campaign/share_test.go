package campaign

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestShareReadsWhatItWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Share(rapid.IntRange(0, int(Whole)).Draw(t, "share"))
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Share
		if err := json.Unmarshal(text, &got); got != want || err != nil {
			t.Fatalf("%d became %s and %d: %v", want, text, got, err)
		}
	})
}

func TestParseShare(t *testing.T) {
	for text, want := range map[string]Share{"0%": 0, "5%": 500, "0.5%": 50, "12.34%": 1234, "100%": 10_000} {
		got, err := ParseShare(text)
		if got != want || err != nil || got.String() != text {
			t.Errorf("%s: %d, %v, written %s", text, got, err, got)
		}
	}
	for _, text := range []string{"", "%", "5", "-5%", "+5%", "101%", "0.555%", "5 %", "a%", "1.x%"} {
		if got, err := ParseShare(text); err == nil {
			t.Errorf("%q was read as %s", text, got)
		}
	}
}

func TestShareIsExceededByMore(t *testing.T) {
	for _, tt := range []struct {
		share     Share
		some, all int
		want      bool
	}{
		{500, 5, 100, false},
		{500, 6, 100, true},
		{0, 0, 50, false},
		{0, 1, 50, true},
		{Whole, 50, 50, false},
		{500, 0, 0, false},
	} {
		if got := tt.share.Exceeded(tt.some, tt.all); got != tt.want {
			t.Errorf("%d of %d exceed %s: %v", tt.some, tt.all, tt.share, got)
		}
	}
}
