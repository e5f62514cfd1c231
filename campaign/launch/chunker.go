package launch

import (
	"cmp"
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

const (
	maxChunkBytes = 16 << 20  // bounds what the contacts of a chunk hold, and with it memory
	partChunks    = 8         // most chunks that are stored at once: a trip to Redis costs as much as a chunk
	partBytes     = 512 << 10 // after which a part is stored, however few its chunks
	partsAhead    = 2         // parts on their way to Redis beyond one for each core
)

// A part is chunks that are stored at once.
type part struct {
	first  int              // the number of the first
	chunks []*store.Rows    // behind its end lie others, to be used again
	phones []campaign.Phone // of all chunks, if contacts have clocks of their own
	bytes  int              // of the cells
}

// A chunker makes chunks of contacts and stores them, some parts ahead.
type chunker struct {
	*intake
	mix    *mixer
	ctx    context.Context // of the group
	group  *errgroup.Group
	free   chan *part  // to be used again
	part   *part       // being filled; nil: none
	rows   *store.Rows // the last chunk of it, while it is not full
	chunks int         // that are full
}

func (in *intake) chunker(ctx context.Context, mix *mixer) *chunker {
	c := &chunker{intake: in, mix: mix}
	c.group, c.ctx = errgroup.WithContext(ctx)
	parts := runtime.GOMAXPROCS(0) + partsAhead
	c.group.SetLimit(parts)
	c.free = make(chan *part, parts+1)
	return c
}

func (c *chunker) add(contact campaign.Contact) error {
	if c.rows == nil {
		c.begin()
	}
	if err := c.rows.Add(contact); err != nil {
		return err
	}
	if c.mix.byContact {
		c.part.phones = append(c.part.phones, contact.Phone)
	}
	if c.rows.CellBytes() > maxChunkBytes {
		return fmt.Errorf("line %d: %d contacts hold more than %d MB, which no request can carry: leave out columns, or give a smaller --chunk-size", contact.Line, c.rows.Len(), maxChunkBytes>>20)
	}
	if c.rows.Len() == c.settings.ChunkSize {
		c.end()
	}
	return nil
}

// begin begins a chunk, and a part if there is none.
func (c *chunker) begin() {
	if c.part == nil {
		select {
		case c.part = <-c.free:
		default:
			c.part = new(part)
		}
		*c.part = part{first: c.chunks, chunks: c.part.chunks[:0], phones: c.part.phones[:0]}
	}
	p := c.part
	if n := len(p.chunks); n < cap(p.chunks) && p.chunks[:n+1][n] != nil {
		p.chunks = p.chunks[:n+1]
		p.chunks[n].Reset()
	} else {
		p.chunks = append(p.chunks, store.NewRows(len(c.settings.Columns)))
	}
	c.rows = p.chunks[len(p.chunks)-1]
}

// end ends a chunk, and the part if it is large enough.
func (c *chunker) end() {
	c.part.bytes += c.rows.CellBytes()
	c.rows = nil
	if c.chunks++; len(c.part.chunks) == partChunks || c.part.bytes >= partBytes {
		c.store()
	}
}

func (c *chunker) store() {
	p := c.part
	c.part = nil
	c.group.Go(func() error {
		c.mix.add(p)
		if c.load != nil {
			if err := c.load.AddRows(c.ctx, p.first, p.chunks...); err != nil {
				return err
			}
		}
		if p.bytes < 2*partBytes { // larger ones are rare, and would stay large
			c.free <- p
		}
		return nil
	})
}

// finish stores what is left and waits until all is stored, or the first failure.
func (c *chunker) finish(failed error) error {
	if failed == nil && c.rows != nil {
		c.end()
	}
	if failed == nil && c.part != nil {
		c.store()
	}
	// What stopped the chunks has stopped the rows as well, and says more.
	return cmp.Or(c.group.Wait(), failed)
}
