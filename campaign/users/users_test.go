package users

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestRoles(t *testing.T) {
	for i, name := range RoleNames() {
		r, err := ParseRole(name)
		if err != nil || r.String() != name || r != Viewer+Role(i) {
			t.Errorf("%s is read as %v, %v", name, r, err)
		}
	}
	for _, text := range []string{"nobody", "", "Admin", "root"} {
		if r, err := ParseRole(text); err == nil || r != Nobody || !strings.Contains(err.Error(), "viewer, operator, launcher, admin") {
			t.Errorf("%q is read as %v, %v", text, r, err)
		}
	}
	var u User
	if err := json.Unmarshal([]byte(`{"name":"sara","role":"root"}`), &u); err == nil || u.Role != Nobody {
		t.Errorf("an unknown role is read as %v", u.Role)
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"sara", "Sara.K", "sara@example.org", "سارة", "7", strings.Repeat("n", 64)} {
		if err := CheckName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", ".sara", "sara k", "sara\n", "sara\u202e", "<b>", strings.Repeat("n", 65), "a:b"} {
		if CheckName(name) == nil {
			t.Errorf("%q is a name", name)
		}
	}
	if Key("Sara") != Key("sARA") || Key("sara") == Key("sarah") {
		t.Error("names are not told apart")
	}
}

func TestEveryChangeHasItsStamp(t *testing.T) {
	u := New("sara", Viewer, "", "root")
	before := u.Stamp
	if u.Renew("ops"); u.Stamp == before || u.Stamp == "" || u.By != "ops" {
		t.Errorf("the stamp is %q after %q", u.Stamp, before)
	}
}
