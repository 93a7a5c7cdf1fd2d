package preflight

import (
	"context"
	"slices"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// stopsSchema are the checks of which each says by itself why the schema cannot be brought.
var stopsSchema = []string{"postgres-pg-dump", "postgres-target-schema", "postgres-extension", "postgres-grantee",
	"postgres-privilege-create", "postgres-other-plan"}

// schemaComes brings the schema to AWS and rolls that back, where Prepare will bring it: whatever
// else the server there does not take is said before anything is touched.
func schemaComes(ctx context.Context, s *survey) error {
	if len(s.tables[migration.AWS]) > 0 || slices.ContainsFunc(s.found, func(f migration.Finding) bool {
		return f.Severity == migration.Blocker && slices.Contains(stopsSchema, f.Check)
	}) {
		return nil
	}
	why, err := setup.Rehearse(ctx, s.Pair)
	if err == nil && why != "" {
		s.block(s.database(s.AWS), "the schema of premises cannot be brought there: "+why, "let the server or the role there take it, "+
			"or drop on premises what nobody needs; or load the schema there yourself, without it")
	}
	return err
}
