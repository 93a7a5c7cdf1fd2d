// Package batch is the story of a batch: it starts its customers and waits for its turn, waits at
// its gate, tells its customers to go in a sliding window, and takes all of them back where the
// plan says that one that fails takes the others with it.
package batch

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/customer"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/roll"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	gatePause   = 5 * time.Second  // between two looks at what the gate waits for
	gateLimit   = 30 * time.Second // most that one of them takes
	reportPause = time.Second      // in which changes are reported to the migration together
)

// Input starts a Batch, and carries it over continue-as-new.
type Input struct {
	Spec   migration.SpecRef `json:"spec"`
	Batch  migration.Batch   `json:"batch"`
	Paused *mail.Pause       `json:"paused,omitempty"`
	// Was is what the batch had last reported where it is started again after an operator
	// terminated it, Incidents what it had counted.
	Was       *migration.BatchStatus `json:"was,omitempty"`
	Turn      bool                   `json:"turn,omitempty"` // the migration has released it already
	Incidents int                    `json:"incidents,omitempty"`
	State     *State                 `json:"state,omitempty"`
}

// State is what the story needs to go on.
type State struct {
	status.Status[migration.BatchPhase] `json:"standing"`
	mail.Box                            `json:"mail"`
	roll.Roll                           `json:"roll"`
	Movers                              roll.Roll `json:"movers"` // of those that move

	Paused     *mail.Pause       `json:"paused,omitempty"`
	PauseOrder mail.Order        `json:"pauseOrder"` // of the migration's last word on it
	Approvals  []migration.Event `json:"approvals,omitempty"`
	Members    []*member         `json:"members"`  // in the plan's order
	Gathered   int               `json:"gathered"` // so many of them have been asked where they stand, or started
	Begun      bool              `json:"begun"`    // all have, and the batch goes its way
	// Was is what an earlier run had last reported, until the batch goes its way.
	Was       *migration.BatchStatus `json:"was,omitempty"`
	Reset     bool                   `json:"reset,omitempty"`    // to its start: what it remembers is of an earlier day
	Turn      bool                   `json:"turn,omitempty"`     // the migration has released it
	News      bool                   `json:"news,omitempty"`     // something has changed since the last report to the migration
	Reported  migration.BatchPhase   `json:"reported,omitempty"` // the phase in that report
	Incidents int                    `json:"incidents"`
	TakeBack  *mail.Wish             `json:"takeBack,omitempty"`  // asked for
	Back      *mail.Wish             `json:"back,omitempty"`      // being carried out
	AnyTime   bool                   `json:"anyTime,omitempty"`   // an operator's retry does not wait for the window
	Round     int                    `json:"round"`               // grows by every retry
	Post      mail.Post              `json:"post"`                // what the outbox is to be told
	Announced migration.BatchPhase   `json:"announced,omitempty"` // the phase that it was told of
	Opened    bool                   `json:"opened,omitempty"`    // it was told that the batch has begun, and not yet that it is through
	Asks      string                 `json:"asks,omitempty"`      // id of the notice that the batch waits for people; empty: it does not
	Outbox    int64                  `json:"outbox,omitempty"`    // when the outbox was started that has heard of what waits
	Looked    time.Time              `json:"looked,omitzero"`     // when the last look at those that soak began
	Blind     string                 `json:"blind,omitempty"`     // why nobody that soaks can be judged
	Kept      string                 `json:"kept,omitempty"`      // where its signed evidence is
	Aside     []string               `json:"aside,omitempty"`     // who moves, as the passes over files were told
	AsideTold bool                   `json:"asideTold"`           // they know: what an earlier run of the batch had told them does not hold
	Newest    migration.Revision     `json:"newest,omitzero"`     // of the plan, as the migration has said
	Observing mail.Observing         `json:"observing,omitzero"`  // until who writes has been observed
}

// Batch cuts its customers over together: it waits at its gate, tells them to go in a sliding
// window, and takes all of them back where the plan says that one that fails takes the others with
// it.
func Batch(ctx workflow.Context, in Input) error {
	b := newBatch(in)
	b.Deaf = mail.WasReset(ctx)
	if err := b.setup(ctx); err != nil {
		return err
	}
	return b.End(ctx, b.run(ctx))
}

type batch struct {
	in   Input
	plan state.Plan
	State

	tenants   state.BatchTenants
	by        map[string]*member // Members by id
	looking   bool               // at those that soak
	revising  bool               // takes over another revision of the plan
	ended     bool               // nothing more happens to anybody
	retry     *mail.Wish
	abort     *mail.Wish
	dismissed *mail.Wish // the migration ends before the turn of this batch
}

func newBatch(in Input) *batch {
	b := &batch{in: in}
	if in.State != nil {
		b.State = *in.State
		b.know(b.Members)
		for _, m := range b.Members {
			m.Status.Reason = customer.Reason(m.Status.Reason)
		}
		return b
	}
	b.State = State{Incidents: in.Incidents, Turn: in.Turn, Was: in.Was, AsideTold: in.Was == nil}
	if in.Was != nil {
		b.Approvals = in.Was.Approvals
	}
	if b.Paused = in.Paused; b.Paused != nil {
		b.PauseOrder = b.Paused.Order
	}
	b.know(newMembers(in.Batch))
	return b
}

// know has the batch know these members.
func (b *batch) know(members []*member) {
	b.Members, b.by = members, make(map[string]*member, len(members))
	for _, m := range members {
		b.by[m.Status.ID] = m
	}
}

func (b *batch) setup(ctx workflow.Context) error {
	b.Hooks = status.Hooks{Describe: b.describe, MayDo: b.mayDo, Changed: b.changed}
	err := workflow.SetQueryHandlerWithOptions(ctx, migration.QueryStatus, b.page,
		workflow.QueryHandlerOptions{Description: "The batch and a page of its customers: offset and limit."})
	if err != nil {
		return err
	}
	mail.Listen(ctx, mail.SignalReport, "A customer reports.", b.took)
	mail.Listen(ctx, mail.SignalBack, "The migration takes the batch back.", func(_ workflow.Context, w mail.Wish) { b.takeBackAll(w) })
	mail.Listen(ctx, mail.SignalTurn, "It is the batch's turn.", func(workflow.Context, mail.Turn) { b.Turn = true })
	mail.Listen(ctx, mail.SignalDismiss, "The migration ends before the turn of the batch.", func(_ workflow.Context, w mail.Wish) {
		if !b.Turn {
			b.dismissed = &w
		}
	})
	mail.Listen(ctx, mail.SignalAbort, "The migration ends here.", func(_ workflow.Context, w mail.Wish) { b.abort = &w })
	mail.Listen(ctx, mail.SignalWord, "The migration says what holds: whether it is paused, and by which revision it goes.", b.hear)
	mail.Listen(ctx, mail.SignalAsk, "The migration calls the roll.", func(ctx workflow.Context, a mail.Ask) {
		if a.Report && b.Phase != "" {
			b.tellMigration(ctx)
		}
	})
	command := func(name, description string, apply func(workflow.Context, migration.Command)) status.Command {
		return status.Command{Name: name, Description: description, Apply: apply, But: b.pausedWords,
			Allowed: func(k migration.Command) error { return b.allowed(name, k) }}
	}
	return b.Handle(ctx,
		command(migration.UpdateApprove, "Approve the batch. Each approver counts once.", b.approve),
		command(migration.UpdateRetry, "Tell every customer of the batch that is at home to go (again).",
			func(_ workflow.Context, k migration.Command) {
				b.retry = &mail.Wish{By: k.By, Reason: k.Reason}
			}),
		command(migration.UpdateRollback, "Move every customer of the batch back home.", func(_ workflow.Context, k migration.Command) {
			b.takeBackAll(mail.Wish{By: k.By, Reason: k.Reason})
		}),
	)
}

// pausedWords says what goes on only when somebody resumes.
func (b *batch) pausedWords() string {
	if b.Paused == nil {
		return ""
	}
	return "the plan is paused: nobody goes to AWS before `drover resume " + b.in.Spec.Plan + "`"
}

// run goes from the gate to the last customer's end; a batch that was taken back waits for an
// operator and starts anew.
func (b *batch) run(ctx workflow.Context) error {
	if b.Deaf {
		b.wasReset(ctx)
	}
	if err := work.Question.Ask(ctx, "read the plan", work.State.LoadPlan, b.in.Spec, &b.plan); err != nil {
		return err
	}
	req := state.LoadTenantsRequest{Spec: b.in.Spec, Batch: b.in.Batch.Name}
	if err := work.Question.Ask(ctx, "read whom to ask where the batch's customers are homed", work.State.LoadTenants, req,
		&b.tenants); err != nil {
		return err
	}
	switch {
	case b.Phase != "":
	case b.Was != nil:
		b.Set(ctx, b.Was.Phase, b.Was.WaitingFor, "started again: it asks each customer where it stands")
	default:
		b.Set(ctx, migration.BatchWaiting, migration.WaitTurn, "")
	}
	background, _ := workflow.NewDisconnectedContext(ctx)
	workflow.Go(background, func(ctx workflow.Context) { b.Keep(ctx, b.rollEvery, b.callRoll) })
	workflow.Go(background, b.rollMovers)
	workflow.Go(background, b.report)
	workflow.Go(background, b.watchSoak)
	workflow.Go(background, b.bringHome)
	workflow.Go(background, b.stepAside)
	workflow.Go(background, b.followPlan)
	workflow.Go(background, b.takeIn)
	workflow.Go(background, func(ctx workflow.Context) { b.Post.Deliver(ctx, b.in.Spec.Plan, b.in.Batch.Name, b.plan.Told) })
	for {
		if !b.Begun {
			b.gather(ctx)
		} else if over, err := b.goOn(ctx); over || err != nil {
			if err == nil {
				b.keepEvidence(ctx)
			}
			b.Post.Finish(ctx)
			return err
		}
		if ctx.Err() != nil { // canceled in Temporal: the batch goes on, and sends nobody out until somebody resumes
			ctx, _ = workflow.NewDisconnectedContext(ctx)
			b.Tell(ctx, migration.MigrationID(b.in.Spec.Plan), mail.SignalPause,
				mail.Pause{Paused: true, Reason: "batch " + b.in.Batch.Name + " was canceled in Temporal; resume to go on"})
			_ = workflow.Await(ctx, func() bool { return b.Paused != nil || b.abort != nil || b.TakeBack != nil || b.tally().closed() })
		}
		if b.Renews(ctx, b.mustRenew) {
			st := b.State
			return workflow.NewContinueAsNewError(ctx, Batch, Input{Spec: b.in.Spec, Batch: b.in.Batch, State: &st})
		}
	}
}

// wasReset forgets what the batch remembers, which is of an earlier day, and what the server has
// delivered once more. What comes from now on counts.
func (b *batch) wasReset(ctx workflow.Context) {
	mail.Redelivered(ctx, signals...)
	b.Deaf, b.Reset, b.Gathered, b.Begun, b.Was, b.AsideTold = false, true, 0, false, nil, false
	b.TakeBack, b.retry, b.abort, b.dismissed = nil, nil, nil, nil
	b.know(newMembers(b.in.Batch))
}

// signals are all that a batch listens to.
var signals = []string{mail.SignalReport, mail.SignalBack, mail.SignalTurn, mail.SignalDismiss, mail.SignalAbort, mail.SignalWord,
	mail.SignalAsk}

// goOn goes through one phase, and says whether the batch is over.
func (b *batch) goOn(ctx workflow.Context) (over bool, err error) {
	//exhaustive:enforce
	switch b.Phase {
	case migration.BatchWaiting:
		b.wait(ctx)
	case migration.BatchGate:
		b.gate(ctx)
	case migration.BatchCuttingOver:
		b.cutOver(ctx)
	case migration.BatchTakingBack:
		b.takeBack(ctx)
	case migration.BatchTakenBack, migration.BatchDone:
		return b.rest(ctx), nil
	case migration.BatchAborting:
		b.end(ctx)
	case migration.BatchAborted:
		return true, nil
	default: // a State that another version has carried over
		return true, fmt.Errorf("batch %s: this version of the worker does not know phase %q: deploy the one that did", b.in.Batch.Name,
			b.Phase)
	}
	return false, nil
}

func (b *batch) mustRenew(ctx workflow.Context) bool {
	return b.retry == nil && b.abort == nil && b.dismissed == nil && !b.looking && !b.revising &&
		mail.Renewable(ctx, signals...)
}

// called says whether somebody wants something else than what is under way, or the history has
// grown too long to go on with it.
func (b *batch) called(ctx workflow.Context) bool {
	return b.TakeBack != nil || b.abort != nil || b.mustRenew(ctx)
}

// wait is for the batch's turn. Its customers have started: each of them is in every list and can
// be held, and the batch can be approved.
func (b *batch) wait(ctx workflow.Context) {
	b.await(ctx, func() bool { return b.Turn || b.dismissed != nil || b.called(ctx) })
	switch {
	case b.abort != nil, b.TakeBack != nil && b.tally().gone > 0:
		b.leave(ctx)
	case b.dismissed != nil && b.tally().Away > 0: // since an earlier run of the plan, and somebody must look after them
		b.Note(ctx, "the migration ended; the batch waits on with its customers on AWS", migration.Command{Reason: b.dismissed.Reason})
		b.dismissed = nil
	case b.dismissed != nil:
		b.Set(ctx, migration.BatchAborting, migration.WaitNothing, b.dismissed.Reason)
	case b.TakeBack != nil: // nobody has gone
		b.TakeBack = nil
	case b.Turn:
		b.release(ctx)
	}
}

// release goes on when the batch has its turn. A gate is for those that are to go: where everybody
// has gone in an earlier run of the plan there is none.
func (b *batch) release(ctx workflow.Context) {
	if b.tally().next == nil {
		b.Set(ctx, migration.BatchCuttingOver, migration.WaitHealth, "")
		return
	}
	b.Set(ctx, migration.BatchGate, b.gateWaits(ctx), b.gateReason())
}

// gateWaits says what stands between the batch and its customers now.
func (b *batch) gateWaits(ctx workflow.Context) migration.Waiting {
	now := workflow.Now(ctx)
	switch w := b.in.Batch.Window; {
	case b.Paused != nil:
		return migration.WaitResume
	case b.unseeing() != "":
		return migration.WaitHealth
	case len(b.Approvals) < b.in.Batch.Approvals:
		return migration.WaitApproval
	case w != nil && !b.AnyTime && (now.Before(w.Opens) || !now.Before(w.Closes())):
		return migration.WaitWindow
	default:
		return migration.WaitNothing
	}
}

// gate waits for what the plan and the operators want before the first customer, for replication to
// be close behind, for healthy targets on AWS, and until resolvers have forgotten the old TTL of
// names.
func (b *batch) gate(ctx workflow.Context) {
	for !b.called(ctx) {
		waits, by := b.gateWaits(ctx), b.in.Spec.Revision
		changed := func() bool {
			return b.gateWaits(ctx) != waits || b.in.Spec.Revision != by || b.retry != nil || b.called(ctx)
		}
		switch waits {
		case migration.WaitNothing:
			waits, why := migration.WaitLag, b.lag(ctx)
			if why == "" {
				waits, why = migration.WaitHealth, b.targets(ctx)
			}
			var until time.Time
			if why == "" {
				waits = migration.WaitAWS
				why, until = b.names(ctx)
			}
			if why == "" {
				b.Set(ctx, migration.BatchCuttingOver, migration.WaitNothing, "")
				return
			}
			b.Set(ctx, migration.BatchGate, waits, why)
			work.AwaitFor(ctx, gateLook(ctx, until), "until the next look at the gate", func() bool { return b.called(ctx) })
		case migration.WaitWindow:
			b.Set(ctx, migration.BatchGate, waits, b.windowReason(ctx))
			length := b.in.Batch.Window.Opens.Sub(workflow.Now(ctx))
			if length <= 0 {
				length = 24 * time.Hour // over: only an operator's retry opens it
			}
			work.AwaitFor(ctx, min(length, b.ahead(ctx)), "window", changed)
		default:
			b.Set(ctx, migration.BatchGate, waits, b.gateReason())
			if len(b.byName()) == 0 {
				b.await(ctx, changed)
			} else {
				work.AwaitFor(ctx, b.ahead(ctx), "until names are to be made ready", changed)
			}
		}
		if b.retry != nil {
			b.AnyTime, b.retry = true, nil
		}
		if ctx.Err() != nil {
			return
		}
	}
	b.leave(ctx)
}

func (b *batch) gateReason() string {
	switch {
	case b.Paused != nil:
		return b.Paused.Reason
	case b.unseeing() != "":
		return b.unseeing()
	case len(b.Approvals) < b.in.Batch.Approvals:
		return fmt.Sprintf("%d of %d approvals", len(b.Approvals), b.in.Batch.Approvals)
	}
	return ""
}

func (b *batch) windowReason(ctx workflow.Context) string {
	w := b.in.Batch.Window
	if workflow.Now(ctx).Before(w.Opens) {
		return "the window opens at " + w.Opens.UTC().Format("2006-01-02 15:04 MST")
	}
	return fmt.Sprintf("the window closed at %s with %d customers not cut over; retry goes on outside it",
		w.Closes().UTC().Format("2006-01-02 15:04 MST"), b.tally().atHome)
}

// lag asks every database how far its two directions are behind. It answers with what is too far.
func (b *batch) lag(ctx workflow.Context) string {
	for _, d := range b.plan.Datasets {
		if d.Postgres == nil {
			continue
		}
		var l postgres.Lag
		c := work.SiteQuestion.At(ctx, d.Site(), "lag of "+d.Name)
		req := postgres.PostgresRef{Plan: b.in.Spec.Plan, Dataset: d, Target: b.plan.Target(d.Target())}
		if err := workflow.ExecuteActivity(c, work.Postgres.ReadLag, req).Get(c, &l); err != nil {
			return "lag of " + d.Name + " cannot be read: " + work.ReasonAt(err, d.Site())
		}
		if most := b.plan.Policy.MaxLag; l.Forward > most || l.Back > most {
			return fmt.Sprintf("%s is %s behind on AWS and %s behind on premises; the plan allows %s", d.Name, l.Forward, l.Back, most)
		}
	}
	return ""
}

// targets asks the load balancer whether every workload serves on AWS. It answers with what does
// not.
func (b *batch) targets(ctx workflow.Context) string {
	if !b.plan.Routed {
		return ""
	}
	var r traffic.CheckTargetsResult
	l := work.Question.Within(gateLimit).In(ctx, "health of the targets on AWS")
	if err := workflow.ExecuteActivity(l, work.Traffic.CheckTargets, traffic.CheckTargetsRequest{Spec: b.in.Spec}).Get(l, &r); err != nil {
		return "the targets on AWS cannot be looked at: " + work.Reason(err)
	}
	if err := work.Refused(r.Findings); err != nil {
		return err.Error()
	}
	return ""
}

// cutOver tells customers to go in a sliding window: a slot frees when a route is verified, and the
// unbaked are capped apart.
func (b *batch) cutOver(ctx workflow.Context) {
	for {
		for b.mayAdmit(ctx) {
			m := b.open(ctx)
			m.Told, m.Released = true, false
			if m.is(migration.CustomerWaiting) { // it does not report what it has just been told
				was := m.Status
				m.Status = customer.SetsOut(was, workflow.Now(ctx))
				b.noticed(ctx, m, was, false)
			}
			b.tellCustomer(ctx, m, mail.SignalGo, mail.Go{Round: b.Round,
				Belongs: mail.Belongs{Revision: b.in.Spec.Amended(), Batch: b.in.Batch.Name}})
		}
		if b.tally().settled() {
			b.Set(ctx, migration.BatchDone, b.doneWaits(), b.unseeing())
			return
		}
		waits, why, most := b.admits(ctx), b.gateReason(), b.untilClose(ctx)
		switch waits {
		case migration.WaitBlackout:
			var opens time.Time
			why, opens = b.blackout(ctx)
			most = min(most, max(opens.Sub(workflow.Now(ctx)), time.Second))
		case migration.WaitData:
			why = fmt.Sprintf("%d customers wait until their databases say that they replicate them", b.joining())
		default:
		}
		b.Set(ctx, migration.BatchCuttingOver, waits, why)
		unseeing, by := b.unseeing(), b.in.Spec.Revision
		work.AwaitFor(ctx, most, "until the window closes, or a blackout ends", func() bool {
			return b.mayAdmit(ctx) || b.tally().settled() || b.called(ctx) || b.admits(ctx) != b.Waiting || b.unseeing() != unseeing ||
				b.in.Spec.Revision != by
		})
		if b.called(ctx) || ctx.Err() != nil {
			b.leave(ctx)
			return
		}
		if b.admits(ctx) == migration.WaitWindow { // a closing window stops new Moves only
			b.await(ctx, func() bool { return b.tally().inFlight == 0 || b.called(ctx) })
			if !b.called(ctx) {
				b.Set(ctx, migration.BatchGate, migration.WaitWindow, b.windowReason(ctx))
			}
			return
		}
	}
}

// untilClose is the time to the end of the window, or long.
func (b *batch) untilClose(ctx workflow.Context) time.Duration {
	if w := b.in.Batch.Window; w != nil && !b.AnyTime {
		return max(w.Closes().Sub(workflow.Now(ctx)), time.Second)
	}
	return 24 * time.Hour
}

// admits says what keeps the next customer back.
func (b *batch) admits(ctx workflow.Context) migration.Waiting {
	t := b.tally()
	if t.next == nil {
		return migration.WaitHealth
	}
	if w := b.gateWaits(ctx); w != migration.WaitNothing {
		return w
	}
	if most := b.in.Batch.MaxUnbaked; most > 0 && t.unbaked >= most {
		return migration.WaitHealth
	}
	if t.inFlight >= max(b.in.Batch.Concurrency, 1) {
		return migration.WaitTurn
	}
	if b.open(ctx) == nil {
		if b.joining() > 0 {
			return migration.WaitData
		}
		return migration.WaitBlackout
	}
	return migration.WaitNothing
}

// open is who goes next; nil: nobody is left that is in no blackout now, and known to its
// databases.
func (b *batch) open(ctx workflow.Context) *member {
	now := workflow.Now(ctx)
	for _, m := range b.Members {
		if !m.Told && !m.Joining && !migration.OpenFrom(b.tenants.Blackouts[m.Status.ID], now).After(now) {
			return m
		}
	}
	return nil
}

// blackout says who is left in a blackout, and when the first of them ends.
func (b *batch) blackout(ctx workflow.Context) (why string, opens time.Time) {
	first, n := "", 0
	for _, m := range b.Members {
		if m.Told {
			continue
		}
		if at := migration.OpenFrom(b.tenants.Blackouts[m.Status.ID], workflow.Now(ctx)); n == 0 || at.Before(opens) {
			first, opens = m.Status.ID, at
		}
		n++
	}
	return fmt.Sprintf("%d not cut over are in a blackout, %s until %s", n, first, opens.UTC().Format("2006-01-02 15:04 MST")), opens
}

func (b *batch) mayAdmit(ctx workflow.Context) bool {
	return b.TakeBack == nil && b.abort == nil && b.admits(ctx) == migration.WaitNothing
}

// leave goes from the gate or the cutover to what was asked instead.
func (b *batch) leave(ctx workflow.Context) {
	switch {
	case b.abort != nil:
		b.Set(ctx, migration.BatchAborting, migration.WaitNothing, "aborted by "+b.abort.By)
	case b.TakeBack != nil:
		b.Set(ctx, migration.BatchTakingBack, migration.WaitNothing, b.TakeBack.Reason)
	}
}

// end ends every customer, and waits until it has; who was on the way comes home first. A batch
// that is dismissed keeps those whose data says only now that they are on AWS, since an earlier run
// of the plan.
func (b *batch) end(ctx workflow.Context) {
	signal, word := b.lastWord()
	ended := func() bool { return b.tally().closed() }
	if b.abort == nil {
		ended = func() bool {
			return !slices.ContainsFunc(b.Members, func(m *member) bool { return !m.over() && m.Status.Home != migration.AWS })
		}
	}
	b.each(ctx, func(m *member) { b.tellCustomer(ctx, m, signal, *word) })
	b.await(ctx, func() bool { return ended() || b.abort != nil && b.abort != word })
	switch {
	case b.abort != nil && b.abort != word: // it is aborted while it is dismissed
	case b.tally().closed():
		b.Set(ctx, migration.BatchAborted, migration.WaitNothing, b.Reason)
	case ended():
		b.dismissed = nil
		b.Set(ctx, migration.BatchDone, b.doneWaits(), b.unseeing())
	}
}

// lastWord is what ends every customer of the batch; nil: nothing does.
func (b *batch) lastWord() (signal string, word *mail.Wish) {
	if b.abort != nil {
		return mail.SignalAbort, b.abort
	}
	return mail.SignalDismiss, b.dismissed
}

// takeBack asks everyone that has gone to come home, so many at a time, and waits until they have.
func (b *batch) takeBack(ctx workflow.Context) {
	if b.TakeBack != nil {
		b.Back, b.TakeBack = b.TakeBack, nil
		for _, m := range b.Members {
			m.Recalled = nil
		}
	}
	for ctx.Err() == nil && !b.called(ctx) {
		next, under, slots := b.recalls()
		if next == nil && under == 0 {
			break
		}
		if next != nil && slots < b.backSlots() {
			at := next.Order
			next.Recalled = &at
			b.tellCustomer(ctx, next, mail.SignalBack, b.backWord())
			continue
		}
		b.await(ctx, func() bool {
			n, u, s := b.recalls()
			return n != next || u < under || s < slots || b.called(ctx)
		})
	}
	switch next, under, _ := b.recalls(); {
	case b.abort != nil:
		b.leave(ctx)
	case next == nil && under == 0 && b.TakeBack == nil:
		b.Set(ctx, migration.BatchTakenBack, migration.WaitOperator, b.Reason+b.stayed())
	}
}

// recalls says who is to be told next to come back, nil: nobody, how many are on their way, and how
// many of these take a slot: one whose home cannot be read at the moment keeps nobody else back.
func (b *batch) recalls() (next *member, under, slots int) {
	for _, m := range b.Members {
		switch {
		case !m.mustComeBack(b.Round):
		case m.comesBack(b.Round):
			under++
			if lost := m.is(migration.CustomerFinding) && m.Recalled != nil && m.Order != *m.Recalled; !lost {
				slots++
			}
		case m.Recalled == nil && next == nil:
			next = m
		}
	}
	return next, under, slots
}

// backSlots is how many customers may be on their way back at a time.
func (b *batch) backSlots() int {
	_, back := b.in.Batch.Slots(b.plan.Policy)
	if b.Phase == migration.BatchTakingBack && b.Back != nil && b.Back.Slots > 0 {
		return min(back, b.Back.Slots)
	}
	return back
}

func (b *batch) backWord() mail.Back {
	return mail.Back{Wish: mail.Wish{By: b.Back.By, Reason: b.Back.Reason}, Round: b.Round}
}

// stayed says who cannot be taken back any more.
func (b *batch) stayed() string {
	n := b.tally().Finished
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %d that had finished stay on AWS", n)
}

// rest keeps the books until every customer has ended, and starts anew when an operator says so. It
// says whether the batch is over.
func (b *batch) rest(ctx workflow.Context) bool {
	b.await(ctx, func() bool { return b.retry != nil || b.called(ctx) || b.tally().closed() || b.released() })
	switch {
	case b.abort != nil:
		b.leave(ctx)
	case b.TakeBack != nil:
		b.Set(ctx, migration.BatchTakingBack, migration.WaitNothing, b.TakeBack.Reason)
	case b.retry != nil:
		b.retry = nil
		b.AnyTime = true
		b.newRound(migration.CustomerWaiting, migration.CustomerRolledBack, migration.CustomerHeld)
		b.Set(ctx, migration.BatchGate, b.gateWaits(ctx), "retried")
	case b.tally().closed():
		b.tellMigration(ctx)
		return true
	case b.released():
		b.Set(ctx, migration.BatchGate, b.gateWaits(ctx), "a deferral has ended")
	}
	return false
}

// released says whether a batch that is through has somebody to send out whose deferral has ended.
func (b *batch) released() bool {
	return b.Phase == migration.BatchDone && slices.ContainsFunc(b.Members, func(m *member) bool { return m.Released && !m.Told })
}

// took takes a customer's report.
func (b *batch) took(ctx workflow.Context, r mail.CustomerReport) {
	m := b.by[r.Status.ID]
	if m == nil || !r.Order.Newer(m.Order) {
		return
	}
	was, blind, first := m.Status, m.blind(), !m.heard()
	m.Order, m.Status = r.Order, r.Status
	m.Status.Reason = customer.Reason(m.Status.Reason)
	if r.Soak == nil || m.Soak == nil || *m.Soak != *r.Soak {
		m.Soak, m.Noted = r.Soak, false
	}
	b.noticed(ctx, m, was, first)
	if b.Phase == migration.BatchDone && m.blind() != blind {
		b.Set(ctx, b.Phase, b.doneWaits(), b.unseeing())
	}
	if m.Status.Home == migration.OnPrem && b.Phase != migration.BatchTakingBack {
		m.Recalled = nil
	}
	// A customer that is not told to go in a round reports an older one.
	m.Heard = max(m.Heard, r.Round)
	byHand := r.Status.Cause == migration.ByDeferral ||
		r.Status.Cause == migration.ByHand && was.Phase != migration.CustomerMovingBack // a rollback that fails is no hold
	incident := r.Status.Phase == migration.CustomerHeld && !byHand || r.Status.Phase == migration.CustomerMovingBack &&
		r.Status.Cause.Unasked()
	if incident && was.Phase != r.Status.Phase {
		b.Incidents++
		b.Note(ctx, fmt.Sprintf("%s: %s", r.Status.ID, r.Status.Phase), migration.Command{Reason: r.Status.Reason})
		goesOn := b.Phase == migration.BatchGate || b.Phase == migration.BatchCuttingOver || b.Phase == migration.BatchDone
		if b.in.Batch.Rollback == migration.ReachBatch && r.Status.Cause == migration.ByVerdict && b.TakeBack == nil && goesOn {
			b.takeBackAll(mail.Wish{By: mail.ByDrover,
				Reason: fmt.Sprintf("customer %s is not healthy on AWS (%s), and the batch goes back together", r.Status.ID,
					r.Status.Reason)})
		}
	}
	if was.Phase == migration.CustomerHeld && was.Cause == migration.ByDeferral && m.is(migration.CustomerWaiting) {
		m.Told, m.Released = false, true // its deferral has ended: it goes as the others do
	}
	// it has been there since an earlier run of the plan, and soaks; or it has ended by itself
	if !m.Told && m.Status.Home == migration.AWS || m.is(migration.CustomerSkipped) {
		m.Told, m.Heard = true, b.Round
	}
	b.Show(ctx)
	b.changed(ctx)
}

// takeBackAll is the last word: a retry from before it that nobody has acted on would send the
// customers out again.
func (b *batch) takeBackAll(w mail.Wish) { b.TakeBack, b.retry = &w, nil }

func (b *batch) approve(ctx workflow.Context, k migration.Command) {
	b.Approvals = append(b.Approvals, migration.Event{At: workflow.Now(ctx), What: "approved", By: k.By, Why: k.Reason, Command: &k})
}

// changed has the migration told: at once of a new phase, and of everything else within
// reportPause.
func (b *batch) changed(ctx workflow.Context) {
	b.announce(ctx)
	if b.News = true; b.Phase != b.Reported {
		b.tellMigration(ctx)
	}
}

// report tells the migration what has changed, together. It never returns.
func (b *batch) report(ctx workflow.Context) {
	for workflow.Await(ctx, func() bool { return b.News }) == nil {
		if work.Sleep(ctx, reportPause, "before the batch reports what has changed") != nil {
			return
		}
		if b.News {
			b.tellMigration(ctx)
		}
	}
}

func (b *batch) tellMigration(ctx workflow.Context) {
	b.News, b.Reported = false, b.Phase
	b.Post.Send()
	s := b.status()
	s.Customers = nil
	b.Tell(ctx, migration.MigrationID(b.in.Spec.Plan), mail.SignalBatch,
		mail.BatchReport{Order: b.Stamp(ctx), Status: s, Incidents: b.Incidents, Closed: b.tally().closed()})
}

// newRound starts over with the customers that are at home in one of these phases; the others are
// not touched.
func (b *batch) newRound(goes ...migration.CustomerPhase) {
	b.Round++
	for _, m := range b.Members {
		m.Told = m.Status.Home == migration.AWS || !m.is(goes...)
		if m.Told {
			m.Heard = b.Round
		}
	}
}

func (b *batch) await(ctx workflow.Context, until func() bool) { _ = workflow.Await(ctx, until) }
