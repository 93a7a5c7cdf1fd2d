package postgres

import (
	"context"
	"time"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
)

// WatchResult is what one look at both databases of a dataset found.
type WatchResult struct {
	Doubts []string    `json:"doubts,omitempty"` // servers that are not the ones that Drover knew
	Both   []BothOpen  `json:"both,omitempty"`
	Stale  []StaleSide `json:"stale,omitempty"`
	Drift  []string    `json:"drift,omitempty"` // publications that were changed by hand
	// WAL says of each direction that has lost its slot, or holds back more than the plan's
	// walBudget.
	WAL    []string `json:"wal,omitempty"`
	Clocks []string `json:"clocks,omitempty"` // servers whose clocks differ from the worker's
}

// BothOpen is a tenant whose writes both sides take, where nothing says which side is stale.
type BothOpen struct {
	Tenant int64  `json:"tenant"`
	Why    string `json:"why"`
}

// StaleSide is a side that was closed for a tenant, since it had forgotten that the tenant moved
// away.
type StaleSide struct {
	Tenant int64          `json:"tenant"`
	Side   migration.Side `json:"side"`
	Token  int64          `json:"token"` // under which the other side is open
	At     time.Time      `json:"at"`
	Writes string         `json:"writes"` // what had been written there and is nowhere else
}

// WatchPostgres audits the fences of every tenant of a dataset on both sides and closes stale
// sides. What it closed stays in the database, so that an answer that was lost is given again.
func (a *Activities) WatchPostgres(ctx context.Context, ref PostgresRef) (WatchResult, error) {
	p, err := a.open(ctx, ref)
	if err != nil {
		return WatchResult{}, err
	}
	defer beat(ctx, "auditing both sides")()
	w, err := p.Watch(ctx)
	out := WatchResult{Doubts: w.Doubts, Drift: w.Drift, Clocks: w.Clocks}
	if err == nil {
		var over []migration.Finding
		over, err = p.OverBudget(ctx, ref.Dataset.Postgres.WALBudgetBytes)
		for _, f := range over {
			out.WAL = append(out.WAL, f.Subject+": "+f.Reason+" ("+f.Remedy+")")
		}
	}
	for _, b := range w.Both {
		out.Both = append(out.Both, BothOpen(b))
	}
	for _, s := range w.Stale {
		out.Stale = append(out.Stale, StaleSide(s))
	}
	return out, classify(err)
}

// ExamineRequest names the tenants of a dataset whose homes are asked.
type ExamineRequest struct {
	PostgresRef
	Tenants []int64 `json:"tenants"`
}

// ExamineResult is a dataset as both databases have it now. Homes are of the tenants that are not
// open on exactly one side: a plan may have ten thousand that are.
type ExamineResult struct {
	Whole   int                            `json:"whole"`
	Servers []migration.ServerState        `json:"servers"`
	Homes   map[int64]migration.HomeRecord `json:"homes"`
}

// ExamineServers reads both sides for drover doctor. It changes nothing.
func (a *Activities) ExamineServers(ctx context.Context, req ExamineRequest) (ExamineResult, error) {
	defer beat(ctx, "examining both sides")()
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return ExamineResult{}, err
	}
	states, err := p.Servers(ctx)
	if err != nil {
		return ExamineResult{}, classify(err)
	}
	var out ExamineResult
	for _, s := range states {
		x := migration.ServerState{Side: s.Side, Now: identity(s.Now), Doubt: s.Doubt, AgreedBy: s.AgreedBy}
		if s.Known != nil {
			x.Known = identity(*s.Known)
		}
		out.Servers = append(out.Servers, x)
	}
	homes, err := p.Homes(ctx, req.Tenants)
	out.Homes = map[int64]migration.HomeRecord{}
	for t, h := range homes {
		if h.Settled() {
			out.Whole++
		} else {
			out.Homes[t] = h
		}
	}
	return out, classify(err)
}

func identity(i engine.Identity) migration.ServerIdentity {
	return migration.ServerIdentity{SystemID: i.SystemID, Timeline: i.Timeline}
}

// AgreeRequest vouches for a server by somebody's name.
type AgreeRequest struct {
	PostgresRef
	Side   migration.Side           `json:"side"`
	Seen   migration.ServerIdentity `json:"seen"` // what was shown to that person
	By     string                   `json:"by"`
	Reason string                   `json:"reason"`
}

// AgreeServer writes down, on both sides, that a server with a new identity may be believed. Twice
// is once.
func (a *Activities) AgreeServer(ctx context.Context, req AgreeRequest) error {
	defer heartbeat.Alive(ctx)()
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return err
	}
	return classify(p.Agree(ctx, req.Side, engine.Identity(req.Seen), req.By, req.Reason))
}
