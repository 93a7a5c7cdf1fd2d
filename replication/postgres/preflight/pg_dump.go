package preflight

import (
	"context"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// pgDump wants PostgreSQL's client programs where the schema has to be copied.
func pgDump(_ context.Context, s *survey) error {
	if len(s.tables[migration.AWS]) > 0 || s.PgDump != "" {
		return nil
	}
	if _, err := setup.FindPgDump(); err != nil {
		s.block(s.database(s.AWS), "the schema has to be brought there, and "+err.Error(),
			"install PostgreSQL's client programs on the site's worker, or load the schema there yourself")
	}
	return nil
}
