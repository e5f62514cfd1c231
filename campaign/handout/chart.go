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
	Ends    [2]template.HTML // below its beginning and its end
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

// gap is the share of a column that stays empty.
const gap = 0.15

// columns places n columns side by side.
func columns(n int) []column {
	list := make([]column, n)
	width := 1000 / float64(n)
	for i := range list {
		list[i].X, list[i].Width = (float64(i)+gap/2)*width, (1-gap)*width
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
	list := columns(max(len(s.Over), 8)) // a single one would be a wall
	list = list[:len(s.Over)]
	hourly := len(s.Over) > 1 && s.Over[1].From.Sub(s.Over[0].From) == time.Hour || len(s.Over) == 1
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
	return &chart{list, [2]template.HTML{list[0].Label, list[len(list)-1].Label}, template.HTML(s.say.Number(most))}
}

func (s sheet) label(at time.Time, hourly bool) template.HTML {
	layout := "2006-01-02"
	if hourly {
		layout = "2006-01-02 15:04"
	}
	return template.HTML(s.say.Figures(at.In(s.Location()).Format(layout)))
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
