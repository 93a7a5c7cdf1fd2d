package vsphere

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/vsphere"
)

// Sessions gives the session of a site's vCenter.
type Sessions interface {
	Session(ctx context.Context, site migration.Site) (*vsphere.Session, error)
}

// Activities over the sites' vCenters.
type Activities struct {
	sessions Sessions
	log      hclog.Logger
}

// New builds the activities.
func New(sessions Sessions, log hclog.Logger) *Activities {
	return &Activities{sessions: sessions, log: log}
}

// ListVMsRequest selects machines of a site; an empty selector takes all.
type ListVMsRequest struct {
	Site     migration.Site       `json:"site"`
	Selector migration.VMSelector `json:"selector"`
	Use      bool                 `json:"use,omitempty"` // what each used is read, too
}

// ListVMsResult are machines with their findings, by name.
type ListVMsResult struct {
	VMs []migration.VM `json:"vms"`
}

// ListVMs reads the inventory and changes nothing. It heartbeats the number of machines read.
func (a *Activities) ListVMs(ctx context.Context, req ListVMsRequest) (ListVMsResult, error) {
	s, err := a.open(ctx, req.Site)
	if err != nil {
		return ListVMsResult{}, err
	}
	vms, err := s.Inventory(ctx, req.Selector, func(n int) { activity.RecordHeartbeat(ctx, n) })
	if err == nil && req.Use {
		defer beat(ctx)()
		err = s.Measure(ctx, vms)
	}
	return ListVMsResult{VMs: vms}, classify(err)
}

// ListAddressesRequest selects machines of a site: those that any of the selectors takes.
type ListAddressesRequest struct {
	Site      migration.Site         `json:"site"`
	Selectors []migration.VMSelector `json:"selectors"`
}

// ListAddressesResult are the addresses that the machines' guests say, in order.
type ListAddressesResult struct {
	Addresses []string `json:"addresses,omitempty"`
}

// ListAddresses reads where requests of machines come from, and changes nothing. It heartbeats the
// number of machines read.
func (a *Activities) ListAddresses(ctx context.Context, req ListAddressesRequest) (ListAddressesResult, error) {
	s, err := a.open(ctx, req.Site)
	if err != nil {
		return ListAddressesResult{}, err
	}
	var out ListAddressesResult
	for _, sel := range req.Selectors {
		vms, err := s.Inventory(ctx, sel, func(n int) { activity.RecordHeartbeat(ctx, n) })
		if err != nil {
			return ListAddressesResult{}, classify(err)
		}
		for _, vm := range vms {
			if vm.Address != "" {
				out.Addresses = append(out.Addresses, vm.Address)
			}
		}
	}
	slices.Sort(out.Addresses)
	out.Addresses = slices.Compact(out.Addresses)
	return out, nil
}

// RemoveVMSnapshotRequest names one of Drover's snapshots.
type RemoveVMSnapshotRequest struct {
	Site migration.Site `json:"site"`
	VM   migration.VM   `json:"vm"`
	Name string         `json:"name"`
}

// RemoveVMSnapshot removes it; one that is gone is as good. Nobody else's snapshot is touched. Cut
// off, vCenter goes on consolidating, and the next run finds nothing or waits for its turn.
func (a *Activities) RemoveVMSnapshot(ctx context.Context, req RemoveVMSnapshotRequest) error {
	s, err := a.open(ctx, req.Site)
	if err != nil {
		return err
	}
	defer beat(ctx)()
	return classify(s.RemoveSnapshot(ctx, req.VM, req.Name))
}

// ShutdownVMRequest says how long the guest is given, and whether it is stopped hard after that.
type ShutdownVMRequest struct {
	Site     migration.Site     `json:"site"`
	VM       migration.VM       `json:"vm"`
	Timeout  migration.Duration `json:"timeout"`
	HardStop bool               `json:"hardStop"`
	Retired  bool               `json:"retired,omitempty"` // it is off for good: a tag says so (vsphere.Retired)
}

// ShutdownVMResult says why a machine that is off for good has no tag; "": it has, or wants none.
type ShutdownVMResult struct {
	Untagged string `json:"untagged,omitempty"`
}

// tagAttempts is how many attempts at a tag are made, over half a minute. A machine that is off
// stays off without one.
const tagAttempts = 8

// ShutdownVM asks the guest to shut down. Run twice, the second finds it off; cut off while it
// waits, the next asks and waits anew. An error says that the machine may still run, or that its
// tag is tried again; that the tag cannot be made is a part of the answer.
func (a *Activities) ShutdownVM(ctx context.Context, req ShutdownVMRequest) (ShutdownVMResult, error) {
	s, err := a.open(ctx, req.Site)
	if err != nil {
		return ShutdownVMResult{}, err
	}
	defer beat(ctx)()
	if err := s.Shutdown(ctx, req.VM, req.Timeout.D(), req.HardStop); err != nil || !req.Retired {
		return ShutdownVMResult{}, classify(err)
	}
	err = classify(s.MarkRetired(ctx, req.VM))
	var app *temporal.ApplicationError
	last := activity.GetInfo(ctx).Attempt >= tagAttempts || errors.As(err, &app) && app.NonRetryable()
	if err != nil && last && ctx.Err() == nil {
		return ShutdownVMResult{Untagged: err.Error()}, nil
	}
	return ShutdownVMResult{}, err
}

// PowerOnVMRequest names a machine.
type PowerOnVMRequest struct {
	Site migration.Site `json:"site"`
	VM   migration.VM   `json:"vm"`
}

// PowerOnVM starts it. Run twice, the second finds it on.
func (a *Activities) PowerOnVM(ctx context.Context, req PowerOnVMRequest) error {
	s, err := a.open(ctx, req.Site)
	if err != nil {
		return err
	}
	defer beat(ctx)()
	return classify(s.PowerOn(ctx, req.VM))
}

func (a *Activities) open(ctx context.Context, site migration.Site) (*vsphere.Session, error) {
	s, err := a.sessions.Session(ctx, site)
	return s, classify(err)
}

// beatEvery is well below the time after which a worker that does not heartbeat counts as lost.
const beatEvery = 5 * time.Second

// beat heartbeats until the returned function is called, after a cancel too: consolidating a
// snapshot takes as long as the guest wrote.
func beat(ctx context.Context) (stop func()) {
	return heartbeat.Beside(context.WithoutCancel(ctx), beatEvery, func() { activity.RecordHeartbeat(ctx) })
}

// MadeSnapshotsRequest names a plan at a site.
type MadeSnapshotsRequest struct {
	Plan   string         `json:"plan"`
	Site   migration.Site `json:"site"`
	Remove bool           `json:"remove,omitempty"` // all of them
}

// MadeSnapshotsResult are the snapshots that stand, and those that were removed.
type MadeSnapshotsResult struct {
	Things  []migration.Thing `json:"things,omitempty"`
	Removed []string          `json:"removed,omitempty"`
}

// SnapshotName is that of the snapshots from which a plan's disks are copied.
func SnapshotName(plan string) string { return "drover-" + plan }

// MadeSnapshots lists the snapshots that Drover made at a site for a plan, and with remove takes
// them away: nobody else's is touched. Run twice it finds none. No copy may be under way then.
func (a *Activities) MadeSnapshots(ctx context.Context, req MadeSnapshotsRequest) (out MadeSnapshotsResult, err error) {
	s, err := a.open(ctx, req.Site)
	if err != nil {
		return out, err
	}
	defer beat(ctx)()
	made, err := s.MadeSnapshots(ctx, SnapshotName(req.Plan))
	if err != nil {
		return out, classify(err)
	}
	for _, m := range made {
		if !req.Remove {
			out.Things = append(out.Things, migration.Thing{Kind: "VM snapshot", ID: m.Snapshot, Of: "VM " + m.VM.Name,
				Where: "site " + req.Site.Name})
			continue
		}
		if err := s.RemoveSnapshot(ctx, m.VM, m.Snapshot); err != nil {
			return out, classify(err)
		}
		out.Removed = append(out.Removed, "snapshot "+m.Snapshot+" of VM "+m.VM.Name)
	}
	return out, nil
}
