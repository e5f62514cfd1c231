package launch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

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
	list *contacts.File

	identity    []byte       // of contacts that come from a campaign; nil: sum is
	chosen      map[int]bool // lines of such contacts that are chosen; nil: each line is asked about
	phoneColumn string       // of such contacts

	read   int64     // bytes, in the last reading
	digest hash.Hash // in the last reading: of the bytes up to hashed, as they were handed out
	hashed int64
}

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
		err = fmt.Errorf("%s: the file is empty", what)
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
		digest := sha256.New()
		err := s.hash(ctx, digest, 0)
		s.sum = digest.Sum(nil)
		return err
	})
	var err error
	if s.list, err = contacts.Open(readerAt{ctx, s}, s.size, want, phoneColumns...); err != nil {
		err = fmt.Errorf("%s: %w", s.what, pathless(err))
	}
	return cmp.Or(group.Wait(), err)
}

// hash adds the file, from an offset on, to a digest.
func (s *source) hash(ctx context.Context, digest hash.Hash, from int64) error {
	if _, err := io.Copy(digest, contextReader{ctx, io.NewSectionReader(s.file, from, math.MaxInt64-from)}); err != nil {
		return fmt.Errorf("%s: %w", s.what, pathless(err))
	}
	return nil
}

// rewind begins the reading for what is in the file.
func (s *source) rewind() { s.read, s.digest, s.hashed = 0, sha256.New(), 0 }

// unchanged fails when the last reading saw other bytes than the first. Bytes that were
// read in order were hashed as they were read; the rest is read again.
func (s *source) unchanged(ctx context.Context) error {
	err := s.hash(ctx, s.digest, s.hashed)
	if err == nil && !slices.Equal(s.digest.Sum(nil), s.sum) {
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
	if s.digest != nil && off == s.hashed {
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
