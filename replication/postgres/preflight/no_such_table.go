package preflight

import (
	"context"
	"slices"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// noSuchTable looks for tables that only the plan has.
func noSuchTable(_ context.Context, s *survey) error {
	for _, rule := range s.Dataset.Tables {
		if !slices.ContainsFunc(s.tables[migration.OnPrem], func(t postgres.Table) bool { return t.Means(rule.Name) }) {
			s.warn("table "+rule.Name, "the plan names it and the database does not have it",
				"correct the name, or take it out of the plan")
		}
	}
	return nil
}
