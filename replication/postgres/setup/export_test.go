package setup

import (
	"context"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// For the tests, which are outside: they need the rig, which prepares.
var (
	Install          = install
	Subscribe        = subscribe
	DropSubscription = dropSubscription
	DumpSchema       = dumpSchema
	Fit              = fit
	Wanted           = wanted
	ErrCarrierLost   = errCarrierLost
	ErrNotCarried    = errNotCarried
)

// MakeOnOne makes a change on one side and commits it there: what an attempt leaves that was cut
// off between the two commits.
func MakeOnOne(ctx context.Context, p *postgres.Pair, c Change, side migration.Side) error {
	return c.on(ctx, p, []*postgres.Server{p.Side(side)}, nil, func([]changed) error { return nil })
}
