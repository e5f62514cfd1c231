package campaign

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestMessages(t *testing.T) {
	for _, tt := range []struct {
		name    string
		message Message
		english string
		line    string
	}{
		{"nothing", Text(""), "", ""},
		{"a text stands as it was sent", Text(`422: {"no"} such channel`), `422: {"no"} such channel`, `422: {"no"} such channel`},
		{"a code", Say(MsgContested), "another request with this number is on its way", "\x1f" + `["contested"]`},
		{"a number", Say(MsgRecent, "days", 30), "contacted within the last 30 days", "\x1f" + `["recent","days",30]`},
		{"a time", Say(MsgLate, "end", time.Date(2026, 11, 29, 22, 0, 0, 0, time.UTC)),
			"not sent by 2026-11-29T22:00:00Z, when the campaign was to finish", "\x1f" + `["late","end","2026-11-29T22:00:00Z"]`},
		{"what says itself", Say(MsgGuardTold, "share", Share(500), "contacts", 200, "states", "some", "places", "there"),
			"more than 5% of the latest 200 contacts were not accepted: some; there",
			"\x1f" + `["guard_told","share","5%","contacts",200,"states","some","places","there"]`},
		{"a code in a code", Say(MsgAnswers, "answer", "302: <moved>", "advice", Say(MsgCheckURL)),
			"the platform answers 302: <moved>; check VELENTS_URL", "\x1f" + `["answers","answer","302: <moved>","advice",["check_url"]]`},
		{"a text in a code", Say(MsgReason, "contacts", 2, "reason", Text("422: busy")), "2 422: busy", "\x1f" + `["reason","contacts",2,"reason","422: busy"]`},
		{"several", Say(MsgStateWhy, "contacts", 3, "state", Rejected, "reasons", []Message{Text("busy"), Say(MsgNoZone)}),
			"3 rejected (busy; no time zone is known for its number)",
			"\x1f" + `["state_why","contacts",3,"state","rejected","reasons",{"several":["busy",["no_zone"]]}]`},
		{"of several none", Say(MsgCanary, "contacts", 0, "states", []Message{}), "canary of 0: ", "\x1f" + `["canary","contacts",0,"states",{"several":[]}]`},
		{"a parameter that was not given", Say(MsgRecent), "contacted within the last ? days", "\x1f" + `["recent"]`},
		{"a code of a later version", ReadMessage("\x1f" + `["moon","phase",3,"why",["no_zone"]]`), "moon phase=3 why=no time zone is known for its number",
			"\x1f" + `["moon","phase",3,"why",["no_zone"]]`},
		{"a long text is cut between runes", Say(MsgRefuses, "answer", strings.Repeat("م", maxParameterBytes)),
			"the platform refuses the request: " + strings.Repeat("م", maxParameterBytes/2),
			"\x1f" + `["refuses","answer","` + strings.Repeat("م", maxParameterBytes/2) + `"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.message.String(); got != tt.english {
				t.Errorf("in English %q, want %q", got, tt.english)
			}
			if got := tt.message.Line(); got != tt.line {
				t.Errorf("line %q, want %q", got, tt.line)
			}
			if again := ReadMessage(tt.line); again != tt.message {
				t.Errorf("read again: %#v, want %#v", again, tt.message)
			}
			if strings.ContainsAny(tt.message.Line(), "\r\n") {
				t.Error("more than a line")
			}
		})
	}
}

// Whatever the platform or a person sends, it is a text.
func TestATextCannotImitateACode(t *testing.T) {
	code := Say(MsgDoNotContact)
	for _, sent := range []string{code.Line(), mark + code.Line(), mark + mark + code.Line(), mark} {
		want := strings.TrimLeft(sent, mark)
		if got := Text(sent); got.code != (Code{}) || got.String() != want || ReadMessage(got.Line()) != got {
			t.Errorf("%q is %#v, read again %#v", sent, got, ReadMessage(got.Line()))
		}
		inside := Say(MsgRefuses, "answer", sent)
		if want := "the platform refuses the request: " + sent; inside.String() != want || ReadMessage(inside.Line()) != inside {
			t.Errorf("as a parameter %q, want %q", inside, want)
		}
	}
}

// Earlier versions stored the runner's own reasons in English.
func TestOldTextsAreShown(t *testing.T) {
	for _, line := range []string{"no answer: the request may have been carried out", "paused for lunch", mark + "[damaged", mark + "[]", mark + "{}"} {
		want := strings.TrimLeft(line, mark)
		if got := ReadMessage(line).String(); got != want {
			t.Errorf("%q is shown as %q", line, got)
		}
	}
	for _, tt := range []struct {
		line string
		code Code
		want bool
	}{
		{"no time zone is known for its number", MsgNoZone, true},
		{"the hours of Asia/Riyadh never meet", MsgNeverMeet, true},
		{"not sent by 2026-11-29T22:00:00Z, when the campaign was to finish", MsgLate, true},
		{"no time zone is known for its number", MsgNeverMeet, false},
		{"422: the hours of Asia/Riyadh never meet", MsgNeverMeet, false},
		{"", MsgNoZone, false},
		{Say(MsgNoZone).Line(), MsgNoZone, true},
		{Say(MsgNoZone).Line(), MsgNeverMeet, false},
	} {
		if got := ReadMessage(tt.line).Is(tt.code); got != tt.want {
			t.Errorf("%q is %v: %v", tt.line, tt.code, got)
		}
	}
}

func TestMessagesInJSON(t *testing.T) {
	type page struct {
		Reason Message `json:"reason,omitzero"`
	}
	said := Say(MsgRecent, "days", 7)
	for _, tt := range []struct {
		name    string
		message Message
		want    string
	}{
		{"people read English", said, `{"reason":"contacted within the last 7 days"}`},
		{"Redis keeps the line", said.Stored(), `{"reason":"\u001f[\"recent\",\"days\",7]"}`},
		{"nothing", Message{}.Stored(), `{}`},
	} {
		text, err := json.Marshal(page{tt.message})
		if err != nil || string(text) != tt.want {
			t.Errorf("%s: %s, %v, want %s", tt.name, text, err, tt.want)
		}
	}
	var back page
	text, _ := json.Marshal(page{said.Stored()})
	if err := json.Unmarshal(text, &back); err != nil || back.Reason != said {
		t.Errorf("read from Redis: %#v, %v", back.Reason, err)
	}
}

func TestMessagesMatch(t *testing.T) {
	for _, tt := range []struct {
		message Message
		part    string
		want    bool
	}{
		{Say(MsgDoNotContact), "Do-Not-Contact", true},
		{Say(MsgDoNotContact), " do_not_contact ", true},
		{Say(MsgDoNotContact), "not_contact", false},
		{Text("422: busy"), "BUSY", true},
		{Text("422: busy"), "", true},
		{Text("do not contact"), "do_not_contact", false},
		{Message{}, "busy", false},
	} {
		if got := tt.message.Matches(tt.part); got != tt.want {
			t.Errorf("%q matches %q: %v", tt.message, tt.part, got)
		}
	}
}

func TestMaskIsForTexts(t *testing.T) {
	mask := func(s string) string { return strings.ReplaceAll(s, "966", "…") }
	if got := Text("call 966").Mask(mask); got != Text("call …") {
		t.Errorf("a text became %q", got)
	}
	if said := Say(MsgRecent, "days", 966); said.Mask(mask) != said {
		t.Errorf("a code became %q", said.Mask(mask))
	}
}

// Every code of the table can be said, and nothing but its parameters is between braces.
func TestEveryCodeIsRendered(t *testing.T) {
	for code, text := range english {
		parameters := []any{}
		want := text
		for _, named := range place.FindAllStringSubmatch(text, -1) {
			parameters = append(parameters, named[1], "<"+named[1]+">")
			want = strings.ReplaceAll(want, named[0], "<"+named[1]+">")
		}
		got := Say(code, parameters...)
		if got.String() != want || strings.ContainsAny(want, "{}?") || got.code != code {
			t.Errorf("%v: %q, want %q", code, got, want)
		}
		if code.name == "" || strings.ContainsFunc(code.name, func(r rune) bool { return r != '_' && !unicode.IsLower(r) }) {
			t.Errorf("%q is no name of a code", code.name)
		}
	}
}

// Each code is said with all its parameters, and no English sentence is said without a code.
func TestEveryMessageIsSaidWithItsParameters(t *testing.T) {
	fset := token.NewFileSet()
	places := make(map[string][]string) // of the codes, by the name of their variable
	said := make(map[string]bool)
	parse := func(path string) *ast.File {
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	ast.Inspect(parse("english.go"), func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Msg") {
			name, _ := strconv.Unquote(spec.Values[0].(*ast.CallExpr).Args[0].(*ast.BasicLit).Value)
			var names []string
			for _, named := range place.FindAllStringSubmatch(english[Code{name}], -1) {
				names = append(names, named[1])
			}
			slices.Sort(names)
			places[spec.Names[0].Name] = slices.Compact(names)
		}
		return true
	})
	if len(places) != len(english) {
		t.Errorf("%d variables for %d codes: two have one name", len(places), len(english))
	}
	check := func(n ast.Node) bool {
		if name, ok := n.(*ast.SelectorExpr); ok {
			said[name.Sel.Name] = true
		}
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		var callee string // of package campaign; its own files name it alone
		switch fun := call.Fun.(type) {
		case *ast.SelectorExpr:
			if fmt.Sprint(fun.X) == "campaign" {
				callee = fun.Sel.Name
			}
		case *ast.Ident:
			if fun.Name == "Faulty" || fun.Name == "Say" && !call.Ellipsis.IsValid() {
				callee = fun.Name
				said[fmt.Sprint(call.Args[0])] = true
			}
		}
		at := fset.Position(call.Pos())
		switch callee {
		case "Text":
			if _, sentence := call.Args[0].(*ast.BasicLit); sentence {
				t.Errorf("%s: a sentence of the runner's own: give it a code", at)
			}
		case "Say", "Faulty":
			var given []string
			for i := 1; i < len(call.Args); i += 2 {
				name, _ := call.Args[i].(*ast.BasicLit)
				if name == nil {
					t.Errorf("%s: the name of a parameter must be a constant", at)
					continue
				}
				text, _ := strconv.Unquote(name.Value)
				given = append(given, text)
			}
			slices.Sort(given)
			var want []string // of a code that is looked up: none
			switch code := call.Args[0].(type) {
			case *ast.SelectorExpr:
				want = places[code.Sel.Name]
			case *ast.Ident:
				want = places[code.Name]
			}
			if diff := cmp.Diff(want, given); diff != "" || len(call.Args)%2 == 0 {
				t.Errorf("%s: parameters (-want +got):\n%s", at, diff)
			}
		}
		return true
	}
	for _, root := range []string{".", "../jobs", "../dashboard", "../cmd"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				ast.Inspect(parse(path), check)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name := range places {
		if !said[name] {
			t.Errorf("nobody says %s", name)
		}
	}
}
