package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// largestRow is what a row may come to as text, in bytes. A change is decoded into one message, of
// a gigabyte at most; where the whole row is its identity, an update has it twice.
var largestRow int64 = 512 << 20

// compressible is how many times smaller than itself a value may be stored.
const compressible = 250

// largeRow looks for rows that are too large to be decoded, however well they are compressed.
func largeRow(ctx context.Context, s *survey, t postgres.Table) error {
	var may bool
	err := s.OnPrem.Pool.QueryRow(ctx, `SELECT coalesce(bool_or(pg_relation_size(c.reltoastrelid) > $2), false) FROM pg_class c
		WHERE (c.oid = $1 OR c.oid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass))) AND c.reltoastrelid <> 0`, t.OID,
		largestRow/compressible).Scan(&may)
	if err != nil {
		return fmt.Errorf("read the size of its large values: %w", err)
	}
	if !may {
		return nil
	}
	size, err := textSize(ctx, s.OnPrem.Pool, t)
	if err != nil {
		return err
	}
	var some bool
	err = s.OnPrem.Pool.QueryRow(ctx, fmt.Sprintf(`SELECT EXISTS (SELECT FROM %s x WHERE %s > $1)`, t.Ident(), size), largestRow).Scan(&some)
	switch {
	case postgres.IsCode(err, "57014"), postgres.IsCode(err, "42501"):
		s.warn("table "+t.String(), fmt.Sprintf("whether it has rows over %d MB could not be seen in 30 s", largestRow>>20),
			"look for yourself: a change of such a row cannot be decoded, and replication of everybody stops at it")
	case err != nil && !postgres.IsCode(err, "XX000") && !postgres.IsCode(err, "54000"): // those say: beyond a gigabyte
		return fmt.Errorf("look for large rows: %w", err)
	case some, err != nil:
		s.block("table "+t.String(), fmt.Sprintf("it has rows over %d MB: a change of such a row cannot be decoded, and replication of "+
			"everybody stops at it", largestRow>>20), "keep large values in files, or exclude the table")
	}
	return nil
}

// textSize is, in SQL, what a row x of a table comes to as text: in full of texts and of bytea,
// whose length is known without reading them; of other values as they are stored, unless that is so
// much that they have to be read.
func textSize(ctx context.Context, q postgres.Querier, t postgres.Table) (string, error) {
	rows, err := q.Query(ctx, `SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
		WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attlen = -1 AND attgenerated = '' ORDER BY attnum`, t.OID)
	if err != nil {
		return "", fmt.Errorf("read its columns: %w", err)
	}
	sum := []string{"0::bigint"}
	var name, kind string
	_, err = pgx.ForEachRow(rows, []any{&name, &kind}, func() error {
		col := "x." + pgx.Identifier{name}.Sanitize()
		size := fmt.Sprintf("CASE WHEN pg_column_size(%[1]s) > %[2]d THEN octet_length(%[1]s::text) ELSE pg_column_size(%[1]s) END", col,
			largestRow/compressible)
		switch kind {
		case "bytea":
			size = "2 * octet_length(" + col + ")::bigint"
		case "text", "character varying":
			size = "octet_length(" + col + ")"
		}
		sum = append(sum, "coalesce("+size+", 0)")
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("read its columns: %w", err)
	}
	return strings.Join(sum, " + "), nil
}
