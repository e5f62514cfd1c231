package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// MaxAttached is how many files a draft may have beside its list.
const MaxAttached = 20

// ErrManyFiles: the draft has MaxAttached files beside its list.
var ErrManyFiles = errors.New("too many files beside the list")

// An Attachment is a file of a draft beside its list. It shares the draft's bounds and its end.
type Attachment struct {
	ID   string `json:"-"`
	Kind string `json:"kind"` // what it is for
	Name string `json:"name"` // what it is called
	Size int64  `json:"size"` // bytes
	At   int64  `json:"at"`   // when it came, in ms of Redis's clock
}

func (a Attachment) encode() string {
	text, _ := json.Marshal(a) // strings and numbers never fail
	return string(text)
}

func decodeAttachment(id, text string) (a Attachment, err error) {
	err = json.Unmarshal([]byte(text), &a)
	a.ID = id
	return a, err
}

// Attach reads a file into a draft that is there, and prolongs it. likely is how many bytes
// the file may have; 0: that is not known. What fails on its way leaves nothing. ErrManyFiles,
// ErrNoDraft, ErrDraftLaunches, ErrDraftsFull, ErrScarce.
func (s *Store) Attach(ctx context.Context, d Draft, kind, name string, likely int64, from io.Reader) error {
	if len(d.Attached) >= MaxAttached {
		return ErrManyFiles
	}
	w := &DraftWriter{Draft: Draft{ID: d.ID}, Likely: likely, s: s, ctx: ctx, life: DraftLife, begun: true}
	a, err := w.attach(kind, name, from)
	if err == nil {
		_, err = s.put(ctx, d.ID, DraftLife, 0, toDraft, fieldAttached+a.ID, a.encode())
	}
	if err != nil {
		_ = s.Detach(context.WithoutCancel(ctx), d.ID, a.ID) // it ends with its draft
	}
	return wrap(err, "add a file to a draft")
}

// Attach reads a file into a draft that is still being made.
func (w *DraftWriter) Attach(kind, name string, from io.Reader) error {
	if err := w.begin(); err != nil {
		return err
	}
	beside := &DraftWriter{Draft: Draft{ID: w.ID}, s: w.s, ctx: w.ctx, life: uploadLife, begun: true}
	a, err := beside.attach(kind, name, from)
	w.Attached = append(w.Attached, a)
	return err
}

// attach reads all of a file that stands beside the list.
func (w *DraftWriter) attach(kind, name string, from io.Reader) (Attachment, error) {
	a := Attachment{ID: rand.Text(), Kind: kind, Name: name}
	w.prefix = a.ID + "/"
	_, err := io.Copy(w, from)
	if err = cmp.Or(err, w.flush()); err != nil {
		return a, err
	}
	now, err := w.s.Now(w.ctx)
	a.Size, a.At = w.Size, now.UnixMilli()
	return a, err
}

// detachScript takes a file beside the list away. KEYS drafts, bytes of drafts, draft, its file,
// its launches; ARGV draft, file. Answers whether no launch of the draft has begun.
var detachScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[5]) == 1 then return 0 end
local field, less = 'file:' .. ARGV[2], 0
local told = redis.call('HGET', KEYS[3], field)
if told then
  redis.call('HDEL', KEYS[3], field)
  less = 64 + #told
end
for _, part in ipairs(redis.call('HKEYS', KEYS[4])) do
  if string.sub(part, 1, #ARGV[2] + 1) == ARGV[2] .. '/' then
    less = less + 64 + #redis.call('HGET', KEYS[4], part)
    redis.call('HDEL', KEYS[4], part)
  end
end
if less > 0 and redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then redis.call('HINCRBY', KEYS[2], ARGV[1], -less) end
return 1`)

// Detach takes a file beside the list from a draft, if it is there. ErrDraftLaunches.
func (s *Store) Detach(ctx context.Context, id, file string) error {
	keys := []string{keyDrafts, keyDraftBytes, keyDraft(id), keyDraftFile(id), keyDraftLaunches(id)}
	gone, err := detachScript.Run(ctx, s.rdb, keys, id, file).Bool()
	if err == nil && !gone {
		err = ErrDraftLaunches
	}
	return wrap(err, "take a file from a draft")
}

// AttachedFile reads a file beside the list of a draft from its beginning. ErrNoDraft when it
// goes meanwhile.
func (s *Store) AttachedFile(ctx context.Context, d Draft, a Attachment) io.Reader {
	return &draftReader{ctx: ctx, s: s, draft: d.ID, prefix: a.ID + "/", size: a.Size}
}

// DraftFile reads the file of a draft from its beginning. ErrNoDraft when it goes meanwhile.
func (s *Store) DraftFile(ctx context.Context, d Draft) io.Reader {
	return &draftReader{ctx: ctx, s: s, draft: d.ID, size: d.Size}
}

type draftReader struct {
	ctx    context.Context
	s      *Store
	draft  string
	prefix string // of the names of parts
	size   int64

	left  bytes.Reader // of the part
	part  []byte
	parts int
	read  int64
}

func (r *draftReader) Read(p []byte) (int, error) {
	if r.left.Len() == 0 {
		if r.read == r.size {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, wrap(err, "file of a draft")
		}
	}
	return r.left.Read(p)
}

// next reads the next part.
func (r *draftReader) next() error {
	blob, err := r.s.rdb.HGet(r.ctx, keyDraftFile(r.draft), r.prefix+strconv.Itoa(r.parts)).Bytes()
	if errors.Is(err, redis.Nil) {
		err = ErrNoDraft
	}
	if err != nil {
		return err
	}
	if r.part, err = r.s.decoder.DecodeAll(blob, r.part[:0]); err != nil {
		return err
	}
	if r.read += int64(len(r.part)); r.read > r.size || len(r.part) == 0 {
		return fmt.Errorf("part %d is damaged", r.parts)
	}
	r.parts++
	r.left.Reset(r.part)
	return nil
}
