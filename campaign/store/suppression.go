package store

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"campaign-runner/campaign"
)

// Suppress puts numbers on the do-not-contact list and returns how many were new
// there. No request that begins afterwards contacts them.
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

// Unsuppress takes numbers off the do-not-contact list and returns how many were on
// it.
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

// bySpellings separates numbers with one spelling from those with two, of which it
// keeps each person's first.
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

// otherSpellings are the second spellings of the numbers that have one.
func otherSpellings(phones []campaign.Phone) (others []campaign.Phone) {
	for _, phone := range phones {
		if other, ok := phone.OtherSpelling(); ok {
			others = append(others, other)
		}
	}
	return others
}

// Suppressed yields the do-not-contact list, in no particular order.
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

// FindSuppressed reports for each number whether it is on the do-not-contact list.
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
