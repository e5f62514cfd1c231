package contacts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"campaign-runner/campaign"
)

const (
	blockBytes    = 256 << 10 // of a block
	maxBlockRows  = 1 << 13   // of a block, so that a file of line ends takes little memory
	maxBlockCells = 1 << 17   // of a block: fewer rows where there are many columns
	maxRowBytes   = 1 << 20   // longer lines are not in contact lists
	maxRowLines   = 1000      // a quoted cell with more lines has lost its closing quote
	maxColumns    = 1000
	readAttempts  = 100 // reads that return neither data nor an error
)

type span struct {
	start, end int // without the line end
	line       int // its first line in the file, from 1
	broken     bool
}

// A splitter cuts a stream into rows at line ends that are not within quotes.
//
// A row whose quotes make no sense is broken. It is only its first line, and the next
// line begins a new row, so that a lost quote costs one row and not the rest of the
// file.
type splitter struct {
	src   io.Reader
	comma byte
	block int    // bytes of a block; blockBytes except in tests
	buf   []byte // read and not yet cut
	line  int    // of buf[0]
	cut   int64  // bytes of the blocks so far, about: without what stands before the first
	rows  int    // most rows of a block; 0: maxBlockRows
	err   error  // of src

	rowsAreLines bool // a row counts as one line
}

func (s *splitter) fill(n int) {
	if cap(s.buf) < n {
		s.buf = append(make([]byte, 0, n), s.buf...)
	}
	for empty := 0; len(s.buf) < n && s.err == nil; {
		var m int
		m, s.err = s.src.Read(s.buf[len(s.buf):n])
		s.buf = s.buf[:len(s.buf)+m]
		if empty++; m > 0 {
			empty = 0
		}
		if empty == readAttempts {
			s.err = io.ErrNoProgress
		}
	}
}

// next cuts a block of whole rows. It returns no rows and no error at the end.
func (s *splitter) next(spans []span) (text string, _ []span, err error) {
	rows := maxBlockRows
	if s.rows > 0 {
		rows = min(rows, s.rows)
	}
	for want := s.block; ; want *= 2 {
		s.fill(want)
		pos := 0
		for quoteAt := -1; pos < len(s.buf) && len(spans) < rows; {
			if quoteAt < pos {
				if quoteAt = bytes.IndexByte(s.buf[pos:], '"') + pos; quoteAt < pos {
					quoteAt = len(s.buf)
				}
			}
			n, broken := bytes.IndexByte(s.buf[pos:], '\n')+1, false
			if n == 0 || quoteAt < pos+n { // most rows are a line without a quote
				n, broken = s.row(s.buf[pos:])
			}
			if n == 0 {
				break
			}
			row := trimLineEnd(s.buf[pos : pos+n])
			spans = append(spans, span{start: pos, end: pos + len(row), line: s.line, broken: broken})
			if quoteAt < pos+n {
				s.line += s.lines(s.buf[pos : pos+n])
			} else {
				s.line++
			}
			pos += n
		}
		if pos > 0 {
			text = string(s.buf[:pos])
			s.buf = s.buf[:copy(s.buf, s.buf[pos:])]
			s.cut += int64(pos)
			return text, spans, nil
		}
		switch {
		case len(s.buf) > maxRowBytes:
			return "", spans, campaign.Faulty(campaign.MsgFileLongLine, "line", s.line, "bytes", maxRowBytes)
		case s.err != nil && !s.eof():
			return "", spans, s.failure()
		case s.err != nil:
			return "", spans, nil
		}
	}
}

// failure is the source's error, with the line unless the source names it.
func (s *splitter) failure() error {
	if s.rowsAreLines {
		return s.err
	}
	return fmt.Errorf("line %d: %w", s.line, s.err)
}

func (s *splitter) eof() bool { return errors.Is(s.err, io.EOF) }

var (
	newline = []byte{'\n'}
	quote   = []byte{'"'}
)

func (s *splitter) lines(row []byte) int {
	if s.rowsAreLines {
		return 1
	}
	return bytes.Count(row, newline)
}

func trimLineEnd(row []byte) []byte {
	if n := len(row); n > 0 && row[n-1] == '\n' {
		row = row[:n-1]
	}
	if n := len(row); n > 0 && row[n-1] == '\r' {
		row = row[:n-1]
	}
	return row
}

// row is the length of the first row of data with its line end; 0 if more data is
// needed.
func (s *splitter) row(data []byte) (n int, broken bool) {
	line := bytes.IndexByte(data, '\n') + 1
	if line == 0 {
		if !s.eof() {
			return 0, false
		}
		line = len(data)
	}
	if bytes.IndexByte(data[:line], '"') < 0 {
		return line, false
	}
	n, ok := s.quoted(data)
	switch {
	case ok:
		return n, false
	case n == 0 && !s.eof() && len(data) <= maxRowBytes:
		return 0, false
	default:
		return line, true
	}
}

// quoted is the length of a row with quotes in it. ok is false if the quotes are broken
// or, with n = 0, if data ends within the row.
func (s *splitter) quoted(data []byte) (n int, ok bool) {
	lines, eof := 0, s.eof()
	for i := 0; ; i++ { // a cell in each turn, with i at its first byte
		if i < len(data) && data[i] == '"' {
			for {
				i++
				inside, _, closed := bytes.Cut(data[i:], quote)
				if lines += bytes.Count(inside, newline); lines >= maxRowLines && !s.rowsAreLines {
					return i, false
				}
				if i += len(inside) + 1; !closed || i == len(data) && !eof {
					return 0, false
				}
				if i == len(data) || data[i] != '"' {
					break
				}
			}
		} else {
			for i < len(data) && data[i] != '"' && data[i] != '\n' && data[i] != s.comma {
				i++
			}
		}
		switch {
		case i == len(data) || data[i] == '\r' && i+1 == len(data):
			if !eof {
				return 0, false
			}
			return len(data), true
		case data[i] == '\n':
			return i + 1, true
		case data[i] == '\r' && data[i+1] == '\n':
			return i + 2, true
		case data[i] != s.comma:
			return i, false
		}
	}
}

// appendCells appends up to most cells of a row. A quote within a cell stands for
// itself, also in a quoted cell if no separator follows it. It returns nil if a quoted
// cell is never closed.
func appendCells(cells []string, row string, comma byte, most int) []string {
	for range most {
		if len(row) == 0 || row[0] != '"' {
			cell, rest, more := cutByte(row, comma)
			cells = append(cells, cell)
			if !more {
				return cells
			}
			row = rest
			continue
		}
		end := 1
		for {
			n := strings.IndexByte(row[end:], '"')
			if n < 0 {
				return nil
			}
			if end += n + 1; end == len(row) || row[end] == comma {
				break
			}
			if row[end] == '"' {
				end++
			}
		}
		cells = append(cells, strings.ReplaceAll(row[1:end-1], `""`, `"`))
		if end == len(row) {
			return cells
		}
		row = row[end+1:]
	}
	return cells
}

func cutByte(s string, b byte) (before, after string, found bool) {
	if i := strings.IndexByte(s, b); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
