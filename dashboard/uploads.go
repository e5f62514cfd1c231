package dashboard

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"campaign-runner/campaign/contacts/scratch"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/texts"
)

// Bounds of lists that are uploaded and not launched yet. After uploadLife a list must be
// uploaded again.
const (
	maxUpload  = 256 << 20 // bytes
	maxUploads = 8
	maxRoom    = maxUploads * maxUpload // bytes of all that have come, or are on their way
	maxFields  = 200                    // of a form
	uploadLife = 30 * time.Minute
)

// An upload is a list with its launch request, shown as a preview. Its file has no name,
// so it ends with this process, however that ends. One of another campaign's contacts has
// no file.
type upload struct {
	request launch.Request
	agent   string
	file    *os.File
	size    int64
	room    *room // that its bytes take

	mu   sync.Mutex // locked while the file is read
	gone bool

	shown preview // what its preview shows
}

// uploads holds the lists that wait to be launched, by an id that cannot be guessed.
type uploads struct {
	places chan struct{} // each upload that has come takes one
	room   room

	mu   sync.Mutex
	kept map[string]*upload
}

func newUploads() *uploads {
	return &uploads{places: make(chan struct{}, maxUploads), kept: make(map[string]*upload)}
}

// A room bounds the bytes of all uploads on the disk. Those on their way take no place,
// but room for what has come of them.
type room struct{ taken atomic.Int64 }

func (r *room) take(bytes int64) error {
	if r.taken.Add(bytes) > maxRoom {
		r.taken.Add(-bytes)
		return wishf(http.StatusServiceUnavailable, "error.uploads")
	}
	return nil
}

// enter takes a place for an upload that has come.
func (u *uploads) enter() error {
	select {
	case u.places <- struct{}{}:
		return nil
	default:
		return wishf(http.StatusServiceUnavailable, "error.lists", "n", maxUploads)
	}
}

func (u *uploads) leave() { <-u.places }

// keep keeps an upload and its place for uploadLife.
func (u *uploads) keep(up *upload, shown preview) (id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	id = rand.Text()
	up.shown, up.shown.ID = shown, id
	u.kept[id] = up
	time.AfterFunc(uploadLife, func() { u.drop(id) })
	return id
}

func (u *uploads) find(id string) (*upload, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	up, ok := u.kept[id]
	return up, ok
}

// drop deletes an upload when it is not being read.
func (u *uploads) drop(id string) {
	u.mu.Lock()
	up, ok := u.kept[id]
	delete(u.kept, id)
	u.mu.Unlock()
	if ok {
		up.close()
		u.leave()
	}
}

func (up *upload) close() {
	up.mu.Lock()
	defer up.mu.Unlock()
	if up.gone {
		return
	}
	up.gone = true
	if up.file != nil {
		_ = up.file.Close() // it was only read
	}
	if up.room != nil {
		up.room.taken.Add(-up.size)
	}
}

// read reads the list from its beginning. Readers take turns.
func (up *upload) read(use func(launch.Request) error) error {
	up.mu.Lock()
	defer up.mu.Unlock()
	if up.gone {
		return errExpired
	}
	req := up.request
	if req.From != "" {
		return use(req)
	}
	req.File, req.Stdin = "-", io.NewSectionReader(up.file, 0, up.size)
	return use(req)
}

var errExpired = wishf(http.StatusGone, "error.expired")

// receive reads a form with one file. Its fields come in any order.
func (u *uploads) receive(w http.ResponseWriter, r *http.Request) (form url.Values, up *upload, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload+maxForm)
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, nil, wishf(http.StatusBadRequest, "error.form", "why", texts.Technical(err.Error()))
	}
	form = make(url.Values)
	defer func() {
		if err != nil && up != nil {
			up.close()
			up = nil
		}
	}()
	left := int64(maxForm)
	for fields := 0; ; fields++ {
		part, err := parts.NextPart()
		if err == io.EOF {
			return form, up, nil
		}
		if err != nil {
			return nil, up, asUpload(err)
		}
		switch {
		case part.FormName() == "file" && up == nil:
			if up, err = u.putAside(part); err != nil {
				return nil, up, err
			}
		default:
			left -= int64(len(part.FormName()))
			text, err := io.ReadAll(io.LimitReader(part, max(left, 0)+1))
			if err != nil {
				return nil, up, asUpload(err)
			}
			if left -= int64(len(text)); left < 0 || fields == maxFields {
				return nil, up, wishf(http.StatusRequestEntityTooLarge, "error.long_form")
			}
			form.Add(part.FormName(), string(text))
		}
	}
}

// putAside saves the file of a form.
func (u *uploads) putAside(part *multipart.Part) (*upload, error) {
	file, err := scratch.File()
	if err != nil {
		return nil, asUpload(err)
	}
	up := &upload{file: file, room: &u.room, request: launch.Request{Called: "contact file " + nameOf(part)}}
	if _, err = io.Copy(up, part); err != nil {
		return up, asUpload(err)
	}
	if up.size == 0 {
		return up, wishf(http.StatusBadRequest, "error.empty_file")
	}
	return up, nil
}

// Write adds to the file of an upload, while there is room.
func (up *upload) Write(p []byte) (int, error) {
	if err := up.room.take(int64(len(p))); err != nil {
		return 0, err
	}
	up.size += int64(len(p))
	return up.file.Write(p)
}

// nameOf is a file's name on the sender's machine, without its folders.
func nameOf(part *multipart.Part) string {
	_, params, _ := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	name := filepath.Base(strings.ReplaceAll(params["filename"], `\`, "/"))
	return strings.ToValidUTF8(name[:min(len(name), 200)], "")
}

// asUpload says why an upload could not be read to its end.
func asUpload(err error) error {
	var long *http.MaxBytesError
	var disk *fs.PathError
	var wish *wishError
	switch {
	case errors.As(err, &wish):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return wishf(http.StatusRequestTimeout, "error.slow_upload")
	case errors.As(err, &long):
		return wishf(http.StatusRequestEntityTooLarge, "error.large_file", "size", maxUpload>>20)
	case errors.As(err, &disk):
		return wishf(http.StatusServiceUnavailable, "error.disk", "why", texts.Technical(disk.Err.Error()))
	}
	return wishf(http.StatusBadRequest, "error.cut_off", "why", texts.Technical(err.Error()))
}
