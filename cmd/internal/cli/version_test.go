package cli

import (
	"runtime/debug"
	"testing"
)

func TestBuilds(t *testing.T) {
	stamps := func(version string, settings ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{Main: debug.Module{Version: version}}
		for i := 0; i < len(settings); i += 2 {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: settings[i], Value: settings[i+1]})
		}
		return info
	}
	const commit, at = "0f58b1ab6dd7e38a4df8d7d44a0c27e09d4b5a26", "2026-11-30T03:20:00Z"
	for _, tt := range []struct {
		name string
		info *debug.BuildInfo
		want string
	}{
		{"without modules", nil, "devel (no known commit)"},
		{"without version control", stamps("(devel)"), "devel (no known commit)"},
		{"of a tag", stamps("v1.0.0", "vcs.revision", commit, "vcs.time", at, "vcs.modified", "false"), "v1.0.0 (0f58b1ab6dd7 of 2026-11-30)"},
		{"of a tag, with changes", stamps("v1.0.0+dirty", "vcs.revision", commit, "vcs.time", at, "vcs.modified", "true"), "v1.0.0 (0f58b1ab6dd7 of 2026-11-30, changed)"},
		{"between tags", stamps("v1.0.1-0.20261130032000-0f58b1ab6dd7", "vcs.revision", commit, "vcs.time", at), "devel (0f58b1ab6dd7 of 2026-11-30)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := buildOf(tt.info).String(); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
