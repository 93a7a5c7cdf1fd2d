package setup

import (
	"context"
	"fmt"
	"strings"

	"github.com/drover-migration/drover/replication/postgres"
)

// Kept says in words what DropAll leaves: what cannot be undone, and what is a person's to decide.
// It changes nothing.
func Kept(ctx context.Context, p *postgres.Pair) ([]string, error) {
	tables, err := postgres.ReadTables(ctx, p.OnPrem.Pool, p.Dataset)
	if err != nil {
		return nil, fmt.Errorf("read what stays of dataset %s: %w", p.Name, err)
	}
	var out, apart []string
	copied := 0
	for _, t := range tables {
		var there bool
		if err := p.AWS.Pool.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, t.Ident()).Scan(&there); err != nil {
			return nil, fmt.Errorf("look for table %s on AWS: %w", t, err)
		}
		if !there {
			continue
		}
		copied++
		seqs, err := SequencesOf(ctx, p.OnPrem.Pool, t)
		if err != nil {
			return nil, err
		}
		for _, s := range seqs {
			var last int64
			if err := p.AWS.Pool.QueryRow(ctx, `SELECT coalesce(pg_sequence_last_value(to_regclass($1)), 0)`,
				s.Ident()).Scan(&last); err != nil {
				return nil, fmt.Errorf("read sequence %s on AWS: %w", s.Ident(), err)
			}
			if base := s.Base(); base > 0 && last >= base {
				apart = append(apart, fmt.Sprintf("%s from %d on", s.Ident(), base))
			}
		}
	}
	if copied > 0 {
		out = append(out, fmt.Sprintf("dataset %s: its %d tables stay on AWS, with the rows that were copied there; drop them "+
			"before the plan is submitted again", p.Name, copied))
	}
	if len(apart) > 0 {
		out = append(out, fmt.Sprintf("dataset %s: AWS gave ids of ranges of its own (%s); rows that were made there keep them at home",
			p.Name, strings.Join(apart, ", ")))
	}
	return out, nil
}
