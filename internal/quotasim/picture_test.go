package quotasim

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"campaign-runner/internal/redistest"
)

var update = flag.Bool("update", false, "write docs/quota-window.svg")

func TestPicture(t *testing.T) {
	var panels []panel
	for _, s := range []struct {
		title string
		scenario
	}{
		{"16 workers, alone", scenario{workers: 16, client: mine}},
		{"16 workers, while another client takes 30 %", scenario{workers: 16, client: mine, other: steady(0.3)}},
		{"for comparison: redis_rate, while another client takes 30 %", scenario{workers: 16, client: viaRedisRate, other: steady(0.3)}},
	} {
		s.windows = 5
		db := redistest.Shared(t).Options()
		synctest.Test(t, func(t *testing.T) {
			r, err := s.run(t.Context(), db, 3)
			if err != nil {
				t.Fatal(err)
			}
			panels = append(panels, panel{s.title, r.world.window, r.world.limit, r.world.steady()})
		})
	}
	var svg bytes.Buffer
	if err := draw(&svg, panels, 3*time.Minute+time.Second); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(svg.Bytes())); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n := bytes.Count(svg.Bytes(), []byte("<circle")); n < 3*90 {
		t.Errorf("%d requests drawn", n)
	}
	if *update {
		if err := os.WriteFile("../../docs/quota-window.svg", svg.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := draw(fullDisk{}, panels, time.Minute); err == nil {
		t.Error("a full disk went unnoticed")
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space") }
