package vcenter

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// datastore is the only one.
const datastore = "LocalDS_0"

// client is logged in as anybody else.
func (v *VCenter) client(ctx context.Context) (*govmomi.Client, error) {
	u := *v.http.URL
	v.mu.Lock()
	u.User = url.UserPassword(v.opts.Username, v.password)
	v.mu.Unlock()
	return govmomi.NewClient(ctx, &u, true)
}

// build makes the machines that were asked for, over the simulator's own API where it has one.
func (v *VCenter) build(ctx context.Context) error {
	c, err := v.client(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Logout(context.WithoutCancel(ctx)) }()
	b := builder{v: v, client: c, folders: map[string]*object.Folder{}, tagged: map[string][]mo.Reference{}}
	if err := b.place(ctx); err != nil {
		return err
	}
	for _, want := range v.opts.VMs {
		if err := b.machine(ctx, want); err != nil {
			return fmt.Errorf("machine %s: %w", want.Name, err)
		}
	}
	return b.tag(ctx)
}

type builder struct {
	v       *VCenter
	client  *govmomi.Client
	root    *object.Folder
	host    *object.HostSystem
	pool    *object.ResourcePool
	folders map[string]*object.Folder
	tagged  map[string][]mo.Reference // "category:tag"
}

// place finds where machines go, and makes the datastore there.
func (b *builder) place(ctx context.Context) error {
	finder := find.NewFinder(b.client.Client)
	dc, err := finder.Datacenter(ctx, "DC0")
	if err != nil {
		return err
	}
	finder.SetDatacenter(dc)
	folders, err := dc.Folders(ctx)
	if err != nil {
		return err
	}
	b.root = folders.VmFolder
	if b.host, err = finder.DefaultHostSystem(ctx); err != nil {
		return err
	}
	if b.pool, err = finder.DefaultResourcePool(ctx); err != nil {
		return err
	}
	stores, err := b.host.ConfigManager().DatastoreSystem(ctx)
	if err != nil {
		return err
	}
	_, err = stores.CreateLocalDatastore(ctx, datastore, b.v.dir)
	return err
}

func (b *builder) machine(ctx context.Context, want VM) error {
	if !noPath(want.Name) {
		return fmt.Errorf("%q is no name", want.Name)
	}
	folder, err := b.folder(ctx, want.Folder)
	if err != nil {
		return err
	}
	t, err := folder.CreateVM(ctx, spec(want), b.pool, b.host)
	if err != nil {
		return err
	}
	info, err := t.WaitForResult(ctx)
	if err != nil {
		return err
	}
	ref := info.Result.(types.ManagedObjectReference)
	b.v.names[ref], b.v.unheard[ref] = want.Name, want.Deaf
	for _, t := range want.Tags {
		b.tagged[t] = append(b.tagged[t], ref)
	}
	vm := object.NewVirtualMachine(b.client.Client, ref)
	if !want.Off {
		if err := wait(ctx, func() (*object.Task, error) { return vm.PowerOn(ctx) }); err != nil {
			return err
		}
	}
	guest := types.VirtualMachineConfigSpec{ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "SET.guest.ipAddress",
		Value: want.Address}}}
	if err := wait(ctx, func() (*object.Task, error) { return vm.Reconfigure(ctx, guest) }); err != nil {
		return err
	}
	return b.v.fill(ref, want)
}

// folder makes a path of folders.
func (b *builder) folder(ctx context.Context, path string) (*object.Folder, error) {
	at, so := b.root, ""
	for _, name := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' }) {
		so += "/" + name
		if b.folders[so] == nil {
			made, err := at.CreateFolder(ctx, name)
			if err != nil {
				return nil, err
			}
			b.folders[so] = made
		}
		at = b.folders[so]
	}
	return at, nil
}

// spec is a machine with its disks on one paravirtual controller.
func spec(want VM) types.VirtualMachineConfigSpec {
	if want.Guest == "" {
		want.Guest = string(types.VirtualMachineGuestOsIdentifierUbuntu64Guest)
	}
	if want.Firmware == "" {
		want.Firmware = string(types.GuestOsDescriptorFirmwareTypeBios)
	}
	const controller = 1000
	scsi := &types.ParaVirtualSCSIController{
		VirtualSCSIController: types.VirtualSCSIController{SharedBus: types.VirtualSCSISharingNoSharing}}
	scsi.Key = controller
	devices := object.VirtualDeviceList{scsi}
	for i, size := range want.DiskBytes {
		unit := int32(i) //nolint:gosec // a handful
		if unit >= 7 {
			unit++ // the controller's own
		}
		devices = append(devices, &types.VirtualDisk{
			CapacityInBytes: size, CapacityInKB: size / 1024,
			VirtualDevice: types.VirtualDevice{
				Key: 2000 + unit, ControllerKey: controller, UnitNumber: &unit,
				Backing: &types.VirtualDiskFlatVer2BackingInfo{
					DiskMode: string(types.VirtualDiskModePersistent), ThinProvisioned: types.NewBool(true),
					VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{FileName: fmt.Sprintf("[%s] %s/%s-%d.vmdk", datastore,
						want.Name, want.Name, i)},
				},
			},
		})
	}
	changes, _ := devices.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd) // it fails for shared disks alone
	return types.VirtualMachineConfigSpec{
		Name: want.Name, NumCPUs: int32(want.CPUs), MemoryMB: int64(want.MemoryMB), GuestId: want.Guest, Firmware: want.Firmware,
		Version:               "vmx-19", //nolint:gosec // small
		ChangeTrackingEnabled: types.NewBool(!want.Untracked), DeviceChange: changes,
		Files: &types.VirtualMachineFileInfo{VmPathName: "[" + datastore + "]"},
	}
}

func wait(ctx context.Context, start func() (*object.Task, error)) error {
	t, err := start()
	if err != nil {
		return err
	}
	return t.Wait(ctx)
}

// tag attaches the tags over the REST API.
func (b *builder) tag(ctx context.Context) error {
	if len(b.tagged) == 0 {
		return nil
	}
	c := rest.NewClient(b.client.Client)
	if err := c.Login(ctx, url.UserPassword(b.v.opts.Username, b.v.opts.Password)); err != nil {
		return err
	}
	defer func() { _ = c.Logout(context.WithoutCancel(ctx)) }()
	m, categories := tags.NewManager(c), map[string]string{}
	for name, refs := range b.tagged {
		category, tag, ok := strings.Cut(name, ":")
		if !ok {
			category, tag = "lab", name
		}
		if categories[category] == "" {
			id, err := m.CreateCategory(ctx, &tags.Category{Name: category, Cardinality: "MULTIPLE"})
			if err != nil {
				return err
			}
			categories[category] = id
		}
		id, err := m.CreateTag(ctx, &tags.Tag{Name: tag, CategoryID: categories[category]})
		if err != nil {
			return err
		}
		if err := m.AttachTagToMultipleObjects(ctx, id, refs); err != nil {
			return err
		}
	}
	return nil
}

// fill gives the machine's disks bytes, and makes it awkward.
func (v *VCenter) fill(ref types.ManagedObjectReference, want VM) (err error) {
	vm := v.model.Map().Get(ref).(*simulator.VirtualMachine)
	v.model.Map().WithLock(&simulator.Context{}, vm, func() {
		n := 0
		for _, d := range vm.Config.Hardware.Device {
			vd, ok := d.(*types.VirtualDisk)
			if !ok {
				continue
			}
			if err = v.fillDisk(want, ref, vd, n); err != nil {
				return
			}
			n++
		}
		if !want.NoTools { // the simulator's own way of setting these does not take
			vm.Guest.ToolsStatus, vm.Guest.ToolsRunningStatus = types.VirtualMachineToolsStatusToolsOk,
				string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
		}
		if want.Awkward != nil {
			want.Awkward(&vm.VirtualMachine)
		}
	})
	return err
}

// fillDisk writes a disk as a used one looks: mostly zeros, runs of data, some of it repetitive;
// always the same for a name and number.
func (v *VCenter) fillDisk(want VM, ref types.ManagedObjectReference, vd *types.VirtualDisk, n int) error {
	size := want.DiskBytes[n]
	if size <= 0 || size%sector != 0 {
		return fmt.Errorf("disk %d: %d bytes are not whole sectors", n, size)
	}
	b := vd.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	var at object.DatastorePath
	at.FromString(b.FileName)
	f, err := os.Create(filepath.Join(v.dir, simulator.VirtualDiskBackingFileName(at.Path)))
	if err != nil {
		return err
	}
	v.files = append(v.files, f)
	if err := f.Truncate(size); err != nil {
		return err
	}
	if err := scribble(f, size, want.Name, n); err != nil {
		return err
	}
	vd.CapacityInBytes, vd.CapacityInKB = size, size/1024
	if b.Uuid == "" {
		b.Uuid = fmt.Sprintf("%s-%d", want.Name, n)
	}
	v.disks[ref] = append(v.disks[ref], &disk{file: f, key: vd.Key, size: size, uuid: b.Uuid, epoch: map[int64]int64{}})
	return nil
}

func scribble(f *os.File, size int64, name string, n int) error {
	var seed uint64
	for _, c := range name {
		seed = seed*131 + uint64(c)
	}
	random := rand.NewChaCha8([32]byte{byte(n), byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24), byte(seed >> 32),
		byte(seed >> 40)})
	rng := rand.New(random)
	chunk := make([]byte, 256<<10)
	for off := int64(0); off < size; off += int64(len(chunk)) {
		switch kind := rng.IntN(10); {
		case off > 0 && kind < 7: // never written
			continue
		case kind < 9:
			_, _ = random.Read(chunk) // it never fails
		default:
			copy(chunk, strings.Repeat(name+" ", len(chunk)/(len(name)+1)+1))
		}
		if _, err := f.WriteAt(chunk[:min(int64(len(chunk)), size-off)], off); err != nil {
			return err
		}
	}
	return nil
}
