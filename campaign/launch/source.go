package launch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/contacts/scratch"
)

// stdin is the name by which a contact file is read from the standard input.
const stdin = "-"

// A source is a file that is read several times: for its fingerprint and its format
// at the same time, and then for its rows. All readings must see the same bytes.
type source struct {
	what string // for errors: "contact file list.csv"
	file *os.File
	size int64
	sum  []byte // SHA-256 at the first reading
	mark uint64 // a quick sum of the first reading, with a seed of this process
	list *contacts.File

	identity    []byte       // of contacts that come from a campaign; nil: sum is
	chosen      map[int]bool // lines of such contacts that are chosen; nil: each line is asked about
	phoneColumn string       // of such contacts
	taken       time.Time    // when such contacts were read; by Redis's clock
	toContact   int          // of those chosen, which their campaign is still to contact

	follow bool         // the file is read for what is in it
	read   int64        // bytes, in the last reading
	digest maphash.Hash // in the last reading: of the bytes up to hashed, as they were handed out
	hashed int64
}

// marks is the seed of marks: nobody can find another file with the mark of one.
var marks = maphash.MakeSeed()

func openSource(what, path string) (*source, error) {
	what += " " + path
	if contacts.IsLockName(filepath.Base(path)) {
		return nil, fmt.Errorf("%s: %w", what, contacts.ErrLockFile)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, pathless(err))
	}
	return newSource(what, file)
}

// spool keeps what comes in once, in a file without a name that ends with its
// last use.
func spool(ctx context.Context, what string, in io.Reader) (*source, error) {
	if in == nil {
		return nil, fmt.Errorf("%s: there is none", what)
	}
	file, err := scratch.File()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if _, err := io.Copy(file, contextReader{ctx, in}); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return newSource(what, file)
}

func newSource(what string, file *os.File) (*source, error) {
	info, err := file.Stat()
	switch {
	case err != nil:
		err = fmt.Errorf("%s: %w", what, pathless(err))
	case info.IsDir():
		err = fmt.Errorf("%s: it is a directory", what)
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s: not a regular file: it is read twice, save it first or pass it as '-'", what)
	case info.Size() == 0:
		err = fmt.Errorf("%s: %w", what, campaign.Faulty(campaign.MsgFileEmpty))
	default:
		return &source{what: what, file: file, size: info.Size()}, nil
	}
	_ = file.Close()
	return nil, err
}

// pathless is an error of package os without its path, which the message has already.
func pathless(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// reading is how the numbers are read: those of a campaign's contacts are in full.
func (s *source) reading(req Request) campaign.Reading {
	r := req.Settings.Reading
	if s.phoneColumn != "" {
		r.PhoneColumns = []string{s.phoneColumn}
		r.CountryColumn, r.CountryCodeColumn = campaign.NoColumn, campaign.NoColumn
	}
	return r
}

// open takes the file's fingerprint and finds out how it is written.
func (s *source) open(ctx context.Context, want contacts.Format, phoneColumns []string) error {
	var group errgroup.Group
	group.Go(func() error {
		sum, mark := sha256.New(), new(maphash.Hash)
		mark.SetSeed(marks)
		err := s.hash(ctx, io.MultiWriter(sum, mark), 0)
		s.sum, s.mark = sum.Sum(nil), mark.Sum64()
		return err
	})
	var err error
	if s.list, err = contacts.Open(readerAt{ctx, s}, s.size, want, phoneColumns...); err != nil {
		err = fmt.Errorf("%s: %w", s.what, pathless(err))
	}
	return cmp.Or(group.Wait(), err)
}

// hash adds the file, from an offset on, to a digest.
func (s *source) hash(ctx context.Context, digest io.Writer, from int64) error {
	file := contextReader{ctx, io.NewSectionReader(s.file, from, math.MaxInt64-from)}
	if _, err := io.CopyBuffer(digest, file, make([]byte, 256<<10)); err != nil {
		return fmt.Errorf("%s: %w", s.what, pathless(err))
	}
	return nil
}

// rewind begins the reading for what is in the file.
func (s *source) rewind() {
	s.read, s.hashed, s.follow = 0, 0, true
	s.digest.SetSeed(marks)
}

// unchanged fails when the last reading saw other bytes than the first. Bytes that were
// read in order were hashed as they were read; the rest is read again.
func (s *source) unchanged(ctx context.Context) error {
	err := s.hash(ctx, &s.digest, s.hashed)
	if err == nil && s.digest.Sum64() != s.mark {
		err = fmt.Errorf("%s: the file changed while it was read", s.what)
	}
	return err
}

// A readerAt ends with its context, and follows what is read.
type readerAt struct {
	ctx context.Context
	src *source
}

func (r readerAt) ReadAt(p []byte, off int64) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	s := r.src
	n, err := s.file.ReadAt(p, off)
	s.read = min(s.read+int64(n), s.size)
	if s.follow && off == s.hashed {
		_, _ = s.digest.Write(p[:n]) // never fails
		s.hashed += int64(n)
	}
	return n, err
}

// A contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}

// sources are the files of a request.
type sources struct {
	contacts    *source
	suppress    []*source
	fingerprint string
}

// openSources opens the files of a request and takes their fingerprint.
func (l *Launcher) openSources(ctx context.Context, req Request) (_ *sources, err error) {
	s := new(sources)
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	switch {
	case req.From != "":
		s.contacts, err = l.campaignSource(ctx, req)
	case req.File == stdin:
		s.contacts, err = spool(ctx, cmp.Or(req.Called, "standard input"), req.Stdin)
	default:
		s.contacts, err = openSource("contact file", req.File)
	}
	if err != nil {
		return nil, err
	}
	if err := s.openSuppress(ctx, req); err != nil {
		return nil, err
	}
	if err := s.contacts.open(ctx, req.Format, s.contacts.reading(req).PhoneColumns); err != nil {
		return nil, err
	}
	for _, list := range s.suppress {
		if err := list.open(ctx, contacts.Format{}, nil); err != nil {
			return nil, ofListing(list, err)
		}
	}
	if s.fingerprint, err = s.print(req); err != nil {
		return nil, err
	}
	return s, nil
}

// apartFrom fails when the rejects would take the place of a file that is read, or
// of one that holds something else.
func (s *sources) apartFrom(rejects string) error {
	place, err := os.Stat(rejects)
	if rejects == "" || err != nil {
		return nil // there is no file to lose
	}
	if place.IsDir() {
		return fmt.Errorf("rejects file %s: it is a directory", rejects)
	}
	for _, file := range s.all() {
		if info, err := file.file.Stat(); err == nil && os.SameFile(info, place) {
			return fmt.Errorf("rejects file %s: that is the %s", rejects, file.what)
		}
	}
	if place.Mode().IsRegular() && place.Size() > 0 && !holdsRejects(rejects) {
		return fmt.Errorf("rejects file %s: there is another file of that name; choose a place with --rejects", rejects)
	}
	return nil
}

// holdsRejects reports whether a file begins as rejects do.
func holdsRejects(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return contacts.HoldsRejects(f)
}

func (s *sources) all() []*source { return append([]*source{s.contacts}, s.suppress...) }

func (s *sources) close() {
	for _, file := range s.all() {
		if file != nil {
			_ = file.file.Close() // was only read
		}
	}
}

// print is the fingerprint of all that decides what a load stores. The order of
// suppression lists and the names of files do not.
func (s *sources) print(req Request) (string, error) {
	settings := req.settings()
	settings.WebhookURL = "" // belongs to the installation
	settings.Title = ""      // decides nothing
	lists := make([]string, len(s.suppress))
	for i, list := range s.suppress {
		lists[i] = hex.EncodeToString(list.sum)
	}
	slices.Sort(lists)
	text, err := json.Marshal(struct {
		Contacts string
		Suppress []string
		Settings campaign.Settings
		Format   contacts.Format
		Mapping  Mapping
		Choice   any
	}{fmt.Sprintf("%x", cmp.Or(string(s.contacts.identity), string(s.contacts.sum))), lists, settings, req.Format, req.Mapping, req.Choice.identity()})
	if err != nil {
		return "", fmt.Errorf("fingerprint: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// A list is a contact file after its header was read.
type list struct {
	source   *source
	reader   *contacts.Reader
	settings campaign.Settings
	warnings []campaign.Message
	listings []Listing
}

// list opens the contact file for its last reading, and leaves out the numbers that
// are barred or on a suppression list.
func (s *sources) list(ctx context.Context, req Request, found checked, barred barred) (_ *list, err error) {
	l := &list{source: s.contacts, settings: req.settings(), warnings: slices.Concat(found.warnings, s.contacts.list.Warnings())}
	l.followUp(req)
	if barred, err = s.suppressed(ctx, l, barred); err != nil {
		return nil, err
	}
	opt := contacts.Options{Reading: s.contacts.reading(req), Region: l.settings.Region, Suppressed: barred.reason}
	var mapped []campaign.Message
	l.reader, err = s.contacts.reader(ctx, opt, req.Choice, func(r *contacts.Reader) error {
		if err := namesNobody(r.Columns(), l.settings.Region); err != nil {
			return err
		}
		columns, warnings, err := columnsFor(r.Columns(), r.PhoneColumn(), found, req.Mapping)
		if err != nil {
			return err
		}
		l.settings.Columns, l.settings.PhoneColumn, l.settings.Constants = columns, r.PhoneColumn(), req.Mapping.Constants
		require(r, columns, found)
		l.settings.Reading.FoundCountryColumn, l.settings.Reading.FoundCountryCodeColumn = r.CountryColumns()
		mapped = append(r.Remarks(), warnings...)
		return nil
	})
	l.warnings = append(l.warnings, mapped...)
	return l, err
}

// require refuses rows that lack a value that the agent wants.
func require(r *contacts.Reader, columns []campaign.Column, found checked) {
	for i, column := range columns {
		if slices.Contains(found.keys, column.Key) {
			columns[i].Required = true
			r.Require(i, column.Key)
		}
	}
}

// namesNobody refuses a column that is named by a phone number: its header is a contact,
// and names of columns outlive a purge.
func namesNobody(columns []string, region string) error {
	parser, err := contacts.NewPhoneParser(region)
	if err != nil {
		return err
	}
	if at := slices.IndexFunc(columns, func(name string) bool { return len(parser.Told(name)) > 0 }); at >= 0 {
		return fmt.Errorf("the name of column %d is a phone number: is the line of the names missing?", at+1)
	}
	return nil
}
