package velents

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func bodyOf(conversation string, bytes int) []byte {
	return fmt.Appendf(nil, `{"event":{"type":"onEnded"},"conversation":{"id":%q},"filler":%q}`, conversation, strings.Repeat("x", bytes))
}

// An event that was read when it came in is not parsed again, once; and a forgotten one is.
func TestEventsAreReadOnce(t *testing.T) {
	r := new(EventReader)
	came, err := r.Read(bodyOf("a", 10))
	if err != nil || came.ConversationID != "a" {
		t.Fatalf("read %+v, %v", came, err)
	}
	if kept, is := r.take(bodyOf("b", 10)); is {
		t.Errorf("another event is taken for it: %+v", kept)
	}
	kept, is := r.take(bodyOf("a", 10))
	if diff := cmp.Diff(came, kept.says); !is || diff != "" {
		t.Errorf("kept: %t (-read +kept):\n%s", is, diff)
	}
	if _, is := r.take(bodyOf("a", 10)); is {
		t.Error("what was applied is kept")
	}
	again, err := r.ReadAgain(bodyOf("a", 10))
	if diff := cmp.Diff(came, again); err != nil || diff != "" {
		t.Errorf("%v (-first +again):\n%s", err, diff)
	}
}

// What is wrong with an event is found the second time, too.
func TestFaultsOfEventsAreKept(t *testing.T) {
	for _, reader := range []*EventReader{nil, new(EventReader)} {
		nobody := []byte(`{"event":{"type":"onMessage"},"result":{"message":{"customer":"STOP"}}}`)
		for _, read := range []func([]byte) (Event, error){reader.Read, reader.ReadAgain, reader.ReadAgain} {
			if e, err := read(nobody); !errors.Is(err, ErrNobody) || e.Message == nil || e.Message.Customer != "STOP" {
				t.Errorf("read %+v, %v", e, err)
			}
		}
	}
}

// Events that this process never applies, because others do, take bounded memory.
func TestKeptEventsAreBounded(t *testing.T) {
	r := new(EventReader)
	const each = 100 << 10
	for i := range 10 * maxKeptBytes / each {
		_, _ = r.Read(bodyOf(fmt.Sprint(i), each))
		held := 0
		for _, some := range []map[uint64]readEvent{r.young, r.old} {
			for _, e := range some {
				held += len(e.body)
			}
		}
		if held > 2*maxKeptBytes {
			t.Fatalf("%d bytes are kept after %d events", held, i+1)
		}
	}
	if _, is := r.take(bodyOf(fmt.Sprint(10*maxKeptBytes/each-1), each)); !is {
		t.Error("the latest event is forgotten")
	}
	if _, is := r.take(bodyOf("0", each)); is {
		t.Error("the first event is kept")
	}
}
