package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// privilegeSequence wants the role to see how many ids a sequence has given.
func privilegeSequence(ctx context.Context, s *survey, t postgres.Table) error {
	seqs, err := setup.SequencesOf(ctx, s.OnPrem.Pool, t)
	if err != nil {
		return err
	}
	for _, q := range seqs {
		if _, why := q.Counts(); !q.Readable {
			s.block(fmt.Sprintf("sequence %s.%s of table %s on premises", q.Schema, q.Name, t), why, "GRANT SELECT ON SEQUENCE "+q.Ident()+
				" to it, or the role that owns it")
		}
	}
	return nil
}
