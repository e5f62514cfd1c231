package dashboard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

// A chart shows how a campaign went: stacked areas in a box of 1000 by 300.
type chart struct {
	Areas  []area // topmost first; each is drawn over the ones before it
	X      []tick
	Y      []int // topmost first
	Rows   []chartRow
	Spoken texts.Line
}

type area struct{ Name, Path string }

// Label is what the area shows.
func (a area) Label() texts.Line { return texts.Of("chart." + a.Name) }

type tick struct {
	At   time.Time
	Show string // precision: day, minute or clock
}

// A chartRow holds the numbers of one moment of the chart.
type chartRow struct {
	At     time.Time
	Counts []int // contacts per area, then those still to be sent
}

const (
	chartWidth, chartHeight = 1000, 300
	chartRows               = 12 // of the table beside the chart
	chartTicks              = 5
	leastSpan               = 10 * time.Second
)

// chartAreas are the areas of a chart, from the bottom.
var chartAreas = []struct {
	name   string
	states []campaign.State
}{
	{"accepted", []campaign.State{campaign.Accepted, campaign.Started, campaign.Ended}},
	{"problems", []campaign.State{campaign.Rejected, campaign.Failed, campaign.Unconfirmed}},
	{"canceled", []campaign.State{campaign.Canceled}},
}

// newChart draws a series up to the present. It returns nil while there is nothing to
// see.
func newChart(series []store.Sample, s report.Summary, now time.Time) *chart {
	if len(series) == 0 || s.Contacts == 0 {
		return nil
	}
	last := store.Sample{At: now}
	for _, state := range campaign.States() {
		last.Tally.States[state] = s.States.In(state)
	}
	if end := series[len(series)-1]; s.Over() && end.Tally.States == last.Tally.States {
		last.At = end.At // nothing comes after it
	}
	series = append(slices.Clone(series), last)
	if first := series[0]; first.At.After(s.CreatedAt) {
		var start store.Sample
		start.At, start.Tally.States[campaign.Pending] = s.CreatedAt, first.Tally.Contacts()
		series = slices.Insert(series, 0, start)
	}
	first := series[0].At
	span := max(last.At.Sub(first), leastSpan)

	top := 0
	for _, sample := range series {
		top = max(top, sample.Tally.Contacts())
	}
	c := &chart{Y: []int{top, top / 2, 0}}
	for i := range chartTicks {
		c.X = append(c.X, tick{first.Add(span * time.Duration(i) / (chartTicks - 1)), exactness(span)})
	}
	rows := everyNth(series, chartRows)
	for _, sample := range rows {
		c.Rows = append(c.Rows, chartRow{At: sample.At})
	}
	heights, spoken := make([]int, len(series)), shown{} // heights of the stack so far
	for n, a := range chartAreas {
		seen := false
		for i, sample := range series {
			in := count(sample, a.states)
			heights[i] += in
			seen = seen || in > 0
		}
		if !seen && n > 0 {
			continue
		}
		c.Areas = append(c.Areas, area{a.name, outline(series, heights, first, span, top)})
		for i, sample := range rows {
			c.Rows[i].Counts = append(c.Rows[i].Counts, count(sample, a.states))
		}
		spoken.add(count(last, a.states), a.name)
	}
	for i, sample := range rows {
		c.Rows[i].Counts = append(c.Rows[i].Counts, sample.Tally.Open())
	}
	spoken.add(last.Tally.Open(), "open")
	c.Spoken = texts.Of("chart.spoken", "all", top, "parts", []texts.Line(spoken))
	slices.Reverse(c.Areas)
	for _, row := range c.Rows {
		slices.Reverse(row.Counts[:len(c.Areas)])
	}
	return c
}

// shown is what a chart shows at its end, in words.
type shown []texts.Line

func (s *shown) add(n int, what string) {
	*s = append(*s, texts.Of("notice.state", "n", n, "state", texts.Of("chart."+what)))
}

func count(sample store.Sample, states []campaign.State) int {
	n := 0
	for _, state := range states {
		n += sample.Tally.States[state]
	}
	return n
}

// outline is the border of an area down to the bottom of the box. A sample is taken
// when the tally has changed, so the line stays level until shortly before it.
func outline(series []store.Sample, heights []int, first time.Time, span time.Duration, top int) string {
	x := func(at time.Time) int64 {
		return int64(at.Sub(first)/time.Millisecond) * chartWidth / int64(span/time.Millisecond)
	}
	y := func(i int) int { return chartHeight - heights[i]*chartHeight/top }
	rise := max(store.SampleEvery, span/100)
	var path strings.Builder
	fmt.Fprintf(&path, "M0 %dV%d", chartHeight, y(0))
	for i := 1; i < len(series); i++ {
		if from := series[i].At.Add(-rise); from.After(series[i-1].At) {
			fmt.Fprintf(&path, "H%d", x(from))
		}
		fmt.Fprintf(&path, "L%d %d", x(series[i].At), y(i))
	}
	fmt.Fprintf(&path, "V%dZ", chartHeight)
	return path.String()
}

// exactness is the precision of the times below a chart.
func exactness(span time.Duration) string {
	switch {
	case span > 20*time.Hour:
		return "day"
	case span > 10*time.Minute:
		return "minute"
	}
	return "clock"
}

// everyNth thins a series to at most most samples. It keeps the first and the last.
func everyNth(series []store.Sample, most int) []store.Sample {
	if len(series) <= most {
		return series
	}
	var some []store.Sample
	for i := range most {
		some = append(some, series[i*(len(series)-1)/(most-1)])
	}
	return some
}
