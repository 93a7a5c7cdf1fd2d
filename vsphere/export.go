package vsphere

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/nfc"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/vsphere/vmdk"
)

// leaseBeat is well below the five minutes after which vCenter ends a lease that nobody reports on.
const leaseBeat = 10 * time.Second

// Grains hands the disk's parts that are not zero to emit, from the beginning to the end, and answers with its capacity in bytes. The
// data is valid until emit returns.
type Grains = func(emit func(off int64, data []byte) error) (capacity int64, err error)

// ExportDisks reads the disks of a machine's snapshot, one after the other, over an NFC lease that is kept alive meanwhile. A lease that
// is broken off is aborted, and the next export has its own.
func (s *Session) ExportDisks(ctx context.Context, vm migration.VM, snapshot string, each func(ctx context.Context, disk migration.Disk, grains func(emit func(off int64, data []byte) error) (capacity int64, err error)) error) error {
	res, err := methods.ExportSnapshot(ctx, s, &types.ExportSnapshot{This: types.ManagedObjectReference{Type: "VirtualMachineSnapshot", Value: snapshot}})
	if err != nil {
		return fmt.Errorf("export snapshot of VM %q: %w", vm.Name, err)
	}
	lease := nfc.NewLease(s.Client, res.Returnval)
	info, err := lease.Wait(ctx, nil)
	if err != nil {
		return fmt.Errorf("export snapshot of VM %q: %w", vm.Name, err)
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	var percent atomic.Int32
	go s.keepLease(run, lease, &percent)
	n := 0
	for _, d := range info.DeviceUrl {
		if d.Disk != nil && !*d.Disk {
			continue
		}
		if n >= len(vm.Disks) {
			err = fmt.Errorf("export of VM %q: vCenter offers more disks than the inventory had: take the inventory again", vm.Name)
			break
		}
		disk := vm.Disks[n]
		n++
		if err = each(ctx, disk, s.grains(ctx, vm, disk, d)); err != nil {
			break
		}
		percent.Store(int32(100 * n / len(vm.Disks)))
	}
	if err == nil && n != len(vm.Disks) {
		err = fmt.Errorf("export of VM %q: vCenter offers %d disks, the inventory had %d: take the inventory again", vm.Name, n, len(vm.Disks))
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err != nil {
		_ = lease.Abort(end, nil) // it ends by itself too
		return err
	}
	if err := lease.Complete(end); err != nil {
		return fmt.Errorf("end the export of VM %q: %w", vm.Name, err)
	}
	return nil
}

// keepLease reports progress until the export is over: a lease without reports is ended.
func (s *Session) keepLease(ctx context.Context, lease *nfc.Lease, percent *atomic.Int32) {
	tick := time.NewTicker(leaseBeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = lease.Progress(ctx, percent.Load()) // one that is lost is seen by the download
		}
	}
}

// grains downloads one device of a lease.
func (s *Session) grains(ctx context.Context, vm migration.VM, disk migration.Disk, d types.HttpNfcLeaseDeviceUrl) Grains {
	return func(emit func(off int64, data []byte) error) (int64, error) {
		u, err := url.Parse(d.Url)
		if err != nil {
			return 0, fmt.Errorf("VM %q, %s: vCenter names a strange address: %w", vm.Name, disk.Label, err)
		}
		if u.Hostname() == "*" { // the host that answered us
			u.Host = s.URL().Host
		}
		if d.SslThumbprint != "" {
			s.SetThumbprint(u.Host, d.SslThumbprint)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return 0, err
		}
		var capacity int64
		err = s.Do(ctx, req, func(res *http.Response) error {
			if res.StatusCode != http.StatusOK {
				return fmt.Errorf("the host answered %s", res.Status)
			}
			var err error
			capacity, err = vmdk.Read(res.Body, emit)
			if err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
			}
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("read %s of VM %q: %w", disk.Label, vm.Name, err)
		}
		return capacity, nil
	}
}
