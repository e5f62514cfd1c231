package cli

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"strings"
)

// A Build is which build of the project a program is, as the Go command has stamped it.
type Build struct {
	Version string // the tag it was built at, as v1.0.0; else devel
	Commit  string // empty without version control
	Date    string // of the commit: 2026-11-30
	Changed bool   // files differed from the commit
}

// ThisBuild is the build that runs.
func ThisBuild() Build {
	info, _ := debug.ReadBuildInfo() // nil in a program that was built without modules
	return buildOf(info)
}

func buildOf(info *debug.BuildInfo) Build {
	b := Build{Version: "devel"}
	if info == nil {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value[:min(len(s.Value), 12)]
		case "vcs.time":
			b.Date, _, _ = strings.Cut(s.Value, "T")
		case "vcs.modified":
			b.Changed = s.Value == "true"
		}
	}
	tag, _, _ := strings.Cut(info.Main.Version, "+")
	if b.Commit != "" && strings.HasPrefix(tag, "v") && !strings.Contains(tag, b.Commit) { // else it is made from the commit
		b.Version = tag
	}
	return b
}

// String is as "v1.0.0 (0f58b1ab6dd7 of 2026-11-30)".
func (b Build) String() string {
	text := fmt.Sprintf("%s (%s of %s", b.Version, cmp.Or(b.Commit, "no known commit"), b.Date)
	if b.Commit == "" {
		text = strings.TrimSuffix(text, " of ")
	}
	if b.Changed {
		text += ", changed"
	}
	return text + ")"
}
