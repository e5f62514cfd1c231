package main

import (
	"bytes"
	"strings"
	"testing"

	"campaign-runner/campaign/users"
	"campaign-runner/cmd/internal/cli"
)

// typing runs the command with something on its standard input.
func (f fixture) typing(typed string, args ...string) outcome {
	f.T.Helper()
	var stdout, stderr bytes.Buffer
	err := run(f.T.Context(), args, strings.NewReader(typed), &stdout, &stderr, f.getenv)
	cli.Report(&stderr, "campaign", err)
	return outcome{stdout.String(), stderr.String(), cli.ExitCode(err)}
}

// has reports whether a user has a password.
func (f fixture) has(name, password string) bool {
	f.T.Helper()
	all, err := f.Users(f.T.Context())
	if err != nil {
		f.T.Fatal(err)
	}
	for _, u := range all {
		if u.Name == name {
			ok, err := users.NewChecker().Check(f.T.Context(), u.Password, password)
			return ok && err == nil
		}
	}
	return false
}

func TestUsersAreAddedAndChanged(t *testing.T) {
	f := newFixture(t)
	const password = "correct horse battery"
	if out := f.run("user", "list"); out.stdout != "" || out.code != 0 || !strings.Contains(out.stderr, "there are no users") {
		t.Errorf("%+v", out)
	}
	out := f.typing(password+"\r\nmore\n", "user", "add", "Sara", "--role", "viewer")
	if out.stdout != "Sara is added\n" || out.code != 0 || !strings.Contains(out.stderr, "this is the first user") ||
		!strings.Contains(out.stderr, `level=INFO msg="user of the pages added" user=Sara role=viewer by=`) || strings.Contains(out.stdout+out.stderr, "horse") {
		t.Errorf("%+v", out)
	}
	if !f.has("Sara", password) {
		t.Error("she has another password")
	}
	if out := f.typing(password, "user", "add", "omar", "--role", "admin", "--json"); out.stdout != `{"user":"omar","role":"admin"}`+"\n" || strings.Contains(out.stderr, "first user") {
		t.Errorf("%+v", out)
	}
	if out := f.run("user", "role", "sara", "launcher"); out.code != 0 || !strings.Contains(out.stderr, "role=launcher") {
		t.Errorf("%+v", out)
	}
	if out := f.typing("another horse battery\n", "user", "passwd", "sara"); out.code != 0 || !f.has("Sara", "another horse battery") || f.has("Sara", password) {
		t.Errorf("%+v", out)
	}
	list := f.run("user", "list").stdout
	for _, want := range []string{"omar ", "Sara ", "launcher", "admin"} {
		if !strings.Contains(list, want) || strings.Contains(list, "argon2") {
			t.Errorf("the list lacks %q:\n%s", want, list)
		}
	}
	if out := f.run("user", "list", "--csv"); !strings.HasPrefix(out.stdout, "user,role,changed,by\n") || strings.Count(out.stdout, "\n") != 3 {
		t.Errorf("%+v", out)
	}
	if out := f.run("user", "remove", "SARA"); out.code != 0 || strings.Contains(out.stderr, "last user") {
		t.Errorf("%+v", out)
	}
	if out := f.run("user", "remove", "omar"); out.code != 0 || !strings.Contains(out.stderr, "this was the last user") {
		t.Errorf("%+v", out)
	}
}

// Each change ends the user's sessions.
func TestChangesOfUsersChangeTheirStamp(t *testing.T) {
	f := newFixture(t)
	seen := make(map[string]bool)
	for _, args := range [][]string{{"add", "sara", "--role", "viewer"}, {"role", "sara", "viewer"}, {"passwd", "sara"}, {"passwd", "sara"}} {
		if out := f.typing("correct horse battery", append([]string{"user"}, args...)...); out.code != 0 {
			t.Fatal(out)
		}
		all, err := f.Users(t.Context())
		if err != nil || len(all) != 1 || seen[all[0].Stamp] {
			t.Errorf("%v: %+v, %v", args, all, err)
		}
		seen[all[0].Stamp] = true
	}
}

func TestWhatIsWrongAboutUsers(t *testing.T) {
	for _, tt := range []struct {
		typed, args string
		code        int
		says        string
	}{
		{"correct horse battery", "add sara --role operater", 2, "(did you mean operator?)"},
		{"correct horse battery", "add sara", 2, `required flag(s) "role" not set`},
		{"short", "add sara --role admin", 2, "the password is too short: want at least 12 characters"},
		{"", "add sara --role admin", 2, "too short"},
		{"correct horse battery", "add omar --role admin", 1, "there is a user of that name already"},
		{"correct horse battery", "add <b> --role admin", 2, "want 1 to 64 letters"},
		{"correct horse battery", "add Admin --role admin", 2, "is the user of ADMIN_PASSWORD"},
		{"", "add", 2, "want: campaign user add USER --role ROLE"},
		{"", "role omar", 2, "want: campaign user role USER ROLE"},
		{"", "role omar root", 2, `there is no role "root": want viewer, operator, launcher, admin`},
		{"", "role omer viewer", 1, "no such user (did you mean omar?); 'campaign user list' shows all"},
		{"correct horse battery", "passwd omer", 1, "no such user (did you mean omar?)"},
		{"short", "passwd omar", 2, "too short"},
		{"", "remove omer", 1, "no such user (did you mean omar?)"},
	} {
		f := newFixture(t)
		if out := f.typing("correct horse battery", "user", "add", "omar", "--role", "viewer"); out.code != 0 {
			t.Fatal(out)
		}
		out := f.typing(tt.typed, append([]string{"user"}, strings.Fields(tt.args)...)...)
		if out.code != tt.code || out.stdout != "" || !strings.Contains(out.stderr, tt.says) || strings.Contains(out.stderr, "level=INFO") {
			t.Errorf("%s: %+v", tt.args, out)
		}
		if all, err := f.Users(t.Context()); err != nil || len(all) != 1 || all[0].Role != users.Viewer || !f.has("omar", "correct horse battery") {
			t.Errorf("%s: %+v, %v", tt.args, all, err)
		}
	}
}

func TestUsersAndRolesAreCompleted(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 1)
	if out := f.typing("correct horse battery", "user", "add", "omar", "--role", "viewer"); out.code != 0 {
		t.Fatal(out)
	}
	for args, want := range map[string]string{
		"user remove ": "omar\n:4\n", "user role omar ": "viewer\noperator\nlauncher\nadmin\n:4\n", "user passwd x": ":4\n",
		"user add ": "--role\twhat the user may do: viewer, operator, launcher, admin\n:4\n", "user add sara --role ": "viewer\noperator\nlauncher\nadmin\n:4\n",
	} {
		if out := f.run(append([]string{"__complete"}, strings.Split(args, " ")...)...); out.stdout != want {
			t.Errorf("%s: %q", args, out.stdout)
		}
	}
}
