package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// largeObjects looks for what is beside the rows: large objects are not replicated.
func largeObjects(ctx context.Context, s *survey, t postgres.Table) error {
	var cols []string
	err := s.OnPrem.Pool.QueryRow(ctx,
		`SELECT coalesce(array_agg(attname::text), '{}') FROM pg_attribute
			WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND atttypid = 'oid'::regtype`, t.OID).Scan(&cols)
	if err != nil {
		return err
	}
	if len(cols) == 0 {
		return nil
	}
	var some bool
	if err := s.OnPrem.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_largeobject_metadata)`).Scan(&some); err != nil {
		return err
	}
	severity := migration.Warning
	if some {
		severity = migration.Blocker
	}
	s.add(severity, "table "+t.String(), fmt.Sprintf("its columns %s may name large objects, which are not replicated",
		strings.Join(cols, ", ")), "keep them in a bytea column, or in files")
	return nil
}

// largeObjectsExist says so whenever there are any: what names them may be a number or a text.
func largeObjectsExist(ctx context.Context, s *survey) error {
	var some bool
	if err := s.OnPrem.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_largeobject_metadata)`).Scan(&some); err != nil {
		return fmt.Errorf("look for large objects: %w", err)
	}
	if some {
		s.warn(s.database(s.OnPrem), "it has large objects, which are not replicated, whatever the type of the columns that name them",
			"keep them in a bytea column, or in files; if nothing names them, lo_unlink them")
	}
	return nil
}
