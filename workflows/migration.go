package workflows

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
)

// MigrationInput starts a Migration with a compiled plan, and carries it over continue-as-new by the plan's name only.
type MigrationInput struct {
	Spec  *migration.Spec `json:"spec,omitempty"`
	By    string          `json:"by,omitempty"`
	State *migrationState `json:"state,omitempty"`
}

type migrationState struct {
	Standing  standing                         `json:"standing"`
	Spec      migration.SpecRef                `json:"spec"`
	Resume    migration.Phase                  `json:"resume"` // where the story goes on
	Paused    *pauseSignal                     `json:"paused,omitempty"`
	Names     []string                         `json:"names,omitempty"` // of the batches, in the plan's order: a new run hears commands before it has read the plan
	Batches   map[string]migration.BatchStatus `json:"batches"`
	Incidents map[string]int                   `json:"incidents"` // by batch
	Forgiven  int                              `json:"forgiven"`  // incidents that an operator has resumed after
	Pieces    map[string]migration.PieceStatus `json:"pieces"`    // workloads and datasets
	Orders    map[string]order                 `json:"orders"`    // of the reports taken, by sender
	Stopped   map[string]bool                  `json:"stopped"`   // datasets whose audit lets nobody move, as last reported
	Closed    map[string]bool                  `json:"closed"`    // batches all of whose customers have ended
	Started   int                              `json:"started"`   // batches released
}

// Migration carries out a plan: it looks at everything before it touches anything, brings AWS up beside what runs, and releases the
// batches one after the other. It never moves a customer itself.
func Migration(ctx workflow.Context, in MigrationInput) error {
	m := newMigration(in)
	m.deaf = in.State != nil && wasReset(ctx)
	if err := m.setup(ctx); err != nil {
		return err
	}
	return m.over(ctx, m.run(ctx))
}

type migrationRun struct {
	in   MigrationInput
	plan state.Plan
	migrationState
	*standing

	aborted *wish
}

func newMigration(in MigrationInput) *migrationRun {
	m := &migrationRun{in: in}
	if in.State != nil {
		m.migrationState = *in.State
		if m.Stopped == nil {
			m.Stopped = map[string]bool{}
		}
	} else {
		m.migrationState = migrationState{Resume: migration.PhaseAccepted, Batches: map[string]migration.BatchStatus{}, Incidents: map[string]int{}, Pieces: map[string]migration.PieceStatus{}, Closed: map[string]bool{}, Stopped: map[string]bool{}, Orders: map[string]order{}}
	}
	m.standing = &m.Standing
	return m
}

func (m *migrationRun) setup(ctx workflow.Context) error {
	m.standing.describe = m.describe
	m.standing.mayDo = m.mayDo
	err := workflow.SetQueryHandlerWithOptions(ctx, migration.QueryStatus, func(migration.Page) (migration.MigrationStatus, error) { return m.status(), nil },
		workflow.QueryHandlerOptions{Description: "The migration with its batches, workloads and datasets. Customers: ask the batches."})
	if err != nil {
		return err
	}
	listen(ctx, signalBatch, "A batch reports.", m.took)
	listen(ctx, signalPause, "A batch was canceled in Temporal: pause.", func(ctx workflow.Context, p pauseSignal) {
		if !m.deaf {
			m.pause(ctx, p.Reason)
		}
	})
	listen(ctx, signalPiece, "A workload or a dataset reports.", func(ctx workflow.Context, p pieceReport) {
		if !p.Order.newer(m.Orders[p.Piece.Name]) {
			return
		}
		if p.Stop && m.Paused == nil && !m.Stopped[p.Piece.Name] {
			m.note(ctx, "the migration pauses itself", migration.Command{By: byDrover, Reason: p.Piece.Name + ": " + p.Piece.Detail})
			m.pause(ctx, p.Piece.Name+": "+p.Piece.Detail)
		}
		m.Stopped[p.Piece.Name] = p.Stop
		was := m.Pieces[p.Piece.Name].Phase
		m.Orders[p.Piece.Name], m.Pieces[p.Piece.Name] = p.Order, p.Piece
		if p.Piece.Phase == migration.PhaseFailed || was == migration.PhaseFailed {
			m.note(ctx, p.Piece.Name+": "+string(p.Piece.Phase), migration.Command{Reason: p.Piece.Detail})
			m.set(ctx, m.Phase, m.waitsFor(), m.because())
		}
		m.show(ctx)
	})
	for _, cmd := range []struct {
		name, description string
		apply             func(workflow.Context, migration.Command)
	}{
		{migration.UpdatePause, "Admit no more customers; Moves under way finish.", func(ctx workflow.Context, k migration.Command) { m.pause(ctx, "paused by "+k.By+": "+k.Reason) }},
		{migration.UpdateResume, "Admit customers again.", func(ctx workflow.Context, _ migration.Command) { m.unpause(ctx) }},
		{migration.UpdateRollback, "Move every customer back home.", func(ctx workflow.Context, k migration.Command) {
			m.pause(ctx, "everything is taken back for "+k.By)
			m.tellBatches(ctx, signalBack, wish{k.By, k.Reason})
		}},
		{migration.UpdateAbort, "End the migration and remove what it made. Only while every customer is at home.", func(_ workflow.Context, k migration.Command) { m.aborted = &wish{k.By, k.Reason} }},
	} {
		if err := m.command(ctx, cmd.name, cmd.description, func(migration.Command) error { return m.allowed(cmd.name) }, cmd.apply); err != nil {
			return err
		}
	}
	return nil
}

// run is the plan, from acceptance to the end of the soak.
func (m *migrationRun) run(ctx workflow.Context) error {
	background, _ := workflow.NewDisconnectedContext(ctx)
	workflow.Go(background, func(ctx workflow.Context) { m.roll(ctx, m.rollEvery, m.callRoll) })
	for _, phase := range []struct {
		name migration.Phase
		do   func(workflow.Context) error
	}{
		{migration.PhaseAccepted, m.accept},
		{migration.PhasePreflight, m.preflight},
		{migration.PhaseProvisioning, m.provision},
		{migration.PhaseReleasing, m.releaseBatches},
		{migration.PhaseSoak, m.soak},
	} {
		if phase.name != m.Resume {
			continue
		}
		m.set(ctx, phase.name, migration.WaitNothing, m.because())
		err := phase.do(ctx)
		if err != nil && ctx.Err() != nil && m.aborted == nil { // a migration is not given up by a click: it pauses, and goes on where it was
			ctx, _ = workflow.NewDisconnectedContext(ctx)
			m.pause(ctx, "canceled in Temporal; resume to go on, or abort")
			err = phase.do(ctx)
		}
		if err != nil {
			if workflow.IsContinueAsNewError(err) {
				return err
			}
			if m.aborted != nil {
				err = m.abort(ctx)
			} else if len(m.Pieces) == 0 { // a corrected plan starts them anew
				m.dismiss(ctx)
			}
			if err != nil {
				m.set(ctx, migration.PhaseFailed, migration.WaitNothing, reason(err))
			}
			return err
		}
		m.Resume = next(phase.name)
	}
	for _, d := range m.plan.Datasets {
		m.tell(ctx, migration.ReplicationID(m.Spec.Plan, d.Name), signalStop, wish{})
	}
	m.set(ctx, migration.PhaseDone, migration.WaitNothing, "")
	return nil
}

// next is the phase after p.
func next(p migration.Phase) migration.Phase {
	order := []migration.Phase{migration.PhaseAccepted, migration.PhasePreflight, migration.PhaseProvisioning, migration.PhaseReleasing, migration.PhaseSoak, migration.PhaseDone}
	return order[slices.Index(order, p)+1]
}

// accept stores the plan and makes every customer visible, from the first minute.
func (m *migrationRun) accept(ctx workflow.Context) error {
	if err := workflow.ExecuteActivity(look(ctx, "store the plan"), specs.SaveSpec, state.SaveSpecRequest{Spec: m.in.Spec}).Get(ctx, &m.Spec); err != nil {
		return err
	}
	m.note(ctx, fmt.Sprintf("plan accepted: %d customers in %d batches", len(m.in.Spec.Customers), len(m.in.Spec.Batches)), migration.Command{By: m.in.By})
	if err := m.load(ctx); err != nil {
		return err
	}
	return m.startCustomers(ctx)
}

func (m *migrationRun) load(ctx workflow.Context) error {
	if m.plan.Batches != nil {
		return nil
	}
	l := look(ctx, "read the plan")
	if err := workflow.ExecuteActivity(l, specs.LoadPlan, m.Spec).Get(l, &m.plan); err != nil {
		return err
	}
	if m.Names == nil {
		for _, b := range m.plan.Batches {
			m.Names = append(m.Names, b.Name)
			m.Batches[b.Name] = migration.BatchStatus{Name: b.Name, Phase: migration.PhaseWaiting, WaitingFor: migration.WaitTurn, Needs: b.Approvals, Window: b.Window, Ticket: b.Ticket,
				Counts: migration.Counts{Customers: len(b.Customers), Waiting: len(b.Customers)}}
		}
	}
	m.deaf = false
	m.judge(ctx) // what was reported before the plan's limits were known
	return nil
}

// startCustomers starts every Customer, a hundred at a time. They outlive this run: one that runs already, or has ended, is as good. A
// batch that runs, since the Migration before this one was terminated, looks after its own: it knows where each of them was.
func (m *migrationRun) startCustomers(ctx workflow.Context) error {
	const atOnce = 100
	runs, err := m.batchesThatRun(ctx)
	if err != nil {
		return err
	}
	sem := workflow.NewSemaphore(ctx, atOnce)
	for _, b := range m.plan.Batches {
		if runs[b.Name] {
			continue
		}
		for _, id := range b.Customers {
			if err := sem.Acquire(ctx, 1); err != nil {
				return err
			}
			workflow.Go(ctx, func(ctx workflow.Context) {
				defer sem.Release(1)
				startCustomer(ctx, CustomerInput{Spec: m.Spec, ID: id, Batch: b.Name})
			})
		}
	}
	return sem.Acquire(ctx, atOnce)
}

func (m *migrationRun) batchesThatRun(ctx workflow.Context) (map[string]bool, error) {
	runs := map[string]bool{}
	if workflow.GetVersion(ctx, "a batch that runs looks after its customers", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return runs, nil
	}
	for _, b := range m.plan.Batches {
		runs[b.Name] = true
		m.tellOr(ctx, migration.BatchID(m.Spec.Plan, b.Name), signalAsk, ask{}, func(workflow.Context) { delete(runs, b.Name) })
	}
	m.told(ctx)
	return runs, ctx.Err()
}

// preflight looks at everything the plan names, next to it, and touches nothing. One blocker ends the migration here.
func (m *migrationRun) preflight(ctx workflow.Context) error {
	if err := m.load(ctx); err != nil {
		return err
	}
	c := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: migration.CheckID(m.Spec.Plan, CheckPreflight), StaticSummary: "preflight of " + m.Spec.Plan, WaitForCancellation: true,
		TypedSearchAttributes: temporal.NewSearchAttributes(attrPlan.ValueSet(m.Spec.Plan))})
	c, cancel := workflow.WithCancel(c)
	defer cancel()
	var report PreflightReport
	m.Reason = "asks every system that the plan names; a site whose worker does not run keeps it waiting"
	m.show(ctx)
	check := workflow.ExecuteChildWorkflow(c, Preflight, m.Spec)
	if err := m.awaitUnlessAborted(ctx, check.IsReady); err != nil {
		cancel()
		free, _ := workflow.NewDisconnectedContext(ctx)
		_ = check.Get(free, nil) // another one of its id can begin only when it has ended
		return err
	}
	if err := check.Get(ctx, &report); err != nil {
		return err
	}
	for _, f := range report.Findings {
		m.note(ctx, fmt.Sprintf("%s: %s: %s", f.Severity, f.Subject, f.Reason), migration.Command{Reason: f.Remedy})
	}
	if err := refused(report.Findings); err != nil {
		return temporal.NewNonRetryableApplicationError("preflight: "+err.Error(), "Preflight", nil)
	}
	return nil
}

// provision brings up beside what runs all that the first cutover needs: copies of the data that follow it, machines and services.
func (m *migrationRun) provision(ctx workflow.Context) error {
	if err := m.load(ctx); err != nil {
		return err
	}
	if m.plan.Routed {
		l := look(ctx, "record the routes as they stand")
		if err := workflow.ExecuteActivity(l, route.RecordRoute, traffic.RecordRouteRequest{Spec: m.Spec}).Get(l, nil); err != nil {
			return err
		}
	}
	for _, w := range m.plan.Workloads {
		if m.Pieces[w.Name].Phase != migration.PhaseReady {
			m.startWorkload(ctx, w.Name)
		}
	}
	m.set(ctx, migration.PhaseProvisioning, migration.WaitData, m.because())
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
func (m *migrationRun) awaitReady(ctx workflow.Context, names []string) error {
	ready := func() bool {
		return !slices.ContainsFunc(names, func(n string) bool { return m.Pieces[n].Phase != migration.PhaseReady })
	}
	return m.awaitOrRenew(ctx, ready)
}

// releaseBatches starts each batch when the one before it is through.
func (m *migrationRun) releaseBatches(ctx workflow.Context) error {
	if err := m.load(ctx); err != nil {
		return err
	}
	for i, b := range m.plan.Batches {
		if i >= m.Started {
			m.Started = i + 1
			m.startBatch(ctx, b, nil)
		}
		m.set(ctx, migration.PhaseReleasing, m.waitsFor(), m.because())
		if err := m.awaitOrRenew(ctx, func() bool { return m.Batches[b.Name].Phase == migration.PhaseDone }); err != nil {
			return err
		}
	}
	return nil
}

// soak waits until every customer has ended. An operator can still take back any of them, or start a batch anew.
func (m *migrationRun) soak(ctx workflow.Context) error {
	if err := m.load(ctx); err != nil {
		return err
	}
	m.set(ctx, migration.PhaseSoak, migration.WaitHealth, "going back still loses nothing")
	return m.awaitOrRenew(ctx, func() bool { return m.closed(m.Names) })
}

// closed says that no customer of these batches will ever do anything again.
func (m *migrationRun) closed(batches []string) bool {
	return !slices.ContainsFunc(batches, func(name string) bool { return !m.Closed[name] })
}

func (m *migrationRun) mustRenew(ctx workflow.Context) bool {
	return m.aborted == nil && renewable(ctx, signalBatch, signalPiece, signalPause)
}

// awaitOrRenew waits for a condition, in a new history where this one grows too long: the error says so.
func (m *migrationRun) awaitOrRenew(ctx workflow.Context, until func() bool) error {
	for {
		if err := m.awaitUnlessAborted(ctx, func() bool { return until() || m.mustRenew(ctx) }); err != nil {
			return err
		}
		if until() {
			return nil
		}
		if m.renews(ctx, m.mustRenew) {
			st := m.migrationState
			return workflow.NewContinueAsNewError(ctx, Migration, MigrationInput{By: m.in.By, State: &st})
		}
	}
}

// errAborted ends the story early.
var errAborted = temporal.NewNonRetryableApplicationError("aborted", "Aborted", nil)

func (m *migrationRun) awaitUnlessAborted(ctx workflow.Context, until func() bool) error {
	if err := workflow.Await(ctx, func() bool { return m.aborted != nil || until() }); err != nil {
		return err
	}
	if m.aborted != nil {
		return errAborted
	}
	return nil
}

// abort removes what the migration made, once nobody depends on it: every customer is at home.
func (m *migrationRun) abort(ctx workflow.Context) error {
	m.set(ctx, migration.PhaseAborting, migration.WaitNothing, "aborted by "+m.aborted.By+": "+m.aborted.Reason)
	m.tellBatches(ctx, signalAbort, *m.aborted)
	m.dismiss(ctx)
	if err := workflow.Await(ctx, func() bool { return m.closed(m.started()) }); err != nil {
		return err
	}
	// It refuses while anybody's data says AWS, whatever this migration knows: nothing has been stopped or removed then.
	if err := m.restoreRoutes(ctx); err != nil {
		return err
	}
	m.stop(ctx)
	if err := m.restoreRoutes(ctx); err != nil { // what was launching may have made its target group anew
		return err
	}
	for _, d := range m.plan.Datasets {
		if d.Postgres == nil {
			continue
		}
		s := siteLook(ctx, d.Site(), "remove replication of "+d.Name)
		ref := postgres.PostgresRef{Plan: m.Spec.Plan, Dataset: d, Target: m.plan.Target(d.Target())}
		if err := workflow.ExecuteActivity(s, pg.DropPostgres, ref).Get(s, nil); err != nil {
			return err
		}
	}
	if err := m.retireWorkloads(ctx); err != nil {
		return err
	}
	m.set(ctx, migration.PhaseAborted, migration.WaitNothing, m.Reason)
	return nil
}

func (m *migrationRun) restoreRoutes(ctx workflow.Context) error {
	if !m.plan.Routed {
		return nil
	}
	l := look(ctx, "restore the routes")
	return workflow.ExecuteActivity(l, route.RestoreRoute, traffic.RestoreRouteRequest{Spec: m.Spec}).Get(l, nil)
}

// started are the batches that have been released.
func (m *migrationRun) started() []string { return m.Names[:m.Started] }

// dismiss ends the customers of batches that never started: nobody else would.
func (m *migrationRun) dismiss(ctx workflow.Context) {
	why := wish{By: byDrover, Reason: "the migration ends before their batch was released"}
	if m.aborted != nil {
		why = *m.aborted
	}
	for _, b := range m.plan.Batches[m.Started:] {
		for _, id := range b.Customers {
			m.tell(ctx, migration.CustomerID(m.Spec.Plan, id), signalDismiss, why)
		}
	}
}

// stop ends what copies and launches, and waits until it runs no more: what it is in the middle of making would be left behind.
func (m *migrationRun) stop(ctx workflow.Context) {
	runs := map[string]bool{}
	var ids []string
	for _, d := range m.plan.Datasets {
		id := migration.ReplicationID(m.Spec.Plan, d.Name)
		m.tell(ctx, id, signalStop, wish{})
		ids, runs[id] = append(ids, id), true
	}
	for _, w := range m.plan.Workloads {
		id := migration.WorkloadID(m.Spec.Plan, w.Name)
		_ = workflow.RequestCancelExternalWorkflow(ctx, id, "").Get(ctx, nil) // it may have ended long ago
		ids, runs[id] = append(ids, id), true
	}
	for ctx.Err() == nil {
		for _, id := range ids {
			if runs[id] {
				m.tellOr(ctx, id, signalAsk, ask{}, func(workflow.Context) { delete(runs, id) })
			}
		}
		m.told(ctx)
		if len(runs) == 0 {
			return
		}
		_ = sleep(ctx, stopPause, "until what copies and launches has ended")
	}
}

// took takes a batch's report.
func (m *migrationRun) took(ctx workflow.Context, r batchReport) {
	if !r.Order.newer(m.Orders[r.Status.Name]) {
		return
	}
	m.Orders[r.Status.Name] = r.Order
	m.Batches[r.Status.Name] = r.Status
	m.Incidents[r.Status.Name] = max(m.Incidents[r.Status.Name], r.Incidents)
	m.Closed[r.Status.Name] = r.Closed
	m.judge(ctx)
	m.show(ctx)
}

// judge pauses the migration when more customers had to go back or be held than the plan allows.
func (m *migrationRun) judge(ctx workflow.Context) {
	if most := m.plan.Policy.StopAfter; most > 0 && m.Paused == nil && m.incidents()-m.Forgiven >= most {
		m.note(ctx, "the migration pauses itself", migration.Command{Reason: fmt.Sprintf("%d customers rolled back or held; the plan stops after %d", m.incidents()-m.Forgiven, most)})
		m.pause(ctx, fmt.Sprintf("%d customers were rolled back or held (policy.stopAfter: %d); look at why, then resume", m.incidents()-m.Forgiven, most))
	}
}

func (m *migrationRun) incidents() (n int) {
	for _, name := range m.Names {
		n += m.Incidents[name]
	}
	return n
}

func (m *migrationRun) pause(ctx workflow.Context, why string) {
	m.Paused = &pauseSignal{Order: m.next(ctx), Paused: true, Reason: why}
	m.tellBatches(ctx, signalPause, *m.Paused)
	m.set(ctx, m.Phase, m.waitsFor(), why)
}

func (m *migrationRun) unpause(ctx workflow.Context) {
	m.Paused, m.Forgiven = nil, m.incidents()
	m.tellBatches(ctx, signalPause, pauseSignal{Order: m.next(ctx)})
	m.set(ctx, m.Phase, m.waitsFor(), m.because())
}

// tellBatches tells every batch that has started.
func (m *migrationRun) tellBatches(ctx workflow.Context, signal string, arg any) {
	for _, name := range m.started() {
		m.tell(ctx, migration.BatchID(m.Spec.Plan, name), signal, arg)
	}
}
