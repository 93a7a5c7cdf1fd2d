package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

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
func (a *Activities) ReadHome(ctx context.Context, req TenantRequest) (migration.HomeRecord, error) {
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return migration.HomeRecord{}, err
	}
	r, err := p.Home(ctx, req.Tenant)
	return r, classify(err)
}

// TenantMove is one try of a Move of a tenant. The steps on the origin act on From, those on the destination on its other side.
type TenantMove struct {
	PostgresRef
	Customer string             `json:"customer"`
	Tenant   int64              `json:"tenant"`
	From     migration.Side     `json:"from"`
	Try      migration.Try      `json:"try"`
	Lease    migration.Duration `json:"lease"`  // of the fence: the freeze budget
	MaxLag   migration.Duration `json:"maxLag"` // of either direction, before the fence
}

// Readiness is what CheckTenant found.
type Readiness struct {
	Findings        []migration.Finding `json:"findings,omitempty"`
	PredictedFreeze migration.Duration  `json:"predictedFreeze"`
	How             string              `json:"how,omitempty"` // how it was computed
}

// CheckTenant asks what can be asked before a fence. It writes a beat and nothing else.
func (a *Activities) CheckTenant(ctx context.Context, req TenantMove) (Readiness, error) {
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return Readiness{}, err
	}
	defer beat(ctx, "checking")()
	r, err := p.Ready(ctx, req.From, req.Tenant, req.Lease.D(), req.MaxLag.D())
	return Readiness{Findings: r.Findings, PredictedFreeze: migration.Duration(r.Predicted), How: r.How}, classify(err)
}

// StepResult is a step's word, and when, by the clock of the server that took the step.
type StepResult struct {
	Word migration.Word `json:"word"`
	At   time.Time      `json:"at"`
}

// Each step below is one transaction that carries the try. Cut off after its effect and before its answer, it is repeated and answers
// the same; a zombie with an older try is told superseded and changes nothing.

// FenceTenant makes the origin refuse the tenant's writes until the lease runs out. A repeat never renews the lease. Busy: writers
// were in the way for half a second; ask again.
func (a *Activities) FenceTenant(ctx context.Context, req TenantMove) (StepResult, error) {
	return a.step(ctx, req.PostgresRef, func(p *engine.Pair) (engine.Step, error) {
		return p.Fence(ctx, req.From, req.Tenant, req.Try, req.Lease.D())
	})
}

// answerIn is kept back of an activity's time so that Behind is an answer and not a time-out: a look at the mark takes a few milliseconds.
const answerIn = 50 * time.Millisecond

// DrainResult is what a drained tenant's comparison of both sides found. Word is fenced, or behind: then nothing was compared.
type DrainResult struct {
	Word        migration.Word `json:"word"`
	Rows        int64          `json:"rows"`
	Tables      int            `json:"tables"`
	Differences []string       `json:"differences,omitempty"` // by table
}

// mostDifferences keeps a result small: who sees ten will look for the rest.
const mostDifferences = 10

// DrainTenant waits, for a lease at most, until the fence's mark has arrived at the destination, and then compares the tenant's rows on
// both sides, which nobody writes any more. It only reads. Both are one activity because each round through Temporal is time in which
// the customer cannot write. It heartbeats.
func (a *Activities) DrainTenant(ctx context.Context, req TenantMove) (DrainResult, error) {
	defer beat(ctx, "draining")()
	limit := req.Lease.D()
	if end, ok := ctx.Deadline(); ok {
		limit = max(0, min(limit, time.Until(end)-answerIn))
	}
	mark, err := a.step(ctx, req.PostgresRef, func(p *engine.Pair) (engine.Step, error) {
		return p.AwaitMark(ctx, req.From.Other(), req.Tenant, req.Try, limit)
	})
	if err != nil || mark.Word != migration.WordFenced {
		return DrainResult{Word: mark.Word}, err
	}
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return DrainResult{}, err
	}
	v, err := p.Verify(ctx, req.Tenant)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return DrainResult{}, fmt.Errorf("the comparison of the customer's rows on both sides did not end within the freeze budget of %s: %w", req.Lease, err)
	}
	return DrainResult{Word: mark.Word, Rows: v.Rows, Tables: v.Tables, Differences: v.Differences[:min(len(v.Differences), mostDifferences)]}, classify(err)
}

// SealTenant closes the origin for good, while the lease lives.
func (a *Activities) SealTenant(ctx context.Context, req TenantMove) (StepResult, error) {
	return a.step(ctx, req.PostgresRef, func(p *engine.Pair) (engine.Step, error) {
		return p.Seal(ctx, req.From, req.Tenant, req.Try)
	})
}

// OpenTenant makes the destination the home: the commit point.
func (a *Activities) OpenTenant(ctx context.Context, req TenantMove) (StepResult, error) {
	return a.step(ctx, req.PostgresRef, func(p *engine.Pair) (engine.Step, error) {
		return p.Open(ctx, req.From.Other(), req.Tenant, req.Try)
	})
}

// UnfenceTenant is the way back before the seal.
func (a *Activities) UnfenceTenant(ctx context.Context, req TenantMove) (StepResult, error) {
	return a.step(ctx, req.PostgresRef, func(p *engine.Pair) (engine.Step, error) {
		return p.Unfence(ctx, req.From, req.Tenant, req.Try)
	})
}

// PoisonTenant resolves a doubtful open at the destination. Try is above the doubtful one: the caller passes Try.Next().
func (a *Activities) PoisonTenant(ctx context.Context, req TenantMove) (StepResult, error) {
	return a.step(ctx, req.PostgresRef, func(p *engine.Pair) (engine.Step, error) {
		return p.Poison(ctx, req.From.Other(), req.Tenant, req.Try)
	})
}

// ReopenTenant opens a sealed origin, after PoisonTenant with the same Try said poisoned.
func (a *Activities) ReopenTenant(ctx context.Context, req TenantMove) (StepResult, error) {
	return a.step(ctx, req.PostgresRef, func(p *engine.Pair) (engine.Step, error) {
		return p.Reopen(ctx, req.From, req.Tenant, req.Try)
	})
}

// ClaimTenant ends whatever was under way on From below this try: open, or sealed (it stays so).
func (a *Activities) ClaimTenant(ctx context.Context, req TenantMove) (StepResult, error) {
	return a.step(ctx, req.PostgresRef, func(p *engine.Pair) (engine.Step, error) {
		return p.Claim(ctx, req.From, req.Tenant, req.Try)
	})
}

func (a *Activities) step(ctx context.Context, ref PostgresRef, do func(*engine.Pair) (engine.Step, error)) (StepResult, error) {
	p, err := a.open(ctx, ref)
	if err != nil {
		return StepResult{}, err
	}
	r, err := do(p)
	return StepResult{Word: r.Word, At: r.At}, classify(err)
}
