package dashboard

import (
	"campaign-runner/campaign"
	"campaign-runner/campaign/texts"
)

// names lists the columns of the file.
func names(s campaign.Settings) []any {
	list := make([]any, len(s.Columns))
	for i, column := range s.Columns {
		if list[i] = column.Name; column.Name == "" {
			list[i] = texts.Of("contacts.column", "n", i+1)
		}
	}
	return list
}

// withoutPhone drops the phone cell, which has a column of its own.
func withoutPhone[T any](s campaign.Settings, cells []T) []T {
	var list []T
	for i, cell := range cells {
		if i != s.PhoneColumn {
			list = append(list, cell)
		}
	}
	return list
}
