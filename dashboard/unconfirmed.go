package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/texts"
	"campaign-runner/jobs"
)

// Bounds of what a page of unconfirmed contacts lists.
const (
	shownChunks  = 200 // all of them can still be resolved together
	shownBatches = 5   // of a chunk, the latest
)

// A lostList is the page of the contacts of a campaign that the platform may or may not
// have.
type lostList struct {
	Campaign string
	All      lostPart
	Chunks   []lostPart
	More     int  // chunks that are not shown
	Batches  bool // they have names on the platform
	Sends    bool // what the platform never saw is sent at once
}

// A lostPart is those of a chunk, or all.
type lostPart struct {
	report.Unconfirmed
	Campaign string
	Run      uint8    // of the campaign
	Chunked  bool     // it is of a chunk
	Names    []string // of batches whose answers were lost, as the log has them
}

// Until is when the last of them became unconfirmed. Nobody has looked up later ones.
func (l lostPart) Until() int64 { return l.Last.Unix() }

// ID tells its form from the others on the page.
func (l lostPart) ID() string {
	if !l.Chunked {
		return "all"
	}
	return strconv.Itoa(l.Chunk)
}

func (p *pages) unconfirmed(w http.ResponseWriter, r *http.Request, c campaign.Campaign) error {
	list, err := p.readLost(r.Context(), c)
	if err != nil {
		return err
	}
	p.show(w, r, http.StatusOK, "unconfirmed", view{Title: texts.Of("lost.of", "campaign", texts.Name(c.Name)), Nav: "campaigns", Body: list})
	return nil
}

func (p *pages) readLost(ctx context.Context, c campaign.Campaign) (lostList, error) {
	list := lostList{Campaign: c.Name, Batches: c.Settings.Mode == campaign.Batch, Sends: c.Sends()}
	found, err := report.ListUnconfirmed(ctx, p.store, c.Name)
	if err != nil || len(found) == 0 {
		return list, err
	}
	names := make(map[int][]string)
	if list.Batches {
		if names, err = p.lostBatches(ctx, c.Name); err != nil {
			return list, err
		}
	}
	list.All.Campaign, list.All.Run, list.All.First = c.Name, c.Run, found[0].First
	for _, u := range found {
		list.All.Contacts += u.Contacts
		if u.First.Before(list.All.First) {
			list.All.First = u.First
		}
		if u.Last.After(list.All.Last) {
			list.All.Last = u.Last
		}
		if len(list.Chunks) < shownChunks {
			list.Chunks = append(list.Chunks, lostPart{u, c.Name, c.Run, true, names[u.Chunk]})
		}
	}
	list.More = len(found) - len(list.Chunks)
	return list, nil
}

// lostBatches are the names of the latest batches whose answers were lost, by chunk, as far
// back as the log goes.
func (p *pages) lostBatches(ctx context.Context, name string) (map[int][]string, error) {
	log, err := report.ReadLog(ctx, p.store, name, 0)
	if err != nil {
		return nil, err
	}
	names := make(map[int][]string)
	for {
		d, ok, err := log.Next(ctx)
		if err != nil || !ok {
			return names, err
		}
		for _, f := range d.Fates {
			if d.Batch != "" && f.To == campaign.Unconfirmed.String() {
				list := append(names[*d.Chunk], d.Batch)
				names[*d.Chunk] = list[max(len(list)-shownBatches, 0):]
				break
			}
		}
	}
}

// resolve says what became of unconfirmed contacts that a page has shown.
func resolve(ctx context.Context, q *jobs.Queue, c campaign.Campaign, form url.Values) (int, error) {
	seen, err := seenIn(form)
	if err == nil && (seen == nil || seen.Until.IsZero()) {
		err = wishf(http.StatusBadRequest, "error.unseen")
	}
	if err != nil {
		return 0, err
	}
	found := jobs.Resolution{Seen: seen}
	switch form.Get("found") {
	case "accepted":
		found.Accepted = true
	case "not_sent":
	default:
		return 0, wishf(http.StatusBadRequest, "error.found")
	}
	if text := form.Get("chunk"); text != "" {
		chunk, err := strconv.Atoi(text)
		if err != nil {
			return 0, wishf(http.StatusBadRequest, "error.unseen")
		}
		found.Chunk = &chunk
	}
	return q.Resolve(ctx, c.Name, found)
}
