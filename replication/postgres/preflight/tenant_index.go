package preflight

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// tenantIndex wants a customer's rows to be found without reading those of the others.
func tenantIndex(ctx context.Context, s *survey, t postgres.Table) error {
	is, err := postgres.LeadingIndex(ctx, s.OnPrem.Pool, t)
	if err != nil || is {
		return err
	}
	key, err := postgres.RowKey(ctx, s.OnPrem.Pool, t)
	if err != nil || key != nil && t.NotNull {
		return err // Prepare makes one: the replica identity
	}
	s.warn("table "+t.String(), "no index begins with "+t.Column+": comparing a customer's rows in a freeze reads the whole table",
		fmt.Sprintf("CREATE INDEX CONCURRENTLY ON %s (%s)", t.Ident(), pgx.Identifier{t.Column}.Sanitize()))
	return nil
}
