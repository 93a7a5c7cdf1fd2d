// Package replication keeps a dataset's copy close behind, in the direction away from each
// customer's home.
package replication

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	lagPause      = 5 * time.Second // between two looks at replication lag
	filePassPause = 5 * time.Second // between two passes over a file tree
	passChunk     = 200             // customers whose files one activity passes over
)

// Input starts the Replication of a dataset, and carries it over continue-as-new.
type Input struct {
	Spec    migration.SpecRef `json:"spec"`
	Dataset string            `json:"dataset"`
	State   *State            `json:"state,omitempty"`
}

// State is what the story needs to go on.
type State struct {
	status.Status[migration.PiecePhase] `json:"standing"`
	mail.Box                            `json:"mail"`

	SetUp    bool               `json:"setUp,omitempty"`   // both databases are; the first copy may be under way
	Prepared bool               `json:"prepared"`          // and it is over
	Newest   migration.Revision `json:"newest,omitzero"`   // of the plan, as the migration has said
	Outside  string             `json:"outside,omitempty"` // why those who have come with it are not replicated yet
	Aside    []mail.Aside       `json:"aside,omitempty"`   // who moves, one of each batch that has said so
	Trouble  string             `json:"trouble,omitempty"` // what the last audit found of the whole dataset
	Stop     bool               `json:"stop,omitempty"`    // and that nobody may move because of it
	Told     map[int64]string   `json:"told"`              // tenants in trouble, with what their customers were told
	Changed  bool               `json:"changed,omitempty"` // the schema was, by hand, as the last audit found

	NoWayBack *migration.NoWayBack `json:"noWayBack,omitempty"` // as the last audit found

	// Decoded is what the database had decoded for each side when it was last asked, in bytes.
	Decoded map[migration.Side]int64 `json:"decoded"`

	// Of a pass over files that goes on in the next run: with whom, which customers are to be
	// looked at again so far, and why the first of them.
	Next    string   `json:"next,omitempty"`
	Unequal []string `json:"unequal,omitempty"`
	Failure string   `json:"failure,omitempty"`
	Behind  []string `json:"behind,omitempty"` // until the first pass is over: who is to be looked at again; none: everybody

	AsOf  time.Time `json:"asOf,omitzero"`  // migration.PieceStatus.AsOf
	Begun time.Time `json:"begun,omitzero"` // when the pass over files began, with all who are to be looked at again
}

// Replication keeps a dataset's copy close behind, in the direction away from each customer's home,
// until the migration ends.
func Replication(ctx workflow.Context, in Input) error {
	r := newReplication(in)
	work, cancel := workflow.WithCancel(ctx)
	r.cancel = cancel
	err := r.setup(ctx)
	if err == nil {
		err = r.run(work)
	}
	if r.stopped && !workflow.IsContinueAsNewError(err) {
		err = nil // what was under way has been cut off
		r.Set(ctx, migration.PieceDone, migration.WaitNothing, "")
	}
	r.Failed(ctx, migration.PieceFailed, err)
	return r.End(ctx, err)
}

type replication struct {
	in      Input
	plan    state.Plan
	dataset migration.Dataset
	State

	owners    []migration.Customer // whose files the tree holds, in the plan's order
	busy      map[string]bool      // the customers whose files a pass is copying now
	stepAside func()               // cuts that pass off
	stopped   bool
	again     time.Time // when an amendment is taken in again that was refused
	auditing  bool      // an audit is under way, and its answer is to be told
	cancel    func()    // what is under way
}

func newReplication(in Input) *replication {
	r := &replication{in: in}
	if in.State != nil {
		r.State = *in.State
	} else {
		r.State = State{Told: map[int64]string{}}
	}
	return r
}

func (r *replication) setup(ctx workflow.Context) error {
	r.Hooks = status.Hooks{Changed: r.report, Describe: func() string {
		n := 0
		for _, a := range r.Aside {
			n += len(a.Customers)
		}
		return fmt.Sprintf("Replication of **%s**. Customers that it steps aside for: %d.\n", r.in.Dataset, n)
	}}
	mail.Listen(ctx, mail.SignalAsk, "The migration calls the roll.", func(ctx workflow.Context, a mail.Ask) {
		if _, newer := a.Renews(r.in.Spec); newer {
			r.Newest = a.Revision
		}
		if a.Report {
			r.report(ctx)
		}
	})
	mail.Listen(ctx, mail.SignalStop, "The migration is over.", func(workflow.Context, mail.Wish) { r.stopped = true; r.cancel() })
	mail.Listen(ctx, mail.SignalAside, "Who moves: leave the data of these customers of a batch alone.",
		func(_ workflow.Context, a mail.Aside) {
			r.hear(a)
		})
	return workflow.SetQueryHandlerWithOptions(ctx, migration.QueryStatus,
		func() (migration.PieceStatus, error) { return r.piece(), nil },
		workflow.QueryHandlerOptions{Description: "The dataset with its last consistent point, which changes too often to be reported."})
}

// hear takes a batch's word on who moves. An older word does not override a newer one.
func (r *replication) hear(a mail.Aside) {
	i := slices.IndexFunc(r.Aside, func(b mail.Aside) bool { return b.Batch == a.Batch })
	switch {
	case i < 0:
		r.Aside = append(r.Aside, a)
	case a.Order.Newer(r.Aside[i].Order):
		r.Aside[i] = a
	default:
		return
	}
	if slices.ContainsFunc(a.Customers, func(id string) bool { return r.busy[id] }) {
		r.stepAside()
	}
}

// aside says whether a customer's data is a Move's.
func (r *replication) aside(customer string) bool {
	return slices.ContainsFunc(r.Aside, func(a mail.Aside) bool { return slices.Contains(a.Customers, customer) })
}

func (r *replication) run(ctx workflow.Context) error {
	var err error
	if r.plan, r.dataset, err = r.read(ctx, r.in.Spec); err != nil {
		return err
	}
	work := r.watchLag
	if r.dataset.Files != nil {
		work = r.passFiles
	} else {
		if err := r.prepare(ctx); err != nil {
			return err
		}
		workflow.Go(ctx, r.auditAlways) // during the first copy too: WAL waits for it
	}
	for !r.stopped {
		next := work
		if r.dataset.Postgres != nil && !r.Prepared {
			next = r.firstCopy
		} else if r.follow(ctx); r.stopped {
			break
		}
		if err := next(ctx); err != nil {
			return err
		}
		if r.Renews(ctx, r.mustRenew) {
			st := r.State
			return workflow.NewContinueAsNewError(ctx, Replication, Input{Spec: r.in.Spec, Dataset: r.in.Dataset, State: &st})
		}
	}
	return nil
}

func (r *replication) mustRenew(ctx workflow.Context) bool {
	return !r.stopped && !r.auditing &&
		mail.Renewable(ctx, mail.SignalAside, mail.SignalStop, mail.SignalAsk)
}

// prepare sets up both databases, once.
func (r *replication) prepare(ctx workflow.Context) error {
	if r.SetUp || r.Prepared {
		return nil
	}
	r.Set(ctx, migration.PieceProvisioning, migration.WaitData, "setting up both directions")
	b := work.BulkCopy.At(ctx, r.dataset.Site(), "set up replication of "+r.dataset.Name)
	req := postgres.PreparePostgresRequest{PostgresRef: r.ref(), Tenants: r.plan.Tenants[r.dataset.Name]}
	if err := workflow.ExecuteActivity(b, work.Postgres.PreparePostgres, req).Get(b, nil); err != nil {
		return err
	}
	r.SetUp = true
	return nil
}

// firstCopy waits for the first copy, and for a beat to make the round trip. It may last for days,
// in which the history grows by the audits: then the next run waits on.
func (r *replication) firstCopy(ctx workflow.Context) error {
	r.copies(ctx)
	b, cancel := workflow.WithCancel(work.BulkCopy.At(ctx, r.dataset.Site(), "first copy of "+r.dataset.Name))
	defer cancel()
	f := workflow.ExecuteActivity(b, work.Postgres.AwaitPostgresSync, r.ref())
	if err := workflow.Await(ctx, func() bool { return f.IsReady() || r.mustRenew(ctx) }); err != nil {
		return err
	}
	if !f.IsReady() {
		return nil
	}
	err := f.Get(b, nil)
	r.Prepared = err == nil
	return err
}

// ref names the dataset to its activities.
func (r *replication) ref() postgres.PostgresRef {
	return postgres.PostgresRef{Plan: r.in.Spec.Plan, Dataset: r.dataset, Target: r.plan.Target(r.dataset.Target())}
}

// copies says that the first copy is under way, or what an audit has found of it.
func (r *replication) copies(ctx workflow.Context) {
	if r.Trouble != "" {
		r.Set(ctx, migration.PieceReplicating, migration.WaitOperator, r.Trouble)
		return
	}
	r.Set(ctx, migration.PieceReplicating, migration.WaitData, "first copy")
}

// watchLag measures both directions with a beat.
func (r *replication) watchLag(ctx workflow.Context) error {
	var lag postgres.Lag
	s := work.SiteQuestion.At(ctx, r.dataset.Site(), "lag of "+r.dataset.Name)
	asked := workflow.Now(ctx) // before the beats were written, which carry all that was committed before them
	err := workflow.ExecuteActivity(s, work.Postgres.ReadLag, r.ref()).Get(s, &lag)
	if err == nil {
		r.AsOf = asked
		r.carried(ctx, map[migration.Side]int64{migration.AWS: lag.ForwardDecoded, migration.OnPrem: lag.BackDecoded})
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case r.Trouble != "":
		r.Set(ctx, migration.PieceReady, migration.WaitOperator, r.Trouble)
	case r.Outside != "":
		r.Set(ctx, migration.PieceReady, migration.WaitOperator, r.Outside)
	case err != nil:
		r.Set(ctx, r.Phase, migration.WaitData, "its lag cannot be read: "+work.ReasonAt(err, r.dataset.Site()))
	default:
		r.Set(ctx, migration.PieceReady, migration.WaitNothing, fmt.Sprintf("lag to AWS %s, back %s", near(lag.Forward), near(lag.Back)))
	}
	r.pause(ctx, lagPause)
	return nil
}

// carried counts what a database has decoded for each side since it was last asked. What came
// before the first answer is not counted, nor what lies around a reset of the server's statistics.
func (r *replication) carried(ctx workflow.Context, now map[migration.Side]int64) {
	for _, to := range []migration.Side{migration.AWS, migration.OnPrem} {
		if was, asked := r.Decoded[to]; asked && now[to] > was {
			workflow.GetMetricsHandler(ctx).WithTags(map[string]string{"plan": r.in.Spec.Plan, "mover": migration.MoverPostgres,
				"to": string(to)}).Counter(migration.MetricReplicated).Inc(now[to] - was)
		}
	}
	r.Decoded = now
}

// near rounds a lag so that a status does not change with every beat.
func near(d migration.Duration) string {
	switch v := d.D(); {
	case v < 100*time.Millisecond:
		return "under 0.1s"
	case v < time.Second:
		return "under 1s"
	default:
		return migration.Duration(v.Round(time.Second)).Brief()
	}
}

// passFiles copies what changed, some customers at a time, away from where each is homed. It stops
// between two such parts when the history has become long, and then goes on with the next.
func (r *replication) passFiles(ctx workflow.Context) error {
	if err := r.readOwners(ctx); err != nil {
		return err
	}
	if r.Next == "" && len(r.Behind) == 0 {
		r.Begun = workflow.Now(ctx)
	}
	todo := r.owners
	if len(r.Behind) > 0 {
		todo = slices.DeleteFunc(slices.Clone(todo), func(c migration.Customer) bool { return !slices.Contains(r.Behind, c.ID) })
	}
	of := len(todo)
	if i := slices.IndexFunc(todo, func(c migration.Customer) bool { return c.ID == r.Next }); i > 0 {
		todo = todo[i:]
	}
	for asked := false; len(todo) > 0; asked = true {
		if r.Next = todo[0].ID; asked && r.mustRenew(ctx) {
			return nil
		}
		part := todo[:min(len(todo), passChunk)]
		over, err := r.passPart(ctx, part)
		switch {
		case r.stopped || ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		}
		todo = slices.Concat(slices.DeleteFunc(slices.Clone(part), func(c migration.Customer) bool { return over[c.ID] }), todo[len(part):])
		if r.Phase != migration.PieceReady {
			r.Set(ctx, r.Phase, migration.WaitData, cmp.Or(r.Failure, fmt.Sprintf("first pass: %d of %d customers", of-len(todo), of)))
		}
	}
	switch {
	case len(r.Unequal) == 0:
		r.AsOf = r.Begun
		r.Set(ctx, migration.PieceReady, migration.WaitNothing, "in passes")
	case r.Phase == migration.PieceReady:
		r.Set(ctx, r.Phase, migration.WaitNothing,
			fmt.Sprintf("in passes; %d customers are to be looked at again: %s", len(r.Unequal), r.Failure))
	default: // whoever was equal once needs no more
		r.Behind = r.Unequal
	}
	if r.Phase == migration.PieceReady {
		r.Behind = nil
	}
	r.Next, r.Unequal, r.Failure = "", nil, ""
	r.pause(ctx, filePassPause)
	return nil
}

// readOwners reads whose files the tree holds, once a revision.
func (r *replication) readOwners(ctx workflow.Context) error {
	if r.owners != nil {
		return nil
	}
	var list state.FileCustomers
	l := work.Question.In(ctx, "customers of "+r.dataset.Name)
	if err := workflow.ExecuteActivity(l, work.State.ListFileCustomers,
		state.ListFileCustomersRequest{Spec: r.in.Spec, Dataset: r.dataset.Name}).Get(l, &list); err != nil {
		return err
	}
	for _, c := range list.Customers {
		r.owners = append(r.owners, migration.Customer{ID: c.ID, Tenant: c.Tenant})
	}
	return nil
}

// passPart makes a pass over the files of some customers, but for those that have a Move. It says
// whose turn is over; whoever asks meanwhile that the pass steps aside cuts it off.
func (r *replication) passPart(ctx workflow.Context, part []migration.Customer) (over map[string]bool, err error) {
	over = map[string]bool{}
	req := r.passRequest()
	for _, c := range part {
		if r.aside(c.ID) {
			over[c.ID] = true
		} else {
			req.Customers = append(req.Customers, c)
		}
	}
	if len(req.Customers) == 0 {
		return over, nil
	}
	ctx, r.stepAside = workflow.WithCancel(ctx)
	r.busy = map[string]bool{}
	for _, c := range req.Customers {
		r.busy[c.ID] = true
	}
	p := work.Pass.At(ctx, r.dataset.Site(), fmt.Sprintf("files of %d customers, from %s on", len(req.Customers), req.Customers[0].ID))
	var res files.PassFilesResult
	err = workflow.ExecuteActivity(p, work.Files.PassFiles, req).Get(p, &res)
	r.busy = nil
	var cut *temporal.CanceledError
	switch {
	case errors.As(err, &cut):
		if !cut.HasDetails() || cut.Details(&res) != nil {
			res = files.PassFilesResult{} // no attempt had begun: what the server says then are words of its own
		}
		err = nil
	case err != nil: // the next pass tries again; the last pass of a Move decides, not this one
		res = files.PassFilesResult{Failures: []string{work.Reason(err)}}
		for _, c := range req.Customers {
			res.Passed, res.Unequal = append(res.Passed, c.ID), append(res.Unequal, c.ID)
		}
		err = nil
	}
	for _, id := range res.Passed {
		over[id] = true
	}
	if r.Unequal = append(r.Unequal, res.Unequal...); r.Failure == "" && len(res.Failures) > 0 {
		r.Failure = res.Failures[0]
	}
	return over, err
}

func (r *replication) passRequest() files.PassFilesRequest {
	req := files.PassFilesRequest{Shelf: files.Shelf{
		Plan: r.in.Spec.Plan, Dataset: r.dataset, Target: r.plan.Target(r.dataset.Target()),
		State: r.in.Spec.State, StateTarget: r.in.Spec.Target,
	}}
	for _, d := range r.plan.Datasets {
		if d.Name == r.dataset.Files.FencedBy {
			req.Fence, req.FenceTarget = &d, r.plan.Target(d.Target())
		}
	}
	return req
}

func (r *replication) pause(ctx workflow.Context, d time.Duration) {
	work.AwaitFor(ctx, d, "before the next pass or look", func() bool { return r.stopped })
}

func (r *replication) report(ctx workflow.Context) {
	r.Tell(ctx, migration.MigrationID(r.in.Spec.Plan), mail.SignalPiece, mail.PieceReport{
		Order: r.Stamp(ctx), Piece: r.piece(), Stop: r.Stop,
	})
}

func (r *replication) piece() migration.PieceStatus {
	return migration.PieceStatus{Name: r.in.Dataset, Phase: r.Phase, Detail: r.Reason, AsOf: r.AsOf, NoWayBack: r.NoWayBack}
}
