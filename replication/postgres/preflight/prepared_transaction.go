package preflight

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// preparedTransaction wants none to be left: a slot cannot be made and a fence would wait.
func preparedTransaction(ctx context.Context, s *survey, at *postgres.Server) error {
	rows, err := at.Pool.Query(ctx, `SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::float8 FROM pg_prepared_xacts`)
	if err != nil {
		return fmt.Errorf("read prepared transactions: %w", err)
	}
	type prepared struct {
		GID string
		Age float64
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[prepared])
	if err != nil {
		return fmt.Errorf("read prepared transactions: %w", err)
	}
	for _, x := range list {
		s.block(fmt.Sprintf("prepared transaction %q %s", x.GID, at.Where()),
			fmt.Sprintf("it is %.0f s old and holds its locks until somebody ends it; a slot cannot be made and a fence would wait for it",
				x.Age),
			"COMMIT PREPARED or ROLLBACK PREPARED it")
	}
	return nil
}
