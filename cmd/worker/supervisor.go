package main

import "github.com/coreos/go-systemd/v22/daemon"

// A supervisor is systemd, if that has started this worker. Otherwise nothing is said.
//
// Its watchdog goes by the loop of heartbeats: that turns once a second, whether Redis
// answers or not, until the last answer is written down. So systemd ends a worker that
// hangs, and never one that waits for Redis: it holds answers that are in no other place.
type supervisor struct {
	ready, waits bool // what was said last
}

// beat tells of a heartbeat; err is why Redis did not get it. Only the loop of heartbeats
// calls it.
func (s *supervisor) beat(err error) {
	state := daemon.SdNotifyWatchdog
	if err == nil && (!s.ready || s.waits) {
		state += "\n" + daemon.SdNotifyReady + "\nSTATUS=sends what is due"
		s.ready, s.waits = true, false
	}
	if err != nil && !s.waits {
		state += "\nSTATUS=waits for Redis, which does not answer"
		s.waits = true
	}
	tellSystemd(state)
}

func stopping() {
	tellSystemd(daemon.SdNotifyStopping + "\nSTATUS=waits for the answers of requests that have left")
}

// tellSystemd is best effort: a supervisor that hears nothing restarts the worker, which says why.
func tellSystemd(state string) { _, _ = daemon.SdNotify(false, state) }
