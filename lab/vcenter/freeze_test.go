package vcenter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/nfc"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/vsphere/vmdk"
)

func start(t *testing.T, vms ...VM) (*VCenter, *govmomi.Client) {
	t.Helper()
	v, err := Start(t.Context(), Options{Listen: "127.0.0.1:0", Dir: filepath.Join(t.TempDir(), "store"), VMs: vms, Username: "admin",
		Password: "right"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	c, err := v.client(t.Context())
	require.NoError(t, err)
	return v, c
}

func machineOf(t *testing.T, c *govmomi.Client, name string) *object.VirtualMachine {
	t.Helper()
	finder := find.NewFinder(c.Client)
	dc, err := finder.Datacenter(t.Context(), "DC0")
	require.NoError(t, err)
	vm, err := finder.SetDatacenter(dc).VirtualMachine(t.Context(), "*/"+name)
	if err != nil {
		vm, err = finder.VirtualMachine(t.Context(), name)
	}
	require.NoError(t, err)
	return vm
}

func snap(t *testing.T, vm *object.VirtualMachine, name string) types.ManagedObjectReference {
	t.Helper()
	task, err := vm.CreateSnapshot(t.Context(), name, "", false, false)
	require.NoError(t, err)
	info, err := task.WaitForResult(t.Context())
	require.NoError(t, err)
	return info.Result.(types.ManagedObjectReference)
}

// lease exports a snapshot, or the machine.
func exportOf(ctx context.Context, c *govmomi.Client, vm *object.VirtualMachine,
	snap *types.ManagedObjectReference) (*nfc.Lease, *nfc.LeaseInfo, error) {
	var lease *nfc.Lease
	var err error
	if snap == nil {
		lease, err = vm.Export(ctx)
	} else {
		var res *types.ExportSnapshotResponse
		if res, err = methods.ExportSnapshot(ctx, c, &types.ExportSnapshot{This: *snap}); err == nil {
			lease = nfc.NewLease(c.Client, res.Returnval)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := lease.Wait(ctx, nil)
	return lease, info, err
}

// download answers with the disk's bytes.
func download(ctx context.Context, c *govmomi.Client, u string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	res, err := c.Client.Client.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s", res.Status)
	}
	var out []byte
	size, err := vmdk.Read(res.Body, func(off int64, data []byte) error {
		out = append(out, make([]byte, off-int64(len(out)))...)
		out = append(out, data...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return append(out, make([]byte, size-int64(len(out)))...), nil
}

func whole(t *testing.T, c *govmomi.Client, vm *object.VirtualMachine, snap *types.ManagedObjectReference, disk string) []byte {
	t.Helper()
	lease, info, err := exportOf(t.Context(), c, vm, snap)
	require.NoError(t, err)
	for _, d := range info.DeviceUrl {
		if d.TargetId == disk {
			data, err := download(t.Context(), c, d.Url)
			require.NoError(t, err)
			require.NoError(t, lease.Complete(t.Context()))
			return data
		}
	}
	t.Fatalf("no %s in %v", disk, info.DeviceUrl)
	return nil
}

func TestExactlyTheMachinesAskedFor(t *testing.T) {
	v, c := start(t, VM{Name: "a", DiskBytes: []int64{1 << 20}, Folder: "x/y"}, VM{Name: "b", DiskBytes: []int64{1 << 20}, Off: true})
	require.Equal(t, map[string]bool{"a": true, "b": false}, v.PoweredOn())
	vm := machineOf(t, c, "b")
	require.NoError(t, wait(t.Context(), func() (*object.Task, error) { return vm.PowerOn(t.Context()) }))
	require.Equal(t, map[string]bool{"a": true, "b": true}, v.PoweredOn())
}

func TestNobodyWithoutThePassword(t *testing.T) {
	v, c := start(t, VM{Name: "a", DiskBytes: []int64{1 << 20}})
	u := *v.http.URL
	u.User = nil
	anybody, err := govmomi.NewClient(t.Context(), &u, true)
	require.NoError(t, err) // no login was tried
	_, err = find.NewFinder(anybody.Client).Datacenter(t.Context(), "DC0")
	require.ErrorContains(t, err, "NotAuthenticated")

	file := strings.TrimSuffix(v.URL(), "/sdk") + "/folder/a/a-0-flat.vmdk?dcPath=DC0&dsName=" + datastore
	for _, path := range []string{file, strings.TrimSuffix(v.URL(), "/sdk") + "/nfc/guess/disk-0.vmdk"} {
		_, err = download(t.Context(), anybody, path)
		require.Error(t, err, path)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, file, nil)
	require.NoError(t, err)
	res, err := c.Client.Client.Client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
}

func TestSnapshotsFreeze(t *testing.T) {
	v, c := start(t, VM{Name: "a", DiskBytes: []int64{3<<20 + 512, 1 << 20}})
	vm := machineOf(t, c, "a")
	first := snap(t, vm, "one")
	before := whole(t, c, vm, &first, "disk-0.vmdk")
	require.Len(t, before, 3<<20+512)

	require.NoError(t, v.GuestWrite("a", 0, 64<<10-3, []byte("across two blocks")))
	require.NoError(t, v.GuestWrite("a", 0, 3<<20+500, []byte("the very end")))
	require.Error(t, v.GuestWrite("a", 0, 3<<20+501, []byte("the very end")))
	second := snap(t, vm, "two")
	require.NoError(t, v.GuestWrite("a", 0, 0, []byte("later")))

	after := bytes.Clone(before)
	copy(after[64<<10-3:], "across two blocks")
	copy(after[3<<20+500:], "the very end")
	require.Equal(t, before, whole(t, c, vm, &first, "disk-0.vmdk"))
	require.Equal(t, after, whole(t, c, vm, &second, "disk-0.vmdk"))

	remove := func(name string) {
		require.NoError(t, wait(t.Context(), func() (*object.Task,
			error) {
			return vm.RemoveSnapshot(t.Context(), name, false, types.NewBool(true))
		}))
	}
	remove("one")
	require.Equal(t, after, whole(t, c, vm, &second, "disk-0.vmdk"))
	_, _, err := exportOf(t.Context(), c, vm, &first)
	require.Error(t, err)
	remove("two")

	_, _, err = exportOf(t.Context(), c, vm, nil)
	require.ErrorContains(t, err, "InvalidPowerState")
	require.NoError(t, wait(t.Context(), func() (*object.Task, error) { return vm.PowerOff(t.Context()) }))
	copy(after, "later")
	require.Equal(t, after, whole(t, c, vm, nil, "disk-0.vmdk"))

	sum := sha256.Sum256(after)
	last := v.Exports()[len(v.Exports())-1]
	require.Equal(t, Export{VM: "a", Disk: 2000, SHA256: hex.EncodeToString(sum[:]), Bytes: 3<<20 + 512}, last)
	require.Len(t, v.ExportDigests()["a/2000"], 5)
	require.Zero(t, v.OpenLeases())
}

func TestChanges(t *testing.T) {
	v, c := start(t, VM{Name: "a", DiskBytes: []int64{40 << 20}})
	vm := machineOf(t, c, "a")
	first := snap(t, vm, "one")
	require.NoError(t, v.GuestWrite("a", 0, 39<<20, []byte("x")))
	require.NoError(t, v.GuestWrite("a", 0, 1<<20, []byte("x")))
	second := snap(t, vm, "two")
	require.NoError(t, v.GuestWrite("a", 0, 1<<20, []byte("y"))) // again: still changed since the first
	_ = first
	var at []int64
	for off := int64(0); off < 40<<20; {
		res, err := methods.QueryChangedDiskAreas(t.Context(), c,
			&types.QueryChangedDiskAreas{This: vm.Reference(), Snapshot: &second, DeviceKey: 2000, StartOffset: off,
				ChangeId: v.disksOf(vm.Reference())[0].changeID(1)})
		require.NoError(t, err)
		for _, a := range res.Returnval.ChangedArea {
			at = append(at, a.Start)
		}
		off = res.Returnval.StartOffset + res.Returnval.Length
	}
	require.Equal(t, []int64{1 << 20, 39 << 20}, at)
	_, err := methods.QueryChangedDiskAreas(t.Context(), c,
		&types.QueryChangedDiskAreas{This: vm.Reference(), DeviceKey: 2000, ChangeId: "another/1"})
	require.Error(t, err)
}

func TestALeaseThatNobodyReportsOnEnds(t *testing.T) {
	v, err := Start(t.Context(), Options{Listen: "127.0.0.1:0", VMs: []VM{{Name: "a", DiskBytes: []int64{1 << 20}}}, Username: "admin",
		Password: "right", LeaseTimeout: time.Second})
	require.NoError(t, err)
	defer v.Close()
	c, err := v.client(t.Context())
	require.NoError(t, err)
	vm := machineOf(t, c, "a")
	s := snap(t, vm, "one")
	_, info, err := exportOf(t.Context(), c, vm, &s)
	require.NoError(t, err)
	require.EventuallyWithT(t, func(got *assert.CollectT) {
		_, err := download(t.Context(), c, info.DeviceUrl[0].Url)
		require.ErrorContains(got, err, "404")
	}, 5*time.Second, 50*time.Millisecond)
}

func TestClosedLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	t.Setenv("TMPDIR", t.TempDir())
	v, err := Start(t.Context(), Options{Listen: "127.0.0.1:0", Dir: dir, VMs: []VM{{Name: "a", DiskBytes: []int64{1 << 20}}},
		Username: "u", Password: "p"})
	require.NoError(t, err)
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.Empty(t, left)
	_, err = Start(t.Context(), Options{Listen: v.http.URL.Host, Dir: filepath.Join(t.TempDir(), "x")})
	require.ErrorContains(t, err, "address already in use")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "somebody-elses"), nil, 0o600))
	require.NoError(t, v.Close())
	left, err = os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, "somebody-elses", left[0].Name())
}

// TestTogether is for -race: everything at once on one machine.
func TestTogether(t *testing.T) {
	v, c := start(t, VM{Name: "a", DiskBytes: []int64{2 << 20}}, VM{Name: "b", DiskBytes: []int64{1 << 20}})
	a, b := machineOf(t, c, "a"), machineOf(t, c, "b")
	kept := snap(t, a, "frozen")
	before := whole(t, c, a, &kept, "disk-0.vmdk")
	var all sync.WaitGroup
	errs := make(chan error, 100)
	try := func(times int, f func(i int) error) {
		all.Go(func() {
			for i := range times {
				if err := f(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	ctx := t.Context()
	try(300, func(i int) error { return v.GuestWrite("a", 0, int64(i)*4096, []byte("some bytes")) })
	for range 3 {
		try(3, func(int) error {
			other, err := v.client(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = other.Logout(ctx) }()
			lease, info, err := exportOf(ctx, other, a, &kept)
			if err != nil {
				return err
			}
			data, err := download(ctx, other, info.DeviceUrl[0].Url)
			if err == nil && !bytes.Equal(data, before) {
				err = fmt.Errorf("the frozen disk has changed")
			}
			if err == nil {
				err = lease.Complete(ctx)
			}
			return err
		})
	}
	try(5, func(i int) error {
		name := fmt.Sprintf("other-%d", i)
		if err := wait(ctx, func() (*object.Task, error) { return a.CreateSnapshot(ctx, name, "", false, false) }); err != nil {
			return err
		}
		return wait(ctx, func() (*object.Task, error) { return a.RemoveSnapshot(ctx, name, false, nil) })
	})
	try(5, func(int) error {
		if err := wait(ctx, func() (*object.Task, error) { return b.PowerOff(ctx) }); err != nil {
			return err
		}
		return wait(ctx, func() (*object.Task, error) { return b.PowerOn(ctx) })
	})
	try(50, func(int) error { v.PoweredOn(); v.Exports(); return nil })
	all.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.NoError(t, wait(ctx, func() (*object.Task, error) { return a.RemoveSnapshot(ctx, "frozen", false, nil) }))
	d := v.disksOf(a.Reference())[0]
	now, err := io.ReadAll(&frozen{d: d})
	require.NoError(t, err)
	require.NotEqual(t, before, now)
	require.Contains(t, string(now[299*4096:]), "some bytes")
}
