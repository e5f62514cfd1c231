package ratelimit

import (
	"testing"
	"time"
)

func TestParseRate(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Rate
		print      string
	}{
		{"seconds", "30/60s", Rate{Limit: 30, Window: time.Minute}, "30/60s"},
		{"any duration", "5000/1h", Rate{Limit: 5000, Window: time.Hour}, "5000/3600s"},
		{"parts of a second", "10/1500ms", Rate{Limit: 10, Window: 1500 * time.Millisecond}, "10/1.5s"},
		{"no limit", "none", Rate{Unlimited: true}, "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got Rate
			if err := got.Set(tt.text); err != nil {
				t.Fatal(err)
			}
			if got != tt.want || got.String() != tt.print {
				t.Errorf("ParseRate(%q) = %+v, printed %q; want %+v, %q", tt.text, got, got, tt.want, tt.print)
			}
			if again, err := ParseRate(got.String()); again != got || err != nil {
				t.Errorf("read back: %+v, %v", again, err)
			}
		})
	}
	if got := new(Rate).Type(); got != "rate" {
		t.Errorf("help calls it %q", got)
	}
	if got := (Rate{}).String(); got != "30/60s" {
		t.Errorf("the zero Rate prints %q", got)
	}
}

func TestParseRateRefuses(t *testing.T) {
	for _, text := range []string{
		"", "30", "30/", "/60s", "30/60", "0/60s", "-1/60s", "30/0s", "30/-1s", "30/1ms", "30/100000h",
		"99999999/60s", "x/60s", "None", "30/60s ",
	} {
		t.Run("the text "+text, func(t *testing.T) {
			_, err := ParseRate(text)
			want := `rate "` + text + `": want requests per window such as "30/60s", or "none"`
			if err == nil || err.Error() != want {
				t.Errorf("ParseRate(%q): %v, want %s", text, err, want)
			}
		})
	}
}

func TestRateCounts(t *testing.T) {
	for _, tt := range []struct {
		rate   Rate
		limit  int
		window time.Duration
	}{
		{Rate{}, 30, time.Minute},
		{Rate{Limit: 5, Window: time.Hour}, 5, time.Hour},
		{Rate{Unlimited: true}, 0, 0},
	} {
		if limit, window := tt.rate.Count(); limit != tt.limit || window != tt.window {
			t.Errorf("%v: %d per %v", tt.rate, limit, window)
		}
	}
}
