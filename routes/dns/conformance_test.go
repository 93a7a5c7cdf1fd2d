package dns_test

import (
	"testing"

	"github.com/drover-migration/drover/routes/routetest"
)

func TestRoute53RoutesAsTheSuiteSays(t *testing.T) {
	routetest.Run(t, func(t *testing.T) routetest.World {
		w, _ := world(t)
		return w
	})
}

// Changes that take their time change nothing but that.
func TestRoute53RoutesAsTheSuiteSaysWhileChangesSpread(t *testing.T) {
	routetest.Run(t, func(t *testing.T) routetest.World {
		w, f := world(t)
		f.looks = 2
		return w
	})
}
