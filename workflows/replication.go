package workflows

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/disks"
	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/migration"
)

// ReplicationInput starts the Replication of a dataset, and carries it over continue-as-new.
type ReplicationInput struct {
	Spec    migration.SpecRef `json:"spec"`
	Dataset string            `json:"dataset"`
	State   *replicationState `json:"state,omitempty"`
}

type replicationState struct {
	Standing standing                  `json:"standing"`
	Prepared bool                      `json:"prepared"`
	Homes    map[string]migration.Side `json:"homes"`             // of customers that have moved
	Yielded  map[string]string         `json:"yielded"`           // customer -> the workflow that asked
	Trouble  string                    `json:"trouble,omitempty"` // what the last audit found of the whole dataset
	Stop     bool                      `json:"stop,omitempty"`    // and that nobody may move because of it
	Told     map[int64]string          `json:"told,omitempty"`    // tenants in trouble, with what their customers were told

	// Of a pass over files that goes on in the next run: with whom, and how much is to be looked at again so far.
	Next      string `json:"next,omitempty"`
	Conflicts int64  `json:"conflicts,omitempty"`
}

// Replication keeps a dataset's copy close behind, in the direction away from each customer's home, until the migration ends.
func Replication(ctx workflow.Context, in ReplicationInput) error {
	r := newReplication(in)
	work, cancel := workflow.WithCancel(ctx)
	r.cancel = cancel
	r.setup(ctx)
	err := r.run(work)
	if r.stopped && !workflow.IsContinueAsNewError(err) {
		err = nil // what was under way has been cut off
		r.set(ctx, migration.PhaseDone, migration.WaitNothing, "")
	}
	r.failed(ctx, err)
	return r.over(ctx, err)
}

type replication struct {
	in      ReplicationInput
	plan    state.Plan
	dataset migration.Dataset
	replicationState
	*standing

	slices   map[string]migration.CustomerSlice // by customer, as read in this run
	busy     string                             // the customer whose files a pass is copying now
	stopped  bool
	auditing bool   // an audit is under way, and its answer is to be told
	cancel   func() // what is under way
}

func newReplication(in ReplicationInput) *replication {
	r := &replication{in: in, slices: map[string]migration.CustomerSlice{}}
	if in.State != nil {
		r.replicationState = *in.State
	} else {
		r.replicationState = replicationState{Homes: map[string]migration.Side{}, Yielded: map[string]string{}}
	}
	r.standing = &r.Standing
	return r
}

func (r *replication) setup(ctx workflow.Context) {
	r.standing.changed = r.report
	r.standing.describe = func() string {
		return fmt.Sprintf("Replication of **%s**. Stepped aside for %d customers.\n", r.in.Dataset, len(r.Yielded))
	}
	listen(ctx, signalAsk, "The migration calls the roll.", func(ctx workflow.Context, a ask) {
		if a.Report {
			r.report(ctx)
		}
	})
	listen(ctx, signalStop, "The migration is over.", func(workflow.Context, wish) { r.stopped = true; r.cancel() })
	listen(ctx, signalRelease, "A Move is over: the customer's data may be copied again.", func(_ workflow.Context, v release) {
		delete(r.Yielded, v.Customer)
		r.Homes[v.Customer] = v.Home
	})
	listen(ctx, signalYield, "A Move begins: leave the customer's data alone.", func(ctx workflow.Context, v yieldRequest) {
		r.Yielded[v.Customer] = v.ReplyTo
		workflow.Go(ctx, func(ctx workflow.Context) {
			_ = workflow.Await(ctx, func() bool { return r.busy != v.Customer })
			r.tell(ctx, v.ReplyTo, signalYielded, yieldReply{Dataset: r.in.Dataset, Customer: v.Customer})
		})
	})
}

func (r *replication) run(ctx workflow.Context) error {
	l := look(ctx, "read the plan")
	if err := workflow.ExecuteActivity(l, specs.LoadPlan, r.in.Spec).Get(l, &r.plan); err != nil {
		return err
	}
	i := slices.IndexFunc(r.plan.Datasets, func(d migration.Dataset) bool { return d.Name == r.in.Dataset })
	if i < 0 {
		return temporal.NewNonRetryableApplicationError(fmt.Sprintf("the plan has no dataset %q", r.in.Dataset), "NoSuchDataset", nil)
	}
	r.dataset = r.plan.Datasets[i]
	work := r.watchLag
	if r.dataset.Files != nil {
		work = r.passFiles
	} else if err := r.prepare(ctx); err != nil {
		return err
	}
	if r.dataset.Postgres != nil {
		workflow.Go(ctx, r.auditAlways)
	}
	for !r.stopped {
		if err := work(ctx); err != nil {
			return err
		}
		if r.renews(ctx, r.mustRenew) {
			st := r.replicationState
			return workflow.NewContinueAsNewError(ctx, Replication, ReplicationInput{Spec: r.in.Spec, Dataset: r.in.Dataset, State: &st})
		}
	}
	return nil
}

func (r *replication) mustRenew(ctx workflow.Context) bool {
	return !r.stopped && !r.auditing && renewable(ctx, signalYield, signalRelease, signalStop, signalAsk)
}

// prepare sets up both databases, once, and waits for the first copy and for a beat to make the round trip.
func (r *replication) prepare(ctx workflow.Context) error {
	if r.Prepared {
		return nil
	}
	ref := postgres.PostgresRef{Plan: r.in.Spec.Plan, Dataset: r.dataset, Target: r.plan.Target(r.dataset.Target())}
	r.set(ctx, migration.PhaseProvisioning, migration.WaitData, "setting up both directions")
	b := bulk(ctx, r.dataset.Site(), "set up replication of "+r.dataset.Name)
	if err := workflow.ExecuteActivity(b, pg.PreparePostgres, postgres.PreparePostgresRequest{PostgresRef: ref, Tenants: r.plan.Tenants[r.dataset.Name]}).Get(b, nil); err != nil {
		return err
	}
	r.set(ctx, migration.PhaseReplicating, migration.WaitData, "first copy")
	b = bulk(ctx, r.dataset.Site(), "first copy of "+r.dataset.Name)
	if err := workflow.ExecuteActivity(b, pg.AwaitPostgresSync, ref).Get(b, nil); err != nil {
		return err
	}
	r.Prepared = true
	return nil
}

// watchLag measures both directions with a beat.
func (r *replication) watchLag(ctx workflow.Context) error {
	var lag postgres.Lag
	s := within(ctx, r.dataset.Site(), "lag of "+r.dataset.Name)
	ref := postgres.PostgresRef{Plan: r.in.Spec.Plan, Dataset: r.dataset, Target: r.plan.Target(r.dataset.Target())}
	switch err := workflow.ExecuteActivity(s, pg.ReadLag, ref).Get(s, &lag); {
	case ctx.Err() != nil:
		return ctx.Err()
	case r.Trouble != "":
		r.set(ctx, migration.PhaseReady, migration.WaitOperator, r.Trouble)
	case err != nil:
		r.set(ctx, r.Phase, migration.WaitData, "its lag cannot be read: "+reason(err))
	default:
		r.set(ctx, migration.PhaseReady, migration.WaitNothing, fmt.Sprintf("lag to AWS %s, back %s", near(lag.Forward), near(lag.Back)))
	}
	r.pause(ctx, lagPause)
	return nil
}

// near rounds a lag so that a status does not change with every beat.
func near(d migration.Duration) string {
	switch v := d.D(); {
	case v < 100*time.Millisecond:
		return "under 0.1s"
	case v < time.Second:
		return "under 1s"
	default:
		return v.Round(time.Second).String()
	}
}

// passFiles copies what changed, customer by customer, away from where each is homed. It stops between two of them when the history has become
// long, and then goes on with the next.
func (r *replication) passFiles(ctx workflow.Context) error {
	var list state.FileCustomers
	l := look(ctx, "customers of "+r.dataset.Name)
	if err := workflow.ExecuteActivity(l, specs.ListFileCustomers, state.ListFileCustomersRequest{Spec: r.in.Spec, Dataset: r.dataset.Name}).Get(l, &list); err != nil {
		return err
	}
	passed := false
	for _, id := range list.Customers[max(0, slices.Index(list.Customers, r.Next)):] {
		if r.Next = id; r.stopped || ctx.Err() != nil {
			return ctx.Err()
		}
		if _, yielded := r.Yielded[id]; yielded {
			continue
		}
		if passed && r.mustRenew(ctx) {
			return nil
		}
		r.busy = id
		c, err := r.passCustomer(ctx, id)
		r.busy = ""
		if err != nil {
			return err
		}
		r.Conflicts += c
		passed = true
	}
	if r.Conflicts == 0 || r.Phase == migration.PhaseReady {
		r.set(ctx, migration.PhaseReady, migration.WaitNothing, "in passes")
	}
	r.Next, r.Conflicts = "", 0
	r.pause(ctx, filePassPause)
	return nil
}

// passCustomer copies one customer's files and says how many have to be looked at again.
func (r *replication) passCustomer(ctx workflow.Context, id string) (conflicts int64, err error) {
	slice, known := r.slices[id]
	if !known {
		l := look(ctx, "read the plan's slice of "+id)
		if err := workflow.ExecuteActivity(l, specs.LoadCustomer, state.LoadCustomerRequest{Spec: r.in.Spec, Customer: id}).Get(l, &slice); err != nil {
			return 0, err
		}
		r.slices[id] = slice
	}
	home := r.Homes[id]
	if home == "" {
		home = migration.OnPrem
	}
	p := pass(ctx, r.dataset.Site(), "files of "+id)
	var res files.FilesResult
	req := filesRequest(r.in.Spec, slice, r.dataset, home, migration.Try{})
	err = workflow.ExecuteActivity(p, file.CopyFiles, req).Get(p, &res)
	var said *temporal.ApplicationError
	switch {
	case err == nil:
		return int64(len(res.Conflicts)), nil
	case errors.As(err, &said) && said.Type() == "NotHome": // the data knows better than this workflow
		r.Homes[id] = home.Other()
		return 1, nil
	case ctx.Err() != nil:
		return 0, ctx.Err()
	default: // a pass that failed is made again; the last pass of a Move decides, not this one
		r.set(ctx, r.Phase, migration.WaitData, "files of "+id+": "+reason(err))
		return 1, nil
	}
}

func (r *replication) pause(ctx workflow.Context, d time.Duration) {
	awaitFor(ctx, d, "before the next pass or look", func() bool { return r.stopped })
}

func (r *replication) report(ctx workflow.Context) {
	r.tell(ctx, migration.MigrationID(r.in.Spec.Plan), signalPiece, pieceReport{Order: r.next(ctx), Piece: migration.PieceStatus{Name: r.in.Dataset, Phase: r.Phase, Detail: r.Reason}, Stop: r.Stop})
}

// ReplicateVMInput names a VM whose disks are copied.
type ReplicateVMInput struct {
	Spec   migration.SpecRef `json:"spec"`
	Site   migration.Site    `json:"site"`
	Target migration.Target  `json:"target"`
	VM     migration.VM      `json:"vm"`
}

// ReplicateVM copies the disks of a running VM as they stand at one moment. Its snapshot on vSphere is removed whatever happens.
func ReplicateVM(ctx workflow.Context, in ReplicateVMInput) ([]migration.DiskImage, error) {
	name := "drover-" + in.Spec.Plan
	s := siteLook(ctx, in.Site.Name, "snapshot "+in.VM.Name)
	var snap vsphere.SnapshotVMResult
	var res disks.ReplicateDisksResult
	err := workflow.ExecuteActivity(s, vc.SnapshotVM, vsphere.SnapshotVMRequest{Site: in.Site, VM: in.VM, Name: name}).Get(s, &snap)
	if err == nil {
		b := bulk(ctx, in.Site.Name, "copy the disks of "+in.VM.Name)
		err = workflow.ExecuteActivity(b, disk.ReplicateDisks, disks.ReplicateDisksRequest{
			Plan: in.Spec.Plan, Site: in.Site, Target: in.Target, State: in.Spec.State, StateTarget: in.Spec.Target, VM: in.VM, Snapshot: snap.Snapshot, Pass: "first",
		}).Get(b, &res)
	}
	cleanup, _ := workflow.NewDisconnectedContext(ctx)
	s = siteLook(cleanup, in.Site.Name, "remove the snapshot of "+in.VM.Name)
	if rerr := workflow.ExecuteActivity(s, vc.RemoveVMSnapshot, vsphere.RemoveVMSnapshotRequest{Site: in.Site, VM: in.VM, Name: name}).Get(s, nil); err == nil {
		err = rerr
	}
	return res.Disks, err
}
