package verdict

import (
	"errors"
	"fmt"
	"testing"

	"campaign-runner/velents"
)

func TestClassOfAnAnswer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer error
		want   string
	}{
		{"accepted", nil, "2xx"},
		{"over the quota", &velents.Error{Status: 429}, "429"},
		{"refused rows", fmt.Errorf("batch: %w", &velents.Error{Status: 422}), "422"},
		{"a bad token", &velents.Error{Status: 401}, "4xx"},
		{"the platform's fault", &velents.Error{Status: 503}, "5xx"},
		{"maintenance", &velents.Error{Status: 503, JSON: true}, "held"},
		{"a redirect", &velents.Error{Status: 302}, "3xx"},
		{"a page with a good status", &velents.Error{Status: 200, Page: true}, "lost"},
		{"no connection", &velents.Unanswered{}, "unsent"},
		{"no answer", &velents.Unanswered{Sent: true}, "lost"},
		{"held back by the guard", &velents.Unanswered{Err: ErrNotOurs}, "withheld"},
		{"anything else", errors.New("?"), "lost"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Class(tt.answer); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
