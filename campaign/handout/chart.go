package handout

import (
	"fmt"
	"html/template"
	"time"

	"campaign-runner/campaign/report"
)

// A chart is a row of columns, 1000 wide and 100 high. It grows from the side where reading
// begins; the template turns it around.
type chart struct {
	Columns []column
	Ends    [2]template.HTML // below its beginning and its end; of days the first and the last
	Most    template.HTML    // what its full height is
}

// A column is a part of a chart, with its line in the table of numbers.
type column struct {
	X, Width float64
	Blocks   []block // from the bottom
	Label    template.HTML
	report.Rate
}

type block struct {
	Class     string
	Y, Height float64
}

// gap is the share of a column's place that stays empty, widest the width of a column: a
// single one would be a wall.
const (
	gap    = 0.15
	widest = 1000 / 8
)

// columns places n columns side by side.
func columns(n int) []column {
	list := make([]column, n)
	place := 1000 / float64(n)
	width := min((1-gap)*place, widest)
	for i := range list {
		list[i].X, list[i].Width = float64(i)*place+(place-width)/2, width
	}
	return list
}

// stack adds a block on top of the others.
func (c *column) stack(class string, height float64) {
	y := 100.0
	if len(c.Blocks) > 0 {
		y = c.Blocks[len(c.Blocks)-1].Y
	}
	if height > 0 {
		c.Blocks = append(c.Blocks, block{class, y - height, height})
	}
}

// Time is the campaign over time; nil without a contact that was accepted.
func (s sheet) Time() *chart {
	if len(s.Over) == 0 {
		return nil
	}
	most := 0
	for _, stretch := range s.Over {
		most = max(most, stretch.Accepted)
	}
	list := columns(len(s.Over))
	until := s.Over[len(s.Over)-1].From.Add(time.Hour)
	hourly := len(s.Over) == 1 || s.Over[1].From.Sub(s.Over[0].From) == time.Hour
	if !hourly { // the last day
		days := int(s.Over[1].From.Sub(s.Over[0].From).Round(24*time.Hour) / (24 * time.Hour)) // one may have 23 hours
		until = s.Over[len(s.Over)-1].From.In(s.Location()).AddDate(0, 0, days-1)
	}
	for i, stretch := range s.Over {
		c := &list[i]
		c.Rate, c.Label = stretch.Rate, s.label(stretch.From, hourly)
		unit := 100 / float64(most)
		if s.Told() {
			c.stack("answered", unit*float64(stretch.Answered))
			c.stack("unanswered", unit*float64(stretch.Unanswered))
		}
		c.stack("silent", unit*float64(stretch.Accepted-stretch.Answered-stretch.Unanswered))
	}
	return &chart{list, [2]template.HTML{list[0].Label, s.label(until, hourly)}, template.HTML(s.say.Number(most))}
}

// label is a stretch of time by its beginning. Where clocks go back, an hour of that name
// comes twice, and is told with its zone.
func (s sheet) label(at time.Time, hourly bool) template.HTML {
	at = at.In(s.Location())
	name := func(at time.Time) string { return at.Format("2006-01-02 15:04") }
	switch {
	case !hourly:
		return template.HTML(s.say.Figures(at.Format("2006-01-02")))
	case name(at) == name(at.Add(time.Hour)), name(at) == name(at.Add(-time.Hour)):
		return template.HTML(s.say.Figures(at.Format("2006-01-02 15:04 MST")))
	}
	return template.HTML(s.say.Figures(name(at)))
}

// Hours are the rates of answers by hour of the day.
func (s sheet) Hours() *chart {
	list := columns(24)
	most := 0.0
	for _, h := range s.ByHour {
		most = max(most, rate(h.Rate))
	}
	for i := range list {
		list[i].Label = template.HTML(s.say.Figures(fmt.Sprintf("%02d:00", i)))
	}
	for _, h := range s.ByHour {
		list[h.Hour].Rate = h.Rate
		if most > 0 {
			list[h.Hour].stack("answered", 100*rate(h.Rate)/most)
		}
	}
	return &chart{list, [2]template.HTML{list[0].Label, list[23].Label}, template.HTML(s.say.Figures(report.Percent(int(most*1000), 1000)))}
}

func rate(r report.Rate) float64 {
	if r.Accepted == 0 {
		return 0
	}
	return float64(r.Answered) / float64(r.Accepted)
}

// A drawing is a chart as it is drawn in the direction of the page.
type drawing struct {
	*chart
	Mirrored bool
}

func (s sheet) Draw(c *chart) drawing { return drawing{c, s.Mirrored()} }

// A meter is a bar of that length, 1000 at most, from the side where reading begins.
type meter struct{ X, Width float64 }

func (s sheet) Meter(length float64) meter {
	if s.Mirrored() {
		return meter{1000 - length, length}
	}
	return meter{0, length}
}

// Length is a rate as the length of a bar that is 1000 wide.
func (s sheet) Length(r report.Rate) float64 { return 1000 * rate(r) }
