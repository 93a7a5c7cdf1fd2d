package postgres

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/migration"
)

// WriteNote keeps what Drover remembers of a tenant on the side that is home: Noted, or Superseded
// where a later note stands. A repeat answers the same.
func (p *Pair) WriteNote(ctx context.Context, side migration.Side, tenant int64, note migration.Note) (migration.Word, error) {
	id, err := TenantID(tenant)
	if err != nil {
		return "", err
	}
	s := p.Side(side)
	var word migration.Word
	if err := s.Pool.QueryRow(ctx, `SELECT drover.write_note($1, $2, $3, $4)`, id, note.Stay, note.N, note.Words).Scan(&word); err != nil {
		return "", fmt.Errorf("write the note of tenant %d %s: %w", tenant, s.Where(), err)
	}
	return word, nil
}
