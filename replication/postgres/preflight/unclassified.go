package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// unclassified looks for tables of which the plan does not say what they are.
func unclassified(_ context.Context, s *survey) error {
	for _, t := range postgres.Of(s.tables[migration.OnPrem], postgres.Unclassified) {
		s.block("table "+t.String(), fmt.Sprintf("it has no column %q, and the plan says neither reference nor exclude: its rows would "+
			"stay behind unseen", s.Dataset.Column),
			fmt.Sprintf("add it to the dataset's tables: %s: {column: NAME}, {reference: onprem} or {exclude: true}", t.Name))
	}
	return nil
}
