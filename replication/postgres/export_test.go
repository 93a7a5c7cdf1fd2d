package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/drover-migration/drover/migration"
)

// SetRecent replaces the freezes that this worker has seen.
func (p *Pair) SetRecent(took ...time.Duration) { p.recent.took = took }

// Direction is how a direction is written.
func Direction(from migration.Side) string { return direction(from) }

// SealStale closes a side that forgot a seal: the other side is open under home.
func (s *Server) SealStale(ctx context.Context, tenant int64, stale, home migration.Try) (migration.Word, error) {
	return s.sealStale(ctx, tenant, turn{Token: stale.Token, Owner: stale.Owner}, turn{Token: home.Token, Owner: home.Owner})
}

// Before compares two WAL positions.
func Before(a, b string) bool { return before(a, b) }

// Recent is the median of the freezes that this worker has seen.
func (p *Pair) Recent() time.Duration { return p.recent.median() }

// NewTurn is a turn that nobody has.
func NewTurn() *Turn { return newTurn() }

// PoolConns is how many connections all else than a freeze shares.
const PoolConns = poolConns

// TakeOut carries rows over up to where they are taken out: what an attempt leaves that is cut off
// there.
func (p *Pair) TakeOut(ctx context.Context, tenant int64, by, why string) error {
	a, err := p.Apart(ctx, tenant)
	if err != nil {
		return err
	}
	return p.takeOut(ctx, carrying{id: uuid.NewString(), tenant: tenant, from: p.Side(a.Side), rows: a.New(), words: a.newWords(), by: by,
		why: why}, a)
}
