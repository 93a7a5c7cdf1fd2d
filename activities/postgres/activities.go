package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/internal/measure"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/preflight"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// Pairs opens a dataset's two servers and keeps them connected.
type Pairs interface {
	Open(ctx context.Context, plan string, d migration.Dataset, target migration.Target) (*engine.Pair, error)
	// Half is the pair of which one side does not answer.
	Half(ctx context.Context, plan string, d migration.Dataset, target migration.Target) (*engine.Pair, error)
}

// Activities needs, on each server, a role that may create schemas, publications and subscriptions
// and that owns the tables; see preflight.Check.
type Activities struct {
	pairs Pairs
}

// New builds the activities over connections that live as long as the worker: a freeze has no time
// to connect.
func New(pairs Pairs) *Activities { return &Activities{pairs: pairs} }

// PostgresRef names a dataset of a plan.
type PostgresRef struct {
	Plan    string            `json:"plan"`
	Dataset migration.Dataset `json:"dataset"`
	Target  migration.Target  `json:"target"`
}

// CheckPostgresRequest names the tenants that will move.
type CheckPostgresRequest struct {
	PostgresRef
	Tenants []int64         `json:"tenants"`
	Moves   preflight.Moves `json:"moves"` // of the plan, at a time
	// Looks leaves out what is tried on a server and rolled back (preflight.Trying).
	Looks bool `json:"looks,omitempty"`
}

// CheckPostgresResult is everything found at once.
type CheckPostgresResult struct {
	Findings []migration.Finding `json:"findings,omitempty"`
}

// CheckPostgres reads what must hold before anything is touched. It changes nothing: twice is once.
func (a *Activities) CheckPostgres(ctx context.Context, req CheckPostgresRequest) (CheckPostgresResult, error) {
	if f, bad := badDataset(req.PostgresRef); bad {
		return CheckPostgresResult{Findings: []migration.Finding{f}}, nil
	}
	defer beat(ctx, "checking")()
	p, err := a.pairs.Open(ctx, req.Plan, req.Dataset, req.Target)
	if err != nil {
		// That a database cannot be reached is what a preflight is for.
		return CheckPostgresResult{Findings: []migration.Finding{{
			Severity: migration.Blocker, Check: "postgres-connect", Subject: "dataset " + req.Dataset.Name, Reason: err.Error(),
			Remedy: "check address, credentials and network from the site's worker",
		}}}, nil
	}
	check := preflight.Check
	if req.Looks {
		check = preflight.Look
	}
	found, err := check(ctx, p, req.Tenants, req.Moves)
	return CheckPostgresResult{Findings: found}, classify(err)
}

// PreparePostgresRequest names the tenants that will move.
type PreparePostgresRequest struct {
	PostgresRef
	Tenants []int64 `json:"tenants"`
}

// PreparePostgres sets up schema, functions, fences, publications, id ranges and subscriptions.
// Every part looks at what is there first: cut off anywhere, or run twice at once, it ends in the
// same state. One that a repeat does not cure takes back what it has done to premises.
func (a *Activities) PreparePostgres(ctx context.Context, req PreparePostgresRequest) error {
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return err
	}
	say, stop := heartbeat.Saying[string](ctx)
	defer stop()
	err = classify(setup.Prepare(ctx, p, req.Tenants, say))
	var failed *temporal.ApplicationError
	if !errors.As(err, &failed) || !failed.NonRetryable() {
		return err
	}
	if back := setup.TakeBack(ctx, p, say); back != nil {
		words := fmt.Sprintf("%s; and what was done cannot be taken back: %v", failed.Message(), back)
		return temporal.NewNonRetryableApplicationError(words, failed.Type(), nil)
	}
	return err
}

// AwaitPostgresSync waits until every table of both directions replicates and a beat has made the
// way in each. It only reads, and writes a beat: a second run overwrites the first's.
func (a *Activities) AwaitPostgresSync(ctx context.Context, ref PostgresRef) error {
	p, err := a.open(ctx, ref)
	if err != nil {
		return err
	}
	say, stop := heartbeat.Saying[string](ctx)
	defer stop()
	return classify(p.AwaitSync(ctx, say))
}

// Lag is how far each direction is behind. Durations are those of a beat from write to sight.
type Lag struct {
	Forward      migration.Duration `json:"forward"`
	Back         migration.Duration `json:"back"`
	ForwardBytes int64              `json:"forwardBytes"` // WAL not confirmed by the subscriber
	BackBytes    int64              `json:"backBytes"`
	// ForwardDecoded and BackDecoded are the bytes of changes that were decoded for the other side
	// since the slot was made, or the server's statistics were reset.
	ForwardDecoded int64 `json:"forwardDecoded,omitempty"`
	BackDecoded    int64 `json:"backDecoded,omitempty"`
}

// ReadLag sends a beat in each direction. A beat that never arrives is an error at the activity's
// time-out.
func (a *Activities) ReadLag(ctx context.Context, ref PostgresRef) (Lag, error) {
	defer beat(ctx, "waiting for a beat")()
	p, err := a.open(ctx, ref)
	if err != nil {
		return Lag{}, err
	}
	l, err := p.Lag(ctx)
	if err != nil {
		return Lag{}, classify(err)
	}
	measured(ctx, ref, l)
	return Lag{Forward: migration.Duration(l.Forward), Back: migration.Duration(l.Back), ForwardBytes: l.ForwardBytes,
		BackBytes: l.BackBytes, ForwardDecoded: l.ForwardDecoded, BackDecoded: l.BackDecoded}, nil
}

// measured records a lag.
func measured(ctx context.Context, ref PostgresRef, l engine.Lag) {
	for _, d := range []struct {
		to    migration.Side
		lag   time.Duration
		bytes int64
	}{{migration.AWS, l.Forward, l.ForwardBytes}, {migration.OnPrem, l.Back, l.BackBytes}} {
		in := measure.In(ctx, map[string]string{"plan": ref.Plan, "dataset": ref.Dataset.Name, "to": string(d.to)})
		in.Gauge(migration.MetricLag).Update(d.lag.Seconds())
		in.Gauge(migration.MetricLagBytes).Update(float64(d.bytes))
	}
	measure.In(ctx, map[string]string{"plan": ref.Plan, "dataset": ref.Dataset.Name}).Gauge(migration.MetricMeasured).
		Update(float64(time.Now().UnixMilli()) / 1000)
}

// DropPostgres takes away everything Drover made in the two databases, when every tenant is homed
// on premises, and says what stays. What is gone already stays gone: cut off anywhere, it is run
// again.
func (a *Activities) DropPostgres(ctx context.Context, ref PostgresRef) (DropResult, error) {
	p, err := a.open(ctx, ref)
	if err != nil {
		return DropResult{}, err
	}
	say, stop := heartbeat.Saying[string](ctx)
	defer stop()
	if err := setup.DropAll(ctx, p, say); err != nil {
		return DropResult{}, classify(err)
	}
	kept, err := setup.Kept(ctx, p)
	return DropResult{Kept: kept}, classify(err)
}

// DropResult says what cannot be undone, or is a person's to decide.
type DropResult struct {
	Kept []string `json:"kept,omitempty"`
}

// FinaliseRequest names a dataset whose way between the sides ends.
type FinaliseRequest struct {
	PostgresRef
	SignUps bool `json:"signUps,omitempty"` // tenants that the plan does not know come along
}

// FinalFindings is what stands in the way of the end.
type FinalFindings struct {
	Findings []migration.Finding `json:"findings,omitempty"`
}

// CheckFinal says who would be left on premises if the way between the sides ended. It changes
// nothing.
func (a *Activities) CheckFinal(ctx context.Context, req FinaliseRequest) (FinalFindings, error) {
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return FinalFindings{}, err
	}
	defer beat(ctx, "reading who is on AWS")()
	left, err := setup.LeftOnPremises(ctx, p)
	if err != nil {
		return FinalFindings{}, classify(err)
	}
	why := left.Refusal(req.SignUps)
	if why == "" {
		return FinalFindings{}, nil
	}
	f := migration.Finding{Severity: migration.Blocker, Check: "finalise", Subject: "dataset " + req.Dataset.Name, Reason: why,
		Remedy: "move them first, or leave them on premises and wait"}
	if len(left.Home) == 0 {
		f.Remedy = "their rows are on AWS: route them there, and say `drover finalise --with-sign-ups`"
	}
	return FinalFindings{Findings: []migration.Finding{f}}, nil
}

// FinalisePostgres ends the way between the two databases for good, when every tenant is homed on
// AWS. Cut off anywhere, it is run again.
func (a *Activities) FinalisePostgres(ctx context.Context, req FinaliseRequest) error {
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return err
	}
	say, stop := heartbeat.Saying[string](ctx)
	defer stop()
	return classify(setup.Finalise(ctx, p, req.SignUps, say))
}

func (a *Activities) open(ctx context.Context, ref PostgresRef) (*engine.Pair, error) {
	if f, bad := badDataset(ref); bad {
		return nil, temporal.NewNonRetryableApplicationError(f.Subject+": "+f.Reason, ErrorBadRequest, nil)
	}
	p, err := a.pairs.Open(ctx, ref.Plan, ref.Dataset, ref.Target)
	return p, classify(err)
}

// either asks the pair of a dataset, or what is left of it where a side does not answer.
func (a *Activities) either(ctx context.Context, ref PostgresRef, ask func(context.Context, *engine.Pair) error) error {
	some, cancel := ctx, func() {}
	if end, limited := ctx.Deadline(); limited { // the half of it is for the half
		some, cancel = context.WithTimeout(ctx, time.Until(end)/2)
	}
	defer cancel()
	p, err := a.open(some, ref)
	if err == nil {
		err = classify(ask(some, p))
	}
	var answered *pgconn.PgError
	var permanent *temporal.ApplicationError
	if err == nil || ctx.Err() != nil || errors.As(err, &answered) || errors.As(err, &permanent) {
		return err
	}
	h, herr := a.pairs.Half(ctx, ref.Plan, ref.Dataset, ref.Target)
	if herr != nil {
		return err
	}
	return classify(ask(ctx, h))
}

func badDataset(ref PostgresRef) (migration.Finding, bool) {
	return migration.Finding{Severity: migration.Blocker, Check: "postgres-dataset", Subject: "dataset " + ref.Dataset.Name,
			Reason: "it is not a PostgreSQL database", Remedy: "this is a mistake in Drover, or in the plan's dataset"},
		ref.Dataset.Postgres == nil
}

// beat heartbeats with one word until the returned function is called.
func beat(ctx context.Context, what string) (stop func()) {
	say, stop := heartbeat.Saying[string](ctx)
	say(what)
	return stop
}
