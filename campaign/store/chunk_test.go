package store

import (
	"context"
	"errors"
	"testing"

	"campaign-runner/campaign"
)

// A change can take as long as Redis is away. Meanwhile others read the chunk, and those
// who wait to change it give up with their context.
func TestAChunkIsReadWhileAChangeOfItIsUnderWay(t *testing.T) {
	chunk := &Chunk{Ref: Ref{Campaign: "sale"}, ledger: campaign.NewLedger(2)}
	end, err := chunk.takeTurn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := chunk.Record(1).State; got != campaign.Pending || chunk.Len() != 2 || len(chunk.In(campaign.Pending)) != 2 {
		t.Errorf("the chunk reads %v", got)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(nil).Apply(over, chunk, Change{Act: Steer}); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply: %v, want %v", err, context.Canceled)
	}
	end()
	if end, err = chunk.takeTurn(t.Context()); err != nil {
		t.Error(err)
	}
	end()
}
