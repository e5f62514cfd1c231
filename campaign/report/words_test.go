package report_test

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"campaign-runner/campaign/report"
)

func TestSharesAddUp(t *testing.T) {
	for _, tt := range []struct {
		parts []int
		want  string
	}{
		{[]int{1, 1, 1}, "33.4 % 33.3 % 33.3 %"},
		{[]int{9_999_999, 1}, "99.9 % 0.1 %"},
		{[]int{1, 0, 999_999}, "0.1 % 0.0 % 99.9 %"},
		{[]int{5, 0}, "100.0 % 0.0 %"},
		{[]int{1, 2}, "33.3 % 66.7 %"},
	} {
		if got := strings.Join(report.Shares(tt.parts), " "); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.parts, got, tt.want)
		}
	}
	if got := report.Shares([]int{0, 0}); !slices.Equal(got, []string{"", ""}) {
		t.Errorf("of nothing: %q", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.OneOf(rapid.Just(0), rapid.IntRange(1, 3), rapid.IntRange(0, 1_000_000)), 1, 9).Draw(t, "parts")
		whole := 0
		for _, n := range parts {
			whole += n
		}
		if whole == 0 {
			return
		}
		sum := 0
		for i, text := range report.Shares(parts) {
			share, err := strconv.ParseFloat(strings.TrimSuffix(text, " %"), 64)
			if err != nil {
				t.Fatal(err)
			}
			tenths := int(math.Round(share * 10))
			sum += tenths
			if (tenths == 0) != (parts[i] == 0) || (tenths == 1000) != (parts[i] == whole) {
				t.Fatalf("%d of %d is %s", parts[i], whole, text)
			}
			if exact := float64(parts[i]) / float64(whole) * 100; math.Abs(share-exact) > 1 {
				t.Fatalf("%d of %d is %s", parts[i], whole, text)
			}
		}
		if sum != 1000 {
			t.Fatalf("%v add up to %d tenths", parts, sum)
		}
	})
}

// A contact that was canceled was not sent: the list of the pages, that of the command and
// the bar of watch count alike.
func TestWhatIsThroughWasSent(t *testing.T) {
	states := report.States{"pending": 1, "sending": 2, "canceled": 4, "accepted": 8, "failed": 16, "unconfirmed": 32}
	if got := states.Through(); got != 8+16+32 {
		t.Errorf("%d are through", got)
	}
}
