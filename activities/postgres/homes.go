package postgres

import (
	"context"

	"github.com/drover-migration/drover/migration"
)

// ReadHomesRequest names tenants of a dataset.
type ReadHomesRequest struct {
	PostgresRef
	Tenants []int64 `json:"tenants"`
}

// ReadHomesResult says where each of the tenants is homed.
type ReadHomesResult struct {
	Homes map[int64]migration.Homed `json:"homes"`
}

// ReadHomes is ReadHome of many tenants, in one question to each side. It changes nothing.
func (a *Activities) ReadHomes(ctx context.Context, req ReadHomesRequest) (ReadHomesResult, error) {
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return ReadHomesResult{}, err
	}
	records, err := p.Homes(ctx, req.Tenants)
	out := ReadHomesResult{Homes: make(map[int64]migration.Homed, len(records))}
	for tenant, r := range records {
		out.Homes[tenant] = r.Homed()
	}
	return out, classify(err)
}
