package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// A Reservation is the right of one campaign to contact one person now: a key by the
// person's number. A sender takes it before its request begins, and gives it back
// once the contact record and the ledger hold the answer.
//
// The ledger is the truth; a key left behind decides nothing. Any sender may take it
// over as soon as its begin can no longer count and its contact is not being sent;
// see Standing.
type Reservation struct {
	Phone campaign.Phone
	Ref   Ref
	Index int       // of the contact in its chunk
	Token string    // the claim under which it is to begin
	N     int       // counts the reservations of one claim, so that no two have the same value
	Until time.Time // when its begin is refused, by the clock of the campaign's server
}

// reservationTTL only tidies up. It is longer than the contact record lasts, so that
// each campaign that asks still sees what a reservation can tell.
const reservationTTL = (campaign.MaxContactedDays + 2) * 24 * time.Hour

// An Owner is the value of a reservation's key; empty: there is none.
type Owner string

// owner is "campaign/chunk/contact claim count ms".
func (r Reservation) owner() Owner {
	text := append(make([]byte, 0, 128), r.Ref.Campaign...)
	text = strconv.AppendInt(append(text, '/'), int64(r.Ref.Chunk), 10)
	text = strconv.AppendInt(append(text, '/'), int64(r.Index), 10)
	text = append(append(text, ' '), r.Token...)
	text = strconv.AppendInt(append(text, ' '), int64(r.N), 10)
	text = strconv.AppendInt(append(text, ' '), r.Until.UnixMilli(), 10)
	return Owner(text)
}

// parse reads the contact and until when it may begin; ok is false for anything
// else.
func (o Owner) parse() (ref Ref, index int, until time.Time, ok bool) {
	parts := strings.Fields(string(o))
	if len(parts) != 4 {
		return ref, 0, until, false
	}
	place := strings.Split(parts[0], "/")
	if len(place) != 3 || campaign.CheckName(place[0]) != nil {
		return ref, 0, until, false
	}
	chunk, err1 := strconv.Atoi(place[1])
	index, err2 := strconv.Atoi(place[2])
	ms, err3 := strconv.ParseInt(parts[3], 10, 64)
	if errors.Join(err1, err2, err3) != nil || chunk < 0 || index < 0 {
		return ref, 0, until, false
	}
	return Ref{Campaign: place[0], Chunk: chunk}, index, timeOf(ms), true
}

var (
	// reserveScript takes each key that is free or held by the owner to be taken over.
	// KEYS reservations; ARGV ms to live, then owner and that other owner of each. Answers
	// for each the owner in its way, '' when the key is ours: a repeated run must answer
	// the same, which SET NX does not.
	reserveScript = redis.NewScript(`
local answer, taken = {}, {}
for i, owner in ipairs(redis.call('MGET', unpack(KEYS))) do
  local mine, over = ARGV[2 * i], ARGV[2 * i + 1]
  owner = taken[KEYS[i]] or owner -- two of them may be for one person
  if owner and owner ~= mine and owner ~= over then
    answer[i] = owner
  else
    if owner ~= mine then redis.call('SET', KEYS[i], mine, 'PX', ARGV[1]) end
    taken[KEYS[i]], answer[i] = mine, ''
  end
end
return answer`)

	// giveBackScript frees each key that its owner holds. KEYS reservations; ARGV owner of
	// each.
	giveBackScript = redis.NewScript(`
local held = {}
for i, owner in ipairs(redis.call('MGET', unpack(KEYS))) do
  if owner == ARGV[i] then held[#held + 1] = KEYS[i] end
end
return #held == 0 and 0 or redis.call('DEL', unpack(held))`)

	// standingScript reads contacts of a chunk with the clock that judges their begin.
	// KEYS campaign, ledger; ARGV bytes of a record, indexes. Answers ms and each
	// record, '' for one that does not exist.
	standingScript = redis.NewScript(luaNow + `
local size, answer = tonumber(ARGV[1]), {now}
local purged = redis.call('HEXISTS', KEYS[1], 'purge_began') == 1
for i = 2, #ARGV do
  local at = tonumber(ARGV[i]) * size
  local record = purged and '' or redis.call('GETRANGE', KEYS[2], at, at + size - 1)
  answer[i] = #record == size and record or ''
end
return answer`)
)

// Reserve takes a reservation for each person; where another owner has it, it
// answers that owner. over names owners to take over; nil: none. A repeated call
// answers the same. After an error, any of them may be held.
func (s *Store) Reserve(ctx context.Context, wanted []Reservation, over []Owner) (others []Owner, err error) {
	calls := s.callsFor(wanted, []any{millis(reservationTTL)}, func(i int) []any {
		old := Owner("")
		if over != nil {
			old = over[i]
		}
		return []any{string(wanted[i].owner()), string(old)}
	})
	done, err := s.runEach(ctx, reserveScript, calls, s.replicas > 0)
	if err != nil {
		return nil, wrap(err, "reserve numbers")
	}
	others = make([]Owner, 0, len(wanted))
	for _, cmd := range done {
		texts, err := cmd.StringSlice()
		if err != nil {
			return nil, wrap(err, "reserve numbers")
		}
		for _, text := range texts {
			others = append(others, Owner(text))
		}
	}
	if len(others) != len(wanted) {
		return nil, fmt.Errorf("reserve numbers: %d answers for %d", len(others), len(wanted))
	}
	return others, nil
}

// GiveBack frees those reservations that are still held.
func (s *Store) GiveBack(ctx context.Context, held []Reservation) error {
	calls := s.callsFor(held, nil, func(i int) []any { return []any{string(held[i].owner())} })
	_, err := s.runEach(ctx, giveBackScript, calls, false)
	return wrap(err, "give numbers back")
}

// reservationsPage is for how many numbers one run of a script is.
const reservationsPage = 100

// callsFor are the runs of a script for all of these numbers, with some arguments before
// those of each. In a cluster each number has a run of its own: they are in many slots.
func (s *Store) callsFor(all []Reservation, first []any, args func(i int) []any) (calls []call) {
	page := reservationsPage
	if _, is := s.rdb.(*redis.ClusterClient); is {
		page = 1
	}
	for i, r := range all {
		if i%page == 0 {
			calls = append(calls, call{args: slices.Clone(first)})
		}
		last := &calls[len(calls)-1]
		last.keys, last.args = append(last.keys, keyReservation(r.Phone)), append(last.args, args(i)...)
	}
	return calls
}

// Owners looks up who has reserved each number.
func (s *Store) Owners(ctx context.Context, phones []campaign.Phone) ([]Owner, error) {
	keys := make([]string, len(phones))
	for i, phone := range phones {
		keys[i] = keyReservation(phone)
	}
	texts, err := s.getAll(ctx, keys)
	if err != nil {
		return nil, wrap(err, "look up reservations")
	}
	owners := make([]Owner, len(phones))
	for i, text := range texts {
		owners[i] = Owner(text)
	}
	return owners, nil
}

// A Standing says what an owner's reservation is still good for.
type Standing struct {
	Sending bool          // a request with its contact is on its way
	Fence   time.Duration // for how long it may still begin
}

// Free reports whether it may be taken over: its contact is not being sent, and no
// request can begin under it any more.
func (s Standing) Free() bool { return !s.Sending && s.Fence <= 0 }

// standingOf alone decides how an owner stands, by its contact's record.
func standingOf(until, now time.Time, r campaign.Record) Standing {
	return Standing{Sending: r.State == campaign.Sending, Fence: until.Sub(now) + time.Millisecond}
}

// Standings are how the owners stand. An owner that cannot be read, or whose
// campaign was purged, holds nothing.
func (s *Store) Standings(ctx context.Context, owners []Owner) ([]Standing, error) {
	standings := make([]Standing, len(owners))
	byChunk := make(map[Ref][]int)
	indexes, untils := make([]int, len(owners)), make([]time.Time, len(owners))
	for i, o := range owners {
		ref, index, until, ok := o.parse()
		if ok {
			byChunk[ref] = append(byChunk[ref], i)
			indexes[i], untils[i] = index, until
		}
	}
	for ref, places := range byChunk {
		args := []any{campaign.RecordSize}
		for _, i := range places {
			args = append(args, indexes[i])
		}
		reply, err := standingScript.Run(ctx, s.rdb, []string{keyCampaign(ref.Campaign), keyLedger(ref)}, args...).Slice()
		if err == nil && len(reply) != 1+len(places) {
			err = fmt.Errorf("unexpected answer of %d parts", len(reply))
		}
		if err != nil {
			return nil, wrap(err, "look at reservations of chunk %s", ref)
		}
		ms, _ := reply[0].(int64)
		for n, i := range places {
			text, _ := reply[1+n].(string)
			if text == "" {
				continue
			}
			ledger := campaign.Ledger(text)
			if err := ledger.Check(1); err != nil {
				return nil, wrap(err, "look at reservations of chunk %s", ref)
			}
			standings[i] = standingOf(untils[i], timeOf(ms), ledger.At(0))
		}
	}
	return standings, nil
}

// RecordContacted writes into the contact record that people were contacted at a
// time by Redis's clock. It is kept for campaign.MaxContactedDays.
func (s *Store) RecordContacted(ctx context.Context, at time.Time, phones []campaign.Phone) error {
	err := s.recordContacted(ctx, at, phones)
	if err == nil {
		s.forgetDays(ctx, dayOf(at))
	}
	return err
}

func (s *Store) recordContacted(ctx context.Context, at time.Time, phones []campaign.Phone) error {
	day := dayOf(at)
	if err := s.rdb.HSet(ctx, keyContactedDays, day, 1).Err(); err != nil {
		return wrap(err, "record contacts: begin day")
	}
	_, err := s.contacted(day).add(ctx, persons(phones))
	return wrap(err, "record contacts")
}

// DaysContacted reports for each number on which of the last days its owner was
// contacted: first today, then days ago. It asks for all days in one round trip.
func (s *Store) DaysContacted(ctx context.Context, now time.Time, days int, phones []campaign.Phone) ([][]bool, error) {
	var asked []*redis.BoolCmd // all days of the first number, then of the next
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, person := range persons(phones) {
			for ago := range days {
				that := s.contacted(dayOf(now) - int64(ago))
				asked = append(asked, p.SIsMember(ctx, that.bucket(uint64(person)%phoneBuckets), uint64(person)/phoneBuckets))
			}
		}
		return nil
	})
	if err != nil {
		return nil, wrap(err, "look up who was contacted")
	}
	on := make([][]bool, len(phones))
	for i := range phones {
		for _, cmd := range asked[i*days : (i+1)*days] {
			on[i] = append(on[i], cmd.Val())
		}
	}
	return on, nil
}

// ReadContacted reads who was contacted today or on that many days before. Ask it
// for Phone.Person.
func (s *Store) ReadContacted(ctx context.Context, now time.Time, days int) (*Phones, error) {
	phones := new(Phones)
	for day := dayOf(now); day >= dayOf(now)-int64(days); day-- {
		if err := phones.read(ctx, s.contacted(day)); err != nil {
			return nil, wrap(err, "read who was contacted")
		}
	}
	return phones, nil
}

func dayOf(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

// persons are the people behind numbers: the contact record has one number for each.
func persons(phones []campaign.Phone) []campaign.Phone {
	list := make([]campaign.Phone, len(phones))
	for i, phone := range phones {
		list[i] = phone.Person()
	}
	return list
}

// forgetDays deletes days that are too old, once a day. It may fail: the next
// contacts try again.
func (s *Store) forgetDays(ctx context.Context, day int64) {
	if before := s.contactDay.Swap(day); before == day {
		return
	}
	if err := s.deleteDays(ctx, day-campaign.MaxContactedDays); err != nil {
		s.contactDay.Store(0)
	}
}

// deleteDays deletes the days of the contact record before first.
func (s *Store) deleteDays(ctx context.Context, first int64) error {
	days, err := s.rdb.HKeys(ctx, keyContactedDays).Result()
	if err != nil {
		return err
	}
	for _, text := range days {
		old, err := strconv.ParseInt(text, 10, 64)
		if err != nil || old >= first {
			continue
		}
		if err := s.contacted(old).clear(ctx); err != nil {
			return err
		}
		if err := s.rdb.HDel(ctx, keyContactedDays, text).Err(); err != nil {
			return err
		}
	}
	return nil
}
