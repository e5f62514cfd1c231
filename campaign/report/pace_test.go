package report_test

import (
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
)

func TestPace(t *testing.T) {
	for _, tt := range []struct {
		name   string
		series map[int]int // contacts still open, by seconds before now
		open   int
		want   report.Pace
	}{
		{"nothing is known", nil, 100, report.Pace{}},
		{"it has only just begun", map[int]int{1: 100}, 90, report.Pace{}},
		{"a young campaign is measured from its beginning", map[int]int{60: 100}, 50, report.Pace{PerMinute: 50, Left: time.Minute}},
		{"an old one over the last two minutes", map[int]int{9000: 1000, 180: 400, 90: 300}, 200, report.Pace{PerMinute: 100, Left: 2 * time.Minute}},
		{"nothing has moved lately", map[int]int{9000: 1000, 600: 400}, 400, report.Pace{}},
		{"a rerun takes nothing off", map[int]int{9000: 0, 60: 300}, 200, report.Pace{PerMinute: 50, Left: 4 * time.Minute}},
		{"through", map[int]int{60: 100}, 0, report.Pace{PerMinute: 100}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var series []store.Sample
			for _, before := range []int{9000, 600, 180, 90, 60, 1} {
				if open, ok := tt.series[before]; ok {
					sample := store.Sample{At: at.Add(-time.Duration(before) * time.Second)}
					sample.Tally.States[campaign.Pending] = open
					series = append(series, sample)
				}
			}
			got := report.PaceOf(series, report.States{campaign.Pending.String(): tt.open}, at)
			if got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}
