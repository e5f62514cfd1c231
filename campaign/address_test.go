package campaign

import (
	"strings"
	"testing"
)

func TestCheckAddress(t *testing.T) {
	for text, good := range map[string]bool{
		"https://events.example.org":      true,
		"http://127.0.0.1:8081/in?key=no": true,
		"events.example.org":              false,
		"https:///path":                   false,
		"ftp://events.example.org":        false,
		"https://user:secret@bad host":    false,
	} {
		if err := CheckAddress(text); (err == nil) != good || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
