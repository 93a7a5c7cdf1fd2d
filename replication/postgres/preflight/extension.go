package preflight

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// extension wants AWS to have the extensions, and says which of them keep rows of their own.
func extension(ctx context.Context, s *survey) error {
	rows, err := s.OnPrem.Pool.Query(ctx,
		`SELECT e.extname::text, coalesce(array_agg(c::regclass::text) FILTER (WHERE c IS NOT NULL), '{}')
			FROM pg_extension e LEFT JOIN unnest(e.extconfig) c ON true GROUP BY 1 ORDER BY 1`)
	if err != nil {
		return fmt.Errorf("read extensions: %w", err)
	}
	type ext struct {
		Name   string
		Config []string
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ext])
	if err != nil {
		return fmt.Errorf("read extensions: %w", err)
	}
	for _, e := range list {
		var there bool
		err := s.AWS.Pool.QueryRow(ctx,
			`SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = $1) OR EXISTS (SELECT FROM pg_extension WHERE extname = $1)`,
			e.Name).Scan(&there)
		if err != nil {
			return fmt.Errorf("read extensions on AWS: %w", err)
		}
		if !there {
			s.block("extension "+e.Name, "the server on AWS does not have it: the schema cannot be brought there",
				"choose an engine version that has it, or drop it on premises")
		}
		for _, table := range e.Config {
			var some bool
			err := s.OnPrem.Pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+table+")").Scan(&some)
			if err != nil && !postgres.IsCode(err, "42501") {
				return fmt.Errorf("read table %s of extension %s: %w", table, e.Name, err)
			}
			if some || err != nil {
				s.warn("extension "+e.Name, "it keeps settings or rows of its own in "+table+", which are not carried to AWS",
					"copy what is needed there yourself, before the first Move")
			}
		}
	}
	return nil
}
