package launch

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/velents/mask"
)

// Mapping says what people want sent beyond what the names of the columns say.
type Mapping struct {
	Columns   map[string]string // value key by column name: --map
	Constants map[string]string // value by key: --set
	SendExtra bool              // columns that the agent does not ask for, too
}

// columnsFor decides which columns of a file go to the platform, and as what.
//
// A column fills the value key that it is mapped to, or else the agent's key of its
// name, in any case. A key that is mapped or set is filled by that alone. A key with
// two columns is an error, and so is one without any.
//
// Columns that the agent does not ask for go under their own names if that is wanted
// or if the agent's keys are not known, except the phone column and those without a
// name. What results have added to the list of an earlier campaign says nothing to an agent:
// such a column goes only where it is mapped to.
func columnsFor(header []string, phone int, found checked, wish Mapping) (columns []campaign.Column, warnings []campaign.Message, err error) {
	columns, by, err := mapped(header, found, wish)
	if err != nil {
		return nil, nil, err
	}
	filled := func(key string) bool {
		_, set := wish.Constants[key]
		return set || len(by[key]) > 0
	}
	explicit := make(map[string]bool)
	for _, key := range found.keys {
		explicit[key] = filled(key)
	}
	added, kept := campaign.AddedByResults(header), []string(nil)
	for i, name := range header {
		switch {
		case columns[i].Key != "":
			added[i] = false
			continue
		case added[i]:
			kept = append(kept, name)
			continue
		}
		for _, key := range found.keys {
			switch {
			case !contacts.SameName(name, key):
			case explicit[key]:
				warnings = append(warnings, campaign.Say(campaign.MsgReadFilled, "column", strconv.Quote(mask.Numbers(name)), "key", strconv.Quote(key)))
			default:
				columns[i].Key, by[key] = key, append(by[key], i)
			}
		}
	}
	if missing := slices.DeleteFunc(slices.Clone(found.keys), filled); len(missing) > 0 {
		return nil, nil, campaign.Faulty(campaign.MsgFileLacks, "missing", suggested(missing, columns, phone, added), "columns", namesOf(header))
	}
	if !found.keysKnown || wish.SendExtra {
		warnings = append(warnings, sendExtra(columns, phone, added, by, found, wish)...)
	}
	if len(kept) > 0 {
		warnings = append(warnings, campaign.Say(campaign.MsgReadResults, "columns", namesOf(kept)))
	}
	return columns, warnings, twice(columns, by)
}

// mapped gives columns the keys that --map says, and checks that --set says others. by
// holds the columns of each key.
func mapped(header []string, found checked, wish Mapping) (columns []campaign.Column, by map[string][]int, err error) {
	columns, by = make([]campaign.Column, len(header)), make(map[string][]int)
	for i, name := range header {
		columns[i].Name = name
	}
	for _, name := range slices.Sorted(maps.Keys(wish.Columns)) {
		key := wish.Columns[name]
		i, err := theColumn(header, name)
		if err != nil {
			return nil, nil, fmt.Errorf("--map %s=%s: %w", name, key, err)
		}
		if columns[i].Key != "" {
			return nil, nil, fmt.Errorf("--map %s=%s: the column is mapped to %q already", name, key, columns[i].Key)
		}
		if key, err = theKey(key, found, wish.SendExtra); err != nil {
			return nil, nil, fmt.Errorf("--map %s=%s: %w", name, wish.Columns[name], err)
		}
		columns[i].Key, by[key] = key, append(by[key], i)
	}
	for _, key := range slices.Sorted(maps.Keys(wish.Constants)) {
		if _, err := theKey(key, found, wish.SendExtra); err != nil {
			return nil, nil, fmt.Errorf("--set %s: %w", key, err)
		}
		if len(by[key]) > 0 {
			return nil, nil, fmt.Errorf("--set %s: the column %q is mapped to it", key, header[by[key][0]])
		}
	}
	return columns, by, nil
}

// sendExtra gives the other columns their own names for keys.
func sendExtra(columns []campaign.Column, phone int, added []bool, by map[string][]int, found checked, wish Mapping) (warnings []campaign.Message) {
	for i, c := range columns {
		_, set := wish.Constants[c.Name]
		switch {
		case c.Key != "" || i == phone || added[i] || set:
		case slices.ContainsFunc(found.keys, func(key string) bool { return contacts.SameName(key, c.Name) }): // filled otherwise
		case c.Name == "":
			warnings = append(warnings, campaign.Say(campaign.MsgReadNameless, "column", i+1))
		default:
			columns[i].Key, by[c.Name] = c.Name, append(by[c.Name], i)
		}
	}
	return warnings
}

// theColumn is the one column of a name.
func theColumn(header []string, name string) (int, error) {
	var found []int
	for i, column := range header {
		if contacts.SameName(column, name) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return 0, fmt.Errorf("%d columns are named so: give them different names", len(found))
	}
	return 0, fmt.Errorf("no such column%s; the columns are %s", didYouMean(name, header), quoted(header))
}

// theKey is a value key as the agent spells it.
func theKey(key string, found checked, any bool) (string, error) {
	for _, known := range found.keys {
		if contacts.SameName(key, known) {
			return known, nil
		}
	}
	if found.keysKnown && !any {
		return "", fmt.Errorf("the agent has no such value%s; its values are %s; --send-extra sends it all the same", didYouMean(key, found.keys), quoted(found.keys))
	}
	return key, nil
}

func didYouMean(name string, among []string) string {
	if near := contacts.Nearest(name, among); near != "" {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	return ""
}

// suggested lists missing keys, each with the column that may be meant for it.
func suggested(missing []string, columns []campaign.Column, phone int, added []bool) []campaign.Message {
	var free []string
	for i, c := range columns {
		if i != phone && !added[i] && c.Key == "" && c.Name != "" {
			free = append(free, c.Name)
		}
	}
	list := make([]campaign.Message, len(missing))
	for i, key := range missing {
		text := strconv.Quote(key)
		if near := contacts.Nearest(key, free); near != "" {
			text += fmt.Sprintf(" (%q → did you mean %q? then --map %q)", near, key, near+"="+key)
		}
		list[i] = campaign.Text(text)
	}
	return list
}

// twice is an error when two columns fill the same value.
func twice(columns []campaign.Column, by map[string][]int) error {
	for _, key := range slices.Sorted(maps.Keys(by)) {
		if len(by[key]) < 2 {
			continue
		}
		var names []string
		for _, i := range by[key] {
			names = append(names, fmt.Sprintf("%q (column %d)", mask.Numbers(columns[i].Name), i+1))
		}
		return fmt.Errorf("%d columns fill the value %q: %s: choose one with --map, and give equal columns different names", len(names), key, strings.Join(names, ", "))
	}
	return nil
}

// namesOf are names for a message.
func namesOf(names []string) []campaign.Message {
	list := make([]campaign.Message, len(names))
	for i, name := range names {
		list[i] = campaign.Text(strconv.Quote(mask.Numbers(name)))
	}
	return list
}

func quoted(names []string) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = fmt.Sprintf("%q", mask.Numbers(name))
	}
	return strings.Join(texts, ", ")
}
