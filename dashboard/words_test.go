package dashboard_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var (
	operations = regexp.MustCompile(`(?s)<details class="ops">.*?</details>`)
	// engineers are words of those who run the runner, and what was never true of those whom
	// the platform has only accepted.
	engineers = regexp.MustCompile(`(?i)\b(chunks?|quotas?|tokens?|batch(es)?|reached)\b|حصة|دفعات|رمز الوصول|المجموعة |مجموعات|تم الوصول`)
)

// Who runs campaigns reads of contacts and requests. The words of those who run the runner
// stand in a part of their own, which is folded.
func TestWordsOfEngineersAreFoldedAway(t *testing.T) {
	f := everything(t)
	f.Pass("held", "running", "")
	for _, language := range []string{"en", "ar"} {
		folded := 0
		for _, path := range []string{
			"/", "/campaigns/spring", "/campaigns/held", "/campaigns/over", "/campaigns/loads", "/campaigns/purged",
			"/campaigns/spring/contacts", "/campaigns/spring/contacts/1", "/campaigns/spring/contacts/3",
			"/campaigns/held/plan", "/campaigns/held/log", "/campaigns/spring/settings", "/campaigns/spring/again", "/people",
		} {
			_, page := f.asked(path, map[string]string{"Accept-Language": language})
			folded += len(operations.FindAllString(page, -1))
			if strings.Contains(page, `<details class="ops" open`) {
				t.Errorf("%s in %s is not folded", path, language)
			}
			if found := engineers.FindAllString(operations.ReplaceAllString(page, ""), -1); found != nil {
				t.Errorf("%s in %s says %q", path, language, found)
			}
		}
		if folded != 9 {
			t.Errorf("%d pages in %s have a part for operations, want 9", folded, language)
		}
	}
	wantTexts(t, f.get("/campaigns/held"), `<a id="queue" href="/queues/queues/default">`, "10 of 3,000 requests left in 1 minute", "batch, channel", "A queue that is paused there holds up every campaign in it")
	wantTexts(t, f.get("/campaigns/spring"), `<a id="queue" href="/queues/queues/sales">`)
	wantTexts(t, f.get("/"), `<a id="queue" href="/queues/">`)
}

// From the asynq UI a link leads back, in the reader's language.
func TestTheQueuesLeadBack(t *testing.T) {
	f := newFixture(t)
	for language, want := range map[string]string{
		"en": `<body><a href="/" lang="en" dir="ltr" style="position:fixed;`, "ar": `<body><a href="/" lang="ar" dir="rtl" style="position:fixed;`,
	} {
		for _, path := range []string{"/queues/", "/queues/queues/default"} {
			res, page := f.asked(path, map[string]string{"Accept-Language": language})
			if res.StatusCode != http.StatusOK || strings.Count(page, want) != 1 {
				t.Errorf("%s in %s: %d, no %s in\n%.600s", path, language, res.StatusCode, want, page)
			}
		}
	}
}
