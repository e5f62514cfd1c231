//go:build simulate

package simulate

import (
	"hash/fnv"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// A redisServer is miniredis with what can happen to a Redis: it stops, freezes, loses its
// last writes, and has its clock set. It carries out one command at a time, and tells
// watch of each one that is done.
type redisServer struct {
	host
	m     *miniredis.Miniredis
	watch func(caller, command string, args []string)

	scripts  *scripts
	one      sync.Mutex // the command that is carried out
	current  atomic.Pointer[server.Peer]
	offset   time.Duration // of its clock
	ticked   time.Time     // until when keys have lived, by that clock
	replica  []saved       // what a replica has, since the last WAIT
	lagging  bool          // no replica confirms
	trap     *trap         // nil: none is set
	commands uint64
	digest   uint64 // of all commands and their times: two runs that agree in it were alike
}

func newRedisServer(watch func(caller, command string, args []string)) *redisServer {
	r := &redisServer{m: miniredis.NewMiniRedis(), watch: watch}
	c, err := r.m.Dial() // starts it
	if err != nil {
		panic(err)
	}
	_ = c.Close()
	r.scripts = newScripts(r.m.Server())
	r.m.Server().SetPreHook(r.before)
	return r
}

func (r *redisServer) connect() (net.Conn, error) { return r.m.Dial() }

// before carries out a command of a client. Those of scripts, and those that make a
// connection, have no name of a client yet; those that wait must not keep others.
func (r *redisServer) before(p *server.Peer, command string, args ...string) (done bool) {
	waits := slices.Contains([]string{"XREADGROUP", "SUBSCRIBE", "PSUBSCRIBE", "UNSUBSCRIBE"}, command)
	if p.ClientName == "" || waits || r.current.Load() == p {
		return false
	}
	r.between(func() {
		if trap := r.trap; trap != nil && trap.before(command, args) {
			r.trap = nil
			trap.spring()
		}
	})
	r.wait()
	r.one.Lock()
	defer r.one.Unlock()
	r.tick()
	if command == "WAIT" {
		r.replicate(p)
		return true
	}
	switch {
	case r.idle(p, command, args):
	case strings.HasPrefix(command, "EVAL"):
		r.scripts.run(p, command, args)
	default:
		r.current.Store(p)
		r.m.Server().Dispatch(p, append([]string{command}, args...))
		r.current.Store(nil)
	}
	r.note(p.ClientName, command, args)
	r.watch(p.ClientName, command, args)
	return true
}

// tick moves the server's clock on, and what lives for a time. The latter goes in steps:
// miniredis sorts all keys for it.
func (r *redisServer) tick() {
	now := time.Now().Add(r.offset)
	r.m.SetTime(now)
	switch lived := now.Sub(r.ticked); {
	case r.ticked.IsZero() || lived < 0:
		r.ticked = now
	case lived >= 200*time.Millisecond:
		r.m.FastForward(lived)
		r.ticked = now
	}
}

// note adds a command to the digest. Ids are drawn at random, so only the kind of the
// command counts, its caller and its time.
func (r *redisServer) note(caller, command string, args []string) {
	h := fnv.New64a()
	if strings.HasPrefix(command, "EVAL") {
		command += args[0][:8]
	}
	h.Write([]byte(caller + command + time.Now().String()))
	r.commands++
	r.digest = r.digest*1099511628211 + h.Sum64()
}

// idle answers those scripts of asynq that find nothing, as they would: with nothing. They
// are a third of all scripts, and each costs a new Lua.
func (r *redisServer) idle(p *server.Peer, command string, args []string) bool {
	if command != "EVALSHA" || !strings.HasPrefix(args[2], "asynq:{") || r.m.Exists(args[2]) {
		return false
	}
	_, queue, _ := strings.Cut(args[2], "}:")
	switch queue + " " + args[1] { // the first key, and how many there are
	case "retry 2", "scheduled 2", "completed 1": // forward, deleteExpiredCompletedTasks
		p.WriteInt(0)
	case "lease 1": // listLeaseExpired
		p.WriteLen(0)
	case "pending 4": // dequeue
		p.WriteNull()
	default:
		return false
	}
	return true
}

// replicate answers WAIT: a replica has all that was written until now.
func (r *redisServer) replicate(p *server.Peer) {
	if r.lagging {
		p.WriteInt(0)
		return
	}
	r.replica = r.snapshot()
	p.WriteInt(1)
}

// between does something while no command is carried out.
func (r *redisServer) between(do func()) {
	r.one.Lock()
	defer r.one.Unlock()
	do()
}

// A trap springs before a command, once.
type trap struct {
	before func(command string, args []string) bool
	spring func()
}

func (r *redisServer) setTrap(t *trap) { r.between(func() { r.trap = t }) }

// freezeBefore freezes the server before it carries out the next begin or recovery of a dead
// claim.
func (r *redisServer) freezeBefore(act string) {
	r.setTrap(&trap{func(command string, args []string) bool {
		c, ok := changeBy("", command, args)
		return ok && c.latest != "" && c.act == act
	}, r.freeze})
}

// A saved key is its value at a time.
type saved struct {
	key   string
	ttl   time.Duration
	write func(m *miniredis.Miniredis)
}

// snapshot is what the server holds. Streams are left out: the events that wait, and the
// log. So a loss leaves them as they are.
func (r *redisServer) snapshot() (all []saved) {
	m := r.m
	for _, key := range m.Keys() {
		s := saved{key: key, ttl: m.TTL(key)}
		switch m.Type(key) {
		case "string":
			text, _ := m.Get(key)
			s.write = func(m *miniredis.Miniredis) { _ = m.Set(key, text) }
		case "hash":
			fields, _ := m.HKeys(key)
			var pairs []string
			for _, f := range fields {
				pairs = append(pairs, f, m.HGet(key, f))
			}
			s.write = func(m *miniredis.Miniredis) { m.HSet(key, pairs...) }
		case "list":
			list, _ := m.List(key)
			list = slices.Clone(list)
			s.write = func(m *miniredis.Miniredis) { _, _ = m.Push(key, list...) }
		case "set":
			members, _ := m.Members(key)
			members = slices.Clone(members)
			s.write = func(m *miniredis.Miniredis) { _, _ = m.SetAdd(key, members...) }
		case "zset":
			scores, _ := m.SortedSet(key)
			scores = maps.Clone(scores) // it is the map itself
			s.write = func(m *miniredis.Miniredis) {
				for member, score := range scores {
					_, _ = m.ZAdd(key, score, member)
				}
			}
		default:
			continue
		}
		all = append(all, s)
	}
	return all
}

// restore takes the server back to a snapshot.
func (r *redisServer) restore(all []saved) {
	for _, key := range r.m.Keys() {
		if r.m.Type(key) != "stream" {
			r.m.Del(key)
		}
	}
	for _, s := range all {
		s.write(r.m)
		if s.ttl > 0 {
			r.m.SetTTL(s.key, s.ttl)
		}
	}
}
