package preflight

import (
	"context"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// targetNotEmpty wants no rows where the first copy goes.
func targetNotEmpty(ctx context.Context, s *survey) error {
	here := s.tables[migration.OnPrem]
	if s.prepared {
		return nil
	}
	full, err := setup.RowsOnAWS(ctx, s.Pair, here)
	if err != nil {
		return err
	}
	for _, t := range full {
		s.block("table "+t.String()+" on AWS", "it has rows, and the first copy would collide with them", setup.EmptyIt)
	}
	return nil
}
