package compute

import (
	"context"

	engine "github.com/drover-migration/drover/compute"
	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
)

// Activities are the Temporal activities of images, instances and services. Each can run twice, at
// once, or be cut off after its effect and before its answer, and there is one of each thing: the
// engine finds what it made.
type Activities struct{ maker *engine.Maker }

// New builds the activities.
func New(maker *engine.Maker) *Activities { return &Activities{maker: maker} }

// CheckComputeRequest names a target and the workloads that move to it.
type CheckComputeRequest struct {
	Target    migration.Target     `json:"target"`
	Workloads []migration.Workload `json:"workloads"`
}

// CheckComputeResult is what was found.
type CheckComputeResult struct {
	Findings []migration.Finding `json:"findings,omitempty"`
}

// CheckCompute says what the workloads lack in their target. It writes nothing.
func (a *Activities) CheckCompute(ctx context.Context, req CheckComputeRequest) (CheckComputeResult, error) {
	found, err := a.maker.Check(ctx, req.Target, req.Workloads)
	return CheckComputeResult{Findings: found}, err
}

// RegisterImageRequest names the disks of a VM as they stand in EBS. It boots from the one that its
// boot order names, else from the first.
type RegisterImageRequest struct {
	Plan     string                `json:"plan"`
	Target   migration.Target      `json:"target"`
	Workload migration.Workload    `json:"workload"`
	VM       migration.VM          `json:"vm"`
	Disks    []migration.DiskImage `json:"disks"`
}

// Image is an AMI.
type Image struct {
	ID string `json:"id"`
}

// RegisterImage finds or makes an AMI of replicated disks and waits until it can be launched.
func (a *Activities) RegisterImage(ctx context.Context, req RegisterImageRequest) (Image, error) {
	say, stop := heartbeat.Saying[string](ctx)
	defer stop()
	id, err := a.maker.RegisterImage(ctx, engine.ImageRequest(req), say)
	return Image{ID: id}, err
}

// LaunchInstanceRequest names the image that a VM was made into.
type LaunchInstanceRequest struct {
	Plan     string             `json:"plan"`
	Target   migration.Target   `json:"target"`
	Workload migration.Workload `json:"workload"`
	VM       migration.VM       `json:"vm"`
	Image    string             `json:"image"`
}

// Instance is a running EC2 instance.
type Instance struct {
	ID        string `json:"id"`
	PrivateIP string `json:"privateIp"`
	Type      string `json:"type"`
}

// LaunchInstance finds or launches the instance of a VM and waits until it runs and passes EC2's
// status checks.
func (a *Activities) LaunchInstance(ctx context.Context, req LaunchInstanceRequest) (Instance, error) {
	say, stop := heartbeat.Saying[string](ctx)
	defer stop()
	got, err := a.maker.LaunchInstance(ctx, engine.LaunchRequest(req), say)
	return Instance(got), err
}

// FindInstanceRequest names a VM of a workload.
type FindInstanceRequest struct {
	Plan     string             `json:"plan"`
	Target   migration.Target   `json:"target"`
	Workload migration.Workload `json:"workload"`
	VM       migration.VM       `json:"vm"`
}

// FindInstanceResult is the instance that a VM has already; the zero value: it has none.
type FindInstanceResult struct {
	Instance Instance `json:"instance"`
	Image    string   `json:"image"`            // that it was launched from
	Others   []string `json:"others,omitempty"` // ids of younger ones, where there is more than one
}

// FindInstance finds the living instance of a VM, from whatever image it was launched, and waits
// until it runs and passes EC2's status checks. It changes nothing.
func (a *Activities) FindInstance(ctx context.Context, req FindInstanceRequest) (FindInstanceResult, error) {
	say, stop := heartbeat.Saying[string](ctx)
	defer stop()
	got, err := a.maker.FindInstance(ctx, engine.Machine(req), say)
	return FindInstanceResult{Instance: Instance(got.Instance), Image: got.Image, Others: got.Others}, err
}

// EnsureServiceRequest names a Fargate workload and, where it has an ingress, the target group its
// tasks join.
type EnsureServiceRequest struct {
	Plan        string             `json:"plan"`
	Target      migration.Target   `json:"target"`
	Workload    migration.Workload `json:"workload"`
	TargetGroup string             `json:"targetGroup,omitempty"`
}

// Service is a Fargate service.
type Service struct {
	ARN            string `json:"arn"`
	TaskDefinition string `json:"taskDefinition"`
}

// EnsureService makes the workload's service run what the plan says. Twice, it finds it so and
// writes nothing.
func (a *Activities) EnsureService(ctx context.Context, req EnsureServiceRequest) (Service, error) {
	got, err := a.maker.EnsureService(ctx, engine.ServiceRequest(req))
	return Service(got), err
}

// AwaitServiceRequest names a service by its ARN.
type AwaitServiceRequest struct {
	Plan     string             `json:"plan"`
	Target   migration.Target   `json:"target"`
	Workload migration.Workload `json:"workload"`
	Service  string             `json:"service"`
}

// ServiceState is a service in its steady state.
type ServiceState struct {
	Addresses []string `json:"addresses"` // private, of its running tasks
}

// AwaitService waits until the service is steady. It only reads.
func (a *Activities) AwaitService(ctx context.Context, req AwaitServiceRequest) (ServiceState, error) {
	say, stop := heartbeat.Saying[string](ctx)
	defer stop()
	addresses, err := a.maker.AwaitService(ctx, engine.ServiceRef(req), say)
	return ServiceState{Addresses: addresses}, err
}

// RetireWorkloadRequest names the workload whose machines or service go.
type RetireWorkloadRequest struct {
	Plan     string             `json:"plan"`
	Target   migration.Target   `json:"target"`
	Workload migration.Workload `json:"workload"`
}

// RetireWorkload takes away what Drover made for the workload, and nothing else. What is gone
// already is no error.
func (a *Activities) RetireWorkload(ctx context.Context, req RetireWorkloadRequest) error {
	return a.maker.Retire(ctx, engine.Placed(req))
}

// SurveyRequest names a plan in a target.
type SurveyRequest struct {
	Plan      string               `json:"plan"`
	Target    migration.Target     `json:"target"`
	Workloads []migration.Workload `json:"workloads"`
	Copying   bool                 `json:"copying,omitempty"` // copies of disks are under way
	// Remove has what is found to be left over taken away first: images and snapshots.
	Remove bool `json:"remove,omitempty"`
}

// SurveyResult is what the plan has in the target.
type SurveyResult struct {
	Things  []migration.Thing `json:"things,omitempty"`
	Removed []string          `json:"removed,omitempty"`
}

// SurveyTarget lists what Drover made for the plan in a target. It changes nothing unless it is
// asked to remove, and then nothing that is in use. Run twice it finds nothing more to remove.
func (a *Activities) SurveyTarget(ctx context.Context, req SurveyRequest) (out SurveyResult, err error) {
	say, stop := heartbeat.Saying[string](ctx)
	defer stop()
	say("listing what plan " + req.Plan + " has in target " + req.Target.Name)
	look := func() ([]migration.Thing, error) {
		return a.maker.Survey(ctx, req.Plan, req.Target, req.Workloads, engine.Copying(req.Copying))
	}
	if out.Things, err = look(); err != nil || !req.Remove {
		return out, err
	}
	if out.Removed, err = a.maker.RemoveLeft(ctx, req.Target, out.Things); err != nil {
		return out, err
	}
	out.Things, err = look()
	return out, err
}

// RetireCopiesRequest names a plan in a target.
type RetireCopiesRequest struct {
	Plan   string           `json:"plan"`
	Target migration.Target `json:"target"`
}

// RetireCopies deletes the plan's copies of disks in a target. What is gone already is no error.
func (a *Activities) RetireCopies(ctx context.Context, req RetireCopiesRequest) error {
	say, stop := heartbeat.Saying[string](ctx)
	defer stop()
	say("deleting the copies of disks")
	return a.maker.RetireCopies(ctx, req.Plan, req.Target)
}
