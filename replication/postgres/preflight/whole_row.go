package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/drover-migration/drover/replication/postgres"
)

// wholeRow wants the server to be able to identify a row of a table without a key by all of it.
func wholeRow(ctx context.Context, s *survey, t postgres.Table) error {
	key, err := postgres.RowKey(ctx, s.OnPrem.Pool, t)
	if err != nil || key != nil && t.NotNull {
		return err
	}
	columns, err := names(ctx, s.OnPrem.Pool, postgres.Unlike("$1::oid"), t.OID)
	if err != nil {
		return fmt.Errorf("read its columns: %w", err)
	}
	if len(columns) > 0 {
		s.block("table "+t.String(), "it has no key of columns that are never null and not generated, and its columns "+
			strings.Join(columns, ", ")+" are generated or of a type without equality: no server can tell its rows apart, and updates "+
			"would fail", "give it a primary key, or a unique index, over columns that are NOT NULL and not generated")
	}
	return nil
}
