package dashboard

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

// fileForm bounds a form with a file.
type fileForm struct {
	file   int64 // bytes, as people are told
	all    int64 // bytes of all of it
	fields int
	files  int // at most
}

// maxUpload bounds a contact file, in bytes.
const maxUpload = 256 << 20

var listForm = fileForm{file: maxUpload, all: maxUpload + maxForm, fields: 200, files: 1}

// read reads a form with files, which take gets as they arrive. Its fields come in any order.
func (f fileForm) read(w http.ResponseWriter, r *http.Request, take func(*multipart.Part) error) (form url.Values, err error) {
	if r.ContentLength > f.all {
		return nil, f.large()
	}
	r.Body = http.MaxBytesReader(w, r.Body, f.all)
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, wishf(http.StatusBadRequest, "error.form", "why", texts.Technical(err.Error()))
	}
	form = make(url.Values)
	left, taken := int64(maxForm), 0
	for fields := 0; ; fields++ {
		part, err := parts.NextPart()
		if err == io.EOF {
			return form, nil
		}
		if err != nil {
			return form, f.cutOff(err)
		}
		if part.FormName() == "file" && part.FileName() == "" {
			continue // none was chosen
		}
		if part.FormName() == "file" && taken < f.files {
			taken++
			if err := take(part); err != nil {
				return form, err
			}
			continue
		}
		left -= int64(len(part.FormName()))
		text, err := io.ReadAll(io.LimitReader(part, max(left, 0)+1))
		if err != nil {
			return form, f.cutOff(err)
		}
		if left -= int64(len(text)); left < 0 || fields >= f.fields {
			return form, wishf(http.StatusRequestEntityTooLarge, "error.long_form")
		}
		form.Add(part.FormName(), string(text))
	}
}

func (f fileForm) large() error {
	return wishf(http.StatusRequestEntityTooLarge, "error.large_file", "size", f.file>>20)
}

// cutOff says why a form could not be read to its end.
func (f fileForm) cutOff(err error) error {
	var long *http.MaxBytesError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return wishf(http.StatusRequestTimeout, "error.slow_upload")
	case errors.As(err, &long):
		return f.large()
	}
	return wishf(http.StatusBadRequest, "error.cut_off", "why", texts.Technical(err.Error()))
}

// receive reads a form with at most one file, which comes into a new draft. Without a file the
// draft is nil.
func (p *pages) receive(w http.ResponseWriter, r *http.Request) (form url.Values, file *store.DraftWriter, err error) {
	form, err = listForm.read(w, r, func(part *multipart.Part) (err error) {
		file, err = p.putAside(r, part)
		return err
	})
	return form, file, err
}

// putAside takes the file of a form into a new draft.
func (p *pages) putAside(r *http.Request, part *multipart.Part) (*store.DraftWriter, error) {
	file, err := p.Store.BeginDraft(r.Context(), visitorOf(r).Name, nameOf(part), max(r.ContentLength, 0))
	if err != nil {
		return nil, asDraft(err)
	}
	keeper := &keeper{to: file}
	size, err := io.Copy(keeper, part)
	switch {
	case keeper.err != nil:
		return file, asDraft(keeper.err)
	case err != nil:
		return file, listForm.cutOff(err)
	case size == 0:
		return file, wishf(http.StatusBadRequest, "error.empty_file")
	}
	return file, nil
}

// A keeper tells errors of what is written to from those of what is read.
type keeper struct {
	to  io.Writer
	err error
}

func (k *keeper) Write(p []byte) (n int, err error) {
	n, k.err = k.to.Write(p)
	return n, k.err
}

// forget drops a draft that came to nothing. Should it fail, the draft ends by itself.
func (p *pages) forget(ctx context.Context, file *store.DraftWriter) {
	if file == nil {
		return
	}
	if err := p.Store.DropDraft(context.WithoutCancel(ctx), file.ID); err != nil {
		p.Logger.WarnContext(ctx, "an upload that came to nothing stays for some minutes", "error", err)
	}
}

// nameOf is a file's name on the sender's machine, without its folders.
func nameOf(part *multipart.Part) string {
	_, params, _ := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	name := filepath.Base(strings.ReplaceAll(params["filename"], `\`, "/"))
	return strings.ToValidUTF8(name[:min(len(name), 200)], "")
}

// asDraft says in our words what is in the way of a draft.
func asDraft(err error) error {
	switch {
	case errors.Is(err, store.ErrNoDraft):
		return wishf(http.StatusGone, "error.expired")
	case errors.Is(err, store.ErrDraftLaunches):
		return wishf(http.StatusConflict, "error.draft_launches")
	case errors.Is(err, store.ErrDraftsFull):
		return wishf(http.StatusServiceUnavailable, "error.drafts_full", "size", store.MaxDraftBytes>>20)
	case errors.Is(err, store.ErrManyFiles):
		return wishf(http.StatusUnprocessableEntity, "error.many_files", "n", store.MaxAttached)
	case errors.Is(err, store.ErrManyDrafts):
		return wishf(http.StatusServiceUnavailable, "error.lists", "n", store.MaxDrafts)
	case errors.Is(err, store.ErrScarce):
		return wishf(http.StatusServiceUnavailable, "error.scarce", "share", texts.Name("70%"))
	}
	return err
}
