package postgres

import (
	"context"
	"time"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
)

// TenantRequest names a customer's slice of a dataset.
type TenantRequest struct {
	PostgresRef
	Customer string `json:"customer"`
	Tenant   int64  `json:"tenant"`
}

// ReadHome reads the home record of both sides. It changes nothing.
func (a *Activities) ReadHome(ctx context.Context, req TenantRequest) (r migration.HomeRecord, err error) {
	defer heartbeat.Alive(ctx)()
	err = a.either(ctx, req.PostgresRef, func(ctx context.Context, p *engine.Pair) (err error) {
		r, err = p.Home(ctx, req.Tenant)
		return err
	})
	return r, err
}

// TenantMove is one try of a Move of a tenant. The steps on the origin act on From, those on the
// destination on its other side.
type TenantMove struct {
	PostgresRef
	Customer string         `json:"customer"`
	Tenant   int64          `json:"tenant"`
	From     migration.Side `json:"from"`
	Try      migration.Try  `json:"try"`
}

// StepResult is a step's word, and when, by the clock of the server that took the step.
type StepResult struct {
	Word migration.Word `json:"word"`
	At   time.Time      `json:"at"`
}

// Each step below is one transaction that carries the try. Cut off after its effect and before its
// answer, it is repeated and answers the same; a zombie with an older try is told superseded and
// changes nothing.

// OpenTenant makes the destination the home of a database after the customer's first, which has
// opened: only forward is left.
func (a *Activities) OpenTenant(ctx context.Context, req TenantMove) (StepResult, error) {
	return a.step(ctx, req.PostgresRef, func(ctx context.Context, p *engine.Pair) (engine.Step, error) {
		return p.Freeze(engine.Attempt{From: req.From, Tenant: req.Tenant, Try: req.Try}).Open(ctx)
	})
}

// UnfenceTenant is the way back before the seal.
func (a *Activities) UnfenceTenant(ctx context.Context, req TenantMove) (StepResult, error) {
	return a.step(ctx, req.PostgresRef, func(ctx context.Context, p *engine.Pair) (engine.Step, error) {
		return p.Unfence(ctx, req.From, req.Tenant, req.Try)
	})
}

// PoisonTenant resolves a doubtful open at the destination. Try is above the doubtful one: the
// caller passes Try.Next().
func (a *Activities) PoisonTenant(ctx context.Context, req TenantMove) (StepResult, error) {
	return a.step(ctx, req.PostgresRef, func(ctx context.Context, p *engine.Pair) (engine.Step, error) {
		return p.Poison(ctx, req.From.Other(), req.Tenant, req.Try)
	})
}

// ReopenTenant opens a sealed origin, after PoisonTenant with the same Try said poisoned.
func (a *Activities) ReopenTenant(ctx context.Context, req TenantMove) (StepResult, error) {
	return a.step(ctx, req.PostgresRef, func(ctx context.Context, p *engine.Pair) (engine.Step, error) {
		return p.Reopen(ctx, req.From, req.Tenant, req.Try)
	})
}

// ClaimTenant ends whatever was under way on From below this try: open, or sealed (it stays so).
func (a *Activities) ClaimTenant(ctx context.Context, req TenantMove) (StepResult, error) {
	return a.step(ctx, req.PostgresRef, func(ctx context.Context, p *engine.Pair) (engine.Step, error) {
		return p.Claim(ctx, req.From, req.Tenant, req.Try)
	})
}

const (
	stepAnswers  = 4 * time.Second       // what one answer may take: a little longer than a step waits for locks
	stepWait     = 10 * time.Millisecond // before a step that found somebody in its way is asked for again; doubles
	stepWaitMost = 320 * time.Millisecond
)

type takeStep func(context.Context, *engine.Pair) (engine.Step, error)

// step asks for a step. Where it finds somebody in its way it is asked for again, for as long as
// the attempt has time for another answer.
func (a *Activities) step(ctx context.Context, ref PostgresRef, do takeStep) (StepResult, error) {
	defer heartbeat.Alive(ctx)()
	for wait := stepWait; ; wait = min(2*wait, stepWaitMost) {
		r, err := a.stepOnce(ctx, ref, do)
		over, limited := ctx.Deadline()
		inTheWay := r.Word == migration.WordBusy || r.Word == migration.WordBehind
		if err != nil || !inTheWay || !limited || time.Until(over) < wait+stepAnswers {
			return r, err
		}
		select {
		case <-ctx.Done():
			return r, nil
		case <-time.After(wait):
		}
	}
}

func (a *Activities) stepOnce(ctx context.Context, ref PostgresRef, do takeStep) (StepResult, error) {
	ctx, cancel := context.WithTimeout(ctx, stepAnswers)
	defer cancel()
	p, err := a.open(ctx, ref)
	if err != nil {
		return StepResult{}, err
	}
	r, err := do(ctx, p)
	return StepResult{Word: r.Word, At: r.At}, classify(err)
}
