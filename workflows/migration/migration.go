// Package migration is the story of a plan: it looks at everything before it touches anything,
// brings AWS up beside what runs, and releases the batches one after the other.
package migration

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/check"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/roll"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	chunk           = 200             // batches started at a time: Temporal allows 2,000 children that are pending, and advises 500
	stopPause       = 2 * time.Second // before the second look whether what copies and launches has ended; doubles
	stopPauseMost   = time.Minute     // a launch may take an hour to end, and the history is no longer for it
	dismissPatience = time.Minute     // in which the batches of a migration that has failed end
)

// Input starts a Migration with a compiled plan, and carries it over continue-as-new by the plan's
// name only.
type Input struct {
	migration.MigrationInput
	State *State `json:"state,omitempty"`
}

// State is what a migration's story needs to go on.
type State struct {
	status.Status[migration.MigrationPhase] `json:"standing"`
	mail.Box                                `json:"mail"`
	roll.Roll                               `json:"roll"`
	Movers                                  roll.Roll `json:"movers"` // of the batches of which somebody moves

	Spec   migration.SpecRef        `json:"spec"`
	Resume migration.MigrationPhase `json:"resume"` // where the story goes on
	Paused *mail.Pause              `json:"paused,omitempty"`
	// of the batches, in the plan's order: a new run hears commands before it has read the plan
	Names     []string                         `json:"names,omitempty"`
	Batches   map[string]migration.BatchStatus `json:"batches"`
	Incidents map[string]int                   `json:"incidents"`        // by batch
	Forgiven  int                              `json:"forgiven"`         // incidents that an operator has resumed after
	Pieces    map[string]migration.PieceStatus `json:"pieces"`           // workloads and datasets
	Orders    map[string]mail.Order            `json:"orders"`           // of the reports taken, by sender
	Stopped   map[string]bool                  `json:"stopped"`          // datasets whose audit lets nobody move, as last reported
	Post      mail.Post                        `json:"post"`             // what the outbox is to be told
	Asks      string                           `json:"asks,omitempty"`   // id of the notice that the migration is paused; empty: it is not
	Outbox    int64                            `json:"outbox,omitempty"` // when the outbox was started, in milliseconds since 1970
	Closed    map[string]bool                  `json:"closed"`           // batches all of whose customers have ended
	Started   int                              `json:"started"`          // batches released
	Final     *final                           `json:"final,omitempty"`
	Kept      string                           `json:"kept,omitempty"` // why it was not finalised when somebody said so
	// Ends are the batches whose way back somebody ended, or wants to end.
	Ends      map[string]*migration.Finalised `json:"ends"`
	Aborted   *mail.Wish                      `json:"aborted,omitempty"`  // somebody ends the migration, and everybody comes home
	Observing mail.Observing                  `json:"observing,omitzero"` // until who writes has been observed
	Observed  bool                            `json:"observed,omitempty"` // as the plan requires it
	Unseen    int                             `json:"unseen,omitempty"`   // looks at who writes in a row that failed
}

// final is the word that nobody goes back any more.
type final struct {
	By      string `json:"by"`
	SignUps bool   `json:"signUps,omitempty"` // tenants that the plan does not know come along
}

// Migration carries out a plan: it looks at everything before it touches anything, brings AWS up
// beside what runs, and releases the batches one after the other. It never moves a customer itself.
func Migration(ctx workflow.Context, in Input) error {
	m := newMigration(in)
	if first := workflow.GetInfo(ctx).OriginalRunID; in.State == nil {
		m.reset = first != "" && first != workflow.GetInfo(ctx).WorkflowExecution.RunID
	}
	m.Deaf = in.State != nil && mail.WasReset(ctx)
	if err := m.setup(ctx); err != nil {
		return err
	}
	err := m.run(ctx)
	if !workflow.IsContinueAsNewError(err) {
		m.lastNews(ctx)
	}
	return m.End(ctx, err)
}

type run struct {
	in   Input
	plan state.Plan
	State

	ending   bool   // the way back of a batch is being ended
	reset    bool   // to its very start: the newest revision holds, whatever it began with
	amending string // by whom, while an amendment is looked at
	changing string // by whom, while a schema is changed: nothing of a database is taken away then

	lookAgain bool // at who writes: somebody has resolved a finding
}

func newMigration(in Input) *run {
	m := &run{in: in, State: State{Resume: migration.MigrationAccepted}}
	switch {
	case in.State != nil:
		m.State = *in.State
	case in.Former != nil:
		m.Ends = in.Former.Ends
	}
	filled(&m.Batches)
	filled(&m.Incidents)
	filled(&m.Pieces)
	filled(&m.Orders)
	filled(&m.Stopped)
	filled(&m.Closed)
	filled(&m.Ends)
	return m
}

// filled makes a map that a State does not have, such as one that an earlier version has written.
func filled[K comparable, V any](m *map[K]V) {
	if *m == nil {
		*m = map[K]V{}
	}
}

func (m *run) setup(ctx workflow.Context) error {
	m.Hooks = status.Hooks{Describe: m.describe, MayDo: m.mayDo}
	err := workflow.SetQueryHandlerWithOptions(ctx, migration.QueryStatus,
		func(migration.Page) (migration.MigrationStatus, error) { return m.status(), nil },
		workflow.QueryHandlerOptions{Description: "The migration with its batches, workloads and datasets. Customers: ask the batches."})
	if err != nil {
		return err
	}
	err = workflow.SetQueryHandlerWithOptions(ctx, migration.QuerySpec, func() (migration.SpecRef, error) { return m.Spec, nil },
		workflow.QueryHandlerOptions{Description: "Where the newest revision of the plan is."})
	if err != nil {
		return err
	}
	mail.Listen(ctx, mail.SignalBatch, "A batch reports.", m.took)
	mail.Listen(ctx, mail.SignalPause, "A batch was canceled in Temporal: pause.", func(ctx workflow.Context, p mail.Pause) {
		if !m.Deaf {
			m.pause(ctx, p.Reason)
		}
	})
	mail.Listen(ctx, mail.SignalPiece, "A workload or a dataset reports.", func(ctx workflow.Context, p mail.PieceReport) {
		if !p.Order.Newer(m.Orders[p.Piece.Name]) {
			return
		}
		if p.Stop && m.Paused == nil && !m.Stopped[p.Piece.Name] {
			m.Note(ctx, "the migration pauses itself", migration.Command{By: mail.ByDrover, Reason: p.Piece.Name + ": " + p.Piece.Detail})
			m.pause(ctx, p.Piece.Name+": "+p.Piece.Detail)
		}
		m.Stopped[p.Piece.Name] = p.Stop
		was := m.Pieces[p.Piece.Name].Phase
		m.Orders[p.Piece.Name], m.Pieces[p.Piece.Name] = p.Order, p.Piece
		if p.Piece.Phase == migration.PieceFailed || was == migration.PieceFailed {
			m.Note(ctx, p.Piece.Name+": "+string(p.Piece.Phase), migration.Command{Reason: p.Piece.Detail})
			m.Set(ctx, m.Phase, m.waitsFor(), m.because())
		}
		m.Show(ctx)
	})
	command := func(name, description string, apply func(workflow.Context, migration.Command)) status.Command {
		return status.Command{Name: name, Description: description, Apply: apply,
			Allowed: func(migration.Command) error { return m.allowed(name) }}
	}
	return m.Handle(ctx,
		command(migration.UpdatePause, "Admit no more customers; Moves under way finish.", func(ctx workflow.Context, k migration.Command) {
			m.pause(ctx, "paused by "+k.By+": "+k.Reason)
		}),
		command(migration.UpdateResume, "Admit customers again.", func(ctx workflow.Context, _ migration.Command) { m.unpause(ctx) }),
		command(migration.UpdateRollback, "Move every customer back home.", func(ctx workflow.Context, k migration.Command) {
			m.pause(ctx, "everything is taken back for "+k.By)
			m.takeBack(ctx, mail.Wish{By: k.By, Reason: k.Reason})
		}),
		command(migration.UpdateAbort, "Bring every customer home, end the migration and remove what it made.",
			func(_ workflow.Context, k migration.Command) {
				m.Aborted = &mail.Wish{By: k.By, Reason: k.Reason}
			}),
		status.Command{
			Name:        migration.UpdateFinalise,
			Description: "End the way back of a batch, or of the whole plan, for good. Only when its customers have ended their soak.",
			Allowed: func(k migration.Command) error {
				if k.Batch != "" {
					return m.mayEnd(k.Batch)
				}
				return m.allowed(migration.UpdateFinalise)
			},
			Apply: func(ctx workflow.Context, k migration.Command) {
				if k.Batch == "" {
					m.Final = &final{By: k.By, SignUps: k.SignUps}
					return
				}
				m.Ends[k.Batch] = &migration.Finalised{By: k.By, Reason: k.Reason, Asked: workflow.Now(ctx)}
			},
		},
		status.Command{Name: migration.UpdateAmend, Description: "Make another content the plan's: a new revision. What has begun stays.",
			Allowed: m.mayAmend, Carry: m.amend},
		status.Command{Name: migration.UpdateResolve, Description: "What was found of a writer may be as it is.", Allowed: m.mayResolve,
			Carry: m.resolve},
		status.Command{Name: migration.UpdateSchema, Description: "Change the schema of both sides of a database.",
			Allowed: m.mayChange, Carry: m.changeSchema},
	)
}

// run is the plan, from acceptance to the end of the way back.
func (m *run) run(ctx workflow.Context) error {
	if m.Deaf {
		mail.Redelivered(ctx, signals...)
		m.Deaf = false
		if err := m.catchUp(ctx); err != nil {
			return err
		}
	}
	background, _ := workflow.NewDisconnectedContext(ctx)
	workflow.Go(background, func(ctx workflow.Context) { m.Keep(ctx, m.rollEvery, m.callRoll) })
	workflow.Go(background, m.rollMovers)
	workflow.Go(background, m.deliver)
	workflow.Go(background, m.endBatches)
	if m.Aborted != nil { // since an earlier run
		return m.giveUp(ctx)
	}
	for _, phase := range []struct {
		name migration.MigrationPhase
		do   func(workflow.Context) error
	}{
		{migration.MigrationAccepted, m.accept},
		{migration.MigrationPreflight, m.preflight},
		{migration.MigrationProvisioning, m.provision},
		{migration.MigrationReleasing, m.releaseBatches},
		{migration.MigrationSoak, m.soak},
		{migration.MigrationFinalising, m.finalise},
	} {
		if phase.name != m.Resume {
			continue
		}
		m.stands(ctx, phase.name, migration.WaitNothing, m.because())
		err := phase.do(ctx)
		// canceled in Temporal: it pauses, and goes on where it was
		if err != nil && ctx.Err() != nil && m.Aborted == nil && !workflow.IsContinueAsNewError(err) {
			ctx, _ = workflow.NewDisconnectedContext(ctx)
			m.pause(ctx, "canceled in Temporal; resume to go on, or abort")
			err = phase.do(ctx)
		}
		if err != nil {
			if workflow.IsContinueAsNewError(err) {
				return err
			}
			if m.Aborted != nil {
				return m.giveUp(ctx)
			}
			if len(m.Pieces) == 0 { // a corrected plan starts them anew
				m.dismiss(ctx)
			}
			m.Set(ctx, migration.MigrationFailed, migration.WaitNothing, work.Reason(err))
			return err
		}
		m.Resume = next(phase.name)
	}
	m.Set(ctx, migration.MigrationDone, migration.WaitNothing, "")
	return nil
}

// next is the phase after p.
func next(p migration.MigrationPhase) migration.MigrationPhase {
	order := []migration.MigrationPhase{migration.MigrationAccepted, migration.MigrationPreflight, migration.MigrationProvisioning,
		migration.MigrationReleasing, migration.MigrationSoak, migration.MigrationFinalising, migration.MigrationDone}
	return order[slices.Index(order, p)+1]
}

// accept stores the plan and starts every batch: all customers are visible from the first minute.
func (m *run) accept(ctx workflow.Context) error {
	var saved state.SavedSpec
	req := state.SaveSpecRequest{Spec: m.in.Spec, Accept: &state.Acceptance{By: m.in.By, Continues: m.in.Continues || m.reset}}
	if err := workflow.ExecuteActivity(work.Question.In(ctx, "store the plan"), work.State.SaveSpec, req).Get(ctx, &saved); err != nil {
		return err
	}
	if m.Spec = saved.SpecRef; m.Spec.Revision > 1 {
		m.remember(ctx)
	}
	if err := m.load(ctx); err != nil {
		return err
	}
	customers := 0
	for _, b := range m.plan.Batches {
		customers += len(b.Customers)
	}
	m.Note(ctx, fmt.Sprintf("plan accepted: %d customers in %d batches", customers, len(m.plan.Batches)), migration.Command{By: m.in.By})
	if saved.Newer {
		m.Note(ctx, fmt.Sprintf("goes on with revision %d", m.Spec.Revision), migration.Command{By: mail.ByDrover})
	}
	m.openOutbox(ctx)
	if f := m.in.Former; f != nil && f.Paused != "" {
		m.Note(ctx, "paused still: it was when the plan was submitted again", migration.Command{By: mail.ByDrover, Reason: f.Paused})
		m.pause(ctx, f.Paused)
	}
	return m.startBatches(ctx)
}

func (m *run) load(ctx workflow.Context) error {
	if m.plan.Batches != nil {
		return nil
	}
	l := work.Question.In(ctx, "read the plan")
	if err := workflow.ExecuteActivity(l, work.State.LoadPlan, m.Spec).Get(l, &m.plan); err != nil {
		return err
	}
	if m.Names == nil {
		for _, b := range m.plan.Batches {
			m.Names = append(m.Names, b.Name)
			m.Batches[b.Name] = waits(b)
		}
	}
	m.judge(ctx) // what was reported before the plan's limits were known
	return nil
}

// waits is the status of a batch that has not been heard of.
func waits(b migration.Batch) migration.BatchStatus {
	return migration.BatchStatus{Name: b.Name, Phase: migration.BatchWaiting, WaitingFor: migration.WaitTurn, Needs: b.Approvals,
		Window: b.Window, Ticket: b.Ticket, Counts: migration.Counts{Customers: len(b.Customers), Waiting: len(b.Customers)}}
}

// startBatches starts every Batch, which starts its customers and waits for its turn. One that runs
// already, since the Migration before this one was terminated, is as good.
func (m *run) startBatches(ctx workflow.Context) error {
	for batches := range slices.Chunk(m.plan.Batches, chunk) {
		work.Together(ctx, batches, func(ctx workflow.Context, b migration.Batch) { m.startBatch(ctx, b, m.formerly(b)) })
		if m.Flush(ctx); ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// formerly is what a batch did that was taken back when the migration before was terminated: it
// goes on with that, wherever its customers are. nil: it was not.
func (m *run) formerly(b migration.Batch) *migration.BatchStatus {
	if m.in.Former == nil {
		return nil
	}
	why, back := m.in.Former.Back[b.Name]
	if !back {
		return nil
	}
	n := len(b.Customers)
	return &migration.BatchStatus{Name: b.Name, Phase: migration.BatchTakingBack, WaitingFor: migration.WaitNothing, Reason: why,
		Needs: b.Approvals, Window: b.Window, Ticket: b.Ticket, Counts: migration.Counts{Customers: n, Away: n}}
}

// preflight looks at everything the plan names, next to it, and touches nothing. One blocker ends
// the migration here.
func (m *run) preflight(ctx workflow.Context) error {
	if err := m.load(ctx); err != nil {
		return err
	}
	c := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: migration.CheckID(m.Spec.Plan, migration.CheckPreflight),
		StaticSummary: "preflight of " + m.Spec.Plan, WaitForCancellation: true,
		TypedSearchAttributes: temporal.NewSearchAttributes(status.AttrPlan.ValueSet(m.Spec.Plan))})
	c, cancel := workflow.WithCancel(c)
	defer cancel()
	var report check.Report
	m.Reason = "asks every system that the plan names; a site whose worker does not run keeps it waiting"
	m.Show(ctx)
	asked := workflow.ExecuteChildWorkflow(c, check.Preflight, m.Spec)
	if err := m.awaitUnlessAborted(ctx, asked.IsReady); err != nil {
		cancel()
		free, _ := workflow.NewDisconnectedContext(ctx)
		_ = asked.Get(free, nil) // another one of its id can begin only when it has ended
		return err
	}
	if err := asked.Get(ctx, &report); err != nil {
		return err
	}
	for _, f := range report.Findings {
		m.Note(ctx, fmt.Sprintf("%s: %s: %s", f.Severity, f.Subject, f.Reason), migration.Command{Reason: f.Remedy})
	}
	if err := work.Refused(report.Findings); err != nil {
		return temporal.NewNonRetryableApplicationError("preflight: "+err.Error(), "Preflight", nil)
	}
	return nil
}

// provision brings up beside what runs all that the first cutover needs: copies of the data that
// follow it, machines and services.
func (m *run) provision(ctx workflow.Context) error {
	if err := m.load(ctx); err != nil {
		return err
	}
	if err := m.observe(ctx); err != nil {
		return err
	}
	if m.plan.Routed {
		l, cancel := workflow.WithCancel(work.Question.In(ctx, "record the routes as they stand"))
		defer cancel()
		recorded := workflow.ExecuteActivity(l, work.Traffic.RecordRoute, traffic.RecordRouteRequest{Spec: m.Spec})
		if err := m.awaitUnlessAborted(ctx, recorded.IsReady); err != nil {
			return err
		}
		if err := recorded.Get(l, nil); err != nil {
			return err
		}
	}
	for _, w := range m.plan.Workloads {
		if m.Pieces[w.Name].Phase != migration.PieceReady {
			m.startWorkload(ctx, w.Name)
		}
	}
	m.stands(ctx, migration.MigrationProvisioning, migration.WaitData, m.because())
	// Databases before files: a file pass asks a database where the customer is homed.
	for _, kind := range []func(migration.Dataset) bool{
		func(d migration.Dataset) bool { return d.Postgres != nil },
		func(d migration.Dataset) bool { return d.Files != nil },
	} {
		var names []string
		for _, d := range m.plan.Datasets {
			if kind(d) {
				names = append(names, d.Name)
				m.startReplication(ctx, d.Name)
			}
		}
		if err := m.awaitReady(ctx, names); err != nil {
			return err
		}
	}
	var names []string
	for _, w := range m.plan.Workloads {
		names = append(names, w.Name)
	}
	return m.awaitReady(ctx, names)
}

// awaitReady waits until each of these workloads or datasets has reported that it is ready.
func (m *run) awaitReady(ctx workflow.Context, names []string) error {
	ready := func() bool {
		return !slices.ContainsFunc(names, func(n string) bool { return m.Pieces[n].Phase != migration.PieceReady })
	}
	return m.awaitOrRenew(ctx, ready)
}

// releaseBatches gives each batch its turn when the one before it is through.
func (m *run) releaseBatches(ctx workflow.Context) error {
	if err := m.load(ctx); err != nil {
		return err
	}
	return m.release(ctx, 0)
}

// release is releaseBatches from a batch on. An amendment may add some meanwhile.
func (m *run) release(ctx workflow.Context, from int) error {
	for i := from; i < len(m.plan.Batches); i++ {
		if i >= m.Started && m.amending != "" { // whose turn is next may be about to change
			if err := m.awaitUnlessAborted(ctx, func() bool { return m.amending == "" }); err != nil {
				return err
			}
			if i >= len(m.plan.Batches) { // it has taken the rest out of the plan
				return nil
			}
		}
		name := m.plan.Batches[i].Name
		if i >= m.Started {
			m.Started = i + 1
			m.Tell(ctx, migration.BatchID(m.Spec.Plan, name), mail.SignalTurn, mail.Turn{})
		}
		m.Set(ctx, migration.MigrationReleasing, m.waitsFor(), m.because())
		if err := m.awaitOrRenew(ctx, func() bool { return m.Batches[name].Phase == migration.BatchDone }); err != nil {
			return err
		}
	}
	return nil
}

// more says whether an amendment has added batches after all had had their turn.
func (m *run) more() bool { return m.Started < len(m.plan.Batches) }

// soak waits until every customer has ended, and until somebody ends the way back. Until a customer
// has ended an operator can still take it back, or start its batch anew.
func (m *run) soak(ctx workflow.Context) error {
	if err := m.load(ctx); err != nil {
		return err
	}
	for {
		if err := m.release(ctx, m.Started); err != nil { // what was added since
			return err
		}
		m.stands(ctx, migration.MigrationSoak, migration.WaitHealth, "going back still loses nothing")
		if err := m.awaitOrRenew(ctx, func() bool { return m.more() || m.closed(m.Names) }); err != nil {
			return err
		}
		if m.more() {
			continue
		}
		if err := m.waitForTheEnd(ctx); err != nil || m.Final != nil {
			return err
		}
	}
}

// closed says that no customer of these batches will ever do anything again.
func (m *run) closed(batches []string) bool {
	return !slices.ContainsFunc(batches, func(name string) bool { return !m.Closed[name] })
}

func (m *run) mustRenew(ctx workflow.Context) bool {
	return !m.ending && mail.Renewable(ctx, signals...)
}

// signals are all that a migration listens to.
var signals = []string{mail.SignalBatch, mail.SignalPause, mail.SignalPiece}

// awaitOrRenew waits for a condition, in a new history where this one grows too long: the error
// says so.
func (m *run) awaitOrRenew(ctx workflow.Context, until func() bool) error {
	return m.orRenew(ctx, m.awaitUnlessAborted, until)
}

func (m *run) orRenew(ctx workflow.Context, await func(workflow.Context, func() bool) error, until func() bool) error {
	return m.orRenewIf(ctx, m.mustRenew, await, until)
}

func (m *run) orRenewIf(ctx workflow.Context, must func(workflow.Context) bool,
	await func(workflow.Context, func() bool) error, until func() bool) error {
	for {
		if err := await(ctx, func() bool { return until() || must(ctx) }); err != nil {
			return err
		}
		if until() {
			return nil
		}
		if m.Renews(ctx, must) {
			return m.anew(ctx)
		}
	}
}

// anew is the error that goes on in a new history.
func (m *run) anew(ctx workflow.Context) error {
	st := m.State
	return workflow.NewContinueAsNewError(ctx, Migration, Input{MigrationInput: migration.MigrationInput{By: m.in.By}, State: &st})
}

// errAborted ends the story early.
var errAborted = temporal.NewNonRetryableApplicationError("aborted", "Aborted", nil)

func (m *run) awaitUnlessAborted(ctx workflow.Context, until func() bool) error {
	if err := workflow.Await(ctx, func() bool { return m.Aborted != nil || until() }); err != nil {
		return err
	}
	if m.Aborted != nil {
		return errAborted
	}
	return nil
}

// dismiss ends the batches whose turn has not come, with their customers: nobody else would. It
// waits until they have ended, since a corrected plan starts them anew under the same names, and
// not for ever.
func (m *run) dismiss(ctx workflow.Context) {
	for _, name := range m.Names[m.Started:] {
		m.Tell(ctx, migration.BatchID(m.Spec.Plan, name), mail.SignalDismiss,
			mail.Wish{By: mail.ByDrover, Reason: "the migration ends before the turn of the batch"})
	}
	work.AwaitFor(ctx, dismissPatience, "until the batches have ended", func() bool {
		return !slices.ContainsFunc(m.Names[m.Started:], func(name string) bool {
			b := m.Batches[name] // one with customers on AWS stays, and looks after them
			return b.Phase != migration.BatchAborted && b.Counts.Away == 0
		})
	})
}

// stop ends what copies and launches, and waits until it runs no more: what it is in the middle of
// making would be left behind.
func (m *run) stop(ctx workflow.Context) {
	runs := map[string]bool{}
	var ids []string
	for _, d := range m.plan.Datasets {
		id := migration.ReplicationID(m.Spec.Plan, d.Name)
		m.Tell(ctx, id, mail.SignalStop, mail.Wish{})
		ids, runs[id] = append(ids, id), true
	}
	for _, w := range m.plan.Workloads {
		id := migration.WorkloadID(m.Spec.Plan, w.Name)
		_ = workflow.RequestCancelExternalWorkflow(ctx, id, "").Get(ctx, nil) // it may have ended long ago
		ids, runs[id] = append(ids, id), true
	}
	for pause := stopPause; ctx.Err() == nil; pause = min(2*pause, stopPauseMost) {
		for _, id := range ids {
			if runs[id] {
				m.TellOr(ctx, id, mail.SignalAsk, mail.Ask{}, func(workflow.Context) { delete(runs, id) })
			}
		}
		m.Flush(ctx)
		if len(runs) == 0 {
			return
		}
		_ = work.Sleep(ctx, pause, "until what copies and launches has ended")
	}
}

// took takes a batch's report.
func (m *run) took(ctx workflow.Context, r mail.BatchReport) {
	if !r.Order.Newer(m.Orders[r.Status.Name]) {
		return
	}
	m.Orders[r.Status.Name] = r.Order
	m.Batches[r.Status.Name] = r.Status
	m.Incidents[r.Status.Name] = max(m.Incidents[r.Status.Name], r.Incidents)
	m.Closed[r.Status.Name] = r.Closed
	m.judge(ctx)
	m.Show(ctx)
}

// judge pauses the migration when more customers had to go back or be held than the plan allows.
func (m *run) judge(ctx workflow.Context) {
	if most := m.plan.Policy.StopAfter; most > 0 && m.Paused == nil && m.incidents()-m.Forgiven >= most {
		m.Note(ctx, "the migration pauses itself",
			migration.Command{Reason: fmt.Sprintf("%d customers rolled back or held; the plan stops after %d", m.incidents()-m.Forgiven,
				most)})
		m.pause(ctx, fmt.Sprintf("%d customers were rolled back or held (policy.stopAfter: %d); look at why, then resume",
			m.incidents()-m.Forgiven, most))
	}
}

// incidents counts those of all batches, also of those that an amendment has taken out of the plan:
// somebody has resumed after them, or has yet to look.
func (m *run) incidents() (n int) {
	for _, name := range workflow.DeterministicKeys(m.Incidents) {
		n += m.Incidents[name]
	}
	return n
}

func (m *run) pause(ctx workflow.Context, why string) {
	m.Paused = &mail.Pause{Order: m.Stamp(ctx), Paused: true, Reason: why, Observing: m.Observing}
	m.noticePaused(ctx)
	m.tellBatches(ctx, mail.SignalWord, *m.Paused)
	m.Set(ctx, m.Phase, m.waitsFor(), why)
}

// stands says where the migration stands now. One that is paused waits for that to end, whatever it
// does meanwhile.
func (m *run) stands(ctx workflow.Context, phase migration.MigrationPhase, waits migration.Waiting, reason string) {
	if m.Paused != nil {
		waits, reason = migration.WaitResume, m.Paused.Reason
	}
	m.Set(ctx, phase, waits, reason)
}

func (m *run) unpause(ctx workflow.Context) {
	m.Paused, m.Forgiven = nil, m.incidents()
	m.noticeResumed()
	m.tellBatches(ctx, mail.SignalWord, mail.Pause{Order: m.Stamp(ctx), Observing: m.Observing})
	m.Set(ctx, m.Phase, m.waitsFor(), m.because())
}

// takeBack takes every batch back, at once. Their customers share the slots of the way back: each
// takes connections to the plan's databases.
func (m *run) takeBack(ctx workflow.Context, w mail.Wish) {
	coming := make([]int, len(m.Names))
	for i, name := range m.Names {
		coming[i] = m.Batches[name].Counts.Away - m.Batches[name].Counts.Finished
	}
	for i, slots := range migration.BackSlots(m.plan.Batches, m.plan.Policy, coming) {
		w.Slots = slots
		m.Tell(ctx, migration.BatchID(m.Spec.Plan, m.Names[i]), mail.SignalBack, w)
	}
}

// tellBatches tells every batch.
func (m *run) tellBatches(ctx workflow.Context, signal string, arg any) {
	for _, name := range m.Names {
		m.Tell(ctx, migration.BatchID(m.Spec.Plan, name), signal, arg)
	}
}
