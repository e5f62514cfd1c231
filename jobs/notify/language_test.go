package notify

import (
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/campaign/texts"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/jobs"
)

func TestNoticesSpeakArabic(t *testing.T) {
	s := newStage(t)
	s.a.Language = texts.Arabic
	if err := s.a.Link("https://campaigns.example.org"); err != nil {
		t.Fatal(err)
	}
	settings := campaigntest.Settings(5, campaign.Column{Name: "phone"})
	settings.Title = "حملة العيد ٢٠٢٧"
	s.Load(campaigntest.List{Name: "eid", Settings: settings, Contacts: campaigntest.People(966500000000, 3, nil)})
	if err := jobs.NewQueue(s.Store, nil).Pause(t.Context(), "c", campaign.Text("call +966501234567 first")); err != nil {
		t.Fatal(err)
	}
	s.want(s.looked(s.a), "الحملة \u2066c\u2069 متوقفة مؤقتًا: \u2068call … first\u2069. جهتا اتصال (\u20662\u2069)، منها: قيد الانتظار \u20662\u2069.\nhttps://campaigns.example.org/campaigns/c")
	if s.last.State != campaign.Paused || s.last.StateReason != "\u2068call … first\u2069" || s.last.States["pending"] != 2 {
		t.Errorf("posted %+v", s.last)
	}
	why := campaign.Say(campaign.MsgAnswers, "answer", "401: no", "advice", campaign.Say(campaign.MsgCheckToken))
	if _, _, err := s.SetPhase(t.Context(), "eid", campaign.Paused, why, campaign.Running); err != nil {
		t.Fatal(err)
	}
	s.want(s.looked(s.a), "الحملة \u2068حملة العيد ٢٠٢٧\u2069 (\u2066eid\u2069) متوقفة مؤقتًا: أجابت المنصة: \u2068401: no\u2069؛ تحقق من رمز وصول الوكيل. "+
		"\u20663\u2069 جهات اتصال، منها: قيد الانتظار \u20663\u2069.\nhttps://campaigns.example.org/campaigns/eid")
	if s.last.Title != settings.Title {
		t.Errorf("its title is %q", s.last.Title)
	}
	s.move("c", campaign.Cancel)
	s.want(s.looked(s.a), "اكتملت الحملة \u2066c\u2069. جهتا اتصال (\u20662\u2069)، منها: ملغاة \u20662\u2069.\nhttps://campaigns.example.org/campaigns/c")
}

func TestAnEnglishNoticeIsolatesATitle(t *testing.T) {
	s := newStage(t)
	settings := campaigntest.Settings(5, campaign.Column{Name: "phone"})
	settings.Title = "حملة العيد"
	s.Load(campaigntest.List{Name: "eid", Settings: settings, Contacts: campaigntest.People(966500000000, 1, nil)})
	s.Pass("eid", campaign.Paused, "lunch")
	s.want(s.looked(s.a), "Campaign \u2068حملة العيد\u2069 (eid) is paused: lunch. 1 contact: 1 pending.")
}
