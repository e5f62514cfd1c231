//go:build simulate

package simulate

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strconv"
	"testing"

	"github.com/alicebob/miniredis/v2/gopher-json"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	lua "github.com/yuin/gopher-lua"

	"campaign-runner/internal/redistest"
)

func TestScriptsRunAsInMiniredis(t *testing.T) {
	r := newRedisServer(func(string, string, []string) {})
	defer r.m.Close()
	named, nameless := redistest.Bubble(r.connect), redistest.Bubble(r.connect)
	named.ClientName = "w" // the scripts of others are run by miniredis itself
	ours, theirs := redis.NewClient(named), redis.NewClient(nameless)
	defer ours.Close()
	defer theirs.Close()
	r.m.HSet("hash", "a", "1", "b", "")
	for _, script := range []string{
		"return nil", "return true", "return false", "return 3.9", "return -1", "return 'x'", "return {}",
		"return {1, 'two', {3, false}, nil, 5}", "return {ok = 'fine'}", "return {err = 'BAD it is'}",
		"return redis.status_reply('fine')", "return redis.error_reply('BAD it is')",
		"return {KEYS[1], ARGV[1], ARGV[2], #KEYS, #ARGV}",
		"return redis.call('HGETALL', KEYS[1])", "return redis.call('HGET', 'hash', 'c')", "return redis.call('HMGET', 'hash', 'a', 'c', 'b')",
		"return redis.call('SET', 'n', 12)", "return redis.call('INCRBY', 'n', 3) + 1",
		"return redis.pcall('GET', 'hash').err", "return type(redis.call('GET', 'none'))", "return redis.call('ZADD', 'z', '1.5', 'a', 2, 'b')",
		"return redis.call('ZRANGE', 'z', 0, -1, 'WITHSCORES')", "return redis.call('SET', 'n', 'x').ok",
		"return cjson.encode({a = 1, b = {1, 2}})", "return cjson.decode('{\"a\":[1,2]}').a[2]", "return string.format('%.0f', 1796000000000)", "return unpack({1, 2})",
	} {
		for range 2 { // by its text, and by its hash
			want, wantErr := redis.NewScript(script).Run(t.Context(), theirs, []string{"hash"}, "one", 2).Result()
			r.m.Del("n")
			r.m.Del("z")
			got, err := redis.NewScript(script).Run(t.Context(), ours, []string{"hash"}, "one", 2).Result()
			r.m.Del("n")
			r.m.Del("z")
			if diff := cmp.Diff(want, got); diff != "" || fmt.Sprint(wantErr) != fmt.Sprint(err) {
				t.Errorf("%s: %v, want %v\n%s", script, err, wantErr, diff)
			}
		}
	}
	for _, script := range []string{"global = 1", "return global", "return redis.call('HGET', 'hash')", "return redis.call('GET', 'hash')", "return redis.call('GET', nil)", "error('no')"} {
		for _, rdb := range []*redis.Client{theirs, ours} {
			if v, err := redis.NewScript(script).Run(t.Context(), rdb, []string{"hash"}).Result(); err == nil || err == redis.Nil {
				t.Errorf("%s: %v", script, v)
			}
		}
	}
}

// scripts run as miniredis runs them: by the same interpreter, with the same commands.
// But there is one interpreter for all of them, since making one costs more than most scripts do.
// Only what the scripts of the runner and of asynq call is there. It knows no transactions:
// no script runs in one.
type scripts struct {
	server *server.Server
	state  *lua.LState
	known  map[string]*lua.LFunction // by hash
	reply  bytes.Buffer              // of the command that a script calls
	writer *bufio.Writer
	reader *bufio.Reader
}

// noGlobals keeps scripts from each other, as Redis does.
const noGlobals = `
local function refuse(_, name) error("global variable '" .. tostring(name) .. "'", 2) end
setmetatable(_G, {__index = refuse, __newindex = refuse})`

func newScripts(s *server.Server) *scripts {
	r := &scripts{server: s, state: lua.NewState(), known: make(map[string]*lua.LFunction)}
	r.writer, r.reader = bufio.NewWriter(&r.reply), bufio.NewReader(&r.reply)
	json.Preload(r.state)
	must(r.state.DoString(`cjson = require("json")`))
	r.state.SetGlobal("redis", r.state.SetFuncs(r.state.NewTable(), map[string]lua.LGFunction{
		"call": r.call(true), "pcall": r.call(false),
		"error_reply":  func(l *lua.LState) int { l.Push(answer("err", l.CheckString(1))); return 1 },
		"status_reply": func(l *lua.LState) int { l.Push(answer("ok", l.CheckString(1))); return 1 },
	}))
	r.set("KEYS", nil)
	r.set("ARGV", nil)
	must(r.state.DoString(noGlobals))
	return r
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (r *scripts) set(name string, values []string) {
	t := r.state.CreateTable(len(values), 0)
	for _, v := range values {
		t.Append(lua.LString(v))
	}
	r.state.SetGlobal(name, t)
}

// run carries out EVAL or EVALSHA.
func (r *scripts) run(p *server.Peer, command string, args []string) {
	script := r.known[args[0]]
	if command == "EVAL" {
		sum := sha1.Sum([]byte(args[0]))
		hash := hex.EncodeToString(sum[:])
		if script = r.known[hash]; script == nil {
			loaded, err := r.state.LoadString(args[0])
			must(err)
			script, r.known[hash] = loaded, loaded
		}
	}
	if script == nil {
		p.WriteError("NOSCRIPT No matching script. Please use EVAL.")
		return
	}
	n, err := strconv.Atoi(args[1])
	must(err)
	r.set("KEYS", args[2:2+n])
	r.set("ARGV", args[2+n:])
	defer r.state.SetTop(0)
	r.state.Push(script)
	if err := r.state.PCall(0, 1, nil); err != nil {
		p.WriteError("ERR " + err.Error())
		return
	}
	write(p, r.state.Get(1))
}

// call is redis.call, or redis.pcall, which returns an error as a table.
func (r *scripts) call(raise bool) lua.LGFunction {
	return func(l *lua.LState) int {
		args := make([]string, l.GetTop())
		for i := range args {
			args[i] = l.CheckString(i + 1) // or a number
		}
		r.reply.Reset()
		r.reader.Reset(&r.reply)
		r.server.Dispatch(server.NewPeer(r.writer), args)
		must(r.writer.Flush())
		value, err := server.ParseReply(r.reader)
		if err == nil {
			err, _ = value.(error)
		}
		switch {
		case err == nil:
			l.Push(read(l, value))
		case raise:
			l.Error(lua.LString(err.Error()), 1)
		default:
			l.Push(answer("err", err.Error()))
		}
		return 1
	}
}

func answer(kind, text string) *lua.LTable {
	t := new(lua.LTable)
	t.RawSetString(kind, lua.LString(text))
	return t
}

// read is a reply of a command as a script sees it.
func read(l *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case nil:
		return lua.LFalse
	case int:
		return lua.LNumber(v)
	case int64:
		return lua.LNumber(v)
	case []byte:
		return lua.LString(v)
	case string:
		return lua.LString(v)
	case server.Simple:
		return answer("ok", string(v))
	case []any:
		t := l.CreateTable(len(v), 0)
		for _, each := range v {
			t.Append(read(l, each))
		}
		return t
	}
	panic(fmt.Sprintf("a reply of type %T", value))
}

// write sends what a script returns.
func write(p *server.Peer, value lua.LValue) {
	switch v := value.(type) {
	case lua.LBool:
		if v {
			p.WriteInt(1)
		} else {
			p.WriteNull()
		}
	case lua.LNumber:
		p.WriteInt(int(v))
	case lua.LString:
		p.WriteBulk(string(v))
	case *lua.LTable:
		if text := v.RawGetString("err"); text != lua.LNil {
			p.WriteError(text.String())
			return
		}
		if text := v.RawGetString("ok"); text != lua.LNil {
			p.WriteInline(text.String())
			return
		}
		n := 0
		for v.RawGetInt(n+1) != lua.LNil { // what comes after a nil is left out
			n++
		}
		p.WriteLen(n)
		for i := range n {
			write(p, v.RawGetInt(i+1))
		}
	default:
		p.WriteNull()
	}
}
