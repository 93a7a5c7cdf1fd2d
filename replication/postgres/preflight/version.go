package preflight

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/replication/postgres"
)

// firstGoodMinor is, of each major version, the first minor that hands invalidations to running
// transactions: older ones can decode under a filter that is out of date. Before 15 there are no
// row filters.
var firstGoodMinor = map[int]int{15: 14, 16: 10, 17: 6}

// filtersWork says whether a server's row filters can be trusted.
func filtersWork(version int) bool {
	major, minor := version/10000, version%10000
	least, listed := firstGoodMinor[major]
	return major >= 15 && (!listed || minor >= least)
}

// version wants row filters that can be trusted.
func version(_ context.Context, s *survey, at *postgres.Server) error {
	if v := s.versions[at.Side]; !filtersWork(v) {
		s.block(s.database(at), fmt.Sprintf("version %d.%d may decode under out-of-date row filters", v/10000, v%10000),
			"upgrade to 15.14, 16.10, 17.6, 18 or newer")
	}
	return nil
}
