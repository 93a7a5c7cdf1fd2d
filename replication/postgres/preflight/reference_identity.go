package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/drover-migration/drover/replication/postgres"
)

// referenceIdentity wants an identity that is as the server wants it: without one it would refuse
// updates once the table is published.
func referenceIdentity(ctx context.Context, s *survey, t postgres.Table) error {
	if t.Class != postgres.Reference {
		return nil
	}
	bare, err := names(ctx, s.OnPrem.Pool, `SELECT c.oid::regclass::text FROM pg_class c WHERE (c.oid = $1
		OR c.oid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass))) AND NOT `+postgres.Identified+` ORDER BY 1`, t.OID)
	if err != nil {
		return fmt.Errorf("read its replica identity: %w", err)
	}
	if len(bare) > 0 {
		s.block("table "+t.String(), strings.Join(bare, ", ")+" has no primary key as its identity, or one that is deferrable or "+
			"generated, or is identified by the whole row and has columns that are generated or of a type without equality: once it is "+
			"published, updates and deletes on it would fail, or stop replication of everybody",
			"give it a primary key and ALTER TABLE "+t.Ident()+" REPLICA IDENTITY DEFAULT; without a key, FULL")
	}
	return nil
}
