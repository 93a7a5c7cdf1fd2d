package preflight

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// However well it is compressed, and over however many columns it is spread.
func TestCheckNamesRowsThatAreTooLargeToBeDecoded(t *testing.T) {
	r := pairtest.New(t)
	defer func(was int64) { largestRow = was }(largestRow)
	largestRow = 8 << 20
	for _, x := range []struct {
		name, row string
		blocks    bool
	}{
		{"texts of a megabyte", "1, 1, repeat('x', 1000000), NULL, NULL, NULL", false},
		{"one long text, which is stored as some kilobytes", "1, 1, repeat('x', 9000000), NULL, NULL, NULL", true},
		{"half as long as bytes, which double", "1, 1, NULL, convert_to(repeat('x', 4500000), 'UTF8'), NULL, NULL", true},
		{"none of its values is too long", "1, 1, repeat('x', 4000000), NULL, NULL, repeat('y', 5000000)", true},
		{"a document", "1, 1, NULL, NULL, to_jsonb(repeat('x', 9000000)), NULL", true},
		{"a small document", "1, 1, NULL, NULL, to_jsonb(repeat('x', 100000)), NULL", false},
	} {
		t.Run(x.name, func(t *testing.T) {
			r.Script(s, "CREATE TABLE t (tenant_id int NOT NULL, n int, a text, b bytea, c jsonb, d varchar, PRIMARY KEY (tenant_id, n)) "+
				"PARTITION BY LIST (n); CREATE TABLE p PARTITION OF t DEFAULT; INSERT INTO t SELECT 1, g, md5(g::text) "+
				"FROM generate_series(2, 9) g; INSERT INTO t VALUES ("+x.row+")")
			defer r.Must(s, "DROP TABLE t")
			got := about(found(r, r.Pair), "postgres-large-row")
			if !x.blocks {
				require.Empty(t, got)
				return
			}
			require.Equal(t, []string{"blocker postgres-large-row table public.t"}, got)
		})
	}
}
