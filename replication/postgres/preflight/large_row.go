package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// largestValue is what a row may hold in one column, in bytes. A change is decoded into one message
// of text, which is at most a gigabyte long, and bytea doubles in it.
const largestValue = 256 << 20

// largeRow looks for values that are too large to be decoded.
func largeRow(ctx context.Context, s *survey, t postgres.Table) error {
	toasts, err := names(ctx, s.OnPrem.Pool, `SELECT c.reltoastrelid::regclass::text FROM pg_class c WHERE (c.oid = $1
		OR c.oid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass)))
		AND c.reltoastrelid <> 0 AND pg_relation_size(c.reltoastrelid) > $2 ORDER BY 1`, t.OID, int64(largestValue))
	if err != nil {
		return fmt.Errorf("read the size of its large values: %w", err)
	}
	for _, toast := range toasts {
		var some bool
		const chunk = 1996 // bytes of one piece of a large value
		err := s.OnPrem.Pool.QueryRow(ctx, fmt.Sprintf(`SELECT EXISTS (SELECT FROM %s WHERE chunk_seq > $1)`, toast),
			largestValue/chunk).Scan(&some)
		switch {
		case postgres.IsCode(err, "57014"), postgres.IsCode(err, "42501"):
			s.warn("table "+t.String(), "whether it has values over 256 MB could not be seen", "look for yourself: a change of such a "+
				"row cannot be decoded, and replication of everybody stops at it")
		case err != nil:
			return fmt.Errorf("look for large values: %w", err)
		case some:
			s.block("table "+t.String(), "it has values over 256 MB: a change of such a row cannot be decoded, and replication of "+
				"everybody stops at it", "keep them in files, or exclude the table")
		}
	}
	return nil
}
