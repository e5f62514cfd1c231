package store

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// The do-not-contact list holds whoever must never be contacted, by any campaign. A
// number is kept as it was given, so that the list can be dialled; it is looked up by
// both spellings where its country has two.

func (s *Store) doNotContact() phoneSet { return phoneSet{s.rdb, "suppressed"} }

// Suppress puts numbers on the do-not-contact list and returns how many were not
// on it. Whoever is on it is contacted by no request that begins from then on.
func (s *Store) Suppress(ctx context.Context, phones []campaign.Phone) (added int, err error) {
	one, two := bySpellings(phones)
	listed, err := s.FindSuppressed(ctx, two)
	if err != nil {
		return 0, err
	}
	for i, phone := range two {
		if !listed[i] {
			one = append(one, phone)
		}
	}
	added, err = s.doNotContact().add(ctx, one)
	if err != nil {
		err = fmt.Errorf("do-not-contact list: add: %w", err)
	}
	return added, err
}

// Unsuppress takes numbers off the do-not-contact list and returns how many were
// on it.
func (s *Store) Unsuppress(ctx context.Context, phones []campaign.Phone) (removed int, err error) {
	one, two := bySpellings(phones)
	listed, err := s.FindSuppressed(ctx, two)
	if err != nil {
		return 0, err
	}
	removed, err = s.doNotContact().remove(ctx, one)
	if err == nil {
		_, err = s.doNotContact().remove(ctx, append(two, otherSpellings(two)...))
	}
	if err != nil {
		return removed, fmt.Errorf("do-not-contact list: remove: %w", err)
	}
	for _, was := range listed {
		if was {
			removed++
		}
	}
	return removed, nil
}

// bySpellings parts numbers into those that have one spelling and those that have two,
// of which each person's first is kept.
func bySpellings(phones []campaign.Phone) (one, two []campaign.Phone) {
	seen := make(map[campaign.Phone]bool)
	for _, phone := range phones {
		if _, ok := phone.OtherSpelling(); !ok {
			one = append(one, phone)
		} else if !seen[phone.Person()] {
			seen[phone.Person()] = true
			two = append(two, phone)
		}
	}
	return one, two
}

// otherSpellings are the other numbers of those that have one.
func otherSpellings(phones []campaign.Phone) (others []campaign.Phone) {
	for _, phone := range phones {
		if other, ok := phone.OtherSpelling(); ok {
			others = append(others, other)
		}
	}
	return others
}

// Suppressed hands out the do-not-contact list, in no order that means anything.
func (s *Store) Suppressed(ctx context.Context) iter.Seq2[campaign.Phone, error] {
	return func(yield func(campaign.Phone, error) bool) {
		for b, err := range s.doNotContact().buckets(ctx) {
			if err != nil {
				yield(0, fmt.Errorf("do-not-contact list: read: %w", err))
				return
			}
			for _, q := range b.quotients {
				if !yield(campaign.Phone(q*phoneBuckets+b.n), nil) {
					return
				}
			}
		}
	}
}

// ReadSuppressed reads the do-not-contact list into memory.
func (s *Store) ReadSuppressed(ctx context.Context) (*Phones, error) {
	phones := new(Phones)
	if err := phones.read(ctx, s.doNotContact()); err != nil {
		return nil, fmt.Errorf("do-not-contact list: read: %w", err)
	}
	return phones, nil
}

// FindSuppressed tells of each number whether it is on the do-not-contact list.
func (s *Store) FindSuppressed(ctx context.Context, phones []campaign.Phone) ([]bool, error) {
	if len(phones) == 0 {
		return nil, nil
	}
	found, err := s.doNotContact().find(ctx, append(slices.Clip(phones), otherSpellings(phones)...))
	if err != nil {
		return nil, fmt.Errorf("do-not-contact list: look up: %w", err)
	}
	others := found[len(phones):]
	for i, phone := range phones {
		if _, ok := phone.OtherSpelling(); ok {
			found[i] = found[i] || others[0]
			others = others[1:]
		}
	}
	return found[:len(phones)], nil
}

// contactedDays is a hash whose fields are the days on record.
const contactedDays = "contacted:days"

// contacted are the numbers contacted on a day, counted from 1970 in UTC.
func (s *Store) contacted(day int64) phoneSet {
	return phoneSet{s.rdb, "contacted:" + strconv.FormatInt(day, 10)}
}

func dayOf(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

// persons are the people behind numbers: the contact record knows each by one.
func persons(phones []campaign.Phone) []campaign.Phone {
	list := make([]campaign.Phone, len(phones))
	for i, phone := range phones {
		list[i] = phone.Person()
	}
	return list
}

// RecordContacted writes into the contact record that people were contacted at a
// time by Redis's clock. It is kept for campaign.MaxContactedDays.
func (s *Store) RecordContacted(ctx context.Context, at time.Time, phones []campaign.Phone) error {
	if err := s.recordContacted(ctx, at, phones); err != nil {
		return err
	}
	s.forgetDays(ctx, dayOf(at))
	return nil
}

func (s *Store) recordContacted(ctx context.Context, at time.Time, phones []campaign.Phone) error {
	day := dayOf(at)
	if err := s.rdb.HSet(ctx, contactedDays, day, 1).Err(); err != nil {
		return fmt.Errorf("record contacts: begin day: %w", err)
	}
	if _, err := s.contacted(day).add(ctx, persons(phones)); err != nil {
		return fmt.Errorf("record contacts: %w", err)
	}
	return nil
}

// forgetDays deletes, once a day, the days that are too long ago. A failure needs no
// care: the next contacts have it done.
func (s *Store) forgetDays(ctx context.Context, day int64) {
	if before := s.contactDay.Swap(day); before == day {
		return
	}
	if err := s.deleteDays(ctx, day-campaign.MaxContactedDays); err != nil {
		s.contactDay.Store(0)
	}
}

// deleteDays deletes the days on record before one.
func (s *Store) deleteDays(ctx context.Context, first int64) error {
	days, err := s.rdb.HKeys(ctx, contactedDays).Result()
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
		if err := s.rdb.HDel(ctx, contactedDays, text).Err(); err != nil {
			return err
		}
	}
	return nil
}

// ReadContacted reads who was contacted today or on one of so many days before. Ask
// it for the person behind a number.
func (s *Store) ReadContacted(ctx context.Context, now time.Time, days int) (*Phones, error) {
	phones := new(Phones)
	for day := dayOf(now); day >= dayOf(now)-int64(days); day-- {
		if err := phones.read(ctx, s.contacted(day)); err != nil {
			return nil, fmt.Errorf("read who was contacted: %w", err)
		}
	}
	return phones, nil
}

// FindContacted tells of each number whether its owner was contacted today or on one
// of so many days before.
func (s *Store) FindContacted(ctx context.Context, now time.Time, days int, phones []campaign.Phone) ([]bool, error) {
	on, err := s.DaysContacted(ctx, now, days+1, phones)
	if err != nil {
		return nil, err
	}
	found := make([]bool, len(phones))
	for i := range phones {
		found[i] = slices.Contains(on[i], true)
	}
	return found, nil
}

// DaysContacted tells of each number on which of the last days its owner was
// contacted: today first, then so many days ago. All days are asked in one round
// trip.
func (s *Store) DaysContacted(ctx context.Context, now time.Time, days int, phones []campaign.Phone) ([][]bool, error) {
	people, asked := persons(phones), make([][]*redis.BoolCmd, len(phones))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, person := range people {
			asked[i] = make([]*redis.BoolCmd, days)
			for ago := range days {
				that := s.contacted(dayOf(now) - int64(ago))
				asked[i][ago] = p.SIsMember(ctx, that.bucket(uint64(person)%phoneBuckets), uint64(person)/phoneBuckets)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up who was contacted: %w", err)
	}
	on := make([][]bool, len(phones))
	for i := range phones {
		on[i] = make([]bool, days)
		for ago, cmd := range asked[i] {
			on[i][ago] = cmd.Val()
		}
	}
	return on, nil
}
