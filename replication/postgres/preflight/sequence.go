package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// sequence wants two ranges of ids to fit into each sequence that a column takes values from.
func sequence(ctx context.Context, s *survey, t postgres.Table) error {
	seqs, err := setup.SequencesOf(ctx, s.OnPrem.Pool, t)
	if err != nil {
		return err
	}
	for _, q := range seqs {
		can, why := q.Counts()
		if can || !q.Readable {
			continue
		}
		remedy := "make the column bigint"
		if q.Base() != 0 {
			remedy = "ALTER SEQUENCE ... INCREMENT 1 NO CYCLE"
		}
		s.block(fmt.Sprintf("sequence %s.%s of table %s", q.Schema, q.Name, t), why, remedy)
	}
	return nil
}

// sequenceAlone looks at the sequences that an application asks by itself.
func sequenceAlone(ctx context.Context, s *survey) error {
	seqs, err := setup.SequencesAlone(ctx, s.OnPrem.Pool)
	if err != nil {
		return err
	}
	for _, q := range seqs {
		if can, why := q.Counts(); !can {
			s.warn(fmt.Sprintf("sequence %s.%s", q.Schema, q.Name), "no column takes its values by itself, and "+why+
				": AWS will give the values that premises give",
				"if they are ids of rows, correct that or have AWS give others; if not, nothing has to be done")
		}
	}
	return nil
}
