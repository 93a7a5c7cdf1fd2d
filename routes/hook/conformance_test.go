package hook_test

import (
	"testing"

	"github.com/drover-migration/drover/routes/routetest"
)

func TestARouterOfOnesOwnRoutesAsTheSuiteSays(t *testing.T) {
	routetest.Run(t, func(t *testing.T) routetest.World { return routetest.NewHook(t) })
}
