// Package workload brings one application component up on AWS beside the one that runs.
package workload

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/compute"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/status"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	launchPause     = 30 * time.Second // before what AWS refused to launch is tried again; doubles
	launchPauseMost = 10 * time.Minute
)

// Input names a workload of a plan.
type Input struct {
	Spec     migration.SpecRef  `json:"spec"`
	Workload string             `json:"workload"`
	Copied   []migration.Copied `json:"copied,omitempty"` // disks that the run before this one copied and read back
}

// Workload brings one workload up on AWS beside the one that runs: disks replicated, images
// registered, instances or a service launched, registered behind the load balancer and healthy. No
// request reaches it before a customer is moved.
func Workload(ctx workflow.Context, in Input) error {
	w := &workload{in: in, copied: in.Copied}
	w.Hooks = status.Hooks{Changed: w.report, Describe: func() string { return fmt.Sprintf("Workload **%s**.\n", in.Workload) }}
	mail.Listen(ctx, mail.SignalAsk, "The migration calls the roll.", w.hear)
	for {
		err := w.run(ctx)
		if !errors.Is(err, errGrown) {
			w.Failed(ctx, migration.PieceFailed, err)
			w.Flush(ctx)
			return err
		}
		if w.Renews(ctx, w.mustRenew) {
			return workflow.NewContinueAsNewError(ctx, Workload, Input{Spec: w.in.Spec, Workload: in.Workload, Copied: w.copied})
		}
	}
}

// errGrown says that the history has grown too long to go on with it: the next run goes on.
var errGrown = errors.New("the history has grown too long")

type workload struct {
	in     Input
	plan   state.Plan
	spec   migration.Workload
	target migration.Target
	group  traffic.TargetGroup
	odd    []string // what somebody should look at, though nothing waits for it
	copied []migration.Copied
	left   int                // VMs that are not up yet
	paused int                // of them, those that are tried again after a pause
	grown  bool               // the history has grown too long while all of them were
	newest migration.Revision // of the plan, as the migration said

	status.Status[migration.PiecePhase]
	mail.Box
}

func (w *workload) run(ctx workflow.Context) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	up, err := kinds[w.spec.Kind()](w, ctx)
	if err != nil {
		return err
	}
	if err := w.serve(ctx, up); err != nil {
		return err
	}
	if err := w.launched(ctx, up); err != nil {
		return err
	}
	slices.Sort(w.odd)
	w.Set(ctx, migration.PieceReady, migration.WaitNothing, strings.Join(w.odd, "; "))
	return nil
}

func (w *workload) begin(ctx workflow.Context) error {
	l := work.Question.In(ctx, "read the plan")
	if err := workflow.ExecuteActivity(l, work.State.LoadPlan, w.in.Spec).Get(l, &w.plan); err != nil {
		return err
	}
	i := slices.IndexFunc(w.plan.Workloads, func(x migration.Workload) bool { return x.Name == w.in.Workload })
	if i < 0 {
		return temporal.NewNonRetryableApplicationError(fmt.Sprintf("the plan has no workload %q", w.in.Workload), "NoSuchWorkload", nil)
	}
	w.spec = w.plan.Workloads[i]
	w.target = w.plan.Target(w.spec.Target)
	if w.spec.Ingress == nil {
		return nil
	}
	l = work.Question.In(ctx, "target group of "+w.spec.Name)
	return workflow.ExecuteActivity(l, work.Traffic.EnsureTargetGroup,
		traffic.EnsureTargetGroupRequest{Plan: w.in.Spec.Plan, Target: w.target, Workload: w.spec}).Get(l, &w.group)
}

// startService brings the service up. It registers its own tasks.
func (w *workload) startService(ctx workflow.Context) error {
	w.say(ctx, migration.PieceLaunching, "starting the service")
	l := work.Launch.In(ctx, "service of "+w.spec.Name)
	var s compute.Service
	if err := workflow.ExecuteActivity(l, work.Compute.EnsureService,
		compute.EnsureServiceRequest{Plan: w.in.Spec.Plan, Target: w.target, Workload: w.spec, TargetGroup: w.group.ARN}).Get(l,
		&s); err != nil {
		return err
	}
	l = work.Launch.In(ctx, "steady state of "+w.spec.Name)
	return workflow.ExecuteActivity(l, work.Compute.AwaitService,
		compute.AwaitServiceRequest{Plan: w.in.Spec.Plan, Target: w.target, Workload: w.spec, Service: s.ARN}).Get(l, nil)
}

// startInstances brings up every VM at once.
func (w *workload) startInstances(ctx workflow.Context) ([]string, error) {
	site := w.plan.Site(w.spec.Site)
	s := work.Survey.At(ctx, site.Name, "list the VMs of "+w.spec.Name)
	var list vsphere.ListVMsResult
	if err := workflow.ExecuteActivity(s, work.VSphere.ListVMs, vsphere.ListVMsRequest{Site: site, Selector: w.spec.VMs, Use: true}).Get(s,
		&list); err != nil {
		return nil, err
	}
	w.say(ctx, migration.PieceReplicating, fmt.Sprintf("copying the disks of %d VMs, or finding their instances", len(list.VMs)))
	type machine struct {
		address string
		err     error
	}
	done := workflow.NewBufferedChannel(ctx, len(list.VMs))
	w.left, w.grown = len(list.VMs), false
	for _, vm := range list.VMs {
		workflow.Go(ctx, func(ctx workflow.Context) {
			address, err := w.startInstance(ctx, site, vm)
			w.left--
			done.Send(ctx, machine{address, err})
		})
	}
	var addresses []string
	var first error
	for range list.VMs {
		var m machine
		done.Receive(ctx, &m)
		if m.err != nil && first == nil {
			first = m.err
		}
		addresses = append(addresses, m.address)
	}
	slices.Sort(addresses)
	return addresses, first
}

// startInstance is one VM's way: disks, image, instance. A VM that has its instance already, since
// the plan was submitted again, is not copied again: the copy would be another one, and so would
// the image and the instance. Nor is one whose image or instance AWS refuses: that is tried again,
// with the copy that is there.
func (w *workload) startInstance(ctx workflow.Context, site migration.Site, vm migration.VM) (string, error) {
	l := work.Launch.In(ctx, "instance of "+vm.Name+", if it has one")
	var found compute.FindInstanceResult
	if err := workflow.ExecuteActivity(l, work.Compute.FindInstance,
		compute.FindInstanceRequest{Plan: w.in.Spec.Plan, Target: w.target, Workload: w.spec, VM: vm}).Get(l, &found); err != nil {
		return "", err
	}
	if found.Instance.ID != "" {
		w.adopted(vm, found)
		return found.Instance.PrivateIP, nil
	}
	images, err := w.disks(ctx, site, vm)
	if err != nil {
		return "", err
	}
	for pause := launchPause; ; pause = min(2*pause, launchPauseMost) {
		address, err := w.launch(ctx, vm, images)
		if err == nil || ctx.Err() != nil {
			return address, err
		}
		w.Set(ctx, migration.PieceFailed, migration.WaitAWS,
			fmt.Sprintf("VM %s: %s. Its disks are copied; what comes after that is tried again in %s", vm.Name, work.Reason(err),
				migration.Duration(pause).Brief()))
		if err := w.pause(ctx, pause, vm); err != nil {
			return "", err
		}
	}
}

// pause waits before a VM is tried again. While every VM that is not up yet waits so, the workload
// may go on as new: nothing is under way.
func (w *workload) pause(ctx workflow.Context, length time.Duration, vm migration.VM) error {
	w.paused++
	work.AwaitFor(ctx, length, "before "+vm.Name+" is tried again", func() bool {
		w.grown = w.grown || w.paused == w.left && w.mustRenew(ctx)
		return w.grown
	})
	w.paused--
	if w.grown {
		return errGrown
	}
	return ctx.Err()
}

func (w *workload) mustRenew(ctx workflow.Context) bool { return mail.Renewable(ctx, mail.SignalAsk) }

// launch makes an image of a VM's disks, and its instance. Neither exists twice.
func (w *workload) launch(ctx workflow.Context, vm migration.VM, disks []migration.DiskImage) (string, error) {
	l := work.Launch.In(ctx, "image of "+vm.Name)
	var image compute.Image
	if err := workflow.ExecuteActivity(l, work.Compute.RegisterImage,
		compute.RegisterImageRequest{Plan: w.in.Spec.Plan, Target: w.target, Workload: w.spec, VM: vm, Disks: disks}).Get(l,
		&image); err != nil {
		return "", err
	}
	l = work.Launch.In(ctx, "instance of "+vm.Name)
	var instance compute.Instance
	err := workflow.ExecuteActivity(l, work.Compute.LaunchInstance,
		compute.LaunchInstanceRequest{Plan: w.in.Spec.Plan, Target: w.target, Workload: w.spec, VM: vm, Image: image.ID}).Get(l, &instance)
	return instance.PrivateIP, err
}

// adopted says so where a VM has more instances than one: nobody but a person can know that the
// others are not needed.
func (w *workload) adopted(vm migration.VM, found compute.FindInstanceResult) {
	if len(found.Others) > 0 {
		w.odd = append(w.odd, fmt.Sprintf("VM %s has instance %s and also %s: the first, which is the oldest, is used; terminate the "+
			"others and take them out of the target group", vm.Name, found.Instance.ID, strings.Join(found.Others, ", ")))
	}
}

// disks are the copies of a VM's disks: those of the run before this one, or new ones.
func (w *workload) disks(ctx workflow.Context, site migration.Site, vm migration.VM) ([]migration.DiskImage, error) {
	i := slices.IndexFunc(w.copied, func(c migration.Copied) bool { return c.UUID == vm.UUID })
	if i >= 0 {
		return w.copied[i].Disks, nil
	}
	return w.copyDisks(ctx, site, vm)
}

// copyDisks has a child of its own, which takes its snapshot away whatever happens.
func (w *workload) copyDisks(ctx workflow.Context, site migration.Site, vm migration.VM) ([]migration.DiskImage, error) {
	c := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: migration.DisksID(w.in.Spec.Plan, vm.UUID), StaticSummary: "disks of " + vm.Name,
		ParentClosePolicy: enums.PARENT_CLOSE_POLICY_REQUEST_CANCEL, WaitForCancellation: true,
		TypedSearchAttributes: temporal.NewSearchAttributes(status.AttrPlan.ValueSet(w.in.Spec.Plan),
			status.AttrPhase.ValueSet(string(migration.PieceReplicating))),
	})
	var images []migration.DiskImage
	err := workflow.ExecuteChildWorkflow(c, ReplicateVM, VMInput{Spec: w.in.Spec, Site: site, Target: w.target, VM: vm}).Get(c, &images)
	if err == nil {
		w.copied = append(w.copied, migration.Copied{VM: vm.Name, UUID: vm.UUID, Disks: images})
	}
	return images, err
}

// serve registers the addresses and waits until the load balancer finds them healthy.
func (w *workload) serve(ctx workflow.Context, up ready) error {
	if w.spec.Ingress == nil {
		return nil
	}
	w.say(ctx, migration.PieceLaunching, fmt.Sprintf("waiting for %d healthy targets", up.want))
	if len(up.addresses) > 0 {
		l := work.Question.In(ctx, "register the targets of "+w.spec.Name)
		req := traffic.RegisterTargetsRequest{Target: w.target, TargetGroup: w.group.ARN, Addresses: up.addresses,
			Port: w.spec.Ingress.Port}
		if err := workflow.ExecuteActivity(l, work.Traffic.RegisterTargets, req).Get(l, nil); err != nil {
			return err
		}
	}
	l := work.Launch.In(ctx, "healthy targets of "+w.spec.Name)
	return workflow.ExecuteActivity(l, work.Traffic.AwaitTargets,
		traffic.AwaitTargetsRequest{Target: w.target, TargetGroup: w.group.ARN, Want: up.want}).Get(l, nil)
}

func (w *workload) say(ctx workflow.Context, phase migration.PiecePhase, detail string) {
	waits := migration.WaitAWS
	if phase == migration.PieceReplicating {
		waits = migration.WaitData
	}
	w.Set(ctx, phase, waits, detail)
}

func (w *workload) hear(ctx workflow.Context, a mail.Ask) {
	if a.Revision.Revision > w.newest.Revision {
		w.newest = a.Revision
	}
	if a.Report {
		w.report(ctx)
	}
}

func (w *workload) report(ctx workflow.Context) {
	w.Tell(ctx, migration.MigrationID(w.in.Spec.Plan), mail.SignalPiece, mail.PieceReport{
		Order: w.Stamp(ctx), Piece: migration.PieceStatus{Name: w.in.Workload, Phase: w.Phase, Detail: w.Reason, Copied: w.copied},
	})
}

// Retire removes what Drover made for the workloads of a plan.
func Retire(ctx workflow.Context, spec migration.SpecRef, plan state.Plan) error {
	for _, w := range plan.Workloads {
		l := work.Launch.In(ctx, "retire "+w.Name)
		req := compute.RetireWorkloadRequest{Plan: spec.Plan, Target: plan.Target(w.Target), Workload: w}
		if err := workflow.ExecuteActivity(l, work.Compute.RetireWorkload, req).Get(l, nil); err != nil {
			return err
		}
	}
	return nil
}
