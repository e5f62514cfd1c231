package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign/users"
	"campaign-runner/internal/redistest"
)

// roles are the users with their roles, in order.
func roles(t *testing.T, s *Store) (list []string) {
	t.Helper()
	all, err := s.Users(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range all {
		list = append(list, fmt.Sprint(u.Name, " ", u.Role))
	}
	return list
}

func TestUsers(t *testing.T) {
	for _, twice := range []bool{false, true} {
		rdb := redistest.Shared(t)
		s := New(rdb)
		if got := roles(t, s); got != nil {
			t.Errorf("there are users: %v", got)
		}
		if twice { // go-redis repeats a call whose answer was lost
			rdb.AddHook(&scripts{before: func(ctx context.Context, cmd redis.Cmder, run redis.ProcessHook) { _ = run(ctx, cmd) }})
		}
		ctx := t.Context()
		for _, u := range []users.User{users.New("Sara", users.Viewer, "hash", "root"), users.New("omar", users.Admin, "hash", "root")} {
			if err := s.AddUser(ctx, u); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.AddUser(ctx, users.New("SARA", users.Admin, "other", "root")); !errors.Is(err, ErrUserExists) {
			t.Errorf("a second Sara: %v", err)
		}
		if err := s.ChangeUser(ctx, "sara", func(u *users.User) { u.Role = users.Launcher }); err != nil {
			t.Error(err)
		}
		if got := roles(t, s); !slices.Equal(got, []string{"omar admin", "Sara launcher"}) {
			t.Errorf("users: %v", got)
		}
		if err := errors.Join(s.RemoveUser(ctx, "Omar")); err != nil {
			t.Error(err)
		}
		for _, err := range []error{s.RemoveUser(ctx, "omar"), s.ChangeUser(ctx, "omar", func(*users.User) {})} {
			if !errors.Is(err, ErrNoUser) {
				t.Errorf("one who is not there: %v", err)
			}
		}
		if got := roles(t, s); !slices.Equal(got, []string{"Sara launcher"}) {
			t.Errorf("users: %v", got)
		}
	}
}

// Two who change a user at once both have their way.
func TestChangesOfAUserDoNotOverwriteEachOther(t *testing.T) {
	s := New(redistest.Shared(t))
	if err := s.AddUser(t.Context(), users.New("sara", users.Viewer, "old", "root")); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	err := s.ChangeUser(t.Context(), "sara", func(u *users.User) {
		once.Do(func() {
			if err := s.ChangeUser(t.Context(), "sara", func(u *users.User) { u.Role = users.Admin }); err != nil {
				t.Error(err)
			}
		})
		u.Password = "new"
	})
	list, _ := s.Users(t.Context())
	if err != nil || len(list) != 1 || list[0].Role != users.Admin || list[0].Password != "new" {
		t.Errorf("%+v, %v", list, err)
	}
}

// A user that cannot be read may do nothing, and does not turn sign-in off.
func TestADamagedUserIsStillOne(t *testing.T) {
	s := New(redistest.Shared(t))
	for key, text := range map[string]string{"sara": "{", "omar": `{"name":"omar","role":"root","password":"x"}`} {
		s.rdb.HSet(t.Context(), keyUsers, key, text)
	}
	if got := roles(t, s); !slices.Equal(got, []string{"omar nobody", "sara nobody"}) {
		t.Errorf("users: %v", got)
	}
	if err := s.ChangeUser(t.Context(), "sara", func(u *users.User) { u.Role = users.Viewer }); err != nil {
		t.Error(err)
	}
	if got := roles(t, s); !slices.Equal(got, []string{"omar nobody", "sara viewer"}) {
		t.Errorf("users: %v", got)
	}
}

func TestSessions(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx := t.Context()
	is := func(want string) {
		t.Helper()
		if got, err := s.Session(ctx, "a"); err != nil || string(got) != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	ends := func() time.Duration { return s.rdb.TTL(ctx, keySession("a")).Val() }
	is("")
	if err := s.ProlongSession(ctx, "a", time.Hour); err != nil {
		t.Error(err)
	}
	is("")
	if err := s.KeepSession(ctx, "a", []byte("sara"), time.Minute); err != nil || ends() > time.Minute || ends() < time.Second {
		t.Errorf("%v, for %v", err, ends())
	}
	is("sara")
	if err := s.ProlongSession(ctx, "a", time.Hour); err != nil || ends() < 59*time.Minute {
		t.Errorf("%v, for %v", err, ends())
	}
	if err := s.EndSession(ctx, "a"); err != nil {
		t.Error(err)
	}
	is("")
}

func TestGuessesAreCountedForAllWorkers(t *testing.T) {
	rdb := redistest.Shared(t)
	g := Guesses{AtOnce: 5, Every: time.Minute}
	var taken atomic.Int32
	var all sync.WaitGroup
	for range 8 { // workers
		s := New(rdb)
		all.Go(func() {
			for range 20 {
				wait, err := g.Take(t.Context(), s, "here")
				switch {
				case err != nil:
					t.Error(err)
				case wait == 0:
					taken.Add(1)
				case wait > g.Every:
					t.Errorf("the next one after %v", wait)
				}
			}
		})
	}
	all.Wait()
	if taken.Load() != 5 {
		t.Errorf("%d were taken", taken.Load())
	}
	s := New(rdb)
	if wait, err := g.Take(t.Context(), s, "elsewhere"); wait != 0 || err != nil {
		t.Errorf("one elsewhere waits for %v, %v", wait, err)
	}
	if err := g.GiveBack(t.Context(), s, "here"); err != nil {
		t.Error(err)
	}
	if wait, err := g.Take(t.Context(), s, "here"); wait != 0 || err != nil {
		t.Errorf("what was given back: %v, %v", wait, err)
	}
	for range 10 { // more than was ever taken makes no room
		if err := g.GiveBack(t.Context(), s, "new"); err != nil {
			t.Error(err)
		}
	}
	free := 0
	for range 10 {
		if wait, _ := g.Take(t.Context(), s, "new"); wait == 0 {
			free++
		}
	}
	if free != 5 {
		t.Errorf("%d at once", free)
	}
	if ttl := rdb.PTTL(t.Context(), keyGuesses("new")).Val(); ttl <= 0 || ttl > 5*g.Every {
		t.Errorf("it is kept for %v", ttl)
	}
}

func TestGuessesComeAgain(t *testing.T) {
	rdb := redistest.Shared(t)
	s := New(rdb)
	g := Guesses{AtOnce: 2, Every: time.Hour}
	for range 2 {
		if wait, err := g.Take(t.Context(), s, "here"); wait != 0 || err != nil {
			t.Fatal(wait, err)
		}
	}
	ago := func(d time.Duration) {
		free := rdb.Get(t.Context(), keyGuesses("here")).Val()
		var ms int64
		fmt.Sscan(free, &ms)
		rdb.Set(t.Context(), keyGuesses("here"), ms-d.Milliseconds(), time.Hour)
	}
	ago(59 * time.Minute)
	if wait, _ := g.Take(t.Context(), s, "here"); wait == 0 || wait > time.Minute {
		t.Errorf("after 59 minutes it waits for %v", wait)
	}
	ago(time.Minute)
	if wait, _ := g.Take(t.Context(), s, "here"); wait != 0 {
		t.Errorf("after an hour it waits for %v", wait)
	}
}
