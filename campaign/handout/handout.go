// Package handout writes what a campaign came to on one page, for a person who does not run
// it: to be read, printed or sent on. The page is one file. It loads nothing, has no script
// and no personal data, and says so to the browser by a policy.
package handout

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/texts"
)

//go:embed handout.css
var style string

//go:embed handout.html
var markup string

// Policy is what the page may load and run: its own style.
var Policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}()

// pages are the page in each language.
var pages = func() map[texts.Language]*template.Template {
	all := make(map[texts.Language]*template.Template)
	for _, l := range texts.Languages() {
		all[l] = template.Must(template.New("handout").Funcs(funcs(texts.Printer{Language: l, HTML: true})).Parse(markup))
	}
	return all
}()

// A Link leads from the page to others. It is not printed.
type Link struct {
	Address, Text string
	Language      texts.Language // of what it leads to; empty: that of the page
}

// Write writes the page in a language.
func Write(w io.Writer, a report.Account, l texts.Language, links ...Link) error {
	var b bytes.Buffer
	if err := pages[l].Execute(&b, newSheet(a, l, links...)); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	_, err := b.WriteTo(w)
	return err
}

// Outcomes is the part of the page that tells what became of the contacts, for another page,
// which has a style for it.
func Outcomes(a report.Account, l texts.Language) (template.HTML, error) {
	var b bytes.Buffer
	err := pages[l].ExecuteTemplate(&b, "outcomes", newSheet(a, l))
	return template.HTML(b.String()), err
}

// funcs are the page's own functions, in a printer's language.
func funcs(p texts.Printer) template.FuncMap {
	return template.FuncMap{
		"t":       said(p),
		"number":  func(n int) template.HTML { return template.HTML(p.Number(n)) },
		"foreign": func(text string) template.HTML { return template.HTML(p.Foreign(text)) },
	}
}

// said makes a function of templates that says a text of the catalogue.
func said(p texts.Printer) func(key string, parameters ...any) template.HTML {
	return func(key string, parameters ...any) template.HTML {
		for i, value := range parameters {
			if html, is := value.(template.HTML); is {
				parameters[i] = texts.Said(html)
			}
		}
		return template.HTML(p.Say(key, parameters...))
	}
}

// A sheet is the page as its template asks for it.
type sheet struct {
	report.Account
	say   texts.Printer
	Links []Link
}

func newSheet(a report.Account, l texts.Language, links ...Link) sheet {
	return sheet{a, texts.Printer{Language: l, Zone: a.Location(), HTML: true}, links}
}

func (s sheet) Language() texts.Language { return s.say.Language }
func (s sheet) Policy() string           { return Policy }
func (s sheet) Style() template.CSS      { return template.CSS(style) }
func (s sheet) Mirrored() bool           { return s.say.Language.Dir() == "rtl" }

// Heading is the title of the document, where no markup can stand.
func (s sheet) Heading() string {
	plain := texts.Printer{Language: s.say.Language}
	name := plain.Figures(s.Campaign)
	if s.Title != "" {
		name = plain.Foreign(s.Title)
	}
	return string(plain.Say("report.titled", "campaign", name))
}

func (s sheet) Name() texts.Name      { return texts.Name(s.Campaign) }
func (s sheet) AgentName() texts.Name { return texts.Name(s.Agent) }

// Ended reports whether nothing more is sent by itself.
func (s sheet) Ended() bool {
	return report.Summary{State: s.State, States: s.States}.Over()
}

func (s sheet) Date() template.HTML {
	return template.HTML(s.say.Date(s.At))
}

func (s sheet) Hijri() template.HTML { return template.HTML(s.say.Hijri(s.At)) }
func (s sheet) Made() template.HTML  { return template.HTML(s.say.Clock(s.At)) }

func (s sheet) PurgedOn() template.HTML { return template.HTML(s.say.Date(s.PurgedAt)) }

// Told reports whether answers are known.
func (s sheet) Told() bool { return s.Known > 0 }

// Silent counts the accepted contacts that have not answered and whose conversation has not
// ended, as far as is known.
func (s sheet) Silent() int { return s.Accepted - s.Answered - s.Unanswered }

// TicketsMade counts the tickets that the Support Center has.
func (s sheet) TicketsMade() int { return s.Tickets[campaign.TicketMade] }

// Rate is the share that answered.
func (s sheet) Rate(r report.Rate) template.HTML { return s.share(r.Answered, r.Accepted) }

func (s sheet) share(part, whole int) template.HTML {
	if whole == 0 {
		return "–"
	}
	return template.HTML(s.say.Figures(report.Percent(part, whole)))
}

// Tries are the attempts with all contacts that had each, those included that had more: an
// answer came to the last.
func (s sheet) Tries() []report.AttemptRate {
	list, had := slices.Clone(s.Attempts), 0
	for i, at := range slices.Backward(list) {
		had += at.Accepted
		list[i].Accepted = had
	}
	return list
}

// Whole is the rate of the whole campaign.
func (s sheet) Whole() report.Rate {
	return report.Rate{Accepted: s.Accepted, Answered: s.Answered, Unanswered: s.Unanswered}
}

// A part is some of the contacts, as a line of a table.
type part struct {
	Key, Class string
	Contacts   int
	Share      template.HTML
	X, Width   float64 // in a bar that is 1000 wide
}

// Parts are what became of all contacts. They add up to them.
func (s sheet) Parts() []part {
	in := s.States.In
	list := []part{
		{Key: "report.answered", Class: "answered", Contacts: s.Answered},
		{Key: "report.unanswered", Class: "unanswered", Contacts: s.Unanswered},
		{Key: "report.silent", Class: "silent", Contacts: s.Silent()},
		{Key: "report.unconfirmed", Class: "unconfirmed", Contacts: in(campaign.Unconfirmed)},
		{Key: "report.failed", Class: "failed", Contacts: in(campaign.Failed)},
		{Key: "report.rejected", Class: "rejected", Contacts: in(campaign.Rejected)},
		{Key: "report.canceled", Class: "canceled", Contacts: in(campaign.Canceled)},
		{Key: "report.open", Class: "open", Contacts: s.States.Open()},
	}
	if !s.Told() {
		list = slices.Replace(list, 0, 3, part{Key: "report.accepted", Class: "silent", Contacts: s.Accepted})
	}
	list = slices.DeleteFunc(list, func(p part) bool { return p.Contacts == 0 })
	counts := make([]int, len(list))
	for i, p := range list {
		counts[i] = p.Contacts
	}
	x := 0.0
	for i, share := range report.Shares(counts) {
		list[i].Share = template.HTML(s.say.Figures(share))
		list[i].X, list[i].Width = x, 1000*float64(counts[i])/float64(s.Contacts)
		x += list[i].Width
	}
	return list
}

// All is the share of all contacts.
func (s sheet) All() template.HTML { return s.share(s.Contacts, s.Contacts) }

// A learned is what the agent learned of one key.
type learned struct {
	report.Learned
	Lines     []part
	RareShare template.HTML // of values that are not shown
}

// Facts are what the agent learned, by key.
func (s sheet) Facts() (list []learned) {
	for _, l := range s.Learned {
		of, counts := learned{Learned: l}, []int{l.Rare}
		for _, v := range l.Values {
			counts = append(counts, v.Contacts)
		}
		shares := report.Shares(counts)
		of.RareShare = template.HTML(s.say.Figures(shares[0]))
		for i, v := range l.Values {
			share := template.HTML(s.say.Figures(shares[i+1]))
			of.Lines = append(of.Lines, part{Key: v.Value, Contacts: v.Contacts, Share: share, Width: 1000 * float64(v.Contacts) / float64(l.Contacts)})
		}
		list = append(list, of)
	}
	return list
}

// Value is an answer as it is shown: true and false are words of ours.
func (s sheet) Value(text string) template.HTML {
	if text == "true" || text == "false" {
		return template.HTML(s.say.Say("report." + text))
	}
	return template.HTML(s.say.Foreign(text))
}

// More reports whether an attempt stands for all later ones, too.
func (s sheet) More(attempt int) bool { return attempt == report.MaxAttemptsTold }
