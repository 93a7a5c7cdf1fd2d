package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// privilegeCreate wants the role to be able to make Drover's schema and publications.
func privilegeCreate(ctx context.Context, s *survey, at *postgres.Server) error {
	r, err := readRole(ctx, at)
	if err == nil && !r.create {
		s.block(r.subject(at), "it may not create schemas and publications in this database", "GRANT CREATE ON DATABASE ... TO "+r.name)
	}
	return err
}

// role is what Drover connects as.
type role struct {
	name                            string
	super, create, subscribe, stats bool
}

func (r role) subject(at *postgres.Server) string { return "role " + r.name + " " + at.Where() }

func readRole(ctx context.Context, at *postgres.Server) (r role, err error) {
	err = at.Pool.QueryRow(ctx, `SELECT current_user::text, r.rolsuper, has_database_privilege(current_database(), 'CREATE'),
		  r.rolsuper OR EXISTS (SELECT FROM pg_roles g WHERE g.rolname IN ('pg_create_subscription', 'rds_superuser') AND
		  pg_has_role(r.oid, g.oid, 'MEMBER')),
		  pg_has_role(r.oid, 'pg_read_all_stats', 'USAGE')
		FROM pg_roles r WHERE r.rolname = current_user`).Scan(&r.name, &r.super, &r.create, &r.subscribe, &r.stats)
	if err != nil {
		return r, fmt.Errorf("read the role: %w", err)
	}
	return r, nil
}
