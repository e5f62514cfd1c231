package store

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

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
	known := slices.DeleteFunc(persons(phones), func(p campaign.Phone) bool { return p == 0 }) // erased meanwhile
	_, err := s.contacted(day).add(ctx, known)
	return wrap(err, "record contacts")
}

const (
	// recordPage is how many people one run of recordScript records: Redis does nothing else
	// meanwhile.
	recordPage = 1000
	// fewRecorded are so few that a command for the mark of each takes less than a bitmap.
	fewRecorded = 64
)

// recordScript records people on a server that has all keys. Buckets are marked before they
// are filled, so that every number can be found. KEYS the days, the day's bitmap, one for a
// moment, the bucket of each person; ARGV the day, a bitmap of these buckets, or nothing if
// they are few, then the quotient of each. Answers how many.
var recordScript = redis.NewScript(`
local call, keys, argv = redis.call, KEYS, ARGV
call('HSET', keys[1], argv[1], 1)
if argv[2] == '' then
  for i = 4, #keys do call('SETBIT', keys[2], string.match(keys[i], '%d+$'), 1) end
else
  call('SET', keys[3], argv[2])
  call('BITOP', 'OR', keys[2], keys[2], keys[3])
  call('DEL', keys[3])
end
for i = 4, #keys do call('SADD', keys[i], argv[i - 1]) end
return #keys - 3`)

// recordIn records people by a pipeline to a server that has all keys. The script's text
// goes along: what comes after it in the pipeline counts on it.
func (s *Store) recordIn(ctx context.Context, p redis.Pipeliner, at time.Time, phones []campaign.Phone) (cmds []redis.Cmder) {
	day := dayOf(at)
	set := s.contacted(day)
	for page := range slices.Chunk(persons(phones), recordPage) {
		marks := make(bitmap, phoneBuckets/8+1)
		keys := append(make([]string, 0, 3+len(page)), keyContactedDays, set.bitmap(), set.bitmap()+":more")
		args := append(make([]any, 0, 2+len(page)), day, "")
		for _, person := range page {
			n := uint64(person) % phoneBuckets
			marks.add(n)
			keys, args = append(keys, set.bucket(n)), append(args, uint64(person)/phoneBuckets)
		}
		if len(page) > fewRecorded {
			args[1] = []byte(marks)
		}
		cmds = append(cmds, recordScript.Eval(ctx, p, keys, args...))
	}
	return cmds
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
