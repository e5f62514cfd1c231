package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Bounds of drafts. They share Redis with campaigns, which come first.
const (
	MaxDraftBytes = 64 << 20 // of all drafts together, compressed
	MaxDrafts     = 100
	DraftLife     = 24 * time.Hour // after the last use
	DraftShare    = 0.7            // of Redis's maxmemory; above it no draft grows

	uploadLife = 10 * time.Minute // after the last part of a file that is still on its way
	draftPart  = 500 << 10        // bytes of a file in one part; compressed they stay below 512 KB
	surePart   = 4 << 20          // bytes after which the size of the rest can be foreseen
	likelyMore = 1.25             // that foresight may be wrong by so much
)

// draftBounds are of all drafts together.
type draftBounds struct {
	bytes  int64
	drafts int
}

var (
	// ErrNoDraft: it was launched or discarded, or nobody has used it for DraftLife.
	ErrNoDraft = errors.New("no such draft")
	// ErrDraftsFull: the drafts would take more than MaxDraftBytes.
	ErrDraftsFull = errors.New("drafts have no more room")
	// ErrManyDrafts: there are MaxDrafts.
	ErrManyDrafts = errors.New("too many drafts")
	// ErrDraftLaunches: its launch has begun, and it may not change until that has ended.
	ErrDraftLaunches = errors.New("the draft is being launched")
	// ErrScarce: Redis uses more than DraftShare of its maxmemory.
	ErrScarce = errors.New("redis has too little memory left for drafts")
)

// A Draft is a campaign that is being made, step by step. Any worker can go on with it.
type Draft struct {
	ID    string
	By    string // who began it, as a campaign's log would name them
	Made  time.Time
	File  string            // what its contact file is called; empty: it has none
	Size  int64             // of the file in bytes
	Steps map[string]string // what was said in each step, by its name

	Attached []Attachment // files beside the list, the first one first

	Launching bool // a launch of it has begun, and may have made its campaign
}

// putScript adds to a draft. KEYS drafts, bytes of drafts, draft, its file, its launches;
// ARGV id, ms that it lives from now on, most bytes, most drafts, whether it is new: 1 or 0,
// the key that gets the fields: 3 or 4, and fields with their values. Without fields it
// prolongs the draft. Answers the bytes of all drafts, or why it is not so.
var putScript = redis.NewScript(luaNow + `
local id, life = ARGV[1], tonumber(ARGV[2])
for _, over in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))) do
  redis.call('ZREM', KEYS[1], over)
  redis.call('HDEL', KEYS[2], over)
end
local there = redis.call('EXISTS', KEYS[3]) == 1
if not there and ARGV[5] == '0' then return 'gone' end
if #ARGV > 6 and redis.call('EXISTS', KEYS[5]) == 1 then return 'launches' end
if not there and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 'many' end
local to, more, all = KEYS[tonumber(ARGV[6])], there and 0 or 512, 0
for i = 7, #ARGV, 2 do
  local has = #(redis.call('HGET', to, ARGV[i]) or '')
  if has == 0 then more = more + 64 end
  more = more + #ARGV[i + 1] - has
end
for _, bytes in ipairs(redis.call('HVALS', KEYS[2])) do all = all + tonumber(bytes) end
if more > 0 and all + more > tonumber(ARGV[3]) then return 'full' end
for i = 7, #ARGV, 2 do redis.call('HSET', to, ARGV[i], ARGV[i + 1]) end
redis.call('HINCRBY', KEYS[2], id, more)
local over = math.ceil((now + life) / 1000) -- in whole seconds
redis.call('ZADD', KEYS[1], string.format('%.0f', over * 1000), id)
redis.call('EXPIREAT', KEYS[3], string.format('%.0f', over))
redis.call('EXPIREAT', KEYS[4], string.format('%.0f', over))
redis.call('EXPIREAT', KEYS[5], string.format('%.0f', over))
return tostring(all + more)`)

// put adds fields to a draft, and returns the bytes of all.
func (s *Store) put(ctx context.Context, id string, life time.Duration, isNew, to int, fields ...any) (all int64, err error) {
	keys := []string{keyDrafts, keyDraftBytes, keyDraft(id), keyDraftFile(id), keyDraftLaunches(id)}
	args := append([]any{id, millis(life), s.drafts.bytes, s.drafts.drafts, isNew, to}, fields...)
	answer, err := putScript.Run(ctx, s.rdb, keys, args...).Text()
	if err != nil {
		return 0, err
	}
	switch answer {
	case "gone":
		return 0, ErrNoDraft
	case "launches":
		return 0, ErrDraftLaunches
	case "many":
		return 0, ErrManyDrafts
	case "full":
		return 0, ErrDraftsFull
	}
	return strconv.ParseInt(answer, 10, 64)
}

const (
	toDraft = 3 // places of keys in putScript
	toFile  = 4

	fieldStep     = "step:" // begins the field of a step
	fieldAttached = "file:" // begins that of a file beside the list
)

// roomForDrafts is ErrScarce when Redis's memory runs short. A Redis that does not tell its
// memory is no reason to stop.
func (s *Store) roomForDrafts(ctx context.Context, more int) error {
	server, err := s.serverOf(ctx, keyDrafts)
	if err != nil {
		return err
	}
	m, err := memoryOf(ctx, server)
	if err == nil && m.Max > 0 && float64(m.Used)+float64(more) > DraftShare*float64(m.Max) {
		return ErrScarce
	}
	return nil //nolint:nilerr // a managed Redis may forbid INFO
}

// A DraftWriter takes the file of a new draft, in bounded memory. Without End the draft is
// never seen, and gone after a few minutes.
type DraftWriter struct {
	Draft
	Likely int64 // bytes that the file is likely to have; 0: not known

	s      *Store
	ctx    context.Context
	life   time.Duration // of the draft after each part
	prefix string        // of the names of parts
	begun  bool          // it has a place among the drafts: something has come
	part   []byte
	parts  int
	packed int64 // bytes of the parts
}

// BeginDraft begins a draft of somebody. likely is how many bytes its file may have; 0: that
// is not known. It takes no place before something of the file has come. ErrScarce.
func (s *Store) BeginDraft(ctx context.Context, by, file string, likely int64) (*DraftWriter, error) {
	w := &DraftWriter{Draft: Draft{ID: rand.Text(), By: by, File: file}, Likely: likely, s: s, ctx: ctx, life: uploadLife}
	return w, wrap(s.roomForDrafts(ctx, 0), "begin a draft")
}

// begin takes a place for a draft. ErrManyDrafts, ErrDraftsFull.
func (w *DraftWriter) begin() (err error) {
	if !w.begun {
		_, err = w.s.put(w.ctx, w.ID, uploadLife, 1, toDraft, "by", w.By, "file", w.File)
		w.begun = err == nil
	}
	return wrap(err, "begin a draft")
}

// Write adds to the file. ErrDraftsFull as soon as it is known that the whole will not fit.
func (w *DraftWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n := min(len(p), draftPart-len(w.part))
		w.part, p, written = append(w.part, p[:n]...), p[n:], written+n
		if len(w.part) == draftPart {
			if err := w.flush(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

func (w *DraftWriter) flush() error {
	if len(w.part) == 0 {
		return nil
	}
	if err := w.begin(); err != nil {
		return err
	}
	blob := w.s.encoder.EncodeAll(w.part, nil)
	if err := w.s.roomForDrafts(w.ctx, len(blob)); err != nil {
		return wrap(err, "add to a draft")
	}
	all, err := w.s.put(w.ctx, w.ID, w.life, 0, toFile, w.prefix+strconv.Itoa(w.parts), blob)
	if err != nil {
		return wrap(err, "add to a draft")
	}
	w.Size, w.packed, w.parts, w.part = w.Size+int64(len(w.part)), w.packed+int64(len(blob)), w.parts+1, w.part[:0]
	if !w.fits(w.s.drafts.bytes - (all - w.packed)) {
		return wrap(ErrDraftsFull, "add to a draft")
	}
	return nil
}

// fits reports whether the whole file is likely to fit into a room. What is packed already
// is known by its first part, other files by their beginning.
func (w *DraftWriter) fits(room int64) bool {
	share := float64(w.packed) / float64(w.Size)
	return w.Size < surePart && share < 0.95 || float64(w.Likely)*share <= likelyMore*float64(room)
}

// End ends the file. From now on the draft is there, with what was said in its steps.
func (w *DraftWriter) End(steps map[string]string) (Draft, error) {
	if err := cmp.Or(w.flush(), w.begin()); err != nil {
		return Draft{}, err
	}
	now, err := w.s.Now(w.ctx)
	if err != nil {
		return Draft{}, err
	}
	w.Made, w.Steps = now, steps
	fields := []any{"made", now.UnixMilli(), "size", w.Size}
	for name, text := range steps {
		fields = append(fields, fieldStep+name, text)
	}
	for _, a := range w.Attached {
		fields = append(fields, fieldAttached+a.ID, a.encode())
	}
	_, err = w.s.put(w.ctx, w.ID, DraftLife, 0, toDraft, fields...)
	return w.Draft, wrap(err, "end a draft")
}

// SaveStep keeps what was said in a step, and prolongs the draft. ErrNoDraft,
// ErrDraftLaunches, ErrDraftsFull, ErrScarce.
func (s *Store) SaveStep(ctx context.Context, id, step, text string) error {
	if err := s.roomForDrafts(ctx, len(text)); err != nil {
		return wrap(err, "save a draft")
	}
	_, err := s.put(ctx, id, DraftLife, 0, toDraft, fieldStep+step, text)
	return wrap(err, "save a draft")
}

// Draft reads a draft, and prolongs it. ErrNoDraft.
func (s *Store) Draft(ctx context.Context, id string) (Draft, error) {
	var hash *redis.MapStringStringCmd
	var launches *redis.IntCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		hash, launches = p.HGetAll(ctx, keyDraft(id)), p.Exists(ctx, keyDraftLaunches(id))
		return nil
	})
	if err != nil {
		return Draft{}, wrap(err, "read a draft")
	}
	d, err := decodeDraft(id, hash)
	if err == nil { // one whose file is on its way does not become older by being asked for
		_, err = s.put(ctx, id, DraftLife, 0, toDraft)
	}
	d.Launching = launches.Val() > 0
	return d, wrap(err, "read a draft")
}

// Drafts are all that are there, the latest first.
func (s *Store) Drafts(ctx context.Context) ([]Draft, error) {
	ids, err := s.rdb.ZRevRange(ctx, keyDrafts, 0, -1).Result()
	if err != nil || len(ids) == 0 {
		return nil, wrap(err, "read drafts")
	}
	asked := make([]*redis.MapStringStringCmd, len(ids))
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			asked[i] = p.HGetAll(ctx, keyDraft(id))
		}
		return nil
	})
	var list []Draft
	for i, id := range ids {
		if d, err := decodeDraft(id, asked[i]); err == nil {
			list = append(list, d)
		}
	}
	return list, wrap(err, "read drafts")
}

// decodeDraft is ErrNoDraft for one that is not there, or whose file is still on its way.
func decodeDraft(id string, asked *redis.MapStringStringCmd) (Draft, error) {
	hash, err := asked.Result()
	if err != nil {
		return Draft{}, err
	}
	made, err := strconv.ParseInt(hash["made"], 10, 64)
	if err != nil {
		return Draft{}, ErrNoDraft
	}
	d := Draft{ID: id, By: hash["by"], Made: timeOf(made), File: hash["file"], Steps: make(map[string]string)}
	d.Size, err = strconv.ParseInt(hash["size"], 10, 64)
	for field, text := range hash {
		if name, is := strings.CutPrefix(field, fieldStep); is {
			d.Steps[name] = text
		}
		if id, is := strings.CutPrefix(field, fieldAttached); is && err == nil {
			var a Attachment
			a, err = decodeAttachment(id, text)
			d.Attached = append(d.Attached, a)
		}
	}
	slices.SortFunc(d.Attached, func(a, b Attachment) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID)) })
	return d, err
}

// discardScript deletes a draft, unless a launch of it has begun. KEYS drafts, bytes of drafts,
// draft, its file, its launches; ARGV id. Answers whether none has.
var discardScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[5]) == 1 then return 0 end
redis.call('UNLINK', KEYS[3], KEYS[4])
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
return 1`)

// DiscardDraft deletes a draft, if it is there. ErrDraftLaunches: a launch of it has begun, so
// that its campaign may be there.
func (s *Store) DiscardDraft(ctx context.Context, id string) error {
	keys := []string{keyDrafts, keyDraftBytes, keyDraft(id), keyDraftFile(id), keyDraftLaunches(id)}
	gone, err := discardScript.Run(ctx, s.rdb, keys, id).Bool()
	if err == nil && !gone {
		err = ErrDraftLaunches
	}
	return wrap(err, "discard a draft")
}

// DropDraft deletes a draft that was launched, with all that it holds.
func (s *Store) DropDraft(ctx context.Context, id string) error {
	_, err := s.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Unlink(ctx, keyDraft(id), keyDraftFile(id), keyDraftLaunches(id))
		p.ZRem(ctx, keyDrafts, id)
		p.HDel(ctx, keyDraftBytes, id)
		return nil
	})
	return wrap(err, "drop a draft")
}

// lockScript notes a launch of a draft. KEYS draft, its launches; ARGV launch, seconds. Answers
// whether the draft is there.
var lockScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1`)

// LockDraft lets a draft stay as it is for a launch of it, so that one which is pressed twice
// cannot become two campaigns. It stays so until each launch has told by unlock that it came
// to nothing; a launch that dies leaves it locked, and can be made again. ErrNoDraft.
func (s *Store) LockDraft(ctx context.Context, id string) (unlock func(context.Context) error, err error) {
	launch := rand.Text()
	there, err := lockScript.Run(ctx, s.rdb, []string{keyDraft(id), keyDraftLaunches(id)}, launch, int(DraftLife.Seconds())).Bool()
	if err == nil && !there {
		err = ErrNoDraft
	}
	return func(ctx context.Context) error {
		return wrap(s.rdb.SRem(ctx, keyDraftLaunches(id), launch).Err(), "unlock a draft")
	}, wrap(err, "lock a draft")
}
