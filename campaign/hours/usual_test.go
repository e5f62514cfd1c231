package hours_test

import (
	"testing"
	"time"

	"campaign-runner/campaign/hours"
)

func TestPlacesHaveAClockAndAWeek(t *testing.T) {
	for _, p := range hours.Places() {
		week, err := hours.ParseWeek(p.Work)
		if err != nil || week.Always() || week.String() != p.Work {
			t.Errorf("%s: %v, %v", p.Name, week, err)
		}
		if _, err := hours.LoadZone(p.Zone); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if n := len(week[time.Saturday]); n > 0 {
			t.Errorf("%s works on Saturdays", p.Name)
		}
	}
}
