package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"

	"campaign-runner/campaign"
)

// maxBlobBytes bounds everything compressed, once decompressed. It is far above any
// real chunk; a damaged blob cannot take the machine's memory.
const maxBlobBytes = 64 << 20

// Rows are the contacts of a chunk before it is stored, packed as uvarints: the number of
// contacts and of cells, then for each contact the phone, the lines since the one before,
// and its cells. Before each cell stands its length plus one; zero means that the cell is
// the number in E.164. The whole is one S2 block, a seventh longer than zstd makes it, in a
// third of the time: a third of a load's time went into zstd.
//
// A contact is packed at once, so that nothing of a file has to stay in memory until its
// chunk is full.
type Rows struct {
	raw      []byte // room for the two numbers before the contacts, then these
	block    []byte // the last one made; used again
	columns  int
	contacts int
	cells    int // their bytes
	line     int // of the last contact
}

const rowsRoom = 2 * binary.MaxVarintLen64

// NewRows returns rows without contacts, which have a cell for each column.
func NewRows(columns int) *Rows {
	r := &Rows{columns: columns}
	r.Reset()
	return r
}

// Reset removes all contacts. The memory is used again.
func (r *Rows) Reset() {
	var room [rowsRoom]byte
	r.raw, r.contacts, r.cells, r.line = append(r.raw[:0], room[:]...), 0, 0, 0
}

// Len is the number of contacts.
func (r *Rows) Len() int { return r.contacts }

// CellBytes are the bytes of all cells.
func (r *Rows) CellBytes() int { return r.cells }

// Add adds a contact. It keeps nothing of c.
func (r *Rows) Add(c campaign.Contact) error {
	if len(c.Fields) != r.columns {
		return fmt.Errorf("encode rows: line %d: want %d cells, have %d", c.Line, r.columns, len(c.Fields))
	}
	if c.Line < r.line {
		return fmt.Errorf("encode rows: line %d after line %d", c.Line, r.line)
	}
	raw := binary.AppendUvarint(r.raw, uint64(c.Phone))
	raw = binary.AppendUvarint(raw, uint64(c.Line-r.line))
	for _, cell := range c.Fields {
		r.cells += len(cell)
		if isNumber(cell, c.Phone) {
			raw = append(raw, 0)
			continue
		}
		raw = binary.AppendUvarint(raw, uint64(len(cell))+1)
		raw = append(raw, cell...)
	}
	r.raw, r.line = raw, c.Line
	r.contacts++
	return nil
}

// encode returns the block, which the next one overwrites.
func (r *Rows) encode() ([]byte, error) {
	var numbers [rowsRoom]byte
	head := binary.AppendUvarint(binary.AppendUvarint(numbers[:0], uint64(r.contacts)), uint64(r.columns))
	raw := r.raw[rowsRoom-len(head):]
	copy(raw, head)
	if len(raw) > maxBlobBytes {
		return nil, fmt.Errorf("encode rows: %d bytes in a chunk, at most %d; use a smaller --chunk-size", len(raw), maxBlobBytes)
	}
	r.block = s2.Encode(r.block[:cap(r.block)], raw)
	return r.block, nil
}

// isNumber reports whether a cell is the number in E.164.
func isNumber(cell string, phone campaign.Phone) bool {
	if len(cell) < 2 || cell[0] != '+' || cell[1] == '0' {
		return false
	}
	for i := len(cell) - 1; i > 0; i-- {
		if phone == 0 || cell[i] != '0'+byte(phone%10) {
			return false
		}
		phone /= 10
	}
	return phone == 0
}

var errDamaged = errors.New("decode rows: damaged")

// zstdMagic begins rows that an earlier version packed. No S2 block begins with it:
// its first step would copy from before its first byte.
const zstdMagic = "\x28\xb5\x2f\xfd"

// unpack decodes a block of either kind.
func (s *Store) unpack(blob []byte) ([]byte, error) {
	if bytes.HasPrefix(blob, []byte(zstdMagic)) {
		return s.decoder.DecodeAll(blob, nil)
	}
	size, err := s2.DecodedLen(blob)
	if err == nil && size > maxBlobBytes {
		err = fmt.Errorf("%d bytes in a chunk, at most %d", size, maxBlobBytes)
	}
	if err != nil {
		return nil, err
	}
	return s2.Decode(nil, blob)
}

func (s *Store) decodeRows(blob []byte) ([]campaign.Contact, error) {
	raw, err := s.unpack(blob)
	if err != nil {
		return nil, wrap(err, "decode rows")
	}
	text := string(raw) // cells are parts of this one string
	at, damaged := 0, false
	uvarint := func() uint64 {
		n, width := binary.Uvarint(raw[at:])
		if width <= 0 {
			damaged = true
			return 0
		}
		at += width
		return n
	}
	count, columns := uvarint(), uvarint()
	// Every cell takes a byte at least.
	if size := uint64(len(raw)); damaged || count > campaign.MaxChunkSize || columns > size || count*columns > size {
		return nil, errDamaged
	}
	contacts := make([]campaign.Contact, count)
	cells := make([]string, count*columns)
	line := 0
	for i := range contacts {
		phone := campaign.Phone(uvarint())
		line += int(uvarint())
		row := cells[:columns:columns]
		cells = cells[columns:]
		for k := range row {
			n := uvarint()
			switch {
			case damaged || n > uint64(len(raw)-at)+1:
				return nil, errDamaged
			case n == 0:
				row[k] = phone.E164()
			default:
				row[k] = text[at : at+int(n-1)]
				at += int(n - 1)
			}
		}
		contacts[i] = campaign.Contact{Phone: phone, Line: line, Fields: row}
	}
	if damaged || at != len(raw) {
		return nil, errDamaged
	}
	return contacts, nil
}
