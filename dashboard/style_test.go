package dashboard

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
)

// luminance is the relative luminance of a colour, #rgb or #rrggbb, as WCAG 2 defines it.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	hex := strings.TrimPrefix(colour, "#")
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	var rgb [3]int
	if n, err := fmt.Sscanf(hex, "%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2]); n != 3 {
		t.Fatalf("colour %q: %v", colour, err)
	}
	var part [3]float64
	for i, c := range rgb {
		if part[i] = float64(c) / 255; part[i] <= 0.04045 {
			part[i] /= 12.92
		} else {
			part[i] = math.Pow((part[i]+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*part[0] + 0.7152*part[1] + 0.0722*part[2]
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

var (
	rule     = regexp.MustCompile(`([^{}]*)\{([^{}]*)\}`)
	ink      = regexp.MustCompile(`(?:^|[;\s])color:\s*var\(--([a-z-]+)\)`)
	ground   = regexp.MustCompile(`background:\s*var\(--([a-z-]+)\)`)
	variable = regexp.MustCompile(`--([a-z-]+):\s*(#[0-9a-f]{3,6})`)
)

// themes are the colours by name: light, and dark where it has its own.
func themes(t *testing.T, css string) map[string]map[string]string {
	t.Helper()
	light, dark := make(map[string]string), make(map[string]string)
	at := strings.Index(css, "@media (prefers-color-scheme: dark)")
	end := at + strings.Index(css[at:], "* { box-sizing")
	for _, v := range variable.FindAllStringSubmatch(css[:at], -1) {
		light[v[1]], dark[v[1]] = v[2], v[2]
	}
	for _, v := range variable.FindAllStringSubmatch(css[at:end], -1) {
		dark[v[1]] = v[2]
	}
	return map[string]map[string]string{"light": light, "dark": dark}
}

// Every colour of text is told from what it stands on, in both themes: 4.5 to 1, as WCAG
// wants it. What has no background of its own stands on the page, a card, a notice or a
// button.
func TestTextIsToldFromItsBackground(t *testing.T) {
	text, err := staticFiles.ReadFile("static/style.css")
	if err != nil {
		t.Fatal(err)
	}
	css := string(text)
	own := make(map[string][]string) // what a colour stands on, where the rule says so
	colours := make(map[string]bool)
	for _, r := range rule.FindAllStringSubmatch(css, -1) {
		if c := ink.FindStringSubmatch(r[2]); c != nil {
			if g := ground.FindStringSubmatch(r[2]); g != nil {
				own[c[1]] = append(own[c[1]], g[1])
			} else {
				colours[c[1]] = true
			}
		}
	}
	own["on-primary"] = append(own["on-primary"], "primary")
	own["ink"] = append(own["ink"], "flash", "button")
	delete(colours, "on-primary")
	if len(colours) < 8 {
		t.Fatalf("only %d colours of text found: %v", len(colours), colours)
	}
	for theme, value := range themes(t, css) {
		check := func(colour, on string) {
			t.Helper()
			if got := contrast(t, value[colour], value[on]); got < 4.5 {
				t.Errorf("%s: --%s on --%s is %.2f to 1, want 4.5", theme, colour, on, got)
			}
		}
		for colour := range colours {
			if colour == "notice-ink" {
				continue // stands on a notice only
			}
			check(colour, "bg")
			check(colour, "card")
			if colour == "danger" || colour == "ink" {
				check(colour, "button")
			}
		}
		for colour, grounds := range own {
			for _, on := range grounds {
				check(colour, on)
			}
		}
		check("notice-ink", "notice")
	}
}
