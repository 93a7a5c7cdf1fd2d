package preflight

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// tenantNull looks for tenant columns that may be empty.
func tenantNull(_ context.Context, s *survey, t postgres.Table) error {
	if !t.NotNull {
		s.warn("table "+t.String(), fmt.Sprintf("its tenant column %s may be null: such rows belong to nobody, are refused by the guard "+
			"and stay where they are", t.Column),
			"ALTER TABLE "+t.Ident()+" ALTER "+pgx.Identifier{t.Column}.Sanitize()+" SET NOT NULL")
	}
	return nil
}
