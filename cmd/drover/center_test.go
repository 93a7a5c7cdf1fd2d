package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/lab/vcenter"
)

// aDataCentre is a small one.
func aDataCentre() []vcenter.VM {
	vm := func(name, folder, address string) vcenter.VM {
		return vcenter.VM{Name: name, Folder: folder, Address: address, CPUs: 2, MemoryMB: 4096, DiskBytes: []int64{1 << 20}}
	}
	blocked, off := vm("api-01", "shop", "10.1.0.21"), vm("spare", "shop", "")
	blocked.Awkward = func(m *mo.VirtualMachine) {
		for _, d := range m.Config.Hardware.Device {
			if disk, ok := d.(*types.VirtualDisk); ok {
				disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo).DiskMode = string(types.VirtualDiskModeIndependent_persistent)
			}
		}
	}
	off.Off = true
	return []vcenter.VM{vm("web-01", "shop", "10.1.0.11"), vm("WEB-02.dc1.example", "shop", "10.1.0.12"), blocked, off,
		vm("db-01", "shop", "10.1.0.31"), vm("dns-01", "shared", "10.1.0.2"), vm("mail", "shared", "10.1.0.3")}
}

// TestSessionsWithAVCenter runs what a person would type who has a vCenter, and nothing else yet.
func TestSessionsWithAVCenter(t *testing.T) {
	v, err := vcenter.Start(t.Context(), vcenter.Options{Listen: "127.0.0.1:0", Dir: t.TempDir(), VMs: aDataCentre(), Username: "lead",
		Password: "hunter2"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, v.CAPEM(), 0o600))
	testscript.Run(t, testscript.Params{
		Dir: "testdata/vcenter",
		Setup: func(env *testscript.Env) error {
			env.Setenv("VCENTER", v.URL())
			env.Setenv("CA", ca)
			env.Setenv("THUMBPRINT", v.Thumbprint())
			env.Setenv("VSPHERE", `{"username": "lead", "password": "hunter2"}`)
			env.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1") // nobody listens there, and nobody needs to
			return nil
		},
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		UpdateScripts: os.Getenv("UPDATE_GOLDEN") != "",
	})
	for name, on := range v.PoweredOn() {
		require.Equal(t, name != "spare", on, "nothing was touched: %s", name)
	}
}
