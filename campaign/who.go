package campaign

import "strings"

// How logs name who acts: a user of the pages by that name, a command by its account, as
// deploy@host, or by the name that it claims, a worker by its id, and who opted out by the
// rule. CheckClaim keeps the parentheses for claims.
const (
	claimedBy = " (as claimed by "
	pages     = "the admin pages"
	onPages   = " on " + pages
	byWorker  = "worker "

	// ByStopWord is who puts a contact on the do-not-contact list that answers STOP.
	ByStopWord = "stop word"
)

// Claimed is the name of a command that says for whom it acts. Anyone who can run it can
// say any name, so the account stands beside it.
func Claimed(name, account string) string { return name + claimedBy + account + ")" }

// OnPages is the name of a visitor of the pages; an empty user is not known.
func OnPages(user string) string {
	if user == "" {
		return pages
	}
	return user + onPages
}

// ByWorker is the name of a worker.
func ByWorker(id string) string { return byWorker + id }

// ReadWho tells the parts of who acts: how it is to be said, as "worker", "pages", "visitor",
// "claimed" or "stop_word", or empty for a name alone; and the name and the account.
func ReadWho(who string) (how, name, account string) {
	switch {
	case who == pages:
		return "visitor", "", ""
	case who == ByStopWord:
		return "stop_word", "", ""
	}
	if name, account, claimed := strings.Cut(who, claimedBy); claimed {
		return "claimed", name, strings.TrimSuffix(account, ")")
	}
	if name, is := strings.CutSuffix(who, onPages); is {
		return "pages", name, ""
	}
	if id, is := strings.CutPrefix(who, byWorker); is {
		return "worker", id, ""
	}
	return "", who, ""
}
