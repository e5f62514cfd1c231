package campaign

import (
	"strings"
	"testing"
)

func TestWhoMayBeOnePerson(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		want       bool
	}{
		{"the same account", "deploy@host", "deploy@host", true},
		{"the account on another machine, or in another container", "root@3f2a91", "root@77be02", true},
		{"another account", "deploy@host", "sara@host", false},
		{"a user of the pages", "sara", "Sara", true},
		{"two users", "sara", "omar", false},
		{"a user and the account of that name", "sara", "sara@laptop", true},
		{"a claim of a user's name", "sara", Claimed("SARA ", "deploy@host"), true},
		{"a claim of another name", "sara", Claimed("omar", "deploy@host"), false},
		{"two claims of one name", Claimed("sara", "deploy@one"), Claimed("Sara", "root@two"), true},
		{"two claims from one account", Claimed("sara", "deploy@host"), Claimed("omar", "deploy@host"), false},
		{"a claim, and its account without one", Claimed("omar", "deploy@host"), "deploy@host", true},
		{"an account, and a claim from it", "deploy@host", Claimed("omar", "deploy@other"), true},
		{"Arabic names as people write them", "سارة", Claimed("ساره", "deploy@host"), true},
		{"two visitors of pages without users", OnPages(""), OnPages(""), true},
		{"the user of a password, and an account of that name", OnPages("admin"), "admin@host", true},
		{"the user of a password, and a user of that name", OnPages("admin"), "Admin", true},
		{"a visitor of the pages and an account", OnPages(""), "deploy@host", true},
		{"a visitor of the pages and a claim", OnPages(""), Claimed("omar", "deploy@host"), true},
		{"a user of the pages and an account", OnPages("sara"), "deploy@host", false},
		{"a name in letters of a style", OnPages("sara"), Claimed("𝐒ara", "deploy@host"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if MayBeSame(tt.a, tt.b) != tt.want || MayBeSame(tt.b, tt.a) != tt.want {
				t.Errorf("%q and %q: want %v", tt.a, tt.b, tt.want)
			}
		})
	}
}

func TestCheckClaim(t *testing.T) {
	for name, ok := range map[string]bool{
		"sara": true, "Sara Al-Otaibi": true, "سارة": true, "sara@example.com": true,
		"": false, " sara": false, "sara\n": false, "sara\u202e": false, "...": false, "@host": false, "s\xff": false,
		Claimed("sara", "omar@host"): false, strings.Repeat("s", maxName+1): false,
	} {
		if err := CheckClaim(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
