package quotasim

import (
	"fmt"
	"io"
	"time"
)

// panel is one row of a picture: what the server counted over some windows.
type panel struct {
	title  string
	window time.Duration
	limit  int
	events []event
}

// Sizes of the picture in pixels.
const (
	width, rowHeight  = 860, 190
	left, right       = 46, 12
	above, plotHeight = 34, 120
)

// draw writes the panels as SVG: a dot for every request, at the height of what
// the server had counted in its window by then.
func draw(out io.Writer, panels []panel, span time.Duration) error {
	p := &printer{out: out}
	p.f(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`, width, rowHeight*len(panels)+24)
	p.f(`<rect width="100%%" height="100%%" fill="#fff"/>`)
	for i, panel := range panels {
		p.f(`<g transform="translate(0 %d)">`, i*rowHeight)
		p.panel(panel, span)
		p.f(`</g>`)
	}
	y := rowHeight*len(panels) + 8
	for i, l := range []struct{ colour, ring, text string }{
		{blue, "none", "ours"}, {amber, "none", "another client"}, {"none", red, "refused with 429"},
	} {
		p.f(`<circle cx="%d" cy="%d" r="4" fill="%s" stroke="%s" stroke-width="2"/>`, left+150*i, y-4, l.colour, l.ring)
		p.f(`<text x="%d" y="%d">%s</text>`, left+10+150*i, y, l.text)
	}
	p.f(`</svg>`)
	return p.err
}

const (
	blue  = "#1f6feb"
	amber = "#d29922"
	red   = "#cf222e"
)

type printer struct {
	out io.Writer
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

func (p *printer) panel(d panel, span time.Duration) {
	from := d.events[0].at
	x := func(at time.Time) float64 {
		return left + float64(width-left-right)*at.Sub(from).Seconds()/span.Seconds()
	}
	y := func(n int) float64 { return above + plotHeight*(1-float64(n)/float64(d.limit)) }
	p.f(`<text x="%d" y="18" font-weight="bold">%s</text>`, left, d.title)
	for _, n := range []int{0, d.limit} {
		p.f(`<path d="M%d %.1fH%d" stroke="#888" stroke-dasharray="2 3"/>`, left, y(n), width-right)
		p.f(`<text x="%d" y="%.1f" text-anchor="end">%d</text>`, left-6, y(n)+4, n)
	}
	var opened time.Time
	counted := 0
	for _, e := range d.events {
		if e.at.Sub(from) >= span {
			break
		}
		if e.at.Sub(opened) >= d.window {
			opened, counted = e.at, 0
			p.f(`<path d="M%.1f %dV%d" stroke="#bbb"/>`, x(opened), above, above+plotHeight+8)
			p.f(`<text x="%.1f" y="%d" fill="#555">%.1f s</text>`, x(opened)+3, above+plotHeight+20, opened.Sub(from).Seconds())
		}
		colour, ring := blue, "none"
		if e.other {
			colour = amber
		}
		if e.status == 429 {
			ring = red
		} else {
			counted++
		}
		p.f(`<circle cx="%.1f" cy="%.1f" r="3" fill="%s" stroke="%s" stroke-width="2"/>`, x(e.at), y(counted), colour, ring)
	}
}
