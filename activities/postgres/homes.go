package postgres

import (
	"context"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
)

// ReadHomesRequest names tenants of a dataset.
type ReadHomesRequest struct {
	PostgresRef
	Tenants []int64 `json:"tenants"`
	Known   bool    `json:"known,omitempty"` // leaves out who has come into the plan, and is not prepared yet
}

// ReadHomesResult says where each of the tenants is homed.
type ReadHomesResult struct {
	Homes map[int64]migration.Homed `json:"homes"`
	// New are those that are at home on premises, and of whom nothing was ever written down: no
	// try, no note.
	New []int64 `json:"new,omitempty"`
}

// ReadHomes is ReadHome of many tenants, in one question to each side. It changes nothing.
func (a *Activities) ReadHomes(ctx context.Context, req ReadHomesRequest) (out ReadHomesResult, err error) {
	defer heartbeat.Alive(ctx)()
	err = a.either(ctx, req.PostgresRef, func(ctx context.Context, p *engine.Pair) (err error) {
		out, err = readHomes(ctx, p, req)
		return err
	})
	return out, err
}

func readHomes(ctx context.Context, p *engine.Pair, req ReadHomesRequest) (out ReadHomesResult, err error) {
	if req.Known {
		if req.Tenants, err = p.Known(ctx, req.Tenants); err != nil {
			return out, err
		}
	}
	records, err := p.Homes(ctx, req.Tenants)
	out.Homes = make(map[int64]migration.Homed, len(records))
	for _, tenant := range req.Tenants {
		r, ok := records[tenant]
		if !ok {
			continue
		}
		out.Homes[tenant] = r.Homed()
		if r.Settled() && r.Home() == migration.OnPrem && r.Token() == 0 && r.OnPrem.Note.N == 0 && r.AWS.Note.N == 0 {
			out.New = append(out.New, tenant)
		}
	}
	return out, err
}
