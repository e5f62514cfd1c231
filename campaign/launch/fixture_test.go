package launch

import "campaign-runner/campaign/store"

// stored is a launcher's store whole, as tests look into it.
func stored(l *Launcher) *store.Store { return l.Store.(*store.Store) }
