package preflight

import (
	"context"

	"github.com/drover-migration/drover/replication/postgres"
)

// replicaIdentity looks for tables whose rows only the whole row tells apart.
func replicaIdentity(ctx context.Context, s *survey, t postgres.Table) error {
	key, err := postgres.RowKey(ctx, s.OnPrem.Pool, t)
	if err == nil && (key == nil || !t.NotNull) {
		s.warn("table "+t.String(), "it has no key of columns that are never null, so it will be identified by the whole row: each "+
			"update and delete costs a scan where it is applied",
			"give it a primary key if it is updated often")
	}
	return err
}
