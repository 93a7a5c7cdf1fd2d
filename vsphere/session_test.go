package vsphere_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/lab/vcenter"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/vsphere"
)

func start(t *testing.T, o vcenter.Options) (*vcenter.VCenter, migration.VSphere) {
	t.Helper()
	o.Listen, o.Dir, o.Username, o.Password = "127.0.0.1:0", t.TempDir(), "admin", "right"
	v, err := vcenter.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, v.CAPEM(), 0o600))
	return v, migration.VSphere{URL: v.URL(), Datacenter: "DC0", Credentials: "env://VSPHERE", CAFile: ca}
}

func connect(t *testing.T, conf migration.VSphere) *vsphere.Session {
	t.Helper()
	s, err := vsphere.Connect(t.Context(), conf, "admin", "right")
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func list(t *testing.T, s *vsphere.Session) []migration.VM {
	t.Helper()
	vms, err := s.Inventory(t.Context(), migration.VMSelector{}, nil)
	require.NoError(t, err)
	return vms
}

func small(name string, disks ...int64) vcenter.VM {
	if disks == nil {
		disks = []int64{1 << 20}
	}
	return vcenter.VM{Name: name, CPUs: 1, MemoryMB: 512, DiskBytes: disks}
}

// another is a thumbprint that differs in its first byte.
func another(print string) string {
	if strings.HasPrefix(print, "00") {
		return "FF" + print[2:]
	}
	return "00" + print[2:]
}

func TestWhoIsTrusted(t *testing.T) {
	v, conf := start(t, vcenter.Options{})
	ca := conf.CAFile
	for name, c := range map[string]struct {
		ca, print, wrong string
	}{
		"authority":              {ca: ca},
		"nobody":                 {wrong: "give the site's caFile or thumbprint"},
		"SHA-256":                {print: v.Thumbprint()},
		"SHA-256, small letters": {print: strings.ToLower(v.Thumbprint())},
		"SHA-1":                  {print: v.ThumbprintSHA1()},
		"another SHA-256":        {print: another(v.Thumbprint()), wrong: "is expected"},
		"another SHA-1":          {print: another(v.ThumbprintSHA1()), wrong: "is expected"},
		"thumbprint over CA":     {ca: ca, print: another(v.Thumbprint()), wrong: "is expected"},
		"no thumbprint":          {print: "AB:CD", wrong: "neither a SHA-1 nor a SHA-256"},
		"no file":                {ca: "/nowhere/ca.pem", wrong: "/nowhere/ca.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			conf := conf
			conf.CAFile, conf.Thumbprint = c.ca, c.print
			s, err := vsphere.Connect(t.Context(), conf, "admin", "right")
			if c.wrong != "" {
				require.ErrorContains(t, err, c.wrong)
				require.ErrorIs(t, err, vsphere.ErrUntrusted)
				return
			}
			require.NoError(t, err)
			s.Close()
		})
	}
}

func TestSessionsThatAreLostAreRenewedOnce(t *testing.T) {
	v, conf := start(t, vcenter.Options{VMs: []vcenter.VM{small("a"), small("b")}})
	s := connect(t, conf)
	require.Len(t, list(t, s), 2)
	require.NoError(t, v.DropSessions(t.Context()))
	var all sync.WaitGroup
	errs := make(chan error, 10)
	for range 10 {
		all.Go(func() {
			_, err := methods.GetCurrentTime(t.Context(), s)
			errs <- err
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, 1, sessions(t, s))
	require.Len(t, list(t, s), 2)
}

// sessions are how many vCenter has, that of the caller among them.
func sessions(t *testing.T, s *vsphere.Session) int {
	t.Helper()
	var sm mo.SessionManager
	require.NoError(t, property.DefaultCollector(s.Client).RetrieveOne(t.Context(), *s.ServiceContent.SessionManager,
		[]string{"sessionList"}, &sm))
	return len(sm.SessionList)
}

// vCenter ends a session after thirty idle minutes.
func TestASessionThatNobodyUsesStaysAlive(t *testing.T) {
	require.Less(t, vsphere.KeepAlive, 15*time.Minute, "one call may fail")
	v, conf := start(t, vcenter.Options{})
	watcher := connect(t, conf)
	idle, err := vsphere.ConnectKeeping(t.Context(), conf, "admin", "right", 5*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, 2, sessions(t, watcher))
	require.NoError(t, v.DropSessions(t.Context()))
	require.Eventually(t, func() bool { return sessions(t, watcher) == 2 }, 10*time.Second, 5*time.Millisecond,
		"a call that keeps it alive finds it gone, and opens it again")
	idle.Close()
	require.NoError(t, v.DropSessions(t.Context()))
	for range 20 {
		require.Equal(t, 1, sessions(t, watcher), "closed, it is not opened again")
	}
}

// TestWaitsOnOneSession: many tasks at once, as several machines are replicated.
func TestWaitsOnOneSession(t *testing.T) {
	var machines []vcenter.VM
	for i := range 6 {
		machines = append(machines, small(fmt.Sprintf("vm-%d", i)))
	}
	_, conf := start(t, vcenter.Options{VMs: machines})
	s := connect(t, conf)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var all sync.WaitGroup
	errs := make(chan error, 100)
	for _, vm := range list(t, s) {
		all.Go(func() {
			for range 4 {
				_, err := s.Snapshot(ctx, vm, "drover-x")
				errs <- errors.Join(err, s.RemoveSnapshot(ctx, vm, "drover-x"), s.Shutdown(ctx, vm, 20*time.Second, false),
					s.PowerOn(ctx, vm))
			}
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

type secrets struct {
	mu   sync.Mutex
	text string
}

func (s *secrets) Resolve(context.Context, migration.SecretRef) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text, nil
}

func TestPool(t *testing.T) {
	_, conf := start(t, vcenter.Options{})
	known := &secrets{text: `not JSON, but s3cret`}
	p := vsphere.NewPool(known, hclog.NewNullLogger())
	defer p.Close()
	site := migration.Site{Name: "dc1", VSphere: &conf}
	_, err := p.Session(t.Context(), site)
	require.ErrorContains(t, err, "env://VSPHERE is not JSON")
	require.NotContains(t, err.Error(), "s3cret")
	known.text = `{"username":"admin","password":"wr0ng"}`
	_, err = p.Session(t.Context(), site)
	require.ErrorIs(t, err, vsphere.ErrCredentials)
	require.NotContains(t, err.Error(), "wr0ng")
	known.text = `{"username":"admin","password":"right"}`
	first, err := p.Session(t.Context(), site)
	require.NoError(t, err)
	second, err := p.Session(t.Context(), site)
	require.NoError(t, err)
	require.Same(t, first, second)
	_, err = p.Session(t.Context(), migration.Site{Name: "dc2"})
	require.ErrorContains(t, err, `"dc2" has no vsphere`)
}

// A session outlives the password that it was opened with; the inventory's tags are read with the
// password each time.
func TestAPasswordThatIsRotatedIsRefusedOnceAndThenReadAnew(t *testing.T) {
	v, conf := start(t, vcenter.Options{VMs: []vcenter.VM{small("a")}})
	known := &secrets{text: `{"username":"admin","password":"right"}`}
	p := vsphere.NewPool(known, hclog.NewNullLogger())
	defer p.Close()
	now := time.Now()
	p.At(func() time.Time { return now })
	site := migration.Site{Name: "dc1", VSphere: &conf}
	inventory := func() error {
		s, err := p.Session(t.Context(), site)
		if err == nil {
			_, err = s.Inventory(t.Context(), migration.VMSelector{}, nil)
		}
		return err
	}
	require.NoError(t, inventory())
	old, err := p.Session(t.Context(), site)
	require.NoError(t, err)
	v.SetPassword("rotated")
	var all sync.WaitGroup
	errs := make(chan error, 8)
	for range 8 {
		all.Go(func() {
			_, err := old.Inventory(t.Context(), migration.VMSelector{}, nil)
			errs <- err
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		require.ErrorIs(t, err, vsphere.ErrCredentials)
		require.ErrorContains(t, err, "correct the secret env://VSPHERE")
	}
	for range 8 {
		require.ErrorIs(t, inventory(), vsphere.ErrCredentials)
	}
	require.Equal(t, 1, v.Refused(), "eight at once and eight after them ask vCenter once")

	known.text = `{"username":"admin","password":"rotated"}`
	require.NoError(t, inventory())
	require.Equal(t, 1, v.Refused())
	_, err = methods.GetCurrentTime(t.Context(), old)
	require.NoError(t, err, "a copy that reads by the old session goes on")
}

func TestARefusedSecretIsTriedAgainWhenTheAccountMayHaveBeenMended(t *testing.T) {
	v, conf := start(t, vcenter.Options{})
	p := vsphere.NewPool(&secrets{text: `{"username":"admin","password":"later"}`}, hclog.NewNullLogger())
	defer p.Close()
	now := time.Now()
	p.At(func() time.Time { return now })
	site := migration.Site{Name: "dc1", VSphere: &conf}
	for range 5 {
		_, err := p.Session(t.Context(), site)
		require.ErrorIs(t, err, vsphere.ErrCredentials)
	}
	require.Equal(t, 1, v.Refused())
	v.SetPassword("later")
	now = now.Add(5*time.Minute - time.Second)
	_, err := p.Session(t.Context(), site)
	require.ErrorContains(t, err, "it is not tried again before "+now.Add(time.Second).UTC().Format("15:04:05"))
	now = now.Add(time.Second)
	_, err = p.Session(t.Context(), site)
	require.NoError(t, err)
}

func TestInventoryPages(t *testing.T) {
	var machines []vcenter.VM
	for i := range 12 {
		machines = append(machines, vcenter.VM{Name: fmt.Sprintf("vm-%03d", i), CPUs: 1, MemoryMB: 64, DiskBytes: []int64{512},
			Folder: "deep/er"})
	}
	_, conf := start(t, vcenter.Options{VMs: machines})
	var pages []int
	s := connect(t, conf)
	s.PageBy(5)
	vms, err := s.Inventory(t.Context(), migration.VMSelector{Folder: "deep"}, func(n int) { pages = append(pages, n) })
	require.NoError(t, err)
	require.Equal(t, []int{5, 10, 12}, pages)
	require.Len(t, vms, 12)
	require.Equal(t, "vm-000", vms[0].Name)
	require.Equal(t, "deep/er", vms[0].Folder)
}

func TestAwkwardMachines(t *testing.T) {
	lost, template := small("lost"), small("template")
	lost.Awkward = func(m *mo.VirtualMachine) {
		m.Runtime.ConnectionState = types.VirtualMachineConnectionStateDisconnected
	}
	template.Off, template.Awkward = true, func(m *mo.VirtualMachine) { m.Config.Template = true }
	shared := small("shared")
	shared.NoTools, shared.Untracked, shared.Firmware = true, true, "efi"
	shared.Awkward = func(m *mo.VirtualMachine) {
		m.Config.KeyId = &types.CryptoKeyId{KeyId: "k"}
		m.Config.Hardware.Device = append(m.Config.Hardware.Device, &types.VirtualTPM{})
		for _, d := range m.Config.Hardware.Device {
			if vd, ok := d.(*types.VirtualDisk); ok {
				vd.Backing.(*types.VirtualDiskFlatVer2BackingInfo).Sharing = "sharingMultiWriter"
			}
		}
	}
	_, conf := start(t, vcenter.Options{VMs: []vcenter.VM{lost, shared, template}})
	got := map[string][]string{}
	for _, vm := range list(t, connect(t, conf)) {
		for _, f := range vm.Findings {
			got[vm.Name] = append(got[vm.Name], f.Check)
		}
	}
	require.Equal(t, map[string][]string{
		"lost": {"vm-disconnected"}, "template": {"vm-template"},
		"shared": {"disk-shared", "vm-encrypted", "change-tracking-off", "vtpm", "efi", "tools-not-running"},
	}, got)
}

func TestTheDiskThatAMachineBootsFrom(t *testing.T) {
	plain, second := small("plain", 1<<20, 1<<20), small("second", 1<<20, 1<<20)
	var key int32
	second.Awkward = func(m *mo.VirtualMachine) {
		for _, d := range m.Config.Hardware.Device {
			if disk, ok := d.(*types.VirtualDisk); ok {
				key = disk.Key // the last
			}
		}
		m.Config.BootOptions = &types.VirtualMachineBootOptions{BootOrder: []types.BaseVirtualMachineBootOptionsBootableDevice{
			&types.VirtualMachineBootOptionsBootableCdromDevice{}, &types.VirtualMachineBootOptionsBootableDiskDevice{DeviceKey: key},
			&types.VirtualMachineBootOptionsBootableDiskDevice{DeviceKey: 1},
		}}
	}
	_, conf := start(t, vcenter.Options{VMs: []vcenter.VM{plain, second}})
	got := map[string]int32{}
	for _, vm := range list(t, connect(t, conf)) {
		require.Len(t, vm.Disks, 2)
		got[vm.Name] = vm.BootDisk
	}
	require.Equal(t, map[string]int32{"plain": 0, "second": key}, got)
}

func TestOnlyOurSnapshotsAreTouched(t *testing.T) {
	_, conf := start(t, vcenter.Options{VMs: []vcenter.VM{small("a")}})
	s := connect(t, conf)
	vm := list(t, s)[0]
	create := func(name string) {
		res, err := methods.CreateSnapshot_Task(t.Context(), s,
			&types.CreateSnapshot_Task{This: types.ManagedObjectReference{Type: "VirtualMachine", Value: vm.Ref}, Name: name,
				Description: "by hand"})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			var task mo.Task
			return property.DefaultCollector(s.Client).RetrieveOne(t.Context(), res.Returnval, []string{"info"}, &task) == nil &&
				task.Info.State == types.TaskInfoStateSuccess
		}, 5*time.Second, 5*time.Millisecond)
	}
	create("backup")
	create("drover-looks-like-ours")
	for _, name := range []string{"backup", "drover-looks-like-ours"} {
		require.ErrorIs(t, s.RemoveSnapshot(t.Context(), vm, name), vsphere.ErrNotOurs)
		_, err := s.Snapshot(t.Context(), vm, name)
		require.ErrorIs(t, err, vsphere.ErrNotOurs)
	}
	_, err := s.Snapshot(t.Context(), vm, "drover-real")
	require.NoError(t, err)
	require.NoError(t, s.RemoveSnapshot(t.Context(), vm, "drover-real"))
	require.Equal(t, "foreign-snapshot", list(t, s)[0].Findings[0].Check)
}

func TestShutdown(t *testing.T) {
	deaf, mute := small("deaf"), small("mute")
	deaf.Deaf, mute.NoTools = true, true
	v, conf := start(t, vcenter.Options{VMs: []vcenter.VM{deaf, mute}})
	s := connect(t, conf)
	for _, vm := range list(t, s) {
		err := s.Shutdown(t.Context(), vm, 50*time.Millisecond, false)
		require.ErrorIs(t, err, vsphere.ErrStillRunning)
		require.True(t, v.PoweredOn()[vm.Name])
		require.NoError(t, s.Shutdown(t.Context(), vm, 50*time.Millisecond, true))
		require.False(t, v.PoweredOn()[vm.Name])
	}
}

// read collects the disks of an export. pause is made before each grain.
func read(ctx context.Context, s *vsphere.Session, vm migration.VM, snapshot string,
	pause func(migration.Disk) error) (map[int32][]byte, []int32, error) {
	out, order := map[int32][]byte{}, []int32(nil)
	err := s.ExportDisks(ctx, vm, snapshot, func(_ context.Context, d migration.Disk,
		grains func(func(int64, []byte) error) (int64, error)) error {
		order = append(order, d.Key)
		data := make([]byte, d.Bytes)
		_, err := grains(func(off int64, b []byte) error {
			copy(data[off:], b)
			return pause(d)
		})
		out[d.Key] = data
		return err
	})
	return out, order, err
}

// Not t.Parallel: the limits are the package's.
func TestACopyEndsWhenItsSnapshotIsPastItsLimits(t *testing.T) {
	_, conf := start(t, vcenter.Options{VMs: []vcenter.VM{small("db")}})
	s := connect(t, conf)
	vm := list(t, s)[0]
	id, err := s.Snapshot(t.Context(), vm, "drover-x")
	require.NoError(t, err)
	_, _, err = read(t.Context(), s, vm, id, fast)
	require.NoError(t, err, "the simulator's datastore has room")
	defer vsphere.LimitSnapshots(2*time.Second, 10*time.Millisecond)()
	begun := false
	err = s.ExportDisks(t.Context(), vm, id, func(ctx context.Context, _ migration.Disk,
		_ func(func(int64, []byte) error) (int64, error)) error {
		begun = true
		<-ctx.Done() // a host that sends nothing
		return ctx.Err()
	})
	require.ErrorIs(t, err, vsphere.ErrSnapshotSpent)
	require.True(t, begun, "it was cut off in the middle")
	_, _, err = read(t.Context(), s, vm, id, fast)
	require.ErrorIs(t, err, vsphere.ErrSnapshotSpent, "and the next attempt does not begin")
	require.NoError(t, s.RemoveSnapshot(t.Context(), vm, "drover-x"))
	id, err = s.Snapshot(t.Context(), vm, "drover-x")
	require.NoError(t, err)
	_, _, err = read(t.Context(), s, vm, id, fast)
	require.NoError(t, err, "a new one is young")
}

func fast(migration.Disk) error { return nil }

func TestSeveralDisks(t *testing.T) {
	v, conf := start(t, vcenter.Options{VMs: []vcenter.VM{small("db", 1<<20, 1<<20, 2<<20)}})
	s := connect(t, conf)
	vm := list(t, s)[0]
	id, err := s.Snapshot(t.Context(), vm, "drover-x")
	require.NoError(t, err)
	for n := range 3 {
		require.NoError(t, v.GuestWrite("db", n, 0, bytes.Repeat([]byte{byte('0' + n)}, 10)))
	}
	frozen, order, err := read(t.Context(), s, vm, id, fast)
	require.NoError(t, err)
	require.Equal(t, []int32{2000, 2001, 2002}, order, "as the inventory has them, whatever the lease's order")
	require.Zero(t, v.OpenLeases())

	require.NoError(t, s.RemoveSnapshot(t.Context(), vm, "drover-x"))
	_, _, err = read(t.Context(), s, vm, "", fast)
	require.ErrorContains(t, err, "InvalidPowerState")
	require.NoError(t, s.Shutdown(t.Context(), vm, time.Minute, false))
	now, _, err := read(t.Context(), s, vm, "", fast)
	require.NoError(t, err)
	for n, key := range order {
		require.Equal(t, strings.Repeat(fmt.Sprint(n), 10), string(now[key][:10]))
		require.Equal(t, frozen[key][10:], now[key][10:])
		require.NotEqual(t, frozen[key], now[key])
	}

	vm.Disks[1].Bytes++
	_, _, err = read(t.Context(), s, vm, "", fast)
	require.ErrorIs(t, err, vsphere.ErrInventoryStale)
}

func TestALeaseIsKeptAlive(t *testing.T) {
	v, conf := start(t, vcenter.Options{VMs: []vcenter.VM{small("slow", 32<<20)}, LeaseTimeout: time.Second})
	s := connect(t, conf)
	vm := list(t, s)[0]
	id, err := s.Snapshot(t.Context(), vm, "drover-x")
	require.NoError(t, err)
	began, grains := time.Now(), 0
	_, _, err = read(t.Context(), s, vm, id, func(migration.Disk) error {
		if grains++; grains%8 == 0 {
			<-time.After(150 * time.Millisecond) // a slow reader
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, time.Since(began), 2*time.Second)
	require.Len(t, v.Exports(), 1)
}

func TestAnExportThatFailsIsAborted(t *testing.T) {
	v, conf := start(t, vcenter.Options{VMs: []vcenter.VM{small("db", 32<<20)}})
	s := connect(t, conf)
	vm := list(t, s)[0]
	id, err := s.Snapshot(t.Context(), vm, "drover-x")
	require.NoError(t, err)
	full := errors.New("no room")
	_, _, err = read(t.Context(), s, vm, id, func(migration.Disk) error { return full })
	require.ErrorIs(t, err, full)
	require.Zero(t, v.OpenLeases())

	ctx, cancel := context.WithCancel(t.Context())
	_, _, err = read(ctx, s, vm, id, func(migration.Disk) error { cancel(); return ctx.Err() })
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, v.OpenLeases())

	_, _, err = read(t.Context(), s, vm, id, func(migration.Disk) error { return s.RemoveSnapshot(t.Context(), vm, "drover-x") })
	require.ErrorContains(t, err, `of VM "db": VMDK stream`)
	require.Zero(t, v.OpenLeases())
	require.Empty(t, v.Exports(), "what was not handed out whole is not remembered")
	_, _, err = read(t.Context(), s, vm, id, fast)
	require.Error(t, err)
}

// TestNamesAreThoseThatPeopleSee selects machines, and shows them, by names that vCenter's API
// escapes.
func TestNamesAreThoseThatPeopleSee(t *testing.T) {
	called := func(as string, in vcenter.VM) vcenter.VM {
		in.Awkward = func(m *mo.VirtualMachine) { m.Name = as }
		return in
	}
	var machines []vcenter.VM
	for i, as := range []string{"web%2f01", "50%25 off", "db%5cold", "app%252f1", "plain"} {
		machines = append(machines, called(as, small(fmt.Sprintf("vm-%d", i))))
	}
	_, conf := start(t, vcenter.Options{VMs: machines})
	s := connect(t, conf)
	for _, name := range []string{"web/01", "50% off", `db\old`, "app%2f1", "plain"} {
		vms, err := s.Inventory(t.Context(), migration.VMSelector{Names: []string{name}}, nil)
		require.NoError(t, err)
		require.Len(t, vms, 1, name)
		require.Equal(t, name, vms[0].Name)
		for _, f := range vms[0].Findings {
			require.NotContains(t, f.Subject, "%2f01")
		}
	}
	for pattern, want := range map[string]string{"web*": "web/01", "web/0?": "web/01", "*off": "50% off"} {
		vms, err := s.Inventory(t.Context(), migration.VMSelector{Name: pattern}, nil)
		require.NoError(t, err)
		require.Len(t, vms, 1, pattern)
		require.Equal(t, want, vms[0].Name)
	}
}

func TestAVCenterSaysWhichDatacentersItHas(t *testing.T) {
	_, conf := start(t, vcenter.Options{})
	conf.Datacenter = ""
	names, err := connect(t, conf).Datacenters(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"DC0"}, names)
}
