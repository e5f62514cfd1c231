package main

import (
	"strings"
	"testing"

	"campaign-runner/campaign"
)

func TestAChunkThatCannotBeReadIsNamedAndTheRestIsDone(t *testing.T) {
	const ledger, chunk = "c:{sale}:l:1", "c:{sale}:k:1"
	for _, tt := range []struct {
		name, key, args, stdout string
	}{
		{"cancel", ledger, "cancel sale", "sale is canceled; 7 contacts will not be sent\n"},
		{"resume", chunk, "resume sale", "sale is running; 4 chunks released\n"},
		{"resolve", ledger, "resolve sale --accepted", "sale: 1 unconfirmed contact are accepted now\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.load("sale", 9)
			if tt.name == "resolve" {
				f.move("sale", 0, "no answer", campaign.Send, campaign.Lose)
			} else if out := f.run("pause", "sale"); out.code != 0 {
				t.Fatal(out.stderr)
			}
			f.Redis().Del(t.Context(), tt.key)
			if err := f.Redis().SAdd(t.Context(), tt.key, "x").Err(); err != nil {
				t.Fatal(err)
			}
			out := f.run(strings.Fields(tt.args)...)
			if out.stdout != tt.stdout || out.code != 1 || !strings.Contains(out.stderr, "not done for 1 chunk of sale: 1: ") || strings.Count(out.stderr, "\n") != 1 {
				t.Errorf("exit %d, %q, %q", out.code, out.stdout, out.stderr)
			}
		})
	}
	t.Run("list, of campaigns", func(t *testing.T) {
		f := newFixture(t)
		f.load("sale", 1)
		f.load("bad", 1)
		f.Redis().HSet(t.Context(), "c:{bad}", "settings", "{")
		out := f.run("list")
		if !strings.Contains(out.stdout, "sale") || out.code != 1 || !strings.Contains(out.stderr, "bad") {
			t.Errorf("exit %d, %q, %q", out.code, out.stdout, out.stderr)
		}
	})
}
