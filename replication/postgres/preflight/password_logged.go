package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/drover-migration/drover/replication/postgres"
)

// passwordLogged names the extensions that write down what blocks execute: the statement that gives
// a subscription its password is executed by one, so that the server itself logs nothing of it.
func passwordLogged(ctx context.Context, s *survey, at *postgres.Server) error {
	var audited, tracked string
	err := at.Pool.QueryRow(ctx, `SELECT coalesce(current_setting('pgaudit.log', true), ''),
		coalesce(current_setting('pg_stat_statements.track', true), '')`).Scan(&audited, &tracked)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	r, err := readRole(ctx, at)
	if err != nil {
		return err
	}
	classes := strings.FieldsFunc(strings.ToLower(audited), func(c rune) bool { return c == ',' || c == ' ' })
	const until = ", until replication is set up"
	if (slices.Contains(classes, "all") || slices.Contains(classes, "ddl")) && !slices.Contains(classes, "-ddl") {
		s.block(r.subject(at), "pgaudit.log is "+audited+": the password of the other server would be in this one's log",
			"have a superuser ALTER ROLE "+r.name+" SET pgaudit.log = 'none' (on RDS: the DB parameter group)"+until)
	}
	if tracked == "all" {
		s.block(r.subject(at), "pg_stat_statements.track is all: the password of the other server would be in that view",
			"have a superuser ALTER ROLE "+r.name+" SET pg_stat_statements.track = 'top' (on RDS: the DB parameter group)"+until)
	}
	return nil
}
