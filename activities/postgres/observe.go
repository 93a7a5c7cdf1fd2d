package postgres

import (
	"context"
	"time"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// ObserveRequest names a dataset whose writers are observed, and the addresses whose requests the
// plan routes.
type ObserveRequest struct {
	PostgresRef
	Routed []string `json:"routed,omitempty"`
}

// ObserveResult is what an observation has come to.
type ObserveResult struct {
	// Over says that it has ended, or that replication is set up: nothing is observed any more.
	Over       bool               `json:"over,omitempty"`
	Since      time.Time          `json:"since,omitzero"`
	Age        migration.Duration `json:"age"` // by the server's clock
	Unresolved int                `json:"unresolved"`
}

// ObserveWriters has premises write down who writes, where they do not yet, and says what that has
// come to. It refuses nothing. Cut off anywhere, or run twice at once, it ends in the same state.
func (a *Activities) ObserveWriters(ctx context.Context, req ObserveRequest) (ObserveResult, error) {
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return ObserveResult{}, err
	}
	say, stop := heartbeat.Saying[string](ctx)
	defer stop()
	o, err := setup.Observe(ctx, p, req.Routed, say)
	return ObserveResult{Over: o.Over, Since: o.Since, Age: o.Age, Unresolved: o.Unresolved()}, classify(err)
}

// ReadObservation says who wrote a dataset while it was observed. It changes nothing.
func (a *Activities) ReadObservation(ctx context.Context, req ObserveRequest) (out migration.Observation, err error) {
	defer beat(ctx, "reading who writes")()
	err = a.either(ctx, req.PostgresRef, func(ctx context.Context, p *engine.Pair) error {
		o, err := setup.ReadObservation(ctx, p, req.Routed)
		out = o.Observation
		return err
	})
	return out, err
}

// ResolveRequest says of a finding that it may be as it is.
type ResolveRequest struct {
	PostgresRef
	Finding string `json:"finding"`
	By      string `json:"by"`
	Reason  string `json:"reason"`
}

// ResolveResult says whether the dataset has such a finding.
type ResolveResult struct {
	Found bool `json:"found"`
}

// ResolveObserved notes in the database that somebody has resolved a finding. Twice is once: the
// first word stays.
func (a *Activities) ResolveObserved(ctx context.Context, req ResolveRequest) (ResolveResult, error) {
	defer heartbeat.Alive(ctx)()
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return ResolveResult{}, err
	}
	found, err := setup.ResolveObserved(ctx, p, req.Finding, req.By, req.Reason)
	return ResolveResult{Found: found}, classify(err)
}
