package preflight

import (
	"context"
	"errors"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// pgDump wants PostgreSQL's client programs where the schema has to be copied, of a version that
// reads the one server and writes to the other.
func pgDump(ctx context.Context, s *survey) error {
	if len(s.tables[migration.AWS]) > 0 {
		return nil
	}
	_, err := setup.FindPrograms(ctx, s.Pair)
	if errors.Is(err, setup.ErrNoPgDump) {
		s.block(s.database(s.AWS), "the schema has to be brought there, and "+err.Error(),
			"install those programs, or load the schema there yourself")
		return nil
	}
	return err
}
