package postgres

import (
	"context"
	"time"

	"github.com/drover-migration/drover/migration"
)

// measureFor is how long the rows of tenants are read for a preview.
const measureFor = 30 * time.Second

// MeasureRequest names tenants of a dataset.
type MeasureRequest struct {
	PostgresRef
	Tenants []int64 `json:"tenants"`
}

// MeasuredTenant is what a tenant has on premises, and how long it would be closed for that.
type MeasuredTenant struct {
	Rows   int64              `json:"rows"`
	Freeze migration.Duration `json:"freeze"`
}

// MeasureResult is a dataset as it stands on premises. A tenant that is not in it was not reached
// in time.
type MeasureResult struct {
	Bytes    int64                    `json:"bytes"`
	Standing int                      `json:"standing"` // in how many of the two databases Drover's schema stands
	Tenants  map[int64]MeasuredTenant `json:"tenants"`
}

// MeasurePostgres reads what a copy and the freezes of a dataset would carry. It changes nothing.
func (a *Activities) MeasurePostgres(ctx context.Context, req MeasureRequest) (MeasureResult, error) {
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return MeasureResult{}, err
	}
	defer beat(ctx, "measuring the rows of customers")()
	out := MeasureResult{Tenants: map[int64]MeasuredTenant{}}
	if out.Bytes, err = p.Size(ctx); err != nil {
		return out, classify(err)
	}
	c, err := p.Examine(ctx, 0)
	if err != nil {
		return out, classify(err)
	}
	out.Standing = c.Standing
	within, cancel := context.WithTimeout(ctx, measureFor)
	defer cancel()
	found, err := p.Measure(within, req.Tenants)
	for t, m := range found {
		out.Tenants[t] = MeasuredTenant{Rows: m.Rows, Freeze: migration.Duration(m.Freeze)}
	}
	return out, classify(err)
}
