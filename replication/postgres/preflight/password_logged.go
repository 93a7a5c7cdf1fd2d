package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// passwordLogged wants the statement that makes a subscription, which holds a password, to stay out
// of the server's log. A superuser turns logging off for it by itself.
func passwordLogged(ctx context.Context, s *survey, at *postgres.Server) error {
	r, err := readRole(ctx, at)
	if err != nil || r.super {
		return err
	}
	var statement string
	var slow int
	if err := at.Pool.QueryRow(ctx,
		`SELECT current_setting('log_statement'), (SELECT setting::int FROM pg_settings WHERE name = 'log_min_duration_statement')`).Scan(
		&statement, &slow); err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	if statement == "none" && slow < 0 {
		return nil
	}
	s.block(r.subject(at), fmt.Sprintf("log_statement is %s and log_min_duration_statement is %d: the password of the other server "+
		"would be in this one's log", statement, slow),
		"have a superuser ALTER ROLE "+r.name+" SET log_statement = 'none' and SET log_min_duration_statement = -1 (on RDS: the DB "+
			"parameter group), until replication is set up")
	return nil
}
