package launch

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// hasRoom fails when Redis has a memory limit that a list of so many bytes may
// not fit in. Compressed, a list takes about half its size, never more than all
// of it. What cannot be asked is no reason to stop.
func (l *Launcher) hasRoom(ctx context.Context, name string, listBytes int64) error {
	text, err := l.Store.Memory(ctx, name)
	if err != nil {
		return nil //nolint:nilerr // a managed Redis may forbid INFO
	}
	used, most := infoNumber(text, "used_memory"), infoNumber(text, "maxmemory")
	if left := most - used; most > 0 && left < listBytes {
		const mb = 1 << 20
		return fmt.Errorf("redis: %.1f MB are free below its maxmemory of %.1f MB, and the list may need up to %.1f MB",
			float64(max(left, 0))/mb, float64(most)/mb, float64(listBytes)/mb)
	}
	return nil
}

// infoNumber is a field of Redis's INFO, 0 when it is not there.
func infoNumber(info, field string) int64 {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return n
		}
	}
	return 0
}
