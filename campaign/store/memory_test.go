package store

import "testing"

func TestInfoNumber(t *testing.T) {
	const info = "# Memory\r\nused_memory:123\r\nused_memory_rss:9\r\nmaxmemory:7\r\n"
	if a, b, c := infoNumber(info, "used_memory"), infoNumber(info, "maxmemory"), infoNumber(info, "no"); a != 123 || b != 7 || c != 0 {
		t.Errorf("%d, %d, %d", a, b, c)
	}
}
