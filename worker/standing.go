package worker

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

const (
	// standingLimit is how long a scrape waits for where plans stand. Prometheus waits ten seconds
	// for all of it, unless it is told otherwise.
	standingLimit = 5 * time.Second
	// plansAtOnce is how many plans are asked at a time.
	plansAtOnce = 8
)

// plans are asked where they stand; client.Client is one.
type plans interface {
	List(ctx context.Context) ([]client.PlanSummary, error)
	Migration(ctx context.Context, plan string) (migration.MigrationStatus, error)
}

// standing tells Prometheus where the running plans stand. It asks at each scrape: what a workflow
// had recorded would stay in a process after the workflow went on in another.
type standing struct {
	plans plans
	log   hclog.Logger
	descs map[string]*prometheus.Desc // by instrument
}

func newStanding(p plans, log hclog.Logger) *standing {
	s := &standing{plans: p, log: log, descs: map[string]*prometheus.Desc{}}
	asked := map[string]bool{migration.MetricCustomers: true, migration.MetricBatches: true, migration.MetricDatasets: true,
		migration.MetricPaused: true, migration.MetricStatusRead: true}
	for _, m := range migration.Metrics {
		if asked[m.Instrument] {
			s.descs[m.Instrument] = prometheus.NewDesc(m.Name(), m.Is, m.Labels, nil)
		}
	}
	return s
}

// Describe gives the names of the metrics.
func (s *standing) Describe(to chan<- *prometheus.Desc) {
	for _, d := range s.descs {
		to <- d
	}
}

// Collect asks the running plans. Of a plan that cannot be read nothing is given.
func (s *standing) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), standingLimit)
	defer cancel()
	read := 1.0
	if err := s.ask(ctx, to); err != nil {
		read = 0
		s.log.Warn("where the running plans stand is not in this answer to Prometheus", "why", err)
	}
	s.tell(to, migration.MetricStatusRead, read)
}

func (s *standing) ask(ctx context.Context, to chan<- prometheus.Metric) error {
	list, err := s.plans.List(ctx)
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(plansAtOnce)
	for _, p := range list {
		if p.Execution != client.Running {
			continue
		}
		g.Go(func() error {
			m, err := s.plans.Migration(ctx, p.Plan)
			if err == nil {
				s.plan(m, to)
			}
			return err
		})
	}
	return g.Wait()
}

func (s *standing) plan(m migration.MigrationStatus, to chan<- prometheus.Metric) {
	paused := 0.0
	if m.Paused {
		paused = 1
	}
	s.tell(to, migration.MetricPaused, paused, m.Plan)
	type standing struct{ phase, waiting string }
	batches := map[standing]int{}
	for _, b := range m.Batches {
		batches[standing{string(b.Phase), string(b.WaitingFor)}]++
		for state, n := range map[string]int{"waiting": b.Counts.Waiting, "moving": b.Counts.Moving, "baking": b.Counts.Baking,
			"on-aws": b.Counts.OnAWS, "rolled-back": b.Counts.RolledBack, "held": b.Counts.Held} {
			s.tell(to, migration.MetricCustomers, float64(n), m.Plan, b.Name, state)
		}
	}
	for b, n := range batches {
		s.tell(to, migration.MetricBatches, float64(n), m.Plan, b.phase, b.waiting)
	}
	datasets := map[migration.PiecePhase]int{}
	for _, d := range m.Datasets {
		datasets[d.Phase]++
	}
	for phase, n := range datasets {
		s.tell(to, migration.MetricDatasets, float64(n), m.Plan, string(phase))
	}
}

func (s *standing) tell(to chan<- prometheus.Metric, instrument string, value float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(s.descs[instrument], prometheus.GaugeValue, value, labels...)
}
