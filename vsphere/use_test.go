package vsphere_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/vcenter"
	"github.com/drover-migration/drover/migration"
)

func TestInventorySaysWhatEachMachineUsed(t *testing.T) {
	var machines []vcenter.VM
	for name := 'a'; name <= 'z'; name++ { // more than a query takes
		machines = append(machines, small(string(name)))
	}
	_, conf := start(t, vcenter.Options{VMs: machines})
	s := connect(t, conf)
	vms := list(t, s)
	require.NoError(t, s.Measure(t.Context(), vms))
	for _, vm := range vms {
		require.NotNil(t, vm.Use, vm.Name)
		require.Empty(t, vm.Use.Why, vm.Name)
		require.GreaterOrEqual(t, vm.Use.Hours, 24*30, vm.Name)
		require.Positive(t, vm.Use.CPUs, vm.Name)
		require.LessOrEqual(t, vm.Use.CPUs, 1.0, "%s has one CPU", vm.Name)
		require.Positive(t, vm.Use.MemoryMB, vm.Name)
		cpus, _, measured := vm.Needs()
		require.True(t, measured)
		require.Equal(t, 1, cpus)
	}
}

func TestAVCenterWithoutRecordsIsNoError(t *testing.T) {
	_, conf := start(t, vcenter.Options{VMs: []vcenter.VM{small("a")}})
	s := connect(t, conf)
	s.ServiceContent.PerfManager = nil
	vms := list(t, s)
	require.Len(t, vms, 1)
	require.NoError(t, s.Measure(t.Context(), vms))
	require.Contains(t, vms[0].Use.Why, "keeps no records")
	size := migration.SizingOf("", "auto", vms[0])
	require.Equal(t, "c7i.large", size.Type)
	require.Contains(t, size.Why, "by what it has: vCenter's records of its use were not read")
}
