package plan

// SampleSize is how many chunks describe a campaign well enough. They are read often;
// all chunks of a million contacts would be ten megabytes.
const SampleSize = 400

// Sample returns up to most of the chunks, spread evenly.
func Sample(chunks, most int) []int {
	some := make([]int, min(chunks, most))
	for i := range some {
		some[i] = i * chunks / len(some)
	}
	return some
}

// A Contact is a contact of a chunk in a sample.
type Contact struct {
	Group int
	Tries int  // requests so far
	Left  bool // still to be sent
}

// Learn derives the work from a sample of chunks: who is left in them, how many chunks
// each of them stands for if left contacts remain in all, and how many requests fail.
func (w *Work) Learn(sample [][]Contact, left int) {
	type kind struct{ group, tries int }
	inSample, made, failed := 0, 0, 0
	w.Chunks = make([][]Part, len(sample))
	for c, contacts := range sample {
		at := make(map[kind]int) // of the part
		for _, contact := range contacts {
			made += contact.Tries
			if !contact.Left {
				failed += max(contact.Tries-1, 0)
				continue
			}
			failed += contact.Tries
			inSample++
			k := kind{contact.Group, contact.Tries}
			i, known := at[k]
			if !known {
				i = len(w.Chunks[c])
				at[k] = i
				w.Chunks[c] = append(w.Chunks[c], Part{Group: contact.Group, Tries: contact.Tries})
			}
			w.Chunks[c][i].Contacts++
		}
	}
	w.Weight = 1
	if inSample > 0 {
		w.Weight = float64(left) / float64(inSample)
	}
	if made > 0 {
		w.Fails = float64(failed) / float64(made)
	}
}
