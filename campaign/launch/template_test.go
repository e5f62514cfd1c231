package launch

import "testing"

// Example rows of a template have numbers, which are somebody's.
func TestATemplateHasNoRows(t *testing.T) {
	for file, want := range map[string]string{
		"phone,name\n+966501234567,Sara\n":         "phone,name\n",
		"\ufeffphone;name\r\n+966501234567;Sara":   "\ufeffphone;name\r\n",
		"phone,\"first\nname\"\n+966501234567,x\n": "phone,\"first\nname\"\n",
		"phone,\"a \"\"b\"\"\"\n1,2\n":             "phone,\"a \"\"b\"\"\"\n",
		"phone,name":                               "phone,name",
		"":                                         "",
	} {
		if got := string(headerOf([]byte(file))); got != want {
			t.Errorf("of %q: %q, want %q", file, got, want)
		}
	}
}
