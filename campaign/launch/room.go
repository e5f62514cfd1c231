package launch

import (
	"context"
	"fmt"
)

// hasRoom fails when a list may not fit into the memory limit of Redis. Compressed, a
// list takes about half of listBytes and never more. A Redis that does not tell its
// memory is no reason to stop.
func (l *Launcher) hasRoom(ctx context.Context, name string, listBytes int64) error {
	memory, err := l.Store.Memory(ctx, name)
	if err != nil {
		return nil //nolint:nilerr // a managed Redis may forbid INFO
	}
	if left := memory.Max - memory.Used; memory.Max > 0 && left < listBytes {
		const mb = 1 << 20
		return fmt.Errorf("redis: %.1f MB are free below its maxmemory of %.1f MB, and the list may need up to %.1f MB",
			float64(max(left, 0))/mb, float64(memory.Max)/mb, float64(listBytes)/mb)
	}
	return nil
}
