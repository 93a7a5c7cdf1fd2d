package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
)

// WriteNote keeps what Drover remembers of a tenant on the side that is home: Noted, or Superseded
// where a later note stands. A repeat answers the same.
func (p *Pair) WriteNote(ctx context.Context, side migration.Side, tenant int64, note migration.Note) (migration.Word, error) {
	words, err := p.WriteNotes(ctx, side, map[int64]migration.Note{tenant: note})
	return words[tenant], err
}

// WriteNotes is WriteNote of many tenants, in one question. An error says nothing of any of them.
func (p *Pair) WriteNotes(ctx context.Context, side migration.Side, notes map[int64]migration.Note) (map[int64]migration.Word, error) {
	s, b := p.Side(side), &pgx.Batch{}
	out := make(map[int64]migration.Word, len(notes))
	for _, tenant := range slices.Sorted(maps.Keys(notes)) { // in one order: two at once do not wait for each other
		id, err := TenantID(tenant)
		if err != nil {
			return nil, err
		}
		n := notes[tenant]
		b.Queue(`SELECT drover.write_note($1, $2, $3, $4)`, id, n.Stay, n.N, n.Words).QueryRow(func(row pgx.Row) error {
			var word migration.Word
			err := row.Scan(&word)
			out[tenant] = word
			return err
		})
	}
	if err := s.Pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("write the notes of %d tenants %s: %w", len(notes), s.Where(), err)
	}
	return out, nil
}
