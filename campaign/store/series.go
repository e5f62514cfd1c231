package store

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// The series of a campaign is its tally over time. A sample is taken only when
// contacts have moved, so a paused or finished campaign costs nothing.
const (
	// SampleEvery is the shortest time between two samples of a campaign.
	SampleEvery = 5 * time.Second
	// MaxSamples bounds the samples of a campaign. Beyond it every second one is
	// dropped, so older ones lie further apart.
	MaxSamples = 500
)

// A Sample is a campaign's tally at a moment, without its reasons. The tally stayed
// so until the next one.
type Sample struct {
	At    time.Time
	Tally campaign.Tally
}

// sampleScript appends a sample unless another worker has, or the campaign is gone.
// KEYS campaign, series; ARGV the last sample as read, empty for none; the new one;
// most samples. Answers whether it did.
var sampleScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 or (redis.call('LINDEX', KEYS[2], -1) or '') ~= ARGV[1] then return 0 end
if redis.call('LLEN', KEYS[2]) >= tonumber(ARGV[3]) then
  local all = redis.call('LRANGE', KEYS[2], 0, -1)
  redis.call('DEL', KEYS[2])
  for i = 1, #all, 2 do redis.call('RPUSH', KEYS[2], all[i]) end
end
redis.call('RPUSH', KEYS[2], ARGV[2])
return 1`)

// TakeSample adds the present tally to a campaign's series when contacts have moved
// and enough time has passed. Any number of workers may call it at any time.
func (s *Store) TakeSample(ctx context.Context, name string, now time.Time) (taken bool, err error) {
	return s.takeSample(ctx, name, now, false)
}

// TakeLastSample does that however little time has passed: nothing more is expected to
// move.
func (s *Store) TakeLastSample(ctx context.Context, name string, now time.Time) (taken bool, err error) {
	return s.takeSample(ctx, name, now, true)
}

func (s *Store) takeSample(ctx context.Context, name string, now time.Time, last bool) (taken bool, err error) {
	var oldest, latest *redis.StringCmd
	var counts *redis.SliceCmd
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		oldest = p.LIndex(ctx, keySeries(name), 0)
		latest = p.LIndex(ctx, keySeries(name), -1)
		counts = p.HMGet(ctx, keyTally(name), stateFields...)
		return nil
	})
	if err := exceptNil(err); err != nil {
		return false, wrap(err, "sample %s", name)
	}
	next := strconv.FormatInt(now.UnixMilli(), 10)
	for _, count := range textsOf(counts.Val()) {
		next += " " + cmp.Or(count, "0")
	}
	if last { // as if the series had just begun
		oldest = latest
	}
	due, err := sampleDue(oldest.Val(), latest.Val(), next)
	if err != nil || !due {
		return false, err
	}
	taken, err = sampleScript.Run(ctx, s.rdb, []string{keyCampaign(name), keySeries(name)}, latest.Val(), next, MaxSamples).Bool()
	return taken, wrap(err, "sample %s", name)
}

// sampleDue decides whether next follows the samples between first and last, which
// are empty when there are none: it must differ, and come after a share of the time
// that the series covers.
func sampleDue(first, last, next string) (bool, error) {
	now, err := decodeSample(next)
	if err != nil {
		return false, err
	}
	if last == "" {
		return now.Tally.Contacts() > 0, nil
	}
	start, err := decodeSample(first)
	if err != nil {
		return false, err
	}
	before, err := decodeSample(last)
	if err != nil {
		return false, err
	}
	wait := max(SampleEvery, before.At.Sub(start.At)/MaxSamples)
	return now.Tally.States != before.Tally.States && now.At.Sub(before.At) >= wait, nil
}

// Series are the samples of a campaign, the oldest first.
func (s *Store) Series(ctx context.Context, name string) ([]Sample, error) {
	list, err := s.rdb.LRange(ctx, keySeries(name), 0, -1).Result()
	if err != nil {
		return nil, wrap(err, "read series of %s", name)
	}
	series, err := decodeSeries(list)
	return series, wrap(err, "read series of %s", name)
}

func decodeSeries(list []string) (series []Sample, err error) {
	series = make([]Sample, len(list))
	for i, text := range list {
		if series[i], err = decodeSample(text); err != nil {
			return nil, err
		}
	}
	return series, nil
}

// Recent are the latest samples of several campaigns, at most that many of each, the
// oldest first.
func (s *Store) Recent(ctx context.Context, names []string, most int) (map[string][]Sample, error) {
	if len(names) == 0 {
		return nil, nil
	}
	lists := make([]*redis.StringSliceCmd, len(names))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			lists[i] = p.LRange(ctx, keySeries(name), int64(-most), -1)
		}
		return nil
	})
	if err != nil {
		return nil, wrap(err, "read series")
	}
	recent := make(map[string][]Sample, len(names))
	for i, name := range names {
		if recent[name], err = decodeSeries(lists[i].Val()); err != nil {
			return nil, wrap(err, "read series of %s", name)
		}
	}
	return recent, nil
}

// decodeSample reads the time in ms, and how many contacts are in each state.
func decodeSample(text string) (Sample, error) {
	var sample Sample
	parts := strings.Fields(text)
	if len(parts) != 1+len(sample.Tally.States) {
		return Sample{}, fmt.Errorf("sample: want %d numbers, have %d", 1+len(sample.Tally.States), len(parts))
	}
	for i, part := range parts {
		n, err := strconv.ParseInt(part, 10, 64)
		switch {
		case err != nil:
			return Sample{}, wrap(err, "sample")
		case i == 0:
			sample.At = timeOf(n)
		default:
			sample.Tally.States[i-1] = int(n)
		}
	}
	return sample, nil
}

// stateFields are the tally's fields for the states.
var stateFields = func() (fields []string) {
	for _, state := range campaign.States() {
		fields = append(fields, strconv.Itoa(int(state)))
	}
	return fields
}()
