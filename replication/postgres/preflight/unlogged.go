package preflight

import (
	"context"

	"github.com/drover-migration/drover/replication/postgres"
)

// unlogged looks for tables whose changes are not in the WAL.
func unlogged(_ context.Context, s *survey, t postgres.Table) error {
	if t.Persistence == "u" {
		s.block("table "+t.String(), "it is unlogged: its changes are not in the WAL and cannot be replicated", "ALTER TABLE "+t.Ident()+" SET LOGGED, or exclude it")
	}
	return nil
}
