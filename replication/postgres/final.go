package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/drover-migration/drover/migration"
)

// ErrNotOnAWS says that tenants are not at home on AWS, so that their way back cannot end.
var ErrNotOnAWS = errors.New("not all of them are at home on AWS and closed on premises")

// EndWayBack ends the way back of tenants that are at home on AWS, for good: no Move leads home any
// more, and what they write on AWS is not sent there. The guard on premises goes on refusing them.
// It touches nobody unless all of them are at home on AWS. Run twice, or cut off between the sides,
// it ends the same: a Move that slips in between finds premises closed for good, and stays.
func (p *Pair) EndWayBack(ctx context.Context, tenants []int64) error {
	if len(tenants) == 0 {
		return nil
	}
	homes, err := p.Homes(ctx, tenants)
	if err != nil {
		return fmt.Errorf("end the way back: %w", err)
	}
	var away []int64
	for _, t := range tenants {
		if h := homes[t]; h.Undecided() != "" || h.OnPrem.State != migration.Sealed || !h.AWS.Accepts() {
			away = append(away, t)
		}
	}
	if len(away) > 0 {
		return fmt.Errorf("end the way back of tenants %v: %w", away, ErrNotOnAWS)
	}
	ids, err := TenantIDs(tenants)
	if err != nil {
		return err
	}
	for _, x := range []struct {
		side  *Server
		state migration.FenceState
	}{{p.OnPrem, migration.Sealed}, {p.AWS, migration.Open}} {
		err := Patiently(ctx, func() error {
			var w migration.Word
			if err := x.side.Pool.QueryRow(ctx, `SELECT drover.finalise($1, $2)`, ids, x.state).Scan(&w); err != nil {
				return err
			}
			if w != migration.WordFinal {
				return ErrNotOnAWS
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("end the way back %s: %w", x.side.Where(), err)
		}
	}
	return nil
}

// Final are the tenants of the dataset whose way back has ended, in order.
func (p *Pair) Final(ctx context.Context) (out []int64, err error) {
	err = p.AWS.Pool.QueryRow(ctx, `SELECT coalesce(array_agg(tenant::bigint ORDER BY tenant), '{}') FROM drover.fence WHERE final`).Scan(&out)
	if err != nil {
		return nil, fmt.Errorf("read whose way back has ended: %w", err)
	}
	return out, nil
}
