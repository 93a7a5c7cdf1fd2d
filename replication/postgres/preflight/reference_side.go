package preflight

import (
	"context"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// referenceSide wants reference tables to be written on premises.
func referenceSide(_ context.Context, s *survey, t postgres.Table) error {
	if t.Class == postgres.Reference && t.Side == migration.AWS {
		s.block("table "+t.String(), "reference tables are written on premises and copied to AWS; the other way is not supported",
			"say reference: onprem")
	}
	return nil
}
