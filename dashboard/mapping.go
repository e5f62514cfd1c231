package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/texts"
)

// Fields of the list's step that say where a value of the agent comes from begin so; its key
// follows.
const (
	valueField = "value:" // a column
	fixedField = "fixed:" // a text for all contacts
)

// mapping is what was filled in of the agent's values, or else as it would be without that.
func (d draft) mapping(otherwise launch.Mapping) launch.Mapping {
	said := launch.Mapping{Columns: make(map[string]string), Constants: make(map[string]string)}
	filled := false
	for _, field := range slices.Sorted(maps.Keys(d.Form)) {
		text := strings.TrimSpace(d.Form.Get(field))
		if key, is := strings.CutPrefix(field, fixedField); is && text != "" {
			said.Constants[key] = text
		}
		key, is := strings.CutPrefix(field, valueField)
		if filled = filled || is; is && text != "" && strings.TrimSpace(d.Form.Get(fixedField+key)) == "" {
			said.Columns[text] = key
		}
	}
	if !filled { // but for texts, which a copy has without columns
		texts := said.Constants
		said = otherwise
		said.Columns, said.Constants = maps.Clone(otherwise.Columns), maps.Clone(otherwise.Constants)
		maps.DeleteFunc(said.Columns, func(_, key string) bool { return texts[key] != "" })
		if said.Constants == nil {
			said.Constants = texts
		} else {
			maps.Copy(said.Constants, texts)
		}
	}
	said.SendExtra = d.Form.Has("send_extra")
	return said
}

// chosenTwice is an error where one column is chosen for several values.
func (d draft) chosenTwice() error {
	keys := make(map[string][]campaign.Message)
	for _, field := range slices.Sorted(maps.Keys(d.Form)) {
		key, is := strings.CutPrefix(field, valueField)
		if column := strings.TrimSpace(d.Form.Get(field)); is && column != "" && strings.TrimSpace(d.Form.Get(fixedField+key)) == "" {
			keys[column] = append(keys[column], campaign.Text(key))
		}
	}
	for _, column := range slices.Sorted(maps.Keys(keys)) {
		if len(keys[column]) > 1 {
			return campaign.Faulty(campaign.MsgFileTwice, "column", column, "keys", keys[column])
		}
	}
	return nil
}

const (
	firstRows = 10
	// wantedFor is how long it is known what an agent wants, so that steps back and forth
	// take nothing of its quota.
	wantedFor      = time.Minute
	keptWanted     = 100 // agents
	wantedPatience = maxRehearsal
)

// wants asks the platform what an agent wants to know of each contact.
func (p *pages) wants(ctx context.Context, agent string) (launch.Wanted, error) {
	l := p.Agents[agent]
	return l.Wants(ctx)
}

// A glimpse is the beginning of a draft's list as it would be read.
type glimpse struct {
	launch.Glance
	draft   draft
	keys    bool // it is known what the agent wants
	agent   string
	mapping launch.Mapping
}

// glance reads the first rows of a draft's list.
func (p *pages) glance(ctx context.Context, d draft, most int) (l glimpse, err error) {
	err = p.reading(ctx, func(ctx context.Context) error {
		req, agent, _, err := p.source(ctx, d)
		if err != nil {
			return err
		}
		req.Settings, err = campaign.NewSettings(given(d.Form, []campaign.Section{campaign.ListSection}))
		if err != nil {
			return &wishError{status: http.StatusBadRequest, err: err}
		}
		wanted, since, err := p.wanted.get(ctx, agent, wantedFor)
		if since.IsZero() {
			return err
		}
		launcher := p.Agents[agent]
		l = glimpse{draft: d, keys: len(wanted.Keys()) > 0, agent: agent, mapping: req.Mapping}
		l.Glance, err = launcher.Glance(ctx, req, wanted, most)
		l.Problem = cmp.Or(d.chosenTwice(), l.Problem)
		return err
	})
	return l, asDraft(err)
}

// options are columns to choose from. first is what it means to choose none.
func (l glimpse) options(first texts.Line, chosen string, more ...option) []option {
	list := append([]option{{"", first, chosen == ""}}, more...)
	for _, c := range l.Columns {
		if c.Name != "" {
			list = append(list, option{c.Name, texts.Of("choice", "what", c.Name), c.Name == chosen})
		}
	}
	return list
}

// itself says that a column is found without being chosen.
func itself(found string) texts.Line {
	if found == "" {
		return texts.Of("list.found")
	}
	return texts.Of("list.found_is", "column", found)
}

// A chooser is a field in which a column is chosen.
type chooser struct {
	ID      string
	Name    string
	Label   any
	Options []option
	Fixed   *field // a text for all contacts in place of a column; nil: there can be none
	Note    texts.Line
}

// Places are the columns of the numbers and of their countries.
func (l glimpse) Places() []chooser {
	found, chosen := "", filledIn(l.draft.Form["phone_column"])
	if l.Phone >= 0 && len(chosen) == 0 {
		found = l.Columns[l.Phone].Name
	}
	list := []chooser{{ID: "phone_column", Name: "phone_column", Label: label("phone-column"), Options: l.options(itself(found), first(chosen))}}
	for i := range chosen { // and one more, where those before have no number
		next := first(chosen[i+1:])
		list = append(list, chooser{ID: fmt.Sprint("phone_column_", i+2), Name: "phone_column", Label: texts.Of("list.otherwise"), Options: l.options(texts.Of("list.none"), next)})
	}
	for _, c := range []struct{ flag, found string }{{"country-column", l.Country}, {"country-code-column", l.Codes}} {
		name := strings.ReplaceAll(c.flag, "-", "_")
		chosen := l.draft.Form.Get(name)
		if chosen != "" {
			c.found = ""
		}
		none := option{campaign.NoColumn, texts.Of("list.none"), chosen == campaign.NoColumn}
		list = append(list, chooser{ID: name, Name: name, Label: label(c.flag), Options: l.options(itself(c.found), chosen, none)})
	}
	return list
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// Values are the agent's values.
func (l glimpse) Values() (list []chooser) {
	for i, f := range l.Fillings {
		name := valueField + f.Key
		column := f.Column
		if l.draft.Form.Has(name) {
			column, f.Proposed = l.draft.Form.Get(name), false
		}
		c := chooser{ID: fmt.Sprint("value-", i), Name: name, Label: texts.Name(f.Key), Options: l.options(texts.Of("list.choose"), column), Fixed: &field{fixedField + f.Key, l.draft.Form.Get(fixedField + f.Key)}}
		if c.Fixed.Text == "" {
			c.Fixed.Text = f.Fixed
		}
		if f.Proposed {
			c.Note = texts.Of("list.proposed")
		}
		list = append(list, c)
	}
	return list
}

// Wanted reports whether it is known what the agent wants.
func (l glimpse) Wanted() bool { return l.keys }

// wrong is what keeps a list from being launched so.
func (l glimpse) wrong() error {
	if l.Problem == nil {
		return nil
	}
	return &wishError{status: http.StatusUnprocessableEntity, err: l.Problem}
}
