package vsphere

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/migration"
)

// pageSize is the measured best for vCenter: one call for all buffers everything, one a machine is
// several times slower.
const pageSize = 500

// wanted are the properties that a migration needs of a machine.
var wanted = []string{
	"name", "parent", "snapshot", "guest.ipAddress", "guest.toolsRunningStatus",
	"runtime.powerState", "runtime.connectionState", "runtime.host", "runtime.consolidationNeeded", "runtime.faultToleranceState",
	"config.instanceUuid", "config.template", "config.guestId", "config.firmware", "config.bootOptions", "config.changeTrackingEnabled",
	"config.keyId", "config.cpuAffinity", "config.version", "config.hardware",
}

// Inventory lists the machines of a datacenter that match, sorted by name, with findings. onPage,
// which may be nil, is told how many were read so far; a listing that breaks off starts again from
// the beginning, since its tokens belong to the session.
func (s *Session) Inventory(ctx context.Context, sel migration.VMSelector, onPage func(int)) ([]migration.VM, error) {
	if _, err := path.Match(sel.Name, ""); err != nil {
		return nil, fmt.Errorf("select machines by name %q: %w: correct the workload's vms.match.name", sel.Name, ErrPattern)
	}
	dc, err := s.datacenter(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.list(ctx, dc.Reference(), onPage)
	if err != nil {
		return nil, fmt.Errorf("list machines of datacenter %q: %w", s.conf.Datacenter, err)
	}
	paths, err := s.folders(ctx, dc.Reference())
	if err != nil {
		return nil, err
	}
	tagged, err := s.tags(ctx, all)
	if err != nil {
		return nil, err
	}
	var out []migration.VM
	for _, m := range all {
		m.Name = plain(m.Name)
		vm := describe(m)
		vm.Folder, vm.Tags = paths[ref(m.Parent)], tagged[m.Self.Value]
		if matches(sel, vm) {
			vm.Findings = Check(m)
			out = append(out, vm)
		}
	}
	slices.SortFunc(out, func(a, b migration.VM) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Ref, b.Ref))
	})
	return out, nil
}

// What is wrong with a plan, as vCenter sees it.
var (
	ErrDatacenter = errors.New("vCenter shows the user no one datacenter of this name")
	ErrPattern    = errors.New("the pattern cannot be read")
)

func (s *Session) datacenter(ctx context.Context) (*object.Datacenter, error) {
	finder := find.NewFinder(s.Client)
	dc, err := finder.Datacenter(ctx, s.conf.Datacenter)
	if escaped := escape.Replace(s.conf.Datacenter); escaped != s.conf.Datacenter && errors.As(err, new(*find.NotFoundError)) {
		dc, err = finder.Datacenter(ctx, escaped)
	}
	switch {
	case err == nil:
		return dc, nil
	case !errors.As(err, new(*find.NotFoundError)) && !errors.As(err, new(*find.MultipleFoundError)):
		return nil, fmt.Errorf("datacenter %q of vCenter %s: %w", s.conf.Datacenter, s.URL().Host, err)
	}
	names, err := s.Datacenters(ctx)
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("datacenter %q of vCenter %s: %w; it shows %s: correct the site's datacenter, or let user %s read it",
		s.conf.Datacenter, s.URL().Host, ErrDatacenter, cmp.Or(strings.Join(names, ", "), "none"), s.user.Username())
}

// Datacenters are the names of those that vCenter shows the user.
func (s *Session) Datacenters(ctx context.Context) ([]string, error) {
	all, err := find.NewFinder(s.Client).DatacenterList(ctx, "*")
	if err != nil && !errors.As(err, new(*find.NotFoundError)) {
		return nil, fmt.Errorf("list the datacenters of vCenter %s: %w", s.URL().Host, err)
	}
	var names []string
	for _, dc := range all {
		names = append(names, plain(dc.Name()))
	}
	return names, nil
}

// list reads all machines below a datacenter. When the session is lost on the way, the view is gone
// with it, and it starts again, once.
func (s *Session) list(ctx context.Context, dc types.ManagedObjectReference, onPage func(int)) ([]mo.VirtualMachine, error) {
	before, _ := s.state()
	all, err := s.listOnce(ctx, dc, onPage)
	if after, _ := s.state(); err != nil && after != before && ctx.Err() == nil {
		return s.listOnce(ctx, dc, onPage)
	}
	return all, err
}

func (s *Session) listOnce(ctx context.Context, dc types.ManagedObjectReference, onPage func(int)) ([]mo.VirtualMachine, error) {
	v, err := view.NewManager(s.Client).CreateContainerView(ctx, dc, []string{"VirtualMachine"}, true)
	if err != nil {
		return nil, err
	}
	defer func() { _ = v.Destroy(context.WithoutCancel(ctx)) }()
	return s.pages(ctx, v.Reference(), onPage)
}

// pages retrieves the machines of a view a page at a time.
func (s *Session) pages(ctx context.Context, in types.ManagedObjectReference, onPage func(int)) ([]mo.VirtualMachine, error) {
	req := types.RetrievePropertiesEx{This: s.ServiceContent.PropertyCollector, Options: types.RetrieveOptions{MaxObjects: s.page},
		SpecSet: []types.PropertyFilterSpec{{
			ObjectSet: []types.ObjectSpec{{Obj: in, Skip: types.NewBool(true),
				SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{Type: "ContainerView", Path: "view"}}}},
			PropSet: []types.PropertySpec{{Type: "VirtualMachine", PathSet: wanted}},
		}}}
	res, err := methods.RetrievePropertiesEx(ctx, s, &req)
	if err != nil {
		return nil, err
	}
	var out []mo.VirtualMachine
	for page := res.Returnval; page != nil; {
		var some []mo.VirtualMachine
		if err := mo.LoadObjectContent(page.Objects, &some); err != nil {
			return nil, err
		}
		out = append(out, some...)
		if onPage != nil {
			onPage(len(out))
		}
		if page.Token == "" {
			break
		}
		more, err := methods.ContinueRetrievePropertiesEx(ctx, s,
			&types.ContinueRetrievePropertiesEx{This: s.ServiceContent.PropertyCollector, Token: page.Token})
		if err != nil {
			return nil, err
		}
		page = &more.Returnval
	}
	return out, nil
}

// folders are the paths of all folders below the datacenter's vm folder, by reference.
func (s *Session) folders(ctx context.Context, dc types.ManagedObjectReference) (map[string]string, error) {
	v, err := view.NewManager(s.Client).CreateContainerView(ctx, dc, []string{"Folder"}, true)
	if err != nil {
		return nil, fmt.Errorf("list folders: %w", err)
	}
	defer func() { _ = v.Destroy(context.WithoutCancel(ctx)) }()
	var all []mo.Folder
	if err := v.Retrieve(ctx, []string{"Folder"}, []string{"name", "parent"}, &all); err != nil {
		return nil, fmt.Errorf("list folders: %w", err)
	}
	by := map[string]mo.Folder{}
	for _, f := range all {
		by[f.Self.Value] = f
	}
	out := map[string]string{}
	for id := range by {
		var parts []string
		for at, ok := by[id]; ok; at, ok = by[ref(at.Parent)] {
			parts = append([]string{plain(at.Name)}, parts...)
		}
		if len(parts) > 0 {
			out[id] = path.Join(parts[1:]...) // without "vm" itself
		}
	}
	return out, nil
}

func ref(r *types.ManagedObjectReference) string {
	if r == nil {
		return ""
	}
	return r.Value
}

// tags are "category:tag" by machine.
func (s *Session) tags(ctx context.Context, vms []mo.VirtualMachine) (map[string][]string, error) {
	c := rest.NewClient(s.Client)
	if err := s.logInTo(ctx, "tagging service", c.Login); err != nil {
		return nil, err
	}
	defer func() { _ = c.Logout(context.WithoutCancel(ctx)) }()
	m := tags.NewManager(c)
	var refs []mo.Reference
	for _, vm := range vms {
		refs = append(refs, vm.Self)
	}
	if len(refs) == 0 {
		return nil, nil
	}
	categories := map[string]string{}
	list, err := m.GetCategories(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tag categories: %w", err)
	}
	for _, c := range list {
		categories[c.ID] = c.Name
	}
	out := map[string][]string{}
	for some := range slices.Chunk(refs, 2000) {
		attached, err := m.GetAttachedTagsOnObjects(ctx, some)
		if err != nil {
			return nil, fmt.Errorf("list tags: %w", err)
		}
		for _, a := range attached {
			for _, t := range a.Tags {
				id := a.ObjectID.Reference().Value
				out[id] = append(out[id], categories[t.CategoryID]+":"+t.Name)
			}
		}
	}
	for _, t := range out {
		slices.Sort(t)
	}
	return out, nil
}

// describe is a machine as a migration needs it.
func describe(m mo.VirtualMachine) migration.VM {
	vm := migration.VM{Ref: m.Self.Value, Name: m.Name, PoweredOn: m.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn,
		Host: ref(m.Runtime.Host)}
	if m.Guest != nil {
		vm.Address = m.Guest.IpAddress
		vm.ToolsOK = m.Guest.ToolsRunningStatus == string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
	}
	if m.Config == nil {
		return vm
	}
	vm.UUID, vm.CPUs, vm.MemoryMB, vm.Firmware, vm.Guest = m.Config.InstanceUuid, int(m.Config.Hardware.NumCPU),
		int(m.Config.Hardware.MemoryMB), m.Config.Firmware, m.Config.GuestId
	if vm.Firmware == "" {
		vm.Firmware = string(types.GuestOsDescriptorFirmwareTypeBios)
	}
	if b := m.Config.BootOptions; b != nil {
		vm.SecureBoot = b.EfiSecureBootEnabled != nil && *b.EfiSecureBootEnabled
		for _, d := range b.BootOrder {
			if disk, ok := d.(*types.VirtualMachineBootOptionsBootableDiskDevice); ok {
				vm.BootDisk = disk.DeviceKey
				break
			}
		}
	}
	vm.Tracking = m.Config.ChangeTrackingEnabled != nil && *m.Config.ChangeTrackingEnabled
	for _, d := range disksOf(m) {
		disk := migration.Disk{Key: d.Key, Bytes: bytesOf(d)}
		if i := d.DeviceInfo; i != nil {
			disk.Label = i.GetDescription().Label
		}
		if b, ok := d.Backing.(types.BaseVirtualDeviceFileBackingInfo); ok {
			disk.Backing = b.GetVirtualDeviceFileBackingInfo().FileName
		}
		if b, ok := d.Backing.(*types.VirtualDiskFlatVer2BackingInfo); ok {
			disk.ChangeID = b.ChangeId
		}
		vm.Disks = append(vm.Disks, disk)
	}
	return vm
}

func disksOf(m mo.VirtualMachine) (out []*types.VirtualDisk) {
	if m.Config == nil {
		return nil
	}
	for _, d := range m.Config.Hardware.Device {
		if disk, ok := d.(*types.VirtualDisk); ok {
			out = append(out, disk)
		}
	}
	return out
}

// matches says whether a machine is selected: by exact name, or by all of the other conditions
// together. An empty selector takes all.
func matches(sel migration.VMSelector, vm migration.VM) bool {
	if len(sel.Names) > 0 {
		return slices.Contains(sel.Names, vm.Name)
	}
	if sel.Folder != "" && vm.Folder != sel.Folder && !strings.HasPrefix(vm.Folder, strings.TrimSuffix(sel.Folder, "/")+"/") {
		return false
	}
	if sel.Tag != "" && !slices.ContainsFunc(vm.Tags, func(t string) bool { return t == sel.Tag || strings.HasSuffix(t, ":"+sel.Tag) }) {
		return false
	}
	return sel.Name == "" || like(sel.Name, vm.Name)
}
