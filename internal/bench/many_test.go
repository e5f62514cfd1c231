package bench

import (
	"fmt"
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
)

// BenchmarkManyCampaigns tells how long commands take beside thousands of campaigns: those
// that finished, and the same while they run. With -before, an earlier version's run in
// between.
func BenchmarkManyCampaigns(b *testing.B) {
	t := &bench{B: b, dir: b.TempDir(), server: redistest.Start(b, "--appendonly", "yes", "--appendfsync", "always")}
	t.rdb = t.server.Client()
	t.build("campaign")
	versions := []string{""}
	if *before != "" {
		t.buildFrom(*before, earlier, "campaign")
		versions = append(versions, earlier)
	}
	commands := [][]string{
		{"list"}, {"list", "--json"}, {"show", "finished-00007"}, {"watch", "finished-00007", "--json"}, {"__complete", "show", "finished-00"},
		{"pause", "--all", "--yes"}, {"resume", "--all", "--yes"},
	}
	took := make(map[string][]cost)
	key := func(version string, args []string) string { return fmt.Sprint(version, args) }
	t.finish(*finished, false)
	for range *runs {
		for _, args := range commands[:5] {
			for _, version := range versions {
				took[key(version, args)] = append(took[key(version, args)], t.run(version+"campaign", nil, args...))
			}
		}
	}
	t.open(*finished)
	spent := make(map[string]cost) // by Redis
	for range *runs {
		for _, version := range versions {
			for _, args := range commands[5:] {
				was := t.redisCPU()
				took[key(version, args)] = append(took[key(version, args)], t.run(version+"campaign", nil, args...))
				spent[key(version, args)] = cost{cpu: t.redisCPU() - was}
			}
		}
	}
	fmt.Printf("\nbeside %d campaigns, medians of %d runs\n", *finished, *runs)
	for _, args := range commands {
		t.line(fmt.Sprint("campaign ", args), "%v; Redis %v", median(took[key("", args)]), spent[key("", args)].cpu)
		if len(versions) > 1 {
			t.line("", "before %v; Redis %v", median(took[key(earlier, args)]), spent[key(earlier, args)].cpu)
		}
	}
}

// open makes campaigns that run, each with a chunk that waits for its turn.
func (t *bench) open(campaigns int) {
	t.flush()
	f := campaigntest.New(t, t.rdb)
	for n := range campaigns {
		f.Load(campaigntest.List{Name: fmt.Sprintf("open-%05d", n), Settings: campaigntest.Settings(2, campaign.Column{Name: "phone"}), Contacts: campaigntest.People(966500000000, 2, nil)})
	}
}
