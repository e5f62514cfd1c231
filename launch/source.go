package launch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"slices"

	"campaign-runner/campaign"
	"campaign-runner/contacts"
)

// A source is a file that is read twice: for its fingerprint and for what is in
// it. Both must be the same bytes.
type source struct {
	what string // for errors: "contact file list.csv"
	file *os.File
	size int64
	sum  []byte // SHA-256 at the first reading
	now  hash.Hash
	read int64 // bytes, in the present reading
}

func openSource(what, path string) (*source, error) {
	what += " " + path
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, pathless(err))
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		err = fmt.Errorf("%s: %w", what, pathless(err))
	case info.IsDir():
		err = fmt.Errorf("%s: it is a directory", what)
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s: not a regular file: it is read twice, save it first", what)
	case info.Size() == 0:
		err = fmt.Errorf("%s: the file is empty", what)
	default:
		return &source{what: what, file: file, size: info.Size()}, nil
	}
	_ = file.Close()
	return nil, err
}

// pathless is an error of package os without the path, which is told already.
func pathless(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// hash reads the file for the first time.
func (s *source) hash(ctx context.Context) error {
	h := sha256.New()
	if _, err := io.Copy(h, reader{ctx, s}); err != nil {
		return fmt.Errorf("%s: %w", s.what, pathless(err))
	}
	s.sum = h.Sum(nil)
	return nil
}

// again returns the file from its beginning.
func (s *source) again(ctx context.Context) (io.Reader, error) {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("%s: %w", s.what, pathless(err))
	}
	s.now, s.read = sha256.New(), 0
	return io.TeeReader(reader{ctx, s}, s.now), nil
}

// unchanged fails when the second reading differs from the first.
func (s *source) unchanged() error {
	if !slices.Equal(s.now.Sum(nil), s.sum) {
		return fmt.Errorf("%s: the file changed while it was read", s.what)
	}
	return nil
}

// A reader ends with its context.
type reader struct {
	ctx context.Context
	src *source
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	n, err := r.src.file.Read(p)
	r.src.read += int64(n)
	return n, err
}

// sources are the files of a request.
type sources struct {
	contacts    *source
	suppress    []*source
	fingerprint string
}

// openSources opens the files of a request and takes their fingerprint.
func openSources(ctx context.Context, req Request) (_ *sources, err error) {
	s := new(sources)
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.contacts, err = openSource("contact file", req.File); err != nil {
		return nil, err
	}
	for _, path := range req.Suppress {
		list, err := openSource("suppression list", path)
		if err != nil {
			return nil, err
		}
		s.suppress = append(s.suppress, list)
	}
	for _, file := range s.all() {
		if err := file.hash(ctx); err != nil {
			return nil, err
		}
	}
	if s.fingerprint, err = s.print(req); err != nil {
		return nil, err
	}
	return s, nil
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
	lists := make([]string, len(s.suppress))
	for i, list := range s.suppress {
		lists[i] = hex.EncodeToString(list.sum)
	}
	slices.Sort(lists)
	text, err := json.Marshal(struct {
		Contacts    string
		Suppress    []string
		PhoneColumn string
		Settings    campaign.Settings
	}{hex.EncodeToString(s.contacts.sum), lists, req.PhoneColumn, settings})
	if err != nil {
		return "", fmt.Errorf("fingerprint: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// A list is a contact file of which the header has been read.
type list struct {
	source   *source
	reader   *contacts.Reader
	settings campaign.Settings
	warnings []string
}

// list opens the contact file for its second reading, with the suppression
// lists read.
func (s *sources) list(ctx context.Context, req Request, found checked) (*list, error) {
	l := &list{source: s.contacts, settings: req.settings()}
	suppressed, err := s.suppressed(ctx, l)
	if err != nil {
		return nil, err
	}
	src, err := s.contacts.again(ctx)
	if err != nil {
		return nil, err
	}
	l.reader, err = contacts.NewReader(src, contacts.Options{
		PhoneColumn: req.PhoneColumn,
		Region:      l.settings.Region,
		Suppressed:  suppressed,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.contacts.what, err)
	}
	columns, warnings, err := columnsFor(l.reader.Columns(), l.reader.PhoneColumn(), found)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.contacts.what, err)
	}
	l.settings.Columns, l.settings.PhoneColumn = columns, l.reader.PhoneColumn()
	l.warnings = append(l.warnings, warnings...)
	return l, nil
}

// suppressed reads the suppression lists.
func (s *sources) suppressed(ctx context.Context, l *list) (func(campaign.Phone) bool, error) {
	var all []*contacts.Numbers
	for _, file := range s.suppress {
		src, err := file.again(ctx)
		if err != nil {
			return nil, err
		}
		numbers, err := contacts.ReadNumbers(src, contacts.Options{Region: l.settings.Region})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.what, err)
		}
		if err := file.unchanged(); err != nil {
			return nil, err
		}
		unreadable := 0
		for _, n := range numbers.Unreadable() {
			unreadable += n
		}
		if unreadable > 0 {
			l.warnings = append(l.warnings, fmt.Sprintf("%s: %d of its lines have no usable number, so they hold nobody back", file.what, unreadable))
		}
		all = append(all, numbers)
	}
	return func(p campaign.Phone) bool {
		return slices.ContainsFunc(all, func(n *contacts.Numbers) bool { return n.Has(p) })
	}, nil
}
