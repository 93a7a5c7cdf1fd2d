package main

import (
	"context"
	"time"

	"github.com/drover-migration/drover/activities/health"
	engine "github.com/drover-migration/drover/health"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// doctor stands in for the main worker's activities of health, under their names.
type doctor struct{ *below }

// Two probes each half second are two samples in that time.
const samplesASecond = 4

// MeasureBaseline measures a customer that is well.
func (d doctor) MeasureBaseline(ctx context.Context, _ health.WatchRequest) (b health.Baseline, err error) {
	b.P95, b.Samples = 0.02, 20
	return b, d.beating(ctx, ms(369, 471), nothing)
}

// WatchHealth watches for as long as it is asked to, or until a sick customer has failed three
// probes.
func (d doctor) WatchHealth(ctx context.Context, req health.WatchRequest) (v migration.Verdict, err error) {
	length, ill := req.For.D(), sick(req.Slice.Customer.Tenant, false)
	if ill {
		length = min(length, 1500*time.Millisecond)
	}
	v = verdict(ill)
	v.Samples = int(length.Seconds() * samplesASecond)
	return v, d.beating(ctx, ms(float64(length.Milliseconds()), float64(length.Milliseconds())), nothing)
}

// WatchMany looks once at many.
func (d doctor) WatchMany(ctx context.Context, req health.WatchManyRequest) (health.WatchManyResult, error) {
	r := health.WatchManyResult{Verdicts: map[string]migration.Verdict{}, Routes: map[string]string{}}
	var wanted []routes.Wanted
	for _, s := range req.Customers {
		wanted = append(wanted, routes.Wanted(s))
	}
	each := float64(len(wanted)) * 40 / lookAtOnce // two probes of 20 ms, so many customers at once
	err := d.beating(ctx, ms(200+each, 400+each), func() error {
		var states States
		err := d.ask("Route", wanted, &states)
		for id, s := range states {
			r.Verdicts[id] = verdict(sick(tenantOf(id), true))
			if s.Wrong != "" {
				r.Routes[id] = s.Wrong
			}
		}
		return err
	})
	return r, err
}

// lookAtOnce is how many customers the real doctor asks at once.
const lookAtOnce = 32

func verdict(ill bool) migration.Verdict {
	v := migration.Verdict{Outcome: migration.Pass, At: time.Now(), P95: 0.02, BaselineP95: 0.02}
	if ill {
		v.Outcome, v.Probe, v.Errors, v.LastAnswer = migration.Fail, "http /healthz expecting 200", 3, "HTTP 500"
		v.Reason = "probe http /healthz expecting 200 failed 3 times in a row, last: HTTP 500"
	}
	return v
}

// FindMachines finds two machines behind the load balancer.
func (d doctor) FindMachines(ctx context.Context, req health.DestinationRequest) (out []health.Machines, err error) {
	for _, w := range req.Slice.Workloads {
		out = append(out, health.Machines{Workload: w.Name, Behind: []engine.Endpoint{
			{Address: "10.0.0.2:8080", Healthy: true}, {Address: "10.0.0.3:8080", Healthy: true},
		}})
	}
	return out, d.call(ctx, targets, nothing)
}
