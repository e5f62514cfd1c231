package store

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"campaign-runner/internal/redistest"
)

// Files beside the list are kept in parts, counted, and taken away whole.
func TestFilesBesideAList(t *testing.T) {
	ctx, s := t.Context(), New(redistest.Shared(t))
	d, err := draft(ctx, s, []byte("phone\n+966501000001\n"), map[string]string{"file": "x=1"})
	if err != nil {
		t.Fatal(err)
	}
	before := counted(t, s)
	long := noise(rand.New(rand.NewPCG(1, 2)), draftPart+100)
	for name, file := range map[string][]byte{"long.csv": long, "short.csv": []byte("+966501000002\n")} {
		if err := s.Attach(ctx, d, "suppress", name, int64(len(file)), bytes.NewReader(file)); err != nil {
			t.Fatal(err)
		}
	}
	read, err := s.Draft(ctx, d.ID)
	if err != nil || len(read.Attached) != 2 || read.Size != d.Size {
		t.Fatalf("%+v, %v", read, err)
	}
	fields, values, _ := draftKeys(t, s)
	if got, want := counted(t, s), values+64*fields; got < values || got > want+512 {
		t.Errorf("%d bytes are counted, and %d are there", got, values)
	}
	for _, a := range read.Attached {
		file, err := io.ReadAll(s.AttachedFile(ctx, read, a))
		want := map[string][]byte{"long.csv": long, "short.csv": []byte("+966501000002\n")}[a.Name]
		if err != nil || !bytes.Equal(file, want) || a.Kind != "suppress" || a.Size != int64(len(want)) {
			t.Errorf("%+v: %d bytes, %v", a, len(file), err)
		}
		if err := s.Detach(ctx, d.ID, a.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(s.AttachedFile(ctx, read, a)); !errors.Is(err, ErrNoDraft) {
			t.Errorf("a file that was taken away reads %v", err)
		}
	}
	if got := counted(t, s); got != before {
		t.Errorf("%d bytes stay counted, of %d", got, before)
	}
	if file, err := io.ReadAll(s.DraftFile(ctx, d)); err != nil || int64(len(file)) != d.Size {
		t.Errorf("the list: %q, %v", file, err)
	}
}

// A file that has no room, or whose draft is gone or being launched, leaves nothing.
func TestFilesBesideAListThatAreRefused(t *testing.T) {
	ctx, s := t.Context(), New(redistest.Shared(t))
	d, err := draft(ctx, s, []byte("phone\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	before := counted(t, s)
	s.drafts.bytes = before + draftPart
	large := bytes.NewReader(noise(rand.New(rand.NewPCG(1, 2)), 3*draftPart))
	if err := s.Attach(ctx, d, "suppress", "large.csv", large.Size(), large); !errors.Is(err, ErrDraftsFull) {
		t.Errorf("without room: %v", err)
	}
	if fields, _, _ := draftKeys(t, s); counted(t, s) != before || fields == 0 {
		t.Errorf("%d bytes stay counted, of %d", counted(t, s), before)
	}
	d.Attached = make([]Attachment, MaxAttached)
	if err := s.Attach(ctx, d, "suppress", "one-more.csv", 0, bytes.NewReader([]byte("1"))); !errors.Is(err, ErrManyFiles) {
		t.Errorf("one more than there may be: %v", err)
	}
	d.Attached = nil
	unlock, err := s.LockDraft(ctx, d.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Attach(ctx, d, "suppress", "late.csv", 0, bytes.NewReader([]byte("1"))); !errors.Is(err, ErrDraftLaunches) {
		t.Errorf("while it is launched: %v", err)
	}
	if err := s.Detach(ctx, d.ID, "any"); !errors.Is(err, ErrDraftLaunches) {
		t.Errorf("while it is launched: %v", err)
	}
	if err := unlock(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.DiscardDraft(ctx, d.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Attach(ctx, d, "suppress", "late.csv", 0, bytes.NewReader([]byte("1"))); !errors.Is(err, ErrNoDraft) {
		t.Errorf("when it is gone: %v", err)
	}
	if _, _, keys := draftKeys(t, s); len(keys) > 0 || counted(t, s) != 0 {
		t.Errorf("there is left %v", keys)
	}
}

// A draft that takes the place of another has its files from the beginning.
func TestFilesGoOverToAnotherDraft(t *testing.T) {
	ctx, s := t.Context(), New(redistest.Shared(t))
	w, err := s.BeginDraft(ctx, "sara", "list.csv", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Attach("calendar", "eid.ics", bytes.NewReader([]byte("BEGIN:VCALENDAR"))); err != nil {
		t.Fatal(err)
	}
	d, err := w.End(nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err = s.Draft(ctx, d.ID)
	if err != nil || len(d.Attached) != 1 || d.Attached[0].Name != "eid.ics" {
		t.Fatalf("%+v, %v", d, err)
	}
	if file, err := io.ReadAll(s.AttachedFile(ctx, d, d.Attached[0])); err != nil || string(file) != "BEGIN:VCALENDAR" {
		t.Errorf("%q, %v", file, err)
	}
}
