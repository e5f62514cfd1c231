package dashboard

import (
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"

	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/contacts/scratch"
	"campaign-runner/campaign/texts"
	"campaign-runner/jobs"
)

// Bounds of a file of numbers. All of them are in memory at once, and stay in Redis.
const (
	maxNumbers = 64 << 20 // bytes of the form
	maxListed  = 500_000  // different numbers
)

var numbersForm = fileForm{file: maxNumbers, all: maxNumbers, fields: 19, files: 1}

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
	size := int64(0)
	form, err := numbersForm.read(w, r, func(part *multipart.Part) (err error) {
		if size, err = io.Copy(file, part); err != nil {
			err = numbersForm.cutOff(err)
		}
		return err
	})
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
	if numbers.Len() > maxListed {
		return nil, wishf(http.StatusRequestEntityTooLarge, "error.many_numbers", "n", maxListed)
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
		said = texts.Of("did.and", "did", said, "and", texts.Of("did.remark", "remark", remark))
	}
	return said, nil
}
