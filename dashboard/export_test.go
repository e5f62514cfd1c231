package dashboard

import "testing"

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
