package dashboard

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
)

// A message is some events as they go to viewers. It is encoded and compressed once for
// all of them: its blocks refer to nothing before it, so each viewer's stream takes it in
// wherever that stands.
type message struct{ plain, deflated []byte }

var deflaters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.DefaultCompression) // fails on other levels
	return w
}}

func newMessage(plain []byte) message {
	var b bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&b)
	_, _ = w.Write(plain) // into memory
	_ = w.Flush()
	return message{plain, b.Bytes()}
}

// beat is a sign of life.
var beat = sync.OnceValue(func() message { return newMessage([]byte("event: beat\ndata:\n\n")) })

// encode makes a message of events.
func encode(events []event) message {
	var b bytes.Buffer
	for _, e := range events {
		b.WriteString("data: ")
		to := json.NewEncoder(&b)
		to.SetEscapeHTML(false)
		_ = to.Encode(e) // strings, and a line feed after them
		b.WriteByte('\n')
	}
	return newMessage(b.Bytes())
}

// A stream writes messages to one viewer.
type stream struct {
	w      io.Writer
	zipped bool
	crc    uint32
	size   uint32
}

// gzipHead begins a gzip stream of no name and no time.
var gzipHead = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}

// newStream begins a stream of events, compressed where the browser takes that.
func newStream(w http.ResponseWriter, r *http.Request) *stream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Encoding")
	h.Set("X-Accel-Buffering", "no") // nginx would hold it back
	s := &stream{w: w}
	for _, coding := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";")
		s.zipped = s.zipped || name == "gzip" && quality != "q=0"
	}
	if s.zipped {
		h.Set("Content-Encoding", "gzip")
		_, _ = w.Write(gzipHead) // the next write tells
	}
	return s
}

func (s *stream) write(m message) error {
	text := m.plain
	if s.zipped {
		text = m.deflated
		s.crc = crc32.Update(s.crc, crc32.IEEETable, m.plain)
		s.size += uint32(len(m.plain))
	}
	_, err := s.w.Write(text)
	return err
}

// end completes a compressed stream.
func (s *stream) end() {
	if !s.zipped {
		return
	}
	tail := binary.LittleEndian.AppendUint32([]byte{3, 0}, s.crc) // after an empty last block
	_, _ = s.w.Write(binary.LittleEndian.AppendUint32(tail, s.size))
}
