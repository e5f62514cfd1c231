package dashboard

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/contacts/scratch"
	"campaign-runner/campaign/texts"
	"campaign-runner/jobs"
)

// Bounds of a file of numbers.
const (
	maxNumbers      = 64 << 20 // bytes
	maxNumberFields = 20       // of its form
)

// importList puts the numbers of a file on the do-not-contact list.
func (p *pages) importList(w http.ResponseWriter, r *http.Request) {
	said, err := p.readList(w, r)
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.did(w, r, "/people", said)
}

func (p *pages) readList(w http.ResponseWriter, r *http.Request) (texts.Line, error) {
	file, err := scratch.File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	form, size, err := receiveNumbers(w, r, file)
	if err != nil {
		return nil, err
	}
	reason, err := whyListed(form)
	switch {
	case err != nil:
		return nil, err
	case size == 0:
		return nil, wishf(http.StatusBadRequest, "error.empty_file")
	}
	select {
	case p.searches <- struct{}{}: // files that have come take turns
		defer func() { <-p.searches }()
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	region := strings.ToUpper(strings.TrimSpace(form.Get("region")))
	// It goes on when the page is closed.
	return importNumbers(context.WithoutCancel(r.Context()), p.queue(r), file, size, region, reason)
}

// receiveNumbers reads a form with one file, which it writes into file, of size bytes.
func receiveNumbers(w http.ResponseWriter, r *http.Request, file *os.File) (form url.Values, size int64, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxNumbers)
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, 0, wishf(http.StatusBadRequest, "error.form", "why", texts.Technical(err.Error()))
	}
	form = make(url.Values)
	for range maxNumberFields {
		part, err := parts.NextPart()
		if err == io.EOF {
			return form, size, nil
		}
		if err != nil {
			return nil, 0, asNumbers(err)
		}
		if part.FormName() == "file" && size == 0 {
			if size, err = io.Copy(file, part); err != nil {
				return nil, 0, asNumbers(err)
			}
			continue
		}
		text, err := io.ReadAll(io.LimitReader(part, maxForm))
		if err != nil {
			return nil, 0, asNumbers(err)
		}
		form.Set(part.FormName(), string(text))
	}
	return nil, 0, wishf(http.StatusRequestEntityTooLarge, "error.long_form")
}

// asNumbers says why a file of numbers could not be read to its end.
func asNumbers(err error) error {
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return wishf(http.StatusRequestEntityTooLarge, "error.large_file", "size", maxNumbers>>20)
	}
	return asUpload(err)
}

func importNumbers(ctx context.Context, q *jobs.Queue, file io.ReaderAt, size int64, region, reason string) (texts.Line, error) {
	bad := func(err error) error { return &wishError{status: http.StatusUnprocessableEntity, err: err} }
	if _, err := contacts.NewPhoneParser(region); err != nil {
		return nil, wishf(http.StatusBadRequest, "error.region", "region", region)
	}
	list, err := contacts.Open(file, size, contacts.Format{})
	if err != nil {
		return nil, bad(err)
	}
	numbers, err := list.Numbers(contacts.Options{Region: region})
	if err != nil {
		return nil, bad(err)
	}
	added, err := q.Suppress(ctx, slices.Collect(numbers.All()), reason)
	if err != nil {
		return nil, err
	}
	lost := 0
	for _, lines := range numbers.Unreadable() {
		lost += lines
	}
	said := texts.Of("did.listed_all", "n", added, "known", numbers.Len()-added)
	if lost > 0 {
		said = texts.Of("did.and", "did", said, "and", texts.Of("did.unlisted", "n", lost))
	}
	for _, remark := range slices.Concat(numbers.NotRead(), numbers.LeftOut(), numbers.Remarks()) {
		said = texts.Of("did.and", "did", said, "and", texts.Technical(remark+"."))
	}
	return said, nil
}
