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

// A Reservation is the right of one campaign to contact one person now: a field by the
// person's number, in one hash. A sender takes it before its request begins, and gives it
// back once the contact record and the ledger hold the answer.
//
// The ledger is the truth; a field left behind decides nothing. Any sender may take it
// over as soon as its begin can no longer count and its contact is not being sent; see
// Standing.
type Reservation struct {
	Phone campaign.Phone
	Ref   Ref
	Index int       // of the contact in its chunk
	Token string    // the claim under which it is to begin
	N     int       // counts the reservations of one claim, so that no two have the same value
	Until time.Time // when its begin is refused, by the clock of the campaign's server
}

// An Owner is the value of a reservation's field; empty: there is none.
type Owner string

// appendOwner appends the owner: "campaign/chunk/contact claim count ms".
func (r Reservation) appendOwner(text []byte) []byte {
	text = append(text, r.Ref.Campaign...)
	text = strconv.AppendInt(append(text, '/'), int64(r.Ref.Chunk), 10)
	text = strconv.AppendInt(append(text, '/'), int64(r.Index), 10)
	text = append(append(text, ' '), r.Token...)
	text = strconv.AppendInt(append(text, ' '), int64(r.N), 10)
	return strconv.AppendInt(append(text, ' '), r.Until.UnixMilli(), 10)
}

func (r Reservation) owner() Owner { return Owner(r.appendOwner(nil)) }

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
	// reserveScript takes each number that is free or held by the owner to be taken over.
	// KEYS reservations; ARGV how many, the numbers, the owner of each, and, if any are to
	// be taken over, that other owner of each. Answers place and owner of those that are in
	// the way. A repeated run finds its own and answers the same, which HSETNX does not.
	reserveScript = redis.NewScript(`
local n, taken, set, answer = tonumber(ARGV[1]), {}, {}, {}
for i, owner in ipairs(redis.call('HMGET', KEYS[1], unpack(ARGV, 2, 1 + n))) do
  local number, mine, over = ARGV[1 + i], ARGV[1 + n + i], ARGV[1 + 2 * n + i]
  owner = taken[number] or owner -- two of them may be for one person
  if owner and owner ~= mine and owner ~= over then
    answer[#answer + 1] = i
    answer[#answer + 1] = owner
  else
    if owner ~= mine then
      set[#set + 1] = number
      set[#set + 1] = mine
    end
    taken[number] = mine
  end
end
if #set > 0 then redis.call('HSET', KEYS[1], unpack(set)) end
return answer`)

	// giveBackScript frees each number that its owner holds. KEYS reservations; ARGV how
	// many, the numbers, the owner of each.
	giveBackScript = redis.NewScript(`
local n, held = tonumber(ARGV[1]), {}
for i, owner in ipairs(redis.call('HMGET', KEYS[1], unpack(ARGV, 2, 1 + n))) do
  if owner == ARGV[1 + n + i] then held[#held + 1] = ARGV[1 + i] end
end
return #held == 0 and 0 or redis.call('HDEL', KEYS[1], unpack(held))`)

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

// reservationsPage is for how many numbers one run of a script is. Redis does nothing else
// meanwhile, and Lua can unpack some thousands of values.
const reservationsPage = 500

// Reserve takes a reservation for each person; where another owner has it, it
// answers that owner. over names owners to take over; nil: none. A repeated call
// answers the same. After an error, any of them may be held.
func (s *Store) Reserve(ctx context.Context, wanted []Reservation, over []Owner) (others []Owner, err error) {
	lists := [][]Owner{ownersOf(wanted)}
	if over != nil {
		lists = append(lists, over)
	}
	calls := reservationCalls(numbersOf(wanted), lists...)
	done, err := s.runEach(ctx, reserveScript, calls, s.replicas > 0)
	if err != nil {
		return nil, wrap(err, "reserve numbers")
	}
	others = make([]Owner, len(wanted))
	for n, cmd := range done {
		inTheWay, err := cmd.Slice()
		if err != nil {
			return nil, wrap(err, "reserve numbers")
		}
		page := others[n*reservationsPage : min((n+1)*reservationsPage, len(others))]
		for pair := range slices.Chunk(inTheWay, 2) {
			place, _ := pair[0].(int64)
			owner, _ := pair[len(pair)-1].(string)
			if place < 1 || int(place) > len(page) || owner == "" {
				return nil, errors.New("reserve numbers: the answer cannot be read")
			}
			page[place-1] = Owner(owner)
		}
	}
	return others, nil
}

// GiveBack frees those reservations that are still held.
func (s *Store) GiveBack(ctx context.Context, held []Reservation) error {
	return s.free(ctx, numbersOf(held), ownersOf(held))
}

// free frees each number that the owner holds.
func (s *Store) free(ctx context.Context, numbers []string, owners []Owner) error {
	_, err := s.runEach(ctx, giveBackScript, reservationCalls(numbers, owners), false)
	return wrap(err, "give numbers back")
}

// reservationCalls are the runs of a script for all of these numbers, with lists of what
// goes with each.
func reservationCalls(numbers []string, lists ...[]Owner) (calls []call) {
	for from := 0; from < len(numbers); from += reservationsPage {
		end := min(from+reservationsPage, len(numbers))
		args := make([]any, 0, 1+(1+len(lists))*(end-from))
		args = append(args, end-from)
		for _, number := range numbers[from:end] {
			args = append(args, number)
		}
		for _, list := range lists {
			for _, owner := range list[from:end] {
				args = append(args, string(owner))
			}
		}
		calls = append(calls, call{[]string{keyReservations}, args})
	}
	return calls
}

func numbersOf(all []Reservation) []string {
	numbers := make([]string, len(all))
	for i, r := range all {
		numbers[i] = fieldReservation(r.Phone)
	}
	return numbers
}

func ownersOf(all []Reservation) []Owner {
	owners, ends := make([]Owner, len(all)), make([]int, len(all))
	var text []byte
	for i, r := range all {
		if i == 1 { // the others are about as long as the first
			text = slices.Grow(text, len(all)*(len(text)+len("000")))
		}
		text = r.appendOwner(text)
		ends[i] = len(text)
	}
	whole, from := string(text), 0
	for i, end := range ends {
		owners[i], from = Owner(whole[from:end]), end
	}
	return owners
}

// Owners looks up who has reserved each number.
func (s *Store) Owners(ctx context.Context, phones []campaign.Phone) ([]Owner, error) {
	if len(phones) == 0 {
		return nil, nil
	}
	fields := make([]string, len(phones))
	for i, phone := range phones {
		fields[i] = fieldReservation(phone)
	}
	values, err := s.rdb.HMGet(ctx, keyReservations, fields...).Result()
	if err != nil {
		return nil, wrap(err, "look up reservations")
	}
	owners := make([]Owner, len(phones))
	for i, value := range values {
		text, _ := value.(string)
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

// A reservation that is older than leftAfter by its fence was left behind: its sender has
// died, or could not give it back.
const leftAfter = time.Hour

// leftPage is how many reservations ForgetReservations looks at, about.
const leftPage = 1000

// ForgetReservations deletes those among the next page of reservations that were left
// behind and are good for nothing any more. That only tidies up: any of them would be taken
// over by the next sender that wants the number.
func (s *Store) ForgetReservations(ctx context.Context) error {
	found, next, err := s.rdb.HScan(ctx, keyReservations, s.leftFrom.Load(), "", leftPage).Result()
	if err != nil {
		return wrap(err, "look for reservations left behind")
	}
	s.leftFrom.Store(next) // 0 at the end: it begins anew
	var numbers []string
	var owners []Owner
	now := time.Now() // a hint; the clock of the campaign's server decides
	for field := range slices.Chunk(found, 2) {
		owner := Owner(field[1])
		if _, _, until, ok := owner.parse(); !ok || now.Sub(until) > leftAfter {
			numbers, owners = append(numbers, field[0]), append(owners, owner)
		}
	}
	_, err = s.drop(ctx, numbers, owners)
	return err
}

// drop frees those of the numbers whose owners have no use for them any more, and reports
// whether these were all.
func (s *Store) drop(ctx context.Context, numbers []string, owners []Owner) (all bool, err error) {
	standings, err := s.Standings(ctx, owners)
	if err != nil {
		return false, err
	}
	var free []string
	var their []Owner
	for i, standing := range standings {
		if standing.Free() {
			free, their = append(free, numbers[i]), append(their, owners[i])
		}
	}
	return len(free) == len(numbers), s.free(ctx, free, their)
}
