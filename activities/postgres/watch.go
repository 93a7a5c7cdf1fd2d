package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/setup"
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
	Lost   []Lost   `json:"lost,omitempty"`   // who goes on without a side
	Silent string   `json:"silent,omitempty"` // why one side could not be looked at
	// NoWayBack is why nobody goes back to premises without loss; nil: the way back stands.
	NoWayBack *migration.NoWayBack `json:"noWayBack,omitempty"`
	Schema    []string             `json:"schema,omitempty"` // what DDL by hand has changed, and nothing has taken in
}

// Lost is a tenant that goes on without a side.
type Lost struct {
	Tenant int64          `json:"tenant"`
	Loss   migration.Loss `json:"loss"`
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
func (a *Activities) WatchPostgres(ctx context.Context, ref PostgresRef) (out WatchResult, err error) {
	defer beat(ctx, "auditing both sides")()
	err = a.either(ctx, ref, func(ctx context.Context, p *engine.Pair) (err error) {
		out, err = watch(ctx, p, ref)
		return err
	})
	return out, err
}

func watch(ctx context.Context, p *engine.Pair, ref PostgresRef) (WatchResult, error) {
	w, err := p.Watch(ctx)
	out := WatchResult{Doubts: w.Doubts, Drift: w.Drift, Clocks: w.Clocks, Silent: w.Silent, Schema: w.Schema}
	if err == nil && w.Silent == "" {
		var over []engine.Flow
		over, err = p.OverBudget(ctx, ref.Dataset.Postgres.WALBudgetBytes)
		for _, f := range over {
			out.WAL = append(out.WAL, f.Subject+": "+f.Reason+" ("+f.Remedy+")")
		}
		out.NoWayBack = noWayBack(over)
	}
	if why := strings.Join(append(slices.Clone(w.Doubts), w.Silent), "; "); out.NoWayBack == nil && why != "" {
		out.NoWayBack = &migration.NoWayBack{Why: strings.TrimSuffix(why, "; ")}
	}
	for _, b := range w.Both {
		out.Both = append(out.Both, BothOpen(b))
	}
	for _, s := range w.Stale {
		out.Stale = append(out.Stale, StaleSide(s))
	}
	for _, l := range w.Lost {
		out.Lost = append(out.Lost, Lost{Tenant: l.Tenant, Loss: l.Loss})
	}
	return out, err
}

// noWayBack is why what is written on AWS does not reach premises; nil: it does. Of two flows the
// one that is lost for good counts.
func noWayBack(over []engine.Flow) (out *migration.NoWayBack) {
	for _, f := range over {
		if f.From == migration.AWS && f.Halts && (out == nil || !out.Lost) {
			out = &migration.NoWayBack{Why: f.Reason, Lost: f.Severity == migration.Blocker}
		}
	}
	return out
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
	Routed  map[int64]migration.Homed      `json:"routed,omitempty"`  // where requests belong, of all that have a home
	Joining []int64                        `json:"joining,omitempty"` // came into the plan by an amendment, and are not prepared yet
	Broken  []string                       `json:"broken,omitempty"`  // what stands in the databases and does not hold
	Made    []migration.Thing              `json:"made,omitempty"`
	Apart   map[int64]migration.RowsApart  `json:"apart,omitempty"`  // who has not the same rows on both sides
	Alone   map[int64]migration.Loss       `json:"alone,omitempty"`  // who goes on without a side
	Silent  *migration.SilentSide          `json:"silent,omitempty"` // nil: both sides answer
}

// ExamineServers reads both sides for drover doctor. It changes nothing but beats.
func (a *Activities) ExamineServers(ctx context.Context, req ExamineRequest) (out ExamineResult, err error) {
	defer beat(ctx, "examining both sides")()
	err = a.either(ctx, req.PostgresRef, func(ctx context.Context, p *engine.Pair) (err error) {
		if p.Lost != "" {
			out, err = examineHalf(ctx, p, req.Tenants)
		} else {
			out, err = examine(ctx, p, req)
		}
		return err
	})
	return out, err
}

func examine(ctx context.Context, p *engine.Pair, req ExamineRequest) (ExamineResult, error) {
	states, err := p.Servers(ctx)
	if err != nil {
		return ExamineResult{}, err
	}
	var out ExamineResult
	for _, s := range states {
		x := migration.ServerState{Side: s.Side, Now: identity(s.Now), Doubt: s.Doubt, AgreedBy: s.AgreedBy}
		if s.Known != nil {
			x.Known = identity(*s.Known)
		}
		out.Servers = append(out.Servers, x)
	}
	known := req.Tenants
	if !slices.ContainsFunc(states, func(s engine.ServerState) bool { return s.Doubt != "" }) { // one that has forgotten says nothing
		if known, err = p.Known(ctx, req.Tenants); err != nil {
			return out, err
		}
	}
	for _, t := range req.Tenants {
		if !slices.Contains(known, t) {
			out.Joining = append(out.Joining, t)
		}
	}
	homes, err := p.Homes(ctx, known)
	out.homed(homes)
	if err != nil {
		return out, err
	}
	c, err := p.Examine(ctx, req.Dataset.Postgres.WALBudgetBytes)
	out.Broken = c.Broken
	if err != nil { // which servers stand there is worth more than nothing
		out.Broken = append(out.Broken, "not everything could be read: "+err.Error())
	}
	if c.Standing == 2 {
		out.apart(ctx, p)
	}
	for t, h := range homes {
		if c.Standing == 2 && h.Undecided() == "" || h.Loss != nil { // elsewhere nothing says where anybody is homed
			out.Routed[t] = h.Homed()
		}
	}
	for _, m := range c.Made {
		out.Made = append(out.Made, migration.Thing{Kind: m.Kind, ID: m.Name, Of: "dataset " + req.Dataset.Name, Where: m.On.Where(),
			Bytes: m.Bytes, Left: m.Left})
	}
	return out, nil
}

// homed sorts customers by whether they are open on exactly one side.
func (r *ExamineResult) homed(homes map[int64]migration.HomeRecord) {
	r.Homes, r.Routed = map[int64]migration.HomeRecord{}, map[int64]migration.Homed{}
	r.Alone = map[int64]migration.Loss{}
	for t, h := range homes {
		if h.Settled() {
			r.Whole++
		} else {
			r.Homes[t] = h
		}
		if h.Loss != nil {
			r.Alone[t] = *h.Loss
		}
	}
}

// apart compares the rows of those who may not have the same on both sides.
func (r *ExamineResult) apart(ctx context.Context, p *engine.Pair) {
	found, broken, err := p.ApartNow(ctx)
	r.Broken = append(r.Broken, broken...)
	if err != nil {
		r.Broken = append(r.Broken, "not everything could be compared: "+err.Error())
	}
	r.Apart = map[int64]migration.RowsApart{}
	for _, a := range found {
		x := migration.RowsApart{Side: a.Side, Left: a.Left, New: a.New(), Why: a.Why}
		for _, t := range a.Tables {
			x.Tables = append(x.Tables, t.String())
		}
		r.Apart[a.Tenant] = x
	}
}

// examineHalf is ExamineServers where a side does not answer: of those who go on without it.
func examineHalf(ctx context.Context, p *engine.Pair, tenants []int64) (ExamineResult, error) {
	out := ExamineResult{Silent: &migration.SilentSide{Side: p.Lost, Why: p.Silence.Error()}}
	heard, err := p.Heard(ctx)
	if err != nil {
		return out, err
	}
	out.Silent.Heard = heard
	lost, err := p.Losses(ctx)
	if err != nil {
		return out, err
	}
	var alone []int64
	for _, l := range lost {
		if slices.Contains(tenants, l.Tenant) && l.Side == p.Lost {
			alone = append(alone, l.Tenant)
		}
	}
	homes, err := p.Homes(ctx, alone)
	out.homed(homes)
	for t, h := range homes {
		out.Routed[t] = h.Homed()
	}
	return out, err
}

// MendResult says what was put right.
type MendResult struct {
	Done []string `json:"done,omitempty"`
}

// MendPostgres puts right in both databases what one rule decides by itself (see Pair.Mend), and
// takes out what a plan that has ended left there. Run twice, it finds nothing more to do.
func (a *Activities) MendPostgres(ctx context.Context, ref PostgresRef) (MendResult, error) {
	p, err := a.open(ctx, ref)
	if err != nil {
		return MendResult{}, err
	}
	defer beat(ctx, "mending both databases")()
	done, err := p.Mend(ctx)
	if err != nil {
		return MendResult{Done: done}, classify(err)
	}
	c, err := p.Examine(ctx, 0)
	if err != nil {
		return MendResult{Done: done}, classify(err)
	}
	if c.Standing > 0 || len(c.Made) == 0 {
		return MendResult{Done: done}, nil
	}
	if err := setup.DropLeftovers(ctx, p); err != nil {
		return MendResult{Done: done}, classify(err)
	}
	for _, m := range c.Made {
		if m.Left != "" {
			done = append(done, fmt.Sprintf("%s %s %s was taken out: %s", m.Kind, m.Name, m.On.Where(), m.Left))
		}
	}
	return MendResult{Done: done}, nil
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
