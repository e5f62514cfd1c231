package launch

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

// first is a glance as a text: columns with what they fill, and rows.
func first(t *testing.T, text string, edit func(*Request), keys ...string) (Glance, string) {
	t.Helper()
	l, _ := newLauncher(redistest.Shared(t))
	if _, err := stored(l).Suppress(t.Context(), []campaign.Phone{966501000009}); err != nil {
		t.Fatal(err)
	}
	req := request(t, write(t, "list.csv", text))
	req.Settings.Region = "SA"
	if edit != nil {
		edit(&req)
	}
	g, err := l.Glance(t.Context(), req, Wanted{checked{keys: keys, keysKnown: len(keys) > 0}}, 3)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range g.Fillings {
		line := f.Key + "=" + f.Column
		if f.Proposed {
			line += "?"
		}
		if f.Fixed != "" {
			line += "!" + f.Fixed
		}
		lines = append(lines, line)
	}
	for _, r := range g.Rows {
		lines = append(lines, strings.TrimSpace(r.Number+" "+string(r.Refusal.Reason)))
	}
	return g, strings.Join(lines, "; ")
}

func TestAGlance(t *testing.T) {
	const list = "phone,Name,Cty,note\n0501000001,A,Riyadh,x\n12,B,Jeddah,y\n0501000009,C,Jeddah,z\n0501000004,D,Riyadh,z\n"
	for _, tt := range []struct {
		name    string
		text    string
		edit    func(*Request)
		keys    []string
		want    string
		problem string // empty: it could be launched so
	}{
		{"values are found by their names", list, nil, []string{"name", "note"},
			"name=Name; note=note; +966501000001; number too short; on the do-not-contact list", ""},
		{"a name that resembles is proposed", list, nil, []string{"name", "city"},
			"name=Name; city=Cty?; +966501000001; number too short; on the do-not-contact list", `missing "city"`},
		{"what was said counts", list, func(r *Request) {
			r.Mapping = Mapping{Columns: map[string]string{"note": "name"}, Constants: map[string]string{"city": "Riyadh"}}
		}, []string{"name", "city"}, "name=note; city=!Riyadh; +966501000001; number too short; on the do-not-contact list", ""},
		{"a row without a value is refused", "phone,name\n0501000001,\n0501000002,B\n", nil, []string{"name"}, `name=name; empty value "name"; +966501000002`, ""},
		{"it is not known which column has the numbers", "a,b\n1,2\n", nil, []string{"a"}, "a=a", "no phone column"},
		{"values that nobody names", list, nil, nil, "+966501000001; number too short; on the do-not-contact list", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, got := first(t, tt.text, tt.edit, tt.keys...)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if (g.Problem == nil) != (tt.problem == "") || g.Problem != nil && !strings.Contains(g.Problem.Error(), tt.problem) {
				t.Errorf("%v, want %q", g.Problem, tt.problem)
			}
		})
	}
}

// What is named by a number is a contact, and is not shown as a column.
func TestAGlanceShowsNoNumberAsAColumn(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	for _, text := range []string{"phone,0501000001\n0501000002,x\n", "name,0501000001x\nA,B\n", "0501000001,A\n0501000002,B\n"} {
		req := request(t, write(t, "list.csv", text))
		req.Settings.Region = "SA"
		if g, err := l.Glance(t.Context(), req, Wanted{}, 3); err == nil && (g.Problem == nil || len(g.Columns) > 0 && strings.Contains(g.Columns[0].Name, "0501000001")) {
			t.Errorf("%q: %+v", text, g)
		}
	}
}
