package alb_test

import (
	"testing"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes/routetest"
)

func place(f *fakeELB) routetest.ALBPlace {
	return routetest.ALBPlace{Client: f, Target: migration.Target{Name: "prod", Account: "123456789012", Region: "us-east-1", VPC: "vpc-1"},
		Listener: "listener", Web: "tg/web", API: "tg/api"}
}

func TestALBRoutesAsTheSuiteSays(t *testing.T) {
	routetest.Run(t, func(t *testing.T) routetest.World { return routetest.NewALB(t, place(newFakeELB())) })
}
