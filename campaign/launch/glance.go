package launch

import (
	"context"
	"errors"
	"slices"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

// Wanted is what the platform says that an agent wants to know of each contact.
type Wanted struct{ found checked }

// Keys are the agent's values; none: the platform does not say, and every column is sent.
func (w Wanted) Keys() []string { return w.found.keys }

// Wants asks the platform.
func (l *Launcher) Wants(ctx context.Context) (Wanted, error) {
	found, err := l.preflight(ctx)
	return Wanted{found}, err
}

// A Glance is the beginning of a contact file as a launch would read it.
type Glance struct {
	Columns  []campaign.Column // with the keys that they fill, if Problem is nil
	Phone    int               // the column of the numbers; -1: it is not known
	Country  string            // the column of their countries; empty: none
	Codes    string            // that of their calling codes
	Fillings []Filling         // of each of the agent's values
	Rows     []GlanceRow
	Remarks  []campaign.Message
	Problem  error // why the file cannot be launched so; nil: it can
}

// A Filling says where a value of the agent comes from.
type Filling struct {
	Key      string
	Column   string // by name; empty: none
	Proposed bool   // nobody has said so, and the column's name only resembles the key
	Fixed    string // the same for all contacts; empty: the column's
}

// A GlanceRow is one of the first rows.
type GlanceRow struct {
	contacts.Row
	Number string // as it would be called; empty: the row is refused
}

// Glance reads the first rows of a request's contact file, at most that many. An error
// means that it is no contact file. Of the settings only those of the list matter.
func (l *Launcher) Glance(ctx context.Context, req Request, wanted Wanted, most int) (g Glance, err error) {
	src, err := l.openSources(ctx, req)
	if err != nil {
		return g, err
	}
	defer src.close()
	barred, err := l.barred(ctx, req)
	if err != nil {
		return g, err
	}
	opt := contacts.Options{Reading: src.contacts.reading(req), Region: req.Settings.Region, Suppressed: barred.reason}
	r, err := src.contacts.reader(ctx, opt, req.Choice, func(r *contacts.Reader) error {
		g.Remarks = slices.Concat(src.contacts.list.Warnings(), r.Remarks())
		g.Country, g.Codes = r.CountryColumns()
		g.use(r.Columns(), r.PhoneColumn(), wanted.found, req.Mapping)
		if g.Problem == nil {
			require(r, g.Columns, wanted.found)
		}
		return namesNobody(r.Columns(), req.Settings.Region)
	})
	var unknown *contacts.NoPhonesError
	if errors.As(err, &unknown) {
		g.use(unknown.Columns, -1, wanted.found, req.Mapping)
		g.Problem = err
		return g, namesNobody(unknown.Columns, req.Settings.Region)
	}
	if err != nil {
		return g, err
	}
	defer r.Close()
	for row, err := range r.All() {
		if err != nil {
			return g, err
		}
		shown := GlanceRow{Row: row}
		shown.Fields = slices.Clone(row.Fields) // they are used again
		if row.Refusal.Reason == "" {
			shown.Number = row.Phone.E164()
		}
		if g.Rows = append(g.Rows, shown); len(g.Rows) == most {
			break
		}
	}
	return g, nil
}

// use finds out which columns fill the agent's values.
func (g *Glance) use(header []string, phone int, found checked, wish Mapping) {
	g.Phone = phone
	if g.Columns, _, g.Problem = columnsFor(header, phone, found, wish); g.Problem != nil {
		g.Columns = make([]campaign.Column, len(header))
		for i, name := range header {
			g.Columns[i].Name = name
		}
	}
	g.Fillings = fillings(header, phone, found.keys, wish)
}

// fillings are where the agent's values come from: as said, by the same name, or from the
// column that is named most like them.
func fillings(header []string, phone int, keys []string, wish Mapping) []Filling {
	list, free := make([]Filling, len(keys)), make([]string, 0, len(header))
	for i, name := range header {
		if i != phone && name != "" {
			free = append(free, name)
		}
	}
	take := func(f *Filling, fits func(name string) bool) {
		if at := slices.IndexFunc(free, fits); f.Column == "" && at >= 0 {
			f.Column = free[at]
			free = slices.Delete(free, at, at+1)
		}
	}
	for i, key := range keys {
		list[i].Key, list[i].Fixed = key, wish.Constants[key]
		take(&list[i], func(name string) bool { return contacts.SameName(wish.Columns[name], key) && wish.Columns[name] != "" })
	}
	for i, key := range keys {
		take(&list[i], func(name string) bool { return contacts.SameName(name, key) })
	}
	for i, key := range keys {
		if near := contacts.Nearest(key, free); list[i].Column == "" && list[i].Fixed == "" && near != "" {
			take(&list[i], func(name string) bool { return name == near })
			list[i].Proposed = true
		}
	}
	return list
}
