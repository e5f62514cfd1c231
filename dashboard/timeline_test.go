package dashboard

import (
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign/texts"
)

func TestATimelineIsInTheOrderOfThings(t *testing.T) {
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	began, ended := texts.Of("began"), texts.Of("ended")
	for _, tt := range []struct {
		name         string
		list         []moment
		begun, ended time.Time
		want         string
	}{
		{"a conversation that began before the answer was there", []moment{{At: at(0), What: texts.Of("loaded")}, {At: at(62), What: texts.Of("request"), request: true}},
			at(60), at(90), "loaded request began ended"},
		{"a platform whose clock is behind", []moment{{At: at(0), What: texts.Of("loaded")}, {At: at(62), What: texts.Of("request"), request: true}},
			at(-30), at(10), "loaded request began ended"},
		{"what comes after it", []moment{{At: at(300), What: texts.Of("paused")}, {At: at(62), What: texts.Of("request"), request: true}, {At: at(0), What: texts.Of("loaded")}},
			at(63), at(400), "loaded request began paused ended"},
		{"the second request began it", []moment{{At: at(10), What: texts.Of("refused"), request: true}, {At: at(600), What: texts.Of("request"), request: true}},
			at(599), time.Time{}, "refused request began"},
		{"the first, and the second found no room", []moment{{At: at(10), What: texts.Of("request"), request: true}, {At: at(600), What: texts.Of("again"), request: true}},
			at(11), at(40), "request began ended again"},
		{"only its end is known", []moment{{At: at(10), What: texts.Of("request"), request: true}}, time.Time{}, at(40), "request ended"},
		{"the log is gone", []moment{{At: at(0), What: texts.Of("loaded")}}, at(11), at(40), "loaded began ended"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, m := range inOrder(tt.list, []moment{{At: tt.begun, What: began}, {At: tt.ended, What: ended}}) {
				got = append(got, m.What[0].(string))
			}
			if text := strings.Join(got, " "); text != tt.want {
				t.Errorf("got %s, want %s", text, tt.want)
			}
		})
	}
}
