package vcenter

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path"
	"sort"
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

// build turns the simulator's machines into those that were asked for, over its own API where it has one.
func (v *VCenter) build(ctx context.Context) error {
	u := *v.http.URL
	u.User = url.UserPassword(v.opts.Username, v.opts.Password)
	c, err := govmomi.NewClient(ctx, &u, true)
	if err != nil {
		return err
	}
	defer func() { _ = c.Logout(context.WithoutCancel(ctx)) }()
	finder := find.NewFinder(c.Client)
	dc, err := finder.Datacenter(ctx, "DC0")
	if err != nil {
		return err
	}
	finder.SetDatacenter(dc)
	if len(v.opts.VMs) == 0 {
		return nil
	}
	found, err := finder.VirtualMachineList(ctx, "*")
	if err != nil {
		return err
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Reference().Value < found[j].Reference().Value })
	folders, err := dc.Folders(ctx)
	if err != nil {
		return err
	}
	b := builder{v: v, client: c, root: folders.VmFolder, folders: map[string]*object.Folder{}}
	for i, want := range v.opts.VMs {
		if err := b.machine(ctx, found[i], want); err != nil {
			return fmt.Errorf("machine %s: %w", want.Name, err)
		}
	}
	return b.tag(ctx)
}

type builder struct {
	v       *VCenter
	client  *govmomi.Client
	root    *object.Folder
	folders map[string]*object.Folder
	tagged  map[string][]mo.Reference // "category:tag"
}

func (b *builder) machine(ctx context.Context, vm *object.VirtualMachine, want VM) error {
	if want.Guest == "" {
		want.Guest = "ubuntu64Guest"
	}
	spec := types.VirtualMachineConfigSpec{NumCPUs: int32(want.CPUs), MemoryMB: int64(want.MemoryMB), GuestId: want.Guest, ChangeTrackingEnabled: types.NewBool(true),
		ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "SET.guest.ipAddress", Value: want.Address}}}
	if want.Firmware != "" {
		spec.Firmware = want.Firmware
	}
	if err := wait(ctx, func() (*object.Task, error) { return vm.Reconfigure(ctx, spec) }); err != nil {
		return err
	}
	if err := wait(ctx, func() (*object.Task, error) { return vm.Rename(ctx, want.Name) }); err != nil {
		return err
	}
	if want.Folder != "" {
		f := b.folders[want.Folder]
		if f == nil {
			var err error
			if f, err = b.root.CreateFolder(ctx, want.Folder); err != nil {
				return err
			}
			b.folders[want.Folder] = f
		}
		if err := wait(ctx, func() (*object.Task, error) { return f.MoveInto(ctx, []types.ManagedObjectReference{vm.Reference()}) }); err != nil {
			return err
		}
	}
	if b.tagged == nil {
		b.tagged = map[string][]mo.Reference{}
	}
	for _, t := range want.Tags {
		b.tagged[t] = append(b.tagged[t], vm.Reference())
	}
	return b.v.fill(vm.Reference(), want)
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
		for _, r := range refs {
			if err := m.AttachTag(ctx, id, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill gives the machine's disks bytes. The simulator makes one disk a machine; more are added.
func (v *VCenter) fill(ref types.ManagedObjectReference, want VM) error {
	vm := v.model.Map().Get(ref).(*simulator.VirtualMachine)
	var err error
	v.model.Map().WithLock(v.model.Service.Context, vm, func() {
		n := 0
		for _, d := range vm.Config.Hardware.Device {
			vd, ok := d.(*types.VirtualDisk)
			if !ok || n >= len(want.DiskBytes) {
				continue
			}
			if err = v.fillDisk(vm, vd, want.DiskBytes[n], uint64(n)); err != nil {
				return
			}
			n++
		}
		if n < len(want.DiskBytes) {
			err = fmt.Errorf("the simulator gave it %d disks, not %d", n, len(want.DiskBytes))
		}
		vm.Guest.ToolsStatus, vm.Guest.ToolsRunningStatus = types.VirtualMachineToolsStatusToolsOk, string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
		if want.Awkward != nil {
			want.Awkward(vm.Config)
		}
	})
	return err
}

// fillDisk writes a disk as a used one looks: mostly zeros, runs of data, some of it repetitive.
func (v *VCenter) fillDisk(vm *simulator.VirtualMachine, vd *types.VirtualDisk, size int64, n uint64) error {
	b := vd.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	flat := simulator.VirtualDiskBackingFileName(v.hostPath(b.FileName))
	f, err := os.Create(flat)
	if err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	var seed uint64
	for _, c := range vm.Name {
		seed = seed*131 + uint64(c)
	}
	rng := rand.New(rand.NewPCG(seed, n))
	chunk := make([]byte, 256<<10)
	for off := int64(0); off < size; off += int64(len(chunk)) {
		switch kind := rng.IntN(10); {
		case off > 0 && kind < 7: // never written
			continue
		case kind < 9:
			for i := range chunk {
				chunk[i] = byte(rng.Uint32())
			}
		default:
			copy(chunk, strings.Repeat(vm.Name+" ", len(chunk)/(len(vm.Name)+1)+1))
		}
		if _, err := f.WriteAt(chunk[:min(int64(len(chunk)), size-off)], off); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	vd.CapacityInBytes, vd.CapacityInKB = size, size/1024
	v.mu.Lock()
	defer v.mu.Unlock()
	v.disks[vm.Self] = append(v.disks[vm.Self], &disk{flat: flat, key: vd.Key, size: size, uuid: b.Uuid, epoch: map[int64]int64{}, overlay: map[int64][]byte{}})
	return nil
}

// hostPath is where "[datastore] path" is in the simulator's folders.
func (v *VCenter) hostPath(backing string) string {
	var p object.DatastorePath
	p.FromString(backing)
	for _, e := range v.model.Map().All("Datastore") {
		if ds := e.(*simulator.Datastore); ds.Name == p.Datastore {
			return path.Join(ds.Summary.Url, p.Path)
		}
	}
	return p.Path
}
