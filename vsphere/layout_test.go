package vsphere

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/migration"
)

func hanging(key, controller, unit int32, size int64) *types.VirtualDisk {
	d := &types.VirtualDisk{CapacityInBytes: size}
	d.Key, d.ControllerKey, d.UnitNumber = key, controller, &unit
	return d
}

func TestDisksAreToldApart(t *testing.T) {
	scsi, second := &types.VirtualLsiLogicController{}, &types.VirtualLsiLogicController{}
	scsi.Key, second.Key, second.BusNumber = 1000, 1001, 1
	there := []types.BaseVirtualDevice{scsi, second, hanging(2000, 1000, 0, 10), hanging(2016, 1001, 0, 10)}
	vm := migration.VM{Name: "db", Disks: []migration.Disk{{Key: 2000, Bytes: 10}, {Key: 2016, Bytes: 10}}}
	url := func(key string) types.HttpNfcLeaseDeviceUrl { return types.HttpNfcLeaseDeviceUrl{Key: key} }
	nvram := types.HttpNfcLeaseDeviceUrl{Key: "/vm-1/nvram", Disk: types.NewBool(false)}

	got, err := match(vm, there, []types.HttpNfcLeaseDeviceUrl{nvram, url("/vm-1/VirtualLsiLogicController1:0"),
		url("/vm-1/VirtualLsiLogicController0:0")})
	require.NoError(t, err)
	require.Equal(t, "/vm-1/VirtualLsiLogicController0:0", got[0].Key)
	require.Equal(t, "/vm-1/VirtualLsiLogicController1:0", got[1].Key)

	strange := []types.HttpNfcLeaseDeviceUrl{url("a"), url("b")}
	_, err = match(vm, there, strange)
	require.ErrorContains(t, err, "two have the same capacity")

	bigger := migration.VM{Disks: []migration.Disk{{Key: 2000, Bytes: 10}, {Key: 2016, Bytes: 20}}}
	_, err = match(bigger, there, strange)
	require.ErrorIs(t, err, ErrInventoryStale, "it has grown or shrunk")
	there[3].(*types.VirtualDisk).CapacityInBytes = 20
	got, err = match(bigger, there, strange)
	require.NoError(t, err)
	require.Equal(t, strange, got)

	_, err = match(bigger, there, strange[:1])
	require.ErrorIs(t, err, ErrInventoryStale)
	_, err = match(migration.VM{Disks: []migration.Disk{{Key: 1, Bytes: 10}, {Key: 2016, Bytes: 20}}}, there, strange)
	require.ErrorIs(t, err, ErrInventoryStale)
}

func TestExportsWaitForAPlaceOnTheirHost(t *testing.T) {
	var e exports
	var leave []func()
	for range exportsPerHost {
		l, err := e.enter(t.Context(), "host-1")
		require.NoError(t, err)
		leave = append(leave, l)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := e.enter(short, "host-1")
	require.True(t, errors.Is(err, context.DeadlineExceeded))
	other, err := e.enter(t.Context(), "host-2")
	require.NoError(t, err)
	other()
	leave[0]()
	again, err := e.enter(t.Context(), "host-1")
	require.NoError(t, err)
	again()
}

func TestABeatIsWellBelowTheTimeOut(t *testing.T) {
	require.Equal(t, leaseBeat, beatOf(0))
	require.Equal(t, leaseBeat, beatOf(300))
	require.Equal(t, 250*time.Millisecond, beatOf(1))
}
