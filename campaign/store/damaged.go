package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// A DamagedError names contacts of whom what is stored cannot be read, by index.
type DamagedError struct{ Contacts map[int]error }

func (e *DamagedError) Error() string {
	first := slices.Min(slices.Collect(maps.Keys(e.Contacts)))
	return fmt.Sprintf("contact %d: %v", first, e.Contacts[first])
}

// Damaged reports whether err says that the outcome of this contact cannot be read.
func Damaged(err error, contact int) bool {
	var damaged *DamagedError
	if !errors.As(err, &damaged) {
		return false
	}
	_, is := damaged.Contacts[contact]
	return is
}

// readHash reads a hash of JSON by index. A *DamagedError says that some of it cannot be read;
// the rest is returned.
func readHash[T any](ctx context.Context, s *Store, key, what string) (map[int]T, error) {
	hash, err := s.rdb.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, wrap(err, "read %s", what)
	}
	all, damaged := make(map[int]T, len(hash)), make(map[int]error)
	for field, text := range hash {
		index, err := strconv.Atoi(field)
		if err != nil {
			return nil, wrap(err, "read %s", what)
		}
		var v T
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			damaged[index] = err
			continue
		}
		all[index] = v
	}
	if len(damaged) > 0 {
		return all, wrap(&DamagedError{damaged}, "read %s", what)
	}
	return all, nil
}
