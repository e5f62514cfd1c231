package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
)

// What is kept of one person, across campaigns, and how it is erased.

// FindPerson are the contacts of a campaign with a person's number, in either spelling.
// A campaign without an index is read as a whole, a few chunks at a time; read is told
// how many chunks that were so far, by several goroutines at once.
func (s *Store) FindPerson(ctx context.Context, c campaign.Campaign, phone campaign.Phone, read func(chunks int)) ([]Place, error) {
	buckets, err := s.rdb.HGet(ctx, keyCampaign(c.Name), "buckets").Int()
	if err := exceptNil(err); err != nil {
		return nil, wrap(err, "find person in %s", c.Name)
	}
	if buckets == 0 {
		return s.searchPerson(ctx, c, phone, read)
	}
	packed, err := s.rdb.HGet(ctx, keyIndex(c.Name), strconv.Itoa(bucketOf(phone, buckets))).Bytes()
	return personIn(packed, c, phone), wrap(exceptNil(err), "find person in %s", c.Name)
}

// personIn are the places that entries of the index give to a person.
func personIn(packed []byte, c campaign.Campaign, phone campaign.Phone) (places []Place) {
	for ; len(packed) >= entryBytes; packed = packed[entryBytes:] {
		if listed, ordinal := entryAt(packed); listed.Person() == phone.Person() && ordinal < c.Chunks*c.Settings.ChunkSize {
			places = append(places, Place{Ref{c.Name, ordinal / c.Settings.ChunkSize}, ordinal % c.Settings.ChunkSize})
		}
	}
	return places
}

// searchPerson reads every chunk.
func (s *Store) searchPerson(ctx context.Context, c campaign.Campaign, phone campaign.Phone, read func(chunks int)) ([]Place, error) {
	var done atomic.Int64
	found := make([][]Place, c.Chunks)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4) // half of them wait for Redis
	for n := 0; n < c.Chunks && ctx.Err() == nil; n++ {
		group.Go(func() error {
			chunk, err := s.ReadChunk(ctx, Ref{Campaign: c.Name, Chunk: n})
			if err != nil {
				return err
			}
			for i, contact := range chunk.Contacts {
				if contact.Phone.Person() == phone.Person() {
					found[n] = append(found[n], Place{chunk.Ref, i})
				}
			}
			read(int(done.Add(1)))
			return nil
		})
	}
	err := group.Wait()
	return slices.Concat(found...), wrap(err, "find person in %s", c.Name)
}

// Growing reports whether an append to a campaign has begun and not ended. What it has
// stored is not looked at before it ends.
func (s *Store) Growing(ctx context.Context, name string) (bool, error) {
	growing, err := s.rdb.HExists(ctx, keyCampaign(name), "append").Result()
	return growing, wrap(err, "look for an append to %s", name)
}

//go:embed erase.lua
var eraseSource string

var eraseScript = redis.NewScript(eraseSource)

// ErrOpen: the contact is pending or sending, or a request about its ticket is on its way.
var ErrOpen = errors.New("contact is still open")

// EraseContact takes a person out of a contact of a campaign. What is left is its line
// with empty cells and its record, which says that it was erased. A sender that has read
// its rows cannot begin a request with it any more: its record has changed.
//
// It fails with ErrOpen while the contact or its ticket is open, with ErrMoved when
// something changed meanwhile, and with ErrGone when the person is not there.
func (s *Store) EraseContact(ctx context.Context, c campaign.Campaign, at Place, phone campaign.Phone, by string) error {
	var rows, ledger *redis.StringCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		ledger = p.Get(ctx, keyLedger(at.Ref))
		rows = p.HGet(ctx, keyChunk(at.Ref), "rows")
		return nil
	})
	if errors.Is(err, redis.Nil) {
		err = ErrGone
	}
	if err != nil {
		return wrap(err, "erase contact %s", at)
	}
	contacts, err := s.decodeRows([]byte(rows.Val()))
	records := campaign.Ledger(ledger.Val())
	if err = errors.Join(err, records.Check(len(contacts))); err != nil {
		return wrap(err, "erase contact %s", at)
	}
	if at.Index >= len(contacts) || contacts[at.Index].Phone.Person() != phone.Person() {
		err := error(ErrGone)
		if at.Index < len(contacts) && contacts[at.Index].Phone == 0 {
			err = cmp.Or(s.dropEntry(ctx, c, at, phone), err)
		}
		return wrap(err, "erase contact %s", at)
	}
	erased, closed := records.At(at.Index).Erase()
	ticket, err := s.Ticket(ctx, at)
	if err != nil {
		return err
	}
	follow, followSum, err := s.follow(ctx, at)
	if err != nil {
		return err
	}
	if !closed || ticket != nil && ticket.State == campaign.TicketCreating || follow.InHand() {
		return wrap(ErrOpen, "erase contact %s", at)
	}
	contacts[at.Index] = contacts[at.Index].Erased()
	return s.runErase(ctx, c, at, phone, erasing{records: records, new: erased, rows: rows.Val(), contacts: contacts, ticket: ticket, follow: followSum, by: by})
}

// An erasing is what EraseContact has read, and what it is to become.
type erasing struct {
	records  campaign.Ledger
	new      campaign.Record
	rows     string
	contacts []campaign.Contact
	ticket   *campaign.Ticket
	follow   string // its SHA-1
	by       string
}

func (s *Store) runErase(ctx context.Context, c campaign.Campaign, at Place, phone campaign.Phone, e erasing) error {
	rows, err1 := packed(e.contacts, len(c.Settings.Columns))
	ticket, state, err2 := encodeTicket(e.ticket)
	left, _, err3 := encodeTicket(e.ticket.Erased())
	buckets, err4 := s.rdb.HGet(ctx, keyCampaign(c.Name), "buckets").Int()
	if err := errors.Join(err1, err2, err3, exceptNil(err4)); err != nil {
		return wrap(err, "erase contact %s", at)
	}
	const size = campaign.RecordSize
	old := e.records[at.Index*size : (at.Index+1)*size]
	record := campaign.NewLedger(1)
	record.Set(0, e.new)
	sum := sha1.Sum([]byte(e.rows))
	keys := []string{
		keyCampaign(c.Name), keyChunk(at.Ref), keyLedger(at.Ref), keyOutcomes(at.Ref), keyHistories(at.Ref), keyTickets(at.Ref),
		keyTicketsDue(c.Name), keyTicketTally(c.Name), keyIndex(c.Name), keyChunksLog(c.Name),
		keyFollows(at.Ref), keyFollowsDue(c.Name),
	}
	answer, err := eraseScript.Run(ctx, s.rdb, keys, at.Index, []byte(old), []byte(record), hex.EncodeToString(sum[:]), rows,
		ticket, state, left, erasedOutcome, bucketOf(phone, max(buckets, 1)), at.packed(c),
		Decision{By: e.by}.by(), string(ActionErase), maxChunksLog, at.Chunk, e.follow).Text()
	switch {
	case err != nil:
	case answer == "moved":
		err = ErrMoved
	case answer == "gone":
		err = ErrGone
	}
	return wrap(err, "erase contact %s", at)
}

// packed is the contact's ordinal as the index has it.
func (p Place) packed(c campaign.Campaign) []byte {
	return binary.LittleEndian.AppendUint32(nil, uint32(p.Chunk*c.Settings.ChunkSize+p.Index))
}

// packed are rows as a load packs them.
func packed(contacts []campaign.Contact, columns int) ([]byte, error) {
	rows := NewRows(columns)
	for _, c := range contacts {
		if err := rows.Add(c); err != nil {
			return nil, err
		}
	}
	return rows.encode()
}

// erasedOutcome keeps an event that is just being applied from telling more of an erased
// contact.
const erasedOutcome = `{"erased":true}`

// setPartScript replaces a part of the rejects. KEYS campaign, rejects; ARGV place of the
// part, SHA-1 of the old one, the new one. Answers 0 when it was another one meanwhile.
var setPartScript = redis.NewScript(`
local part = redis.call('LINDEX', KEYS[2], ARGV[1])
if redis.call('HEXISTS', KEYS[1], 'purge_began') == 1 or part == ARGV[3] then return 1 end
if not part or redis.sha1hex(part) ~= ARGV[2] then return 0 end
redis.call('LSET', KEYS[2], ARGV[1], ARGV[3])
return 1`)

// Rejected calls yield with each refused line of a campaign, as the cells of the rejects
// file. Where it answers true and erase is set, the line keeps only its number and its
// reason. It returns for how many lines it did.
func (s *Store) Rejected(ctx context.Context, name string, erase bool, yield func(cells []string) bool) (lines int, err error) {
	for n := int64(0); ; n++ {
		packed, err := s.rdb.LIndex(ctx, keyRejects(name), n).Bytes()
		if errors.Is(err, redis.Nil) {
			return lines, nil
		}
		var text []byte
		if err == nil {
			text, err = s.decoder.DecodeAll(packed, nil)
		}
		if err != nil {
			return lines, wrap(err, "read rejects of %s", name)
		}
		edited, found, err := editRejects(text, n == 0, yield)
		if err != nil {
			return lines, wrap(err, "read rejects of %s: part %d", name, n)
		}
		if lines += found; found == 0 || !erase {
			continue
		}
		sum := sha1.Sum(packed)
		done, err := setPartScript.Run(ctx, s.rdb, []string{keyCampaign(name), keyRejects(name)},
			n, hex.EncodeToString(sum[:]), s.encoder.EncodeAll(edited, nil)).Bool()
		if err == nil && !done {
			err = ErrMoved
		}
		if err != nil {
			return lines, wrap(err, "erase rejects of %s", name)
		}
	}
}

// rejectTail are the cells behind those of the file: line, reason, original.
const rejectTail = 3

// editRejects empties the lines of a part that is picks, and returns how many. All other
// bytes stay. A part holds whole lines; the first begins with the header.
func editRejects(text []byte, header bool, is func(cells []string) bool) (edited []byte, found int, err error) {
	if bom := []byte("\ufeff"); bytes.HasPrefix(text, bom) {
		edited, text = append(edited, bom...), text[len(bom):]
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	for {
		from := r.InputOffset()
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return append(edited, text[from:]...), found, nil
		}
		if err != nil {
			return nil, 0, err
		}
		line := text[from:r.InputOffset()]
		tail := len(cells) - rejectTail
		if isHeader := header && from == 0; isHeader || tail < 0 || !is(cells) {
			edited = append(edited, line...)
			continue
		}
		found++
		clear(cells[:tail])
		cells[tail+2] = ""
		var b strings.Builder
		w := csv.NewWriter(&b)
		err = w.Write(cells)
		w.Flush()
		if err != nil {
			return nil, 0, err
		}
		edited = append(edited, b.String()...)
	}
}

// UnmatchedNames are all names under which unmatched events are kept, of campaigns or not.
func (s *Store) UnmatchedNames(ctx context.Context) (names []string, err error) {
	found := make(chan string, 100)
	var group errgroup.Group
	group.Go(func() error {
		defer close(found)
		return eachServer(ctx, s.rdb, func(ctx context.Context, server redis.UniversalClient) error {
			scan := server.ScanType(ctx, 0, keyUnmatched("*"), 1000, "zset").Iterator()
			for scan.Next(ctx) {
				found <- scan.Val()
			}
			return scan.Err()
		})
	})
	before, after, _ := strings.Cut(keyUnmatched("*"), "*")
	for key := range found {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(key, before), after))
	}
	err = group.Wait()
	slices.Sort(names)
	return slices.Compact(names), wrap(err, "list unmatched events")
}

// ContactedDays are the days on which a person was contacted, by the contact record; with
// forget they are taken out of it.
func (s *Store) ContactedDays(ctx context.Context, phone campaign.Phone, forget bool) (days []time.Time, err error) {
	all, err := s.rdb.HKeys(ctx, keyContactedDays).Result()
	if err != nil {
		return nil, wrap(err, "look up who was contacted")
	}
	slices.Sort(all)
	person := persons([]campaign.Phone{phone})
	for _, text := range all {
		day, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			continue
		}
		look := s.contacted(day).find
		if forget {
			look = func(ctx context.Context, phones []campaign.Phone) ([]bool, error) {
				removed, err := s.contacted(day).remove(ctx, phones)
				return []bool{removed > 0}, err
			}
		}
		on, err := look(ctx, person)
		if err != nil {
			return days, wrap(err, "look up who was contacted")
		}
		if on[0] {
			days = append(days, time.Unix(day*24*60*60, 0).UTC())
		}
	}
	return days, nil
}

// Reserved is who has reserved a person's number: the campaign, and how that stands. ok is
// false when nobody has.
func (s *Store) Reserved(ctx context.Context, phone campaign.Phone) (name string, standing Standing, ok bool, err error) {
	owners, err := s.Owners(ctx, []campaign.Phone{phone})
	if err != nil || owners[0] == "" {
		return "", Standing{}, false, err
	}
	standings, err := s.Standings(ctx, owners)
	if err != nil {
		return "", Standing{}, false, err
	}
	ref, _, _, _ := owners[0].parse()
	return ref.Campaign, standings[0], true, nil
}

// DropReservation deletes the reservation of a person's number, unless its owner may still
// use it. It reports whether there is none left.
func (s *Store) DropReservation(ctx context.Context, phone campaign.Phone) (gone bool, err error) {
	owners, err := s.Owners(ctx, []campaign.Phone{phone})
	if err != nil || owners[0] == "" {
		return err == nil, err
	}
	return s.drop(ctx, []string{fieldReservation(phone)}, owners)
}
