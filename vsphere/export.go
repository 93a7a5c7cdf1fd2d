package vsphere

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/nfc"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/vsphere/vmdk"
)

// leaseBeat is how often a lease is reported on at most; vCenter ends one that nobody reports on
// for its time-out, usually five minutes.
const leaseBeat = 10 * time.Second

// ErrInventoryStale says that a machine's disks are not those that the inventory saw.
var ErrInventoryStale = errors.New("the machine's disks have changed since the inventory: take it again")

// Grains hands the disk's parts that are not zero to emit, from the beginning to the end, and
// answers with its capacity in bytes. The data is valid until emit returns.
type Grains = func(emit func(off int64, data []byte) error) (capacity int64, err error)

// ExportDisks reads the disks of a machine's snapshot, in the order of vm.Disks, over one NFC lease
// that is kept alive meanwhile. An empty snapshot reads the machine itself, which is powered off
// then. A lease that is broken off is aborted, and the next export has its own. It waits while too
// many exports run on the machine's host. A snapshot that is past its limits is ErrSnapshotSpent,
// also in the middle.
func (s *Session) ExportDisks(ctx context.Context, vm migration.VM, snapshot string,
	each func(ctx context.Context, disk migration.Disk,
		grains func(emit func(off int64, data []byte) error) (capacity int64, err error)) error) (err error) {
	run, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer func() {
		if cause := context.Cause(run); err != nil && ctx.Err() == nil && cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w (%w)", err, cause)
		}
	}()
	if snapshot != "" {
		if err := s.spent(ctx, vm, snapshot); errors.Is(err, ErrSnapshotSpent) {
			return fmt.Errorf("export VM %q: %w", vm.Name, err)
		}
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			s.watchSnapshot(run, stop, vm, snapshot)
		}()
		defer func() {
			stop(nil)
			<-watched
		}()
	}
	done, err := s.hosts.enter(run, vm.Host)
	if err != nil {
		return fmt.Errorf("export VM %q: wait for a place on host %s: %w", vm.Name, vm.Host, err)
	}
	defer done()
	there, err := s.layout(ctx, vm, snapshot)
	if err != nil {
		return fmt.Errorf("export VM %q: %w", vm.Name, err)
	}
	at, err := s.lease(ctx, vm, snapshot)
	if err != nil {
		return fmt.Errorf("export VM %q: %w", vm.Name, err)
	}
	lease := nfc.NewLease(s.Client, at)
	defer func() { err = endLease(ctx, lease, vm, err) }()
	info, err := lease.Wait(ctx, nil)
	if err != nil {
		return fmt.Errorf("export VM %q: open its disks: %w", vm.Name, err)
	}
	urls, err := match(vm, there, info.DeviceUrl)
	if err != nil {
		return fmt.Errorf("export VM %q: %w", vm.Name, err)
	}
	var percent atomic.Int32
	go keepLease(run, stop, lease, beatOf(info.LeaseTimeout), &percent)
	for n, d := range vm.Disks {
		if err := each(run, d, s.grains(run, vm, d, urls[n])); err != nil {
			return err
		}
		percent.Store(int32(100 * (n + 1) / len(vm.Disks))) //nolint:gosec // a percentage
	}
	return nil
}

func (s *Session) lease(ctx context.Context, vm migration.VM, snapshot string) (types.ManagedObjectReference, error) {
	if snapshot == "" {
		res, err := methods.ExportVm(ctx, s, &types.ExportVm{This: s.machine(vm).Reference()})
		if err != nil {
			return types.ManagedObjectReference{}, err
		}
		return res.Returnval, nil
	}
	res, err := methods.ExportSnapshot(ctx, s, &types.ExportSnapshot{This: snapshotRef(snapshot)})
	if err != nil {
		return types.ManagedObjectReference{}, fmt.Errorf("%s: %w", snapshot, err)
	}
	return res.Returnval, nil
}

func snapshotRef(id string) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "VirtualMachineSnapshot", Value: id}
}

// endLease completes a lease whose disks were all read, and aborts one that failed, even where the
// caller has been cancelled: the host keeps the disks open until then.
func endLease(ctx context.Context, lease *nfc.Lease, vm migration.VM, failed error) error {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if failed != nil {
		_ = lease.Abort(end, nil) // it ends by itself too
		return failed
	}
	if err := lease.Complete(end); err != nil {
		return fmt.Errorf("end the export of VM %q: %w", vm.Name, err)
	}
	return nil
}

func beatOf(seconds int32) time.Duration {
	if seconds <= 0 {
		return leaseBeat
	}
	return min(leaseBeat, time.Duration(seconds)*time.Second/4)
}

// keepLease reports progress until the export is over. A lease that vCenter has ended ends the
// export.
func keepLease(ctx context.Context, stop context.CancelCauseFunc, lease *nfc.Lease, beat time.Duration, percent *atomic.Int32) {
	each(ctx, beat, func() bool {
		err := lease.Progress(ctx, percent.Load())
		if fault.Is(err, &types.ManagedObjectNotFound{}) || fault.Is(err, &types.Timedout{}) {
			stop(fmt.Errorf("vCenter has ended the lease: %w", err))
			return false
		}
		return true // any other error is a report that is lost, and the next one comes soon
	})
}

// grains downloads one device of a lease.
func (s *Session) grains(ctx context.Context, vm migration.VM, disk migration.Disk, d types.HttpNfcLeaseDeviceUrl) Grains {
	return func(emit func(off int64, data []byte) error) (int64, error) {
		u, err := s.deviceURL(d.Url)
		if err != nil {
			return 0, fmt.Errorf("read %s of VM %q: %w", disk.Label, vm.Name, err)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return 0, fmt.Errorf("read %s of VM %q: %w", disk.Label, vm.Name, err)
		}
		if d.SslThumbprint != "" && address(u) != address(s.URL()) {
			s.SetThumbprint(u.Host, d.SslThumbprint)
		}
		var capacity int64
		err = s.Do(ctx, req, func(res *http.Response) (err error) {
			if res.StatusCode != http.StatusOK {
				return fmt.Errorf("host %s answered %s", u.Host, res.Status)
			}
			capacity, err = vmdk.Read(res.Body, emit)
			if err == nil { // so that the connection can be used again
				_, _ = io.CopyN(io.Discard, res.Body, 1<<20)
			}
			return err
		})
		if err != nil {
			return capacity, fmt.Errorf("read %s of VM %q: %w", disk.Label, vm.Name, err)
		}
		return capacity, nil
	}
}

// deviceURL is where a device is downloaded: "*" stands for the host that answered.
func (s *Session) deviceURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != s.URL().Scheme {
		return nil, fmt.Errorf("vCenter names a strange address: %q", text)
	}
	if u.Hostname() == "*" {
		u.Host = s.URL().Host
	}
	return u, nil
}
