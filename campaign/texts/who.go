package texts

import (
	"strings"

	"campaign-runner/campaign"
)

// Who is who acts, as logs name them; several with commas between them.
type Who string

func (p Printer) who(who Who) Said {
	var all []string
	for one := range strings.SplitSeq(string(who), ", ") {
		how, name, account := campaign.ReadWho(one)
		if how == "" {
			all = append(all, string(p.Foreign(name)))
			continue
		}
		all = append(all, string(p.Say("who."+how, "name", name, "account", account)))
	}
	return Said(strings.Join(all, string(p.Say("comma"))))
}

// parameter is a text that a Message has as a parameter.
func (p Printer) parameter(name, text string) Said {
	switch name {
	case "makers", "maker":
		return p.who(Who(text))
	case "file":
		for what, key := range map[string]string{"contact file ": "source.file", "contacts of campaign ": "source.campaign"} {
			if of, is := strings.CutPrefix(text, what); is {
				return p.Say(key, "name", of)
			}
		}
	}
	return p.Known(name, text)
}
