package sending

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	b := backoff{base: 6 * time.Second, max: 10 * time.Minute}
	for _, tt := range []struct {
		name    string
		attempt int
		want    time.Duration
	}{
		{"the first attempt leaves at once", 1, 0},
		{"the second waits the base at the most", 2, 6 * time.Second},
		{"each further one twice as long", 4, 24 * time.Second},
		{"never beyond the longest", 400, 10 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := b.delay(tt.attempt); got != tt.want {
				t.Errorf("delay(%d) = %v, want %v", tt.attempt, got, tt.want)
			}
		})
	}
	for range 1000 {
		if d := jitter(time.Second); d < 0 || d >= time.Second {
			t.Fatalf("jitter(1s) = %v", d)
		}
	}
	if jitter(0) != 0 {
		t.Error("jitter of nothing waits")
	}
}
