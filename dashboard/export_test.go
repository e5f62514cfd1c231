package dashboard

import (
	"testing"

	"campaign-runner/campaign/users"
)

// A Route is one of the pages' addresses.
type Route struct {
	Pattern string
	Least   users.Role
}

// Routes are all of them.
func Routes(cfg Config) (list []Route) {
	for _, r := range newRoutes(cfg).list {
		list = append(list, Route{r.pattern, r.least})
	}
	return list
}

// Anybody is who needs no role, and does not even have to come through the door.
const Anybody = anybody

// SeenByViewers are the types of which all that a viewer gets is made.
var SeenByViewers = []any{seenHome{}, glance{}}

// Templates are the texts of the pages' templates, by file.
func Templates(t testing.TB) map[string]string {
	t.Helper()
	files, err := templateFiles.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, file := range files {
		text, err := templateFiles.ReadFile("templates/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		all[file.Name()] = string(text)
	}
	return all
}
