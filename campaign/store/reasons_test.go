package store

import (
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

func TestReasons(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		long := strings.Repeat("ر", maxReasonBytes) // two bytes each
		codes := make(map[string]campaign.Reason)
		for _, text := range []string{"no such channel", "الرقم غير صحيح", "n", "1", "=1", "", "bad \xff byte", long, long + "more"} {
			code, err := s.ReasonCode(t.Context(), "sale", campaign.Text(text))
			if err != nil {
				t.Fatal(err)
			}
			again, err := New(s.rdb).ReasonCode(t.Context(), "sale", campaign.Text(text))
			if err != nil || again != code {
				t.Errorf("%q is %d, then %d, %v", text, code, again, err)
			}
			codes[text] = code
		}
		if codes[""] != campaign.NoReason {
			t.Errorf("no text has code %d", codes[""])
		}
		if codes[long] != codes[long+"more"] {
			t.Error("texts that differ behind their bound have different codes")
		}
		got, err := s.Reasons(t.Context(), "sale")
		if err != nil {
			t.Fatal(err)
		}
		want := map[campaign.Reason]string{
			codes["no such channel"]: "no such channel", codes["الرقم غير صحيح"]: "الرقم غير صحيح",
			codes["n"]: "n", codes["1"]: "1", codes["=1"]: "=1",
			codes["bad \xff byte"]: "bad � byte", codes[long]: strings.Repeat("ر", maxReasonBytes/2),
			campaign.OtherReason: "other",
		}
		if diff := cmp.Diff(want, inEnglish(got)); diff != "" {
			t.Errorf("texts (-want +got):\n%s", diff)
		}
	})
}

func inEnglish(reasons map[campaign.Reason]campaign.Message) map[campaign.Reason]string {
	texts := make(map[campaign.Reason]string)
	for code, reason := range reasons {
		texts[code] = reason.String()
	}
	return texts
}

// The runner's own reasons are kept as codes, and those of an earlier version are
// shown as it stored them.
func TestReasonsOfTheRunnerAreCodes(t *testing.T) {
	s := New(redistest.Shared(t))
	s.rdb.HSet(t.Context(), keyReasons("sale"), "n", 1, "1", "the sender died: the request may have been carried out")
	code, err := s.ReasonCode(t.Context(), "sale", campaign.Say(campaign.MsgSenderDied))
	if err != nil || code != 2 {
		t.Fatalf("code %d, %v", code, err)
	}
	if line := s.rdb.HGet(t.Context(), keyReasons("sale"), "2").Val(); line != "\x1f[\"sender_died\"]" {
		t.Errorf("kept as %q", line)
	}
	imitation, err := s.ReasonCode(t.Context(), "sale", campaign.Text("\x1f[\"sender_died\"]"))
	if err != nil || imitation == code {
		t.Errorf("a text that looks like a code has code %d, %v", imitation, err)
	}
	got, err := s.Reasons(t.Context(), "sale")
	if err != nil || got[1].String() != got[2].String() || !got[2].Is(campaign.MsgSenderDied) || got[imitation].String() != `["sender_died"]` {
		t.Errorf("read as %v, %v", inEnglish(got), err)
	}
}

func TestReasonsAreCutBetweenRunes(t *testing.T) {
	s := New(redistest.Shared(t))
	for shift := range utf8.UTFMax {
		text := strings.Repeat("x", shift) + strings.Repeat("😀", maxReasonBytes)
		code, err := s.ReasonCode(t.Context(), "sale", campaign.Text(text))
		if err != nil {
			t.Fatal(err)
		}
		texts, err := s.Reasons(t.Context(), "sale")
		if err != nil {
			t.Fatal(err)
		}
		got := texts[code].String()
		if !utf8.ValidString(got) || !strings.HasPrefix(text, got) || len(got) > maxReasonBytes || len(got) <= maxReasonBytes-utf8.UTFMax {
			t.Errorf("with %d letters before: %d bytes, %q", shift, len(got), got)
		}
	}
}

func TestReasonsOfCampaignsAreApart(t *testing.T) {
	s := New(redistest.Shared(t))
	for _, name := range []string{"a", "b"} {
		if code, err := s.ReasonCode(t.Context(), name, campaign.Text(name)); err != nil || code != 1 {
			t.Errorf("campaign %s: code %d, %v", name, code, err)
		}
	}
}

// A name is given to another campaign while a worker lives on.
func TestReasonsAreNotRememberedBeyondTheirCampaign(t *testing.T) {
	s := New(redistest.Shared(t))
	for _, text := range []string{"busy", "invalid number"} {
		code, err := s.ReasonCode(t.Context(), "sale", campaign.Text(text))
		if err != nil {
			t.Fatal(err)
		}
		if texts, err := s.Reasons(t.Context(), "sale"); err != nil || texts[code].String() != text {
			t.Errorf("%q has the code of %q, %v", text, texts[code], err)
		}
		s.rdb.Del(t.Context(), keyReasons("sale"))
		s.rdb.HSet(t.Context(), keyReasons("sale"), "n", 7)
	}
}

func TestReasonGetsOneCode(t *testing.T) {
	rdb := redistest.Shared(t)
	var all sync.WaitGroup
	codes := make([]campaign.Reason, 16)
	for i := range codes {
		all.Go(func() {
			var err error
			if codes[i], err = New(rdb).ReasonCode(t.Context(), "sale", campaign.Text("busy")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i, code := range codes {
		if code != 1 {
			t.Errorf("caller %d got code %d", i, code)
		}
	}
}

func TestFullDictionary(t *testing.T) {
	s := New(redistest.Shared(t))
	last := int(campaign.OtherReason) - 1
	s.rdb.HSet(t.Context(), keyReasons("sale"), "n", last-1)
	for _, tt := range []struct {
		text string
		want campaign.Reason
	}{
		{"the last that has room", campaign.Reason(last)},
		{"one more", campaign.OtherReason},
		{"yet one more", campaign.OtherReason},
		{"the last that has room", campaign.Reason(last)},
	} {
		if code, err := s.ReasonCode(t.Context(), "sale", campaign.Text(tt.text)); err != nil || code != tt.want {
			t.Errorf("%q has code %d, %v, want %d", tt.text, code, err, tt.want)
		}
	}
}
