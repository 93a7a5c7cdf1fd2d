package preflight

import (
	"context"

	"github.com/drover-migration/drover/replication/postgres"
)

// referenceIdentity wants a key that is checked at once: without one the source would refuse
// updates once it is published.
func referenceIdentity(ctx context.Context, s *survey, t postgres.Table) error {
	if t.Class != postgres.Reference {
		return nil
	}
	var ok bool
	err := s.OnPrem.Pool.QueryRow(ctx,
		`SELECT relreplident IN ('f', 'i') OR relreplident = 'd' AND EXISTS (SELECT FROM pg_index
			WHERE indrelid = c.oid AND indisprimary AND indimmediate) FROM pg_class c WHERE oid = $1`, t.OID).Scan(&ok)
	if err != nil {
		return err
	}
	if !ok {
		s.block("table "+t.String(), "it has no primary key, or a deferrable one: once it is published, updates and deletes on it would "+
			"fail", "give it a primary key, or ALTER TABLE "+t.Ident()+" REPLICA IDENTITY FULL")
	}
	return nil
}
