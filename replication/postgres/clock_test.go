package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/replication/postgres/pairtest"
)

func TestALookNamesServersWhoseClocksDifferFromTheWorkers(t *testing.T) {
	r := pairtest.New(t).Prepared(1)
	for _, c := range []struct {
		name string
		off  time.Duration // of the worker's clock
		says string
	}{
		{"they agree", 0, ""},
		{"half a second apart", 500 * time.Millisecond, ""},
		{"the worker is a minute behind", -time.Minute, "its server's clock is 1m0s ahead of that of the worker"},
		{"the worker is an hour ahead", time.Hour, "its server's clock is 1h0m0s behind that of the worker"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.Pair.Here = func() time.Time { return time.Now().Add(c.off) }
			defer func() { r.Pair.Here = nil }()
			found := watch(r).Clocks
			if c.says == "" {
				require.Empty(t, found)
				return
			}
			require.Len(t, found, 2)
			for i, where := range []string{"on premises", "on AWS"} {
				require.Contains(t, found[i], where)
				require.Contains(t, found[i], c.says)
				require.Contains(t, found[i], "follow a time server")
			}
		})
	}
}
