package setup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

// TestWhatAWriterPaysWhileItIsObserved measures what docs/observe.md says, with -v. It refuses what
// would be a mistake, and not what is a busy machine.
func TestWhatAWriterPaysWhileItIsObserved(t *testing.T) {
	r := pairtest.New(t)
	c := as(r, "app")
	took := func(sql string) time.Duration {
		best := time.Hour
		for range 40 { // short enough to run through between others
			begun := time.Now()
			must(r, c, sql)
			best = min(best, time.Since(begun))
		}
		return best
	}
	const (
		rows = `DO $do$ BEGIN FOR i IN 1..100 LOOP INSERT INTO audit VALUES (1, now(), NULL, 'x'); END LOOP; END $do$`
		bulk = `INSERT INTO audit SELECT 1, now(), NULL, 'x' FROM generate_series(1, 2000)`
		many = `INSERT INTO audit SELECT g, now(), NULL, 'x' FROM generate_series(1, 2000) g`
	)
	before := []time.Duration{took(rows), took(bulk), took(many)}
	observe(r)
	for i, x := range []struct {
		what, sql string
		per, most time.Duration
	}{
		{"a statement with one row", rows, 100, time.Millisecond},
		{"a row of 2,000 of one customer", bulk, 2000, 20 * time.Microsecond},
		{"a row of 2,000 of as many customers", many, 2000, 20 * time.Microsecond},
	} {
		observed := took(x.sql)
		more := (observed - before[i]) / x.per
		t.Logf("%s: %v, observed %v: %v more", x.what, before[i]/x.per, observed/x.per, more)
		require.Less(t, more, x.most, x.what)
	}
}
