package dashboard

import (
	"io"
	"net/http"
	"time"
)

const (
	// stallAfter is how long the body of a request may stand still on its way.
	stallAfter = 15 * time.Second
	// slowestBody is the pace in bytes per second that a body must keep beyond that.
	slowestBody = 4 << 10
)

// arriving lets the body of a request take its time as long as it comes. The server's
// own deadline for a whole request, which also holds before a password is asked for,
// would cut off large uploads.
func arriving(stall time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if r.Body == nil || r.Body == http.NoBody {
			_ = control.SetReadDeadline(time.Time{}) // tests have no connection; nothing more is to come
		} else {
			r.Body = &arrival{ReadCloser: r.Body, control: control, stall: stall, begun: time.Now()}
		}
		next.ServeHTTP(w, r)
	})
}

// An arrival is a body whose deadline moves with each piece that comes.
type arrival struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
	begun   time.Time
	come    int64 // bytes
}

func (a *arrival) Read(p []byte) (int, error) {
	stalls := time.Now().Add(a.stall)
	tooSlow := a.begun.Add(a.stall + time.Duration(a.come)*time.Second/slowestBody)
	if tooSlow.Before(stalls) {
		stalls = tooSlow
	}
	_ = a.control.SetReadDeadline(stalls)
	n, err := a.ReadCloser.Read(p)
	a.come += int64(n)
	if err == io.EOF {
		_ = a.control.SetReadDeadline(time.Time{})
	}
	return n, err
}
