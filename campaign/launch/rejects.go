package launch

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"campaign-runner/campaign/contacts"
)

// rejectsPart is how much of the rejects is stored at once, in bytes.
const rejectsPart = 1 << 20

// rejects takes the refused rows of a file: in parts for Redis, where every
// machine finds them, and in a file for the person at this one. The file is a
// convenience: when it cannot be written, the load goes on.
type rejects struct {
	columns []string
	more    bool                    // Redis has rejects of the campaign already
	keep    func(part []byte) error // nil: a dry run
	part    bytes.Buffer
	csv     *contacts.RejectWriter // nil until a row is refused
	local   localFile
}

func (r *rejects) write(row contacts.Row) (err error) {
	if r.csv == nil {
		r.local.create()
		if r.csv, err = contacts.NewRejectWriter(r, r.columns); err != nil {
			return err
		}
		if r.more { // Redis has the header, the new file needs it
			if err := r.csv.Flush(); err != nil {
				return err
			}
			r.part.Reset()
		}
	}
	if err := r.csv.Write(row); err != nil || r.part.Len() < rejectsPart {
		return err
	}
	if err := r.csv.Flush(); err != nil { // a part holds whole rows
		return err
	}
	return r.flush()
}

// Write takes the CSV.
func (r *rejects) Write(p []byte) (int, error) {
	r.local.write(p)
	return r.part.Write(p)
}

func (r *rejects) flush() error {
	defer r.part.Reset()
	if r.part.Len() == 0 || r.keep == nil {
		return nil
	}
	return r.keep(r.part.Bytes())
}

// finish stores the rest and puts the file into its place.
func (r *rejects) finish() error {
	if r.csv == nil {
		return nil
	}
	if err := r.csv.Flush(); err != nil {
		return err
	}
	if err := r.flush(); err != nil {
		return err
	}
	r.local.finish()
	return nil
}

// A localFile appears under its path whole or not at all. Its first error is
// kept and ends all writing.
type localFile struct {
	path string // empty: no file
	file *os.File
	err  error
}

func (f *localFile) create() {
	if f.path != "" {
		f.file, f.err = os.CreateTemp(filepath.Dir(f.path), ".rejects-*")
	}
}

func (f *localFile) write(p []byte) {
	if f.file != nil && f.err == nil {
		_, f.err = f.file.Write(p)
	}
}

// finish renames the file to its path. Without an error and with a path it is
// there.
func (f *localFile) finish() {
	if f.file == nil {
		return
	}
	if err := f.file.Close(); f.err == nil {
		f.err = err
	}
	if f.err == nil {
		f.err = os.Rename(f.file.Name(), f.path)
	}
	if f.err == nil {
		f.file = nil // there is nothing left to discard
	}
}

// discard removes an unfinished file.
func (f *localFile) discard() {
	if f.file != nil {
		_ = f.file.Close()
		_ = os.Remove(f.file.Name())
	}
}

// restoreRejects writes the rejects of a loaded campaign to a file. An existing file
// stays: a person may be correcting it.
func (l *Launcher) restoreRejects(ctx context.Context, name, path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	f := localFile{path: path}
	defer f.discard()
	f.create()
	err := l.Store.Rejects(ctx, name, func(part []byte) error {
		f.write(part)
		return f.err
	})
	if err != nil {
		return err
	}
	f.finish()
	return f.err
}

// rejectsLost says that there is no rejects file, and how to have it: a dry run has kept
// nothing.
func rejectsLost(name string, err error, kept bool) string {
	how := "name another with --rejects"
	if kept {
		how = "'campaign rejects " + name + "' prints it"
	}
	return fmt.Sprintf("the rejects file could not be written (%v); %s", pathless(err), how)
}
