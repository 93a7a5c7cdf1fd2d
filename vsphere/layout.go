package vsphere

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/migration"
)

// layout are the devices of a machine as its snapshot has them, or as it has them now.
func (s *Session) layout(ctx context.Context, vm migration.VM, snapshot string) ([]types.BaseVirtualDevice, error) {
	pc := property.DefaultCollector(s.Client)
	if snapshot == "" {
		var m mo.VirtualMachine
		if err := pc.RetrieveOne(ctx, s.machine(vm).Reference(), []string{"config.hardware"}, &m); err != nil {
			return nil, fmt.Errorf("its devices: %w", err)
		}
		if m.Config == nil {
			return nil, errors.New("its devices: vCenter does not know them now: is its host connected?")
		}
		return m.Config.Hardware.Device, nil
	}
	var m mo.VirtualMachineSnapshot
	if err := pc.RetrieveOne(ctx, snapshotRef(snapshot), []string{"config"}, &m); err != nil {
		return nil, fmt.Errorf("devices of snapshot %s: %w", snapshot, err)
	}
	return m.Config.Hardware.Device, nil
}

// match finds the download of each of the inventory's disks. vCenter promises no order, but a
// download's key ends in the place of the disk: "/vm-57/ParaVirtualSCSIController0:1".
func match(vm migration.VM, there []types.BaseVirtualDevice, urls []types.HttpNfcLeaseDeviceUrl) ([]types.HttpNfcLeaseDeviceUrl, error) {
	var offered []types.HttpNfcLeaseDeviceUrl
	for _, u := range urls {
		if u.Disk == nil || *u.Disk {
			offered = append(offered, u)
		}
	}
	if len(offered) != len(vm.Disks) {
		return nil, fmt.Errorf("vCenter offers %d disks, and the inventory had %d: %w", len(offered), len(vm.Disks), ErrInventoryStale)
	}
	places, err := places(vm, there)
	if err != nil {
		return nil, err
	}
	out := make([]types.HttpNfcLeaseDeviceUrl, 0, len(vm.Disks))
	for _, d := range vm.Disks {
		for _, u := range offered {
			if places[d.Key] != "" && (last(u.Key) == places[d.Key] || last(u.ImportKey) == places[d.Key]) {
				out = append(out, u)
				break
			}
		}
	}
	switch {
	case len(out) == len(vm.Disks):
		return out, nil
	case distinct(vm.Disks): // taken for another, a disk is refused for its capacity
		return offered, nil
	}
	return nil, fmt.Errorf("vCenter calls its disks %q, and it cannot be told which is which: two have the same capacity", offered[0].Key)
}

// places are the controller, bus and unit of each disk, by key.
func places(vm migration.VM, there []types.BaseVirtualDevice) (map[int32]string, error) {
	controllers, disks := map[int32]types.BaseVirtualController{}, map[int32]*types.VirtualDisk{}
	for _, d := range there {
		if c, ok := d.(types.BaseVirtualController); ok {
			controllers[d.GetVirtualDevice().Key] = c
		}
		if d, ok := d.(*types.VirtualDisk); ok {
			disks[d.Key] = d
		}
	}
	out := map[int32]string{}
	for _, d := range vm.Disks {
		have := disks[d.Key]
		if have == nil || bytesOf(have) != d.Bytes {
			return nil, fmt.Errorf("%s (device %d): %w", d.Label, d.Key, ErrInventoryStale)
		}
		if c := controllers[have.ControllerKey]; c != nil && have.UnitNumber != nil {
			out[d.Key] = fmt.Sprintf("%s%d:%d", reflect.TypeOf(c).Elem().Name(), c.GetVirtualController().BusNumber, *have.UnitNumber)
		}
	}
	return out, nil
}

func last(key string) string { return key[strings.LastIndexByte(key, '/')+1:] }

// bytesOf is a disk's capacity; old hosts say it in KiB alone.
func bytesOf(d *types.VirtualDisk) int64 {
	if d.CapacityInBytes > 0 {
		return d.CapacityInBytes
	}
	return d.CapacityInKB * 1024
}

func distinct(disks []migration.Disk) bool {
	seen := map[int64]bool{}
	for _, d := range disks {
		if seen[d.Bytes] {
			return false
		}
		seen[d.Bytes] = true
	}
	return true
}

// Exports at once: a host has 48 MB of NFC buffers for all its connections, and vCenter passes on
// 52 connections.
const (
	exportsPerHost    = 8
	exportsPerVCenter = 48
)

// exports counts what is under way.
type exports struct {
	mu    sync.Mutex
	hosts map[string]chan struct{}
}

// enter waits for a place on a host, and then for one in vCenter.
func (e *exports) enter(ctx context.Context, host string) (leave func(), err error) {
	own, all := e.room("host "+host, exportsPerHost), e.room("", exportsPerVCenter)
	select {
	case own <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	select {
	case all <- struct{}{}:
	case <-ctx.Done():
		<-own
		return nil, context.Cause(ctx)
	}
	return func() { <-all; <-own }, nil
}

func (e *exports) room(name string, size int) chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hosts == nil {
		e.hosts = map[string]chan struct{}{}
	}
	if e.hosts[name] == nil {
		e.hosts[name] = make(chan struct{}, size)
	}
	return e.hosts[name]
}
