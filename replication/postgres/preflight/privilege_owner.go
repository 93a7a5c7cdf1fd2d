package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// privilegeOwner wants the role to own the tables that take part.
func privilegeOwner(ctx context.Context, s *survey, at *postgres.Server) error {
	r, err := readRole(ctx, at)
	if err != nil || r.super {
		return err
	}
	for _, t := range s.tables[at.Side] {
		if t.Class != postgres.Tenants && t.Class != postgres.Reference {
			continue
		}
		var owns bool
		if err := at.Pool.QueryRow(ctx, `SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = $1`,
			t.OID).Scan(&owns); err != nil {
			return fmt.Errorf("read the owner of %s: %w", t, err)
		}
		if !owns {
			s.block("table "+t.String()+" "+at.Where(), r.subject(at)+" does not own it: it could neither guard nor publish it",
				"GRANT the owning role TO "+r.name)
		}
	}
	return nil
}
