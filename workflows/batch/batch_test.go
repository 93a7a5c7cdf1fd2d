package batch

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	temporalclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/evidence"
	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/homes"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/roll"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/customer"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/work"
)

// herd is a Batch in a Temporal of its own, over customers that play the Customer's part of the
// talk: a Move takes a minute, a bake ten, a soak an hour.
type herd struct {
	*testing.T
	env   *testsuite.TestWorkflowEnvironment
	batch migration.Batch

	first   *migration.Batch // by the plan's first revision; nil: batch
	amended *migration.Batch // by the second; nil: the plan has it no more
	other   *migration.Batch // that the plan has besides
	unknown []string         // the databases do not know them yet
	archive bool             // the plan has a second database, which knows everybody
	belongs []string         // who was told that it belongs to the batch

	ill       map[string]bool           // found unhealthy when they bake
	illLate   map[string]bool           // when they soak
	stuck     map[string]bool           // cannot go back
	deaf      map[string]int            // how often a hook after its Move fails before it answers
	slow      map[string]time.Duration  // how much longer the way back takes
	again     map[string]bool           // an operator sends it out again as soon as it is home, once
	late      time.Duration             // how long a customer takes to say where it stands
	aws       map[string]bool           // has been on AWS since an earlier run of the plan, and soaks
	finished  map[string]bool           // had ended its soak on AWS before this run
	was       *migration.BatchStatus    // what a batch had reported that was terminated
	stands    map[string]migration.Side // where the data says that a customer is homed, if not on AWS
	deferred  map[string]time.Duration  // how long a lead has accepted that it does not move
	gone      map[string]time.Duration  // when somebody terminates it, once
	blackouts map[string][]migration.Span
	unrouted  map[string]string        // what is wrong with a route
	blind     string                   // why the worker reaches nothing
	targets   string                   // why nobody can look at the targets on AWS, where the plan has routes
	unseen    map[string]time.Duration // how long nobody can judge a customer that bakes
	mu        sync.Mutex
	looks     [][]health.Soaking
	told      int             // of looks
	backSlots int             // by the plan's policy
	missing   map[string]bool // in the list of workflows
	rolls     int
	asked     []string      // by signal whether they run
	patience  time.Duration // of the server with a worker that has taken a task of a Customer
	soak      time.Duration
	lag       migration.Duration
	waits     bool // for its turn
	untouched bool // nothing was ever written down of the customers
	notes     map[int64][]migration.Note
	unnoted   bool       // no note of several is written
	stateless bool       // nobody has a database
	names     *names     // everybody is found by name; nil: nobody is
	shards    []int      // notes written to home records at a time
	noted     []bool     // whether those who were told that their soak is over were told that it is noted
	files     bool       // the plan has files
	asides    [][]string // who moves, as the passes over them were told
	started   int
	moving    int // at this moment
	unbaked   int
	most      struct{ moving, unbaked, back int }
	back      int      // on their way home
	went      []string // who has gone, in that order
	reports   []mail.BatchReport
	commands  int
	finalSays migration.BatchStatus
	signs     bool // evidence of the batch is kept
	refused   error
	kept      []evidence.KeepRequest
	tells     []migration.NoticeKind // what some rule of the plan names
	news      []mail.News            // what the outbox has heard
}

// patience is how long a step of a workflow may take on a machine that is busy with something else.
const patience = time.Minute

const (
	moveTime = time.Minute
	bakeTime = 10 * time.Minute
	soakTime = time.Hour
)

func newHerd(t *testing.T, customers int) *herd {
	t.Helper()
	return herdIn(t, &testsuite.WorkflowTestSuite{}, customers)
}

func herdIn(t *testing.T, suite *testsuite.WorkflowTestSuite, customers int) *herd {
	t.Helper()
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	h := &herd{T: t, env: suite.NewTestWorkflowEnvironment(), ill: map[string]bool{}, illLate: map[string]bool{}, stuck: map[string]bool{},
		slow: map[string]time.Duration{}, again: map[string]bool{}, aws: map[string]bool{}, stands: map[string]migration.Side{},
		unrouted: map[string]string{}, missing: map[string]bool{}, soak: soakTime, notes: map[int64][]migration.Note{}}
	h.batch = migration.Batch{Name: "wave", Concurrency: customers}
	for i := range customers {
		h.batch.Customers = append(h.batch.Customers, fmt.Sprintf("c%d", i))
	}
	h.env.SetStartTime(time.Date(2026, 12, 2, 20, 0, 0, 0, time.UTC))
	h.env.SetStartWorkflowOptions(temporalclient.StartWorkflowOptions{ID: migration.MigrationID("shop")})
	h.env.SetTestTimeout(patience)
	h.env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: patience})
	h.env.RegisterWorkflow(h.migration)
	h.env.RegisterWorkflow(h.outbox)
	h.env.RegisterWorkflow(Batch)
	h.env.RegisterWorkflow(h.passes)
	h.env.RegisterWorkflowWithOptions(h.customer, workflow.RegisterOptions{Name: "Customer"})
	h.env.RegisterActivity(&shop{h})
	return h
}

// migration plays the Migration, for one batch.
func (h *herd) migration(ctx workflow.Context) error {
	mail.Listen(ctx, mail.SignalBatch, "", func(_ workflow.Context, r mail.BatchReport) { h.reports = append(h.reports, r) })
	if h.files {
		c := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: migration.ReplicationID("shop", "attachments")})
		workflow.ExecuteChildWorkflow(c, h.passes)
	}
	if h.tells != nil {
		o := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: migration.OutboxID("shop")})
		workflow.ExecuteChildWorkflow(o, h.outbox)
	}
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: migration.BatchID("shop", "wave")})
	in := Input{Spec: migration.SpecRef{Plan: "shop", Revision: 1}, Batch: h.batch, Turn: !h.waits, Was: h.was}
	if h.first != nil {
		in.Batch = *h.first
	}
	return workflow.ExecuteChildWorkflow(ctx, Batch, in).Get(ctx,
		nil)
}

// passes play the Replication of the files, until everybody has finished.
func (h *herd) passes(ctx workflow.Context) error {
	mail.Listen(ctx, mail.SignalAside, "", func(_ workflow.Context, a mail.Aside) { h.asides = append(h.asides, a.Customers) })
	return workflow.Sleep(ctx, 10*soakTime)
}

// signal tells the batch something.
func (h *herd) signal(name string, arg any) {
	h.Helper()
	require.NoError(h, h.env.SignalWorkflowByID(migration.BatchID("shop", "wave"), name, arg))
}

// shop is what the batch asks of the world: a plan with one database.
type shop struct{ h *herd }

func (s *shop) LoadPlan(ref migration.SpecRef) (state.Plan, error) {
	var batches []migration.Batch
	if ref.Revision > 1 && s.h.amended != nil {
		batches = []migration.Batch{*s.h.amended}
	}
	if s.h.other != nil {
		batches = append(batches, *s.h.other)
	}
	d := []migration.Dataset{{Name: "orders", Postgres: &migration.Postgres{Site: "dc1"}}}
	if s.h.files {
		d = append(d, migration.Dataset{Name: "attachments", Files: &migration.Files{Site: "dc1", FencedBy: "orders"}})
	}
	if s.h.archive {
		d = append(d, migration.Dataset{Name: "archive", Postgres: &migration.Postgres{Site: "dc1"}})
	}
	return state.Plan{Datasets: d, Batches: batches,
		Policy:   migration.Policy{MaxLag: migration.Duration(5 * time.Second), BackConcurrency: s.h.backSlots},
		Evidence: s.h.signs, Told: s.h.tells, Routed: s.h.targets != ""}, nil
}

// CheckTargets cannot say anything.
func (s *shop) CheckTargets(traffic.CheckTargetsRequest) (traffic.CheckTargetsResult, error) {
	return traffic.CheckTargetsResult{}, errors.New(s.h.targets)
}

// KeepEvidence loses its first answer: it is asked twice.
func (s *shop) KeepEvidence(req evidence.KeepRequest) (evidence.KeepResult, error) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.h.kept = append(s.h.kept, req)
	switch {
	case s.h.refused != nil:
		return evidence.KeepResult{}, s.h.refused
	case len(s.h.kept) == 1:
		return evidence.KeepResult{}, errors.New("connection reset by peer")
	}
	return evidence.KeepResult{At: "s3://state/wave.jsonl"}, nil
}

// LoadTenants has the nth customer be tenant n.
func (s *shop) LoadTenants(req state.LoadTenantsRequest) (state.BatchTenants, error) {
	in := s.h.batch
	switch {
	case req.Spec.Revision > 1:
		in = *s.h.amended
	case s.h.first != nil:
		in = *s.h.first
	}
	var out []state.Tenant
	for i, id := range s.h.batch.Customers {
		if slices.Contains(in.Customers, id) {
			out = append(out, state.Tenant{Customer: id, ID: int64(i)})
		}
	}
	var named []string
	if s.h.names != nil {
		named = in.Customers
	}
	if s.h.stateless {
		return state.BatchTenants{Stateless: in.Customers}, nil
	}
	return state.BatchTenants{Databases: map[string][]state.Tenant{"orders": out, "archive": out}, Blackouts: s.h.blackouts,
		Names: map[string]string{"c0": "The first"}, ByName: named}, nil
}

// ReadHomes has everybody on AWS, but for those of whom the test says otherwise.
func (s *shop) ReadHomes(req postgres.ReadHomesRequest) (postgres.ReadHomesResult, error) {
	out := postgres.ReadHomesResult{Homes: map[int64]migration.Homed{}}
	unknown := func(t int64) bool {
		return req.Dataset.Name == "orders" && slices.Contains(s.h.unknown, s.h.batch.Customers[t])
	}
	if req.Known {
		req.Tenants = slices.DeleteFunc(req.Tenants, unknown)
	}
	if slices.ContainsFunc(req.Tenants, unknown) {
		return out, temporal.NewNonRetryableApplicationError("home of a tenant: not prepared", postgres.ErrorNotPrepared, nil)
	}
	for _, t := range req.Tenants {
		out.Homes[t] = migration.Homed{Side: cmp.Or(s.h.stands[s.h.batch.Customers[t]], migration.AWS), Token: 7}
	}
	if s.h.untouched {
		out.New = req.Tenants
	}
	return out, nil
}

// ReadHomeRecords has everybody on AWS.
func (s *shop) ReadHomeRecords(req homes.ManyRequest) (homes.ManyResult, error) {
	out := homes.ManyResult{Homes: map[string]migration.Homed{}}
	for _, c := range req.Customers {
		out.Homes[c] = migration.Homed{Side: migration.AWS, Token: 7}
	}
	return out, nil
}

// NoteHomes remembers how many notes it was asked for at a time.
func (s *shop) NoteHomes(req homes.NotesRequest) (out homes.NotesResult, err error) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.h.shards = append(s.h.shards, len(req.Notes))
	for _, n := range req.Notes {
		out.Noted = append(out.Noted, n.Customer)
	}
	return out, nil
}

// NoteTenants keeps notes, the newest of each.
func (s *shop) NoteTenants(req postgres.NotesRequest) (out postgres.NotesResult, err error) {
	if s.h.unnoted {
		return out, temporal.NewNonRetryableApplicationError("permission denied", postgres.ErrorRefused, nil)
	}
	s.h.mu.Lock() // the databases are asked at once
	defer s.h.mu.Unlock()
	for _, n := range req.Notes {
		s.h.notes[n.Tenant] = append(s.h.notes[n.Tenant], n.Note)
		out.Noted = append(out.Noted, n.Tenant)
	}
	return out, nil
}

// WatchMany is a look, which sees what the test says.
func (s *shop) WatchMany(req health.WatchManyRequest) (health.WatchManyResult, error) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.h.looks = append(s.h.looks, req.Customers)
	out := health.WatchManyResult{Blind: s.h.blind, Routes: map[string]string{}, Verdicts: map[string]migration.Verdict{}}
	for _, c := range req.Customers {
		v := migration.Verdict{Outcome: migration.Pass}
		switch {
		case s.h.blind != "":
			v.Outcome = migration.Inconclusive
		case s.h.illLate[c.Customer]:
			v = migration.Verdict{Outcome: migration.Fail, Reason: "no answer"}
		}
		out.Verdicts[c.Customer] = v
		if w := s.h.unrouted[c.Customer]; w != "" {
			out.Routes[c.Customer] = w
		}
	}
	return out, nil
}

// CallRoll has everybody, but for whom the test has missing.
func (s *shop) CallRoll(roll.Request) (roll.Result, error) {
	s.h.rolls++
	return roll.Result{Running: slices.DeleteFunc(slices.Clone(s.h.batch.Customers), func(id string) bool { return s.h.missing[id] })}, nil
}

// ReadLag is what the test says.
func (s *shop) ReadLag(postgres.PostgresRef) (postgres.Lag, error) {
	return postgres.Lag{Forward: s.h.lag}, nil
}

// customer plays a Customer.
func (h *herd) customer(ctx workflow.Context, in customer.Input) error {
	c := migration.CustomerStatus{ID: in.ID, Home: migration.OnPrem, Phase: migration.CustomerWaiting}
	round, n := 0, 0
	h.started++
	h.patience = workflow.GetInfo(ctx).WorkflowTaskTimeout
	report := func() {
		n++
		r := mail.CustomerReport{Order: mail.Order{At: workflow.Now(ctx).UnixNano(), N: n}, Status: c, Round: round}
		if c.Phase == migration.CustomerSoaking {
			r.Soak = &mail.SoakNotes{Begun: migration.Note{Stay: 7, N: 1, Words: "soaks"},
				Over: migration.Note{Stay: 7, N: 2, Words: "finished"}}
		}
		workflow.SignalExternalWorkflow(ctx, migration.BatchID("shop", "wave"), "", mail.SignalReport, r)
	}
	set := func(p migration.CustomerPhase) {
		if c.Phase != p {
			c.Since = workflow.Now(ctx)
		}
		if c.Phase, c.Reason = p, ""; p == migration.CustomerSoaking {
			_, c.Reason = customer.Soaks("")
		}
		report()
	}
	homed := func(on migration.Side) {
		c.Home = on
		c.Token++
		c.Moves = append(c.Moves, migration.MoveResult{Try: migration.Try{Token: c.Token}, From: on.Other(), To: on, Home: on,
			Freeze: migration.Duration(time.Second)})
	}
	var goes, back, abort bool
	mail.Listen(ctx, mail.SignalGo, "", func(_ workflow.Context, g mail.Go) {
		if g.Batch != in.Batch {
			panic("told to go, and not by which batch")
		}
		if g.Round > round {
			goes, round = true, g.Round
		}
	})
	mail.Listen(ctx, mail.SignalBack, "", func(_ workflow.Context, b mail.Back) {
		if b.Round >= round {
			back, round = true, b.Round
		}
	})
	mail.Listen(ctx, mail.SignalAbort, "", func(workflow.Context, mail.Wish) { abort = true })
	mail.Listen(ctx, mail.SignalDismiss, "", func(workflow.Context, mail.Wish) { abort = abort || round == 0 })
	mail.Listen(ctx, mail.SignalAsk, "", func(_ workflow.Context, a mail.Ask) {
		h.asked = append(h.asked, in.ID)
		if a.Batch != "" {
			h.belongs = append(h.belongs, in.ID)
		}
		if a.Report {
			report()
		}
	})
	var seen mail.Seen
	mail.Listen(ctx, mail.SignalSeen, "", func(_ workflow.Context, s mail.Seen) {
		if !s.Until.Equal(c.Until) {
			panic("told what was seen in another soak")
		}
		if s.Over {
			h.noted = append(h.noted, s.Noted)
		}
		h.told++
		seen = s
		_, c.Reason = customer.Soaks(s.Trouble)
		report()
	})
	if h.late > 0 {
		_ = workflow.Sleep(ctx, h.late)
	}
	if d := h.deferred[in.ID]; d > 0 {
		c.Phase, c.Cause = migration.CustomerHeld, migration.ByDeferral
		report()
		for end := workflow.Now(ctx).Add(d); workflow.Now(ctx).Before(end); {
			if work.AwaitFor(ctx, end.Sub(workflow.Now(ctx)), "", func() bool { return goes }); goes {
				goes = false
				report() // that it has heard, and stays
			}
		}
		c.Phase, c.Cause, round = migration.CustomerWaiting, "", max(0, round-1)
	}
	soaks := h.aws[in.ID]
	if soaks {
		c.Home, c.Until = migration.AWS, workflow.Now(ctx).Add(h.soak)
		c.Phase = migration.CustomerSoaking
		_, c.Reason = customer.Soaks("")
		h.count(0, 1)
	}
	if !in.Untouched && !h.finished[in.ID] {
		report()
	}
	if h.finished[in.ID] {
		c.Home, c.Phase = migration.AWS, migration.CustomerFinished
		report()
		return nil
	}
	if at := h.gone[in.ID]; at > 0 {
		delete(h.gone, in.ID)
		_ = workflow.Sleep(ctx, at)
		return errors.New("terminated")
	}
	for {
		_ = workflow.Await(ctx, func() bool { return soaks || goes || back || abort })
		switch {
		case soaks:
		case abort:
			set(migration.CustomerAborted)
			return nil
		case back:
			goes, back = false, false
			set(migration.CustomerRolledBack)
			continue
		}
		if !soaks {
			goes, c.Cause = false, ""
			h.went = append(h.went, in.ID)
			h.count(1, 1)
			if c.Phase == migration.CustomerWaiting {
				c.Phase = migration.CustomerMoving // as its batch knows
			} else {
				set(migration.CustomerMoving)
			}
			_ = workflow.Sleep(ctx, moveTime)
			h.count(-1, 0)
			homed(migration.AWS)
			set(migration.CustomerBaking)
			for n := range h.deaf[in.ID] {
				c.Trying = []migration.Trying{{What: "hook afterRoute of try 1", Hook: migration.HookAfterRoute, Times: n + 1, Last: "503",
					Since: c.Since}}
				report()
				_ = workflow.Sleep(ctx, time.Second)
			}
			if c.Trying != nil {
				c.Trying = nil
				report()
			}
			if d := h.unseen[in.ID]; d > 0 {
				c.Verdict = &migration.Verdict{Outcome: migration.Inconclusive, Blind: "this worker reaches nothing"}
				report()
				_ = workflow.Sleep(ctx, d)
				c.Verdict = nil
				report()
			}
			work.AwaitFor(ctx, bakeTime, "", func() bool { return back || abort || h.ill[in.ID] })
		}
		h.count(0, -1)
		if !back && !abort && !h.ill[in.ID] {
			if !soaks {
				c.Until = workflow.Now(ctx).Add(h.soak)
				set(migration.CustomerSoaking)
			}
			soaks, seen = false, mail.Seen{}
			_ = workflow.Await(ctx, func() bool { return back || abort || seen.Over || seen.Unwell != nil || seen.Elsewhere })
			c.Until = time.Time{}
			switch {
			case back || abort:
			case seen.Over:
				set(migration.CustomerFinished)
				return nil
			case seen.Elsewhere:
				c.Home = migration.OnPrem
				set(migration.CustomerRolledBack)
				continue
			}
		}
		if !back && !abort {
			c.Cause = migration.ByVerdict
		}
		set(migration.CustomerMovingBack)
		h.back++
		h.most.back = max(h.most.back, h.back)
		_ = workflow.Sleep(ctx, moveTime+h.slow[in.ID])
		h.back--
		back = false
		if h.stuck[in.ID] {
			set(migration.CustomerHeld)
			continue
		}
		homed(migration.OnPrem)
		set(migration.CustomerRolledBack)
		goes, h.again[in.ID] = h.again[in.ID], false
	}
}

func (h *herd) count(moving, unbaked int) {
	h.moving, h.unbaked = h.moving+moving, h.unbaked+unbaked
	h.most.moving, h.most.unbaked = max(h.most.moving, h.moving), max(h.most.unbaked, h.unbaked)
}

func (h *herd) at(d time.Duration, do func()) { h.env.RegisterDelayedCallback(do, d) }

func (h *herd) says() (s migration.BatchStatus) {
	h.Helper()
	v, err := h.env.QueryWorkflowByID(migration.BatchID("shop", "wave"), migration.QueryStatus, migration.Page{Limit: 100})
	require.NoError(h, err)
	require.NoError(h, v.Get(&s))
	return s
}

// command is an update; refused is the reason why it must not be accepted, empty where it must.
func (h *herd) command(name, by, refused string) {
	h.Helper()
	h.commands++
	err := h.env.UpdateWorkflowByID(migration.BatchID("shop", "wave"), name, fmt.Sprint(h.commands), &testsuite.TestUpdateCallback{
		OnAccept: func() { require.Empty(h, refused, "%s was accepted", name) },
		OnReject: func(err error) {
			require.NotEmpty(h, refused, "%s: %v", name, err)
			require.ErrorContains(h, err, refused)
		},
		OnComplete: func(any, error) {},
	}, migration.Command{By: by, Reason: "test"})
	require.NoError(h, err)
}

// longest is how long a play lasts at most.
const longest = 4 * time.Hour

// run plays the batch until everybody has ended, and ends it after longest.
func (h *herd) run() {
	h.Helper()
	h.at(longest, func() {
		if h.finalSays = h.says(); !h.reports[len(h.reports)-1].Closed {
			h.signal(mail.SignalAbort, mail.Wish{By: "the test"})
		}
	})
	h.env.ExecuteWorkflow(h.migration)
	require.True(h, h.env.IsWorkflowCompleted())
	require.NoError(h, h.env.GetWorkflowError())
	if h.finalSays.Phase == "" {
		h.finalSays = h.says()
	}
	for _, r := range h.reports {
		require.NotEmpty(h, r.Status.Phase, "an operator reads it")
	}
}

// window is open from the start, for so long.
func (h *herd) window(length time.Duration) {
	h.batch.Window = &migration.Window{Opens: h.env.Now(), For: migration.Duration(length)}
}

func TestABatchMovesAsManyAtATimeAsItsPlanAllows(t *testing.T) {
	h := newHerd(t, 7)
	h.batch.Concurrency, h.batch.MaxUnbaked = 2, 3
	h.run()
	require.Equal(t, migration.BatchDone, h.finalSays.Phase)
	require.Equal(t, h.batch.Customers, h.went)
	require.Equal(t, 2, h.most.moving)
	require.Equal(t, 3, h.most.unbaked)
	require.True(t, h.reports[len(h.reports)-1].Closed)
}

func TestABatchWaitsForItsWindow(t *testing.T) {
	h := newHerd(t, 1)
	h.batch.Window = &migration.Window{Opens: h.env.Now().Add(2 * time.Hour), For: migration.Duration(time.Hour)}
	h.at(2*time.Hour-time.Second, func() {
		require.Empty(t, h.went)
		require.Equal(t, migration.WaitWindow, h.says().WaitingFor)
		require.Equal(t, "the window opens at 2026-12-02 22:00 UTC", h.says().Reason)
	})
	h.at(2*time.Hour+time.Minute, func() { require.Len(t, h.went, 1) })
	h.run()
	require.Equal(t, migration.BatchDone, h.finalSays.Phase)
}

func TestAClosingWindowStopsNewMovesOnly(t *testing.T) {
	h := newHerd(t, 3)
	h.batch.Concurrency = 1
	h.window(90 * time.Second) // the second Move is under way
	h.at(time.Hour, func() {
		require.Len(t, h.went, 2)
		s := h.says()
		require.Equal(t, migration.BatchGate, s.Phase)
		require.Contains(t, s.Reason, "with 1 customers not cut over; retry goes on outside it")
		require.Equal(t, []string{migration.UpdateRetry, migration.UpdateRollback}, s.MayDo)
		h.command(migration.UpdateRetry, "ann", "")
	})
	h.run()
	require.Len(t, h.went, 3)
	require.Equal(t, migration.BatchDone, h.finalSays.Phase)
}

func TestABatchWhoseWindowClosesWhileTheLastBakeIsDone(t *testing.T) {
	h := newHerd(t, 3)
	h.window(5 * time.Minute)
	h.at(30*time.Minute, func() { require.Equal(t, migration.BatchDone, h.says().Phase) })
	h.run()
	require.Equal(t, 3, h.finalSays.Counts.OnAWS)
}

func TestAnUnhealthyCustomerTakesItsBatchHomeWhereThePlanSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		reach migration.Reach
		ill   func(*herd) map[string]bool
		home  int
	}{
		"in the bake": {migration.ReachBatch, func(h *herd) map[string]bool { return h.ill }, 3},
		"in the soak": {migration.ReachBatch, func(h *herd) map[string]bool { return h.illLate }, 3},
		"after the window has closed": {migration.ReachBatch,
			func(h *herd) map[string]bool { h.window(90 * time.Second); h.batch.Concurrency = 1; return h.ill }, 3},
		"and itself only, by the other": {migration.ReachCustomer, func(h *herd) map[string]bool { return h.ill }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHerd(t, 3)
			h.batch.Rollback = c.reach
			ill := c.ill(h)
			h.at(5*time.Minute, func() { ill["c1"] = true })
			h.at(50*time.Minute, func() {
				home := 0
				for _, x := range h.says().Customers {
					if x.Home == migration.OnPrem {
						home++
					}
				}
				require.Equal(t, c.home, home, "%+v", h.says())
				if c.home == 3 {
					require.Equal(t, migration.BatchTakenBack, h.says().Phase)
					require.Contains(t, h.says().Reason, "customer c1 is not healthy on AWS")
				}
			})
			h.run()
		})
	}
}

func TestABatchThatWasTakenBackGoesAgainWhenAnOperatorSaysSo(t *testing.T) {
	h := newHerd(t, 2)
	h.at(5*time.Minute, func() { h.command(migration.UpdateRollback, "ann", "") })
	h.at(20*time.Minute, func() {
		require.Equal(t, migration.BatchTakenBack, h.says().Phase)
		h.command(migration.UpdateRetry, "ann", "")
		h.command(migration.UpdateRollback, "ann", "does not apply") // nobody has gone yet
	})
	h.run()
	require.Equal(t, []string{"c0", "c1", "c0", "c1"}, h.went)
	require.Equal(t, migration.BatchDone, h.finalSays.Phase)
}

func TestAFinishedCustomerDoesNotKeepItsBatchFromBeingTakenBack(t *testing.T) {
	h := newHerd(t, 2)
	h.batch.Concurrency = 1
	h.window(90 * time.Second)
	h.batch.Window.For = migration.Duration(30 * time.Second) // one goes
	h.at(2*time.Hour, func() { h.command(migration.UpdateRetry, "ann", "") })
	h.at(2*time.Hour+5*time.Minute, func() {
		require.Equal(t, migration.CustomerFinished, h.says().Customers[0].Phase)
		h.command(migration.UpdateRollback, "ann", "")
	})
	h.at(3*time.Hour, func() {
		require.Equal(t, migration.BatchTakenBack, h.says().Phase)
		require.Contains(t, h.says().Reason, "1 that had finished stay on AWS")
		require.Equal(t, 1, h.says().Counts.Away)
	})
	h.run()
}

func TestACustomerThatCannotGoBackIsLeftToAnOperatorAndCountsAsAway(t *testing.T) {
	h := newHerd(t, 2)
	h.stuck["c0"] = true
	h.at(5*time.Minute, func() { h.command(migration.UpdateRollback, "ann", "") })
	h.at(time.Hour, func() {
		s := h.says()
		require.Equal(t, migration.BatchTakenBack, s.Phase)
		require.Equal(t, migration.Counts{Customers: 2, RolledBack: 1, Held: 1, Away: 1}, s.Counts)
	})
	h.at(2*time.Hour, func() { h.signal(mail.SignalBack, mail.Wish{By: "ann"}) }) // of the whole migration: it is asked again
	h.run()
	require.Equal(t, 1, h.reports[len(h.reports)-1].Incidents)
}

func TestApprovalsAreOfDifferentPeople(t *testing.T) {
	h := newHerd(t, 1)
	h.batch.Approvals = 2
	h.at(time.Minute, func() {
		require.Equal(t, "0 of 2 approvals", h.says().Reason)
		h.command(migration.UpdateApprove, "ann", "")
		h.command(migration.UpdateApprove, "ann", "another person must")
	})
	h.at(2*time.Minute, func() {
		require.Empty(t, h.went)
		h.command(migration.UpdateApprove, "bob", "")
		h.command(migration.UpdateApprove, "eve", "needs no more approvals")
	})
	h.run()
	require.Len(t, h.went, 1)
}

func TestNobodyGoesWhileTheMigrationIsPaused(t *testing.T) {
	h := newHerd(t, 3)
	h.batch.Concurrency = 1
	h.at(30*time.Second, func() {
		h.signal(mail.SignalWord, mail.Pause{Order: mail.Order{At: 1, N: 1}, Paused: true, Reason: "paused by ann: look"})
	})
	h.at(2*time.Hour, func() {
		require.Len(t, h.went, 1)
		require.Equal(t, migration.WaitResume, h.says().WaitingFor)
		h.signal(mail.SignalWord, mail.Pause{Order: mail.Order{At: 1, N: 2}})
	})
	h.run()
	require.Len(t, h.went, 3)
}

func TestABatchWaitsUntilReplicationIsCloseBehind(t *testing.T) {
	h := newHerd(t, 1)
	h.lag = migration.Duration(time.Minute)
	h.at(time.Minute, func() {
		require.Equal(t, migration.WaitLag, h.says().WaitingFor)
		require.Contains(t, h.says().Reason, "orders is 1m0s behind on AWS")
		h.lag = 0
	})
	h.run()
	require.Len(t, h.went, 1)
}

// A load balancer that refuses to be read keeps everybody at home. Nobody's command waits for it.
func TestABatchWhoseTargetsCannotBeReadSaysSoAndIsNotDeaf(t *testing.T) {
	h := newHerd(t, 2)
	h.targets = "describe the health of targets: AccessDenied"
	h.at(5*time.Minute, func() {
		require.Empty(t, h.went)
		require.Equal(t, migration.BatchGate, h.says().Phase)
		require.Equal(t, migration.WaitHealth, h.says().WaitingFor)
		require.Equal(t, "the targets on AWS cannot be looked at: describe the health of targets: AccessDenied", h.says().Reason)
		h.signal(mail.SignalAbort, mail.Wish{By: "ann"})
	})
	h.at(6*time.Minute, func() { require.Equal(t, migration.BatchAborted, h.says().Phase) })
	h.run()
}

// Whoever waits for its turn takes commands too, and is in every list.
func TestACustomerThatWaitedAndWasTerminatedIsStartedAgain(t *testing.T) {
	h := newHerd(t, 3)
	h.batch.Concurrency, h.batch.MaxUnbaked = 1, 1
	h.gone = map[string]time.Duration{"c2": 90 * time.Second}
	h.at(80*time.Second, func() { require.Equal(t, 3, h.started) })
	h.at(100*time.Second, func() { h.missing["c2"] = true })
	h.at(150*time.Second, func() {
		require.Len(t, h.went, 1)
		require.Equal(t, 4, h.started, "within half a minute, and long before its turn")
		h.missing["c2"] = false
	})
	h.run()
	require.Len(t, h.went, 3)
	require.Equal(t, migration.BatchDone, h.finalSays.Phase)
}

func TestAnAbortedBatchWaitsUntilItsCustomersHaveEnded(t *testing.T) {
	h := newHerd(t, 3)
	h.batch.Concurrency = 1
	h.at(90*time.Second, func() { h.signal(mail.SignalAbort, mail.Wish{By: "ann"}) })
	h.run()
	require.Equal(t, migration.BatchAborted, h.finalSays.Phase)
	require.Zero(t, h.finalSays.Counts.Away)
	require.False(t, slices.ContainsFunc(h.finalSays.Customers,
		func(c migration.CustomerStatus) bool { return c.Phase != migration.CustomerAborted }))
}

// Both come in one workflow task, in which the batch has not acted on either.
func TestATakeBackIsTheLastWordOverARetryOfTheSameMoment(t *testing.T) {
	b := newBatch(Input{Batch: migration.Batch{Name: "wave", Customers: []string{"acme"}}})
	b.Phase = migration.BatchDone
	b.by["acme"].Status = migration.CustomerStatus{ID: "acme", Home: migration.OnPrem, Phase: migration.CustomerRolledBack}
	require.NoError(t, b.allowed(migration.UpdateRetry, migration.Command{By: "ann"}))
	b.retry = &mail.Wish{By: "ann"}
	b.takeBackAll(mail.Wish{By: "bob"})
	require.Nil(t, b.retry, "the customers would go out again as soon as they are home")
	require.ErrorContains(t, b.allowed(migration.UpdateRetry, migration.Command{By: "ann"}), "retry does not apply")
}

// An operator lets a customer go on that was held on AWS, or sends one out again, while others are
// still on their way home.
func TestACustomerSentOutWhileItsBatchIsTakenBackComesBackToo(t *testing.T) {
	h := newHerd(t, 2)
	h.again["c0"], h.slow["c1"] = true, 20*time.Minute
	h.at(2*time.Minute, func() { h.command(migration.UpdateRollback, "ann", "") })
	h.at(40*time.Minute, func() {
		require.Equal(t, migration.BatchTakenBack, h.says().Phase)
		require.Zero(t, h.says().Counts.Away)
	})
	h.run()
	require.Equal(t, []string{"c0", "c1", "c0"}, h.went)
}

func TestABatchIsApprovedAheadOfItsTurnWhileItsCustomersAreAllThere(t *testing.T) {
	const customers = chunk + 1
	h := newHerd(t, customers)
	h.waits, h.batch.Approvals = true, 1
	h.at(time.Minute, func() {
		s := h.says()
		require.Equal(t, migration.BatchWaiting, s.Phase)
		require.Equal(t, migration.WaitTurn, s.WaitingFor)
		require.Equal(t, []string{migration.UpdateApprove}, s.MayDo)
		require.Equal(t, customers, s.Counts.Waiting)
		require.Equal(t, customers, h.started)
		h.command(migration.UpdateApprove, "ann", "")
		h.signal(mail.SignalBack, mail.Wish{By: "bob"}) // of the whole migration: nobody of this batch has gone
	})
	h.at(time.Hour, func() {
		require.Empty(t, h.went)
		require.Equal(t, migration.BatchWaiting, h.says().Phase)
		h.signal(mail.SignalTurn, mail.Turn{})
	})
	h.run()
	require.Len(t, h.went, customers)
	require.Equal(t, migration.BatchDone, h.finalSays.Phase)
	require.Less(t, len(h.reports), 40, "what happens within a second is reported together")
}

func TestABatchIsDismissedWithItsCustomersWhereItsTurnHasNotCome(t *testing.T) {
	h := newHerd(t, 3)
	h.waits = true
	h.at(time.Minute, func() { h.signal(mail.SignalDismiss, mail.Wish{By: "drover"}) })
	h.run()
	require.Equal(t, migration.BatchAborted, h.finalSays.Phase)
	require.Empty(t, h.went)
	require.True(t, h.reports[len(h.reports)-1].Closed)
}

func TestTheWayBackHasSlotsOfItsOwn(t *testing.T) {
	for name, c := range map[string]struct{ policy, most int }{
		"twice as many as go at a time": {0, 4}, "as many as the plan says": {3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHerd(t, 9)
			h.batch.Concurrency, h.backSlots = 2, c.policy
			h.at(10*time.Minute, func() { h.command(migration.UpdateRollback, "ann", "") })
			h.at(30*time.Minute, func() {
				require.Equal(t, migration.BatchTakenBack, h.says().Phase)
				require.Zero(t, h.says().Counts.Away)
			})
			h.run()
			require.Equal(t, c.most, h.most.back)
		})
	}
}

// A rollback of the plan asks all batches at once, and gives each its share.
func TestACustomerWhoseHomeCannotBeReadKeepsNobodyElseFromComingBack(t *testing.T) {
	told := mail.Order{At: 1, N: 1}
	lost := &member{Told: true, Heard: 1, Recalled: &told, Order: mail.Order{At: 2, N: 2},
		Status: migration.CustomerStatus{ID: "lost", Home: migration.AWS, Phase: migration.CustomerFinding}}
	unheard := &member{Told: true, Heard: 1, Recalled: &told, Order: told,
		Status: migration.CustomerStatus{ID: "unheard", Home: migration.AWS, Phase: migration.CustomerFinding}}
	waits := &member{Told: true, Heard: 1, Order: told,
		Status: migration.CustomerStatus{ID: "waits", Home: migration.AWS, Phase: migration.CustomerSoaking}}
	b := &batch{}
	b.Round, b.Members = 1, []*member{lost, unheard, waits}
	next, under, slots := b.recalls()
	require.Equal(t, waits, next)
	require.Equal(t, 2, under, "the batch is not through before both have come")
	require.Equal(t, 1, slots)
}

func TestABatchThatGoesBackWithOthersHasItsShareOfTheSlots(t *testing.T) {
	for name, c := range map[string]struct{ share, most int }{
		"less than it may have alone": {2, 2}, "more than it may have alone": {9, 4}, "nobody has said": {0, 4},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHerd(t, 9)
			h.batch.Concurrency = 2
			h.at(10*time.Minute, func() { h.signal(mail.SignalBack, mail.Wish{By: "ann", Slots: c.share}) })
			h.at(30*time.Minute, func() {
				require.Equal(t, migration.BatchTakenBack, h.says().Phase)
				require.Zero(t, h.says().Counts.Away)
			})
			h.run()
			require.Equal(t, c.most, h.most.back)
		})
	}
}

// Whoever is asked whether everybody is at home must not hear that nobody has gone.
func TestABatchThatIsStartedAgainSaysWhatHeldUntilItKnowsBetter(t *testing.T) {
	h := newHerd(t, 3)
	h.was = &migration.BatchStatus{Name: "wave", Phase: migration.BatchDone, Counts: migration.Counts{Customers: 3, OnAWS: 3, Away: 3}}
	h.aws["c0"], h.aws["c1"], h.aws["c2"] = true, true, true
	h.late = 20 * time.Second
	h.at(10*time.Second, func() {
		require.Equal(t, migration.BatchDone, h.says().Phase)
		require.Contains(t, h.says().Reason, "asks each customer where it stands")
		require.Equal(t, h.was.Counts, h.says().Counts)
		require.Equal(t, []string{migration.UpdateRollback}, h.says().MayDo)
	})
	h.at(time.Minute, func() {
		require.Equal(t, migration.BatchDone, h.says().Phase)
		for _, r := range h.reports {
			require.Equal(t, 3, r.Status.Counts.Away, "%+v", r)
			require.Equal(t, migration.BatchDone, r.Status.Phase)
		}
	})
	h.run()
	require.Empty(t, h.went)
}

func TestABatchThatIsStartedAgainWhileItCutOverGoesOnAndIsNotSaidToWait(t *testing.T) {
	h := newHerd(t, 2)
	h.was = &migration.BatchStatus{Name: "wave", Phase: migration.BatchCuttingOver,
		Counts: migration.Counts{Customers: 2, Waiting: 1, OnAWS: 1, Away: 1}}
	h.aws["c0"] = true
	h.run()
	require.Equal(t, []string{"c1"}, h.went)
	require.Equal(t, migration.BatchDone, h.finalSays.Phase)
	for _, r := range h.reports {
		require.NotEqual(t, migration.BatchWaiting, r.Status.Phase)
	}
}

// Some had finished and others soak when the batch is terminated that was done: who had finished
// says so from its data.
func TestABatchThatWasDoneAndIsStartedAgainIsOverWhenItsLastHasFinished(t *testing.T) {
	h := newHerd(t, 3)
	h.was = &migration.BatchStatus{Name: "wave", Phase: migration.BatchDone, Counts: migration.Counts{Customers: 3, OnAWS: 3, Away: 3,
		Finished: 2}}
	h.finished, h.aws["c2"] = map[string]bool{"c0": true, "c1": true}, true
	h.at(20*time.Minute, func() {
		require.Equal(t, migration.BatchDone, h.says().Phase)
		require.Equal(t, 2, h.says().Counts.Finished)
		require.Equal(t, 3, h.says().Counts.Away, "nobody is said to be at home")
		require.False(t, h.reports[len(h.reports)-1].Closed)
	})
	h.run()
	require.Empty(t, h.went)
	require.True(t, h.reports[len(h.reports)-1].Closed)
	require.Equal(t, 3, h.finalSays.Counts.Finished)
}

// A gate is for those that are to go.
func TestABatchWhoseCustomersAreAllOnAWSHasNoGate(t *testing.T) {
	h := newHerd(t, 2)
	h.batch.Approvals = 1
	h.aws["c0"], h.aws["c1"] = true, true
	h.at(time.Minute, func() { require.Equal(t, migration.BatchDone, h.says().Phase) })
	h.run()
	require.Empty(t, h.went)
}

// A migration that fails before the turn of a batch leaves alone who has been on AWS since an
// earlier run of the plan.
func TestABatchIsNotDismissedWhileCustomersOfItAreOnAWS(t *testing.T) {
	h := newHerd(t, 2)
	h.waits, h.aws["c0"] = true, true
	h.at(time.Minute, func() { h.signal(mail.SignalDismiss, mail.Wish{By: "drover"}) })
	h.at(2*time.Minute, func() {
		s := h.says()
		require.Equal(t, migration.BatchWaiting, s.Phase)
		require.Equal(t, 1, s.Counts.Away)
		require.Equal(t, []migration.CustomerPhase{migration.CustomerSoaking, migration.CustomerWaiting},
			[]migration.CustomerPhase{s.Customers[0].Phase, s.Customers[1].Phase})
		h.signal(mail.SignalTurn, mail.Turn{}) // the corrected plan goes on with it
	})
	h.run()
	require.Equal(t, []string{"c1"}, h.went)
	require.Equal(t, migration.BatchDone, h.finalSays.Phase)
}

func TestACustomerThatSaysNothingKeepsNoBatch(t *testing.T) {
	h := newHerd(t, 2)
	h.batch.Approvals = 1
	h.late = 10 * time.Minute
	h.at(gatherPatience-time.Second, func() { require.NotEqual(t, migration.BatchGate, h.says().Phase) })
	h.at(gatherPatience+2*time.Second, func() {
		require.Equal(t, migration.BatchGate, h.says().Phase)
		h.command(migration.UpdateApprove, "ann", "")
	})
	h.run()
	require.Equal(t, 2, h.finalSays.Counts.OnAWS)
}

func TestAHoldByHandIsNoIncident(t *testing.T) {
	for _, c := range []struct {
		name  string
		cause migration.Cause
		want  int
	}{{"by hand", migration.ByHand, 0}, {"by its verdict", migration.ByVerdict, 1}} {
		t.Run(c.name, func(t *testing.T) {
			h := newHerd(t, 1)
			h.waits = true
			h.at(time.Minute, func() {
				h.signal(mail.SignalReport, mail.CustomerReport{Order: mail.Order{At: h.env.Now().UnixNano(), N: 9},
					Status: migration.CustomerStatus{ID: "c0", Home: migration.OnPrem, Phase: migration.CustomerHeld, Cause: c.cause}})
			})
			h.at(2*time.Minute, func() { require.Equal(t, 1, h.says().Counts.Held) })
			h.run()
			require.Equal(t, c.want, h.reports[len(h.reports)-1].Incidents)
		})
	}
}

// A worker that is frozen is handed a task like any other, and Temporal waits for it so long.
func TestAWorkerThatIsFrozenCostsACustomerSeconds(t *testing.T) {
	h := newHerd(t, 1)
	h.run()
	require.Equal(t, work.TaskPatience, h.patience)
	require.LessOrEqual(t, h.patience, 3*time.Second, "Temporal waits for 10 s where nothing says otherwise")
}
