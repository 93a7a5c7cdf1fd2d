package vcenter_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/vcenter"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/vsphere"
)

const (
	user = "administrator@vsphere.local"
	pass = "secret"
)

func start(t *testing.T, vms ...vcenter.VM) (*vcenter.VCenter, migration.VSphere) {
	t.Helper()
	v, err := vcenter.Start(context.Background(),
		vcenter.Options{Listen: "127.0.0.1:0", Dir: t.TempDir(), VMs: vms, Username: user, Password: pass})
	require.NoError(t, err)
	t.Cleanup(func() { _ = v.Close() })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, v.CAPEM(), 0o600))
	return v, migration.VSphere{URL: v.URL(), Datacenter: "DC0", Credentials: "env://VSPHERE", CAFile: ca}
}

func connect(t *testing.T, conf migration.VSphere) *vsphere.Session {
	t.Helper()
	s, err := vsphere.Connect(context.Background(), conf, user, pass)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

var web = vcenter.VM{Name: "web-01", Address: "127.9.129.10", CPUs: 2, MemoryMB: 4096, DiskBytes: []int64{8 << 20}, Folder: "production",
	Tags: []string{"tier:web"}}

func TestTheInventorySaysWhatAMigrationNeeds(t *testing.T) {
	db := vcenter.VM{Name: "db-01", CPUs: 4, MemoryMB: 8192, DiskBytes: []int64{4 << 20}, Firmware: "efi"}
	_, conf := start(t, web, db)
	s := connect(t, conf)
	vms, err := s.Inventory(context.Background(), migration.VMSelector{}, nil)
	require.NoError(t, err)
	require.Len(t, vms, 2)
	got := vms[1]
	require.Equal(t, "web-01", got.Name)
	require.Equal(t, "production", got.Folder)
	require.Equal(t, []string{"tier:web"}, got.Tags)
	require.Equal(t, "127.9.129.10", got.Address)
	require.Equal(t, 2, got.CPUs)
	require.Equal(t, 4096, got.MemoryMB)
	require.True(t, got.PoweredOn)
	require.True(t, got.ToolsOK)
	require.Equal(t, int64(8<<20), got.Disks[0].Bytes)
	require.Empty(t, migration.Blockers(got.Findings))
	for _, sel := range []migration.VMSelector{{Tag: "web"}, {Tag: "tier:web"}, {Folder: "production"}, {Name: "web-*"},
		{Names: []string{"web-01"}}} {
		some, err := s.Inventory(context.Background(), sel, nil)
		require.NoError(t, err)
		require.Len(t, some, 1, "%+v", sel)
	}
}

func TestARunningMachinesDiskIsExportedAsItStoodAtTheSnapshot(t *testing.T) {
	v, conf := start(t, web)
	s := connect(t, conf)
	ctx := context.Background()
	vms, err := s.Inventory(ctx, migration.VMSelector{}, nil)
	require.NoError(t, err)
	vm := vms[0]
	id, err := s.Snapshot(ctx, vm, "drover-test")
	require.NoError(t, err)
	again, err := s.Snapshot(ctx, vm, "drover-test")
	require.NoError(t, err)
	require.Equal(t, id, again, "the second call finds the first one's snapshot")
	require.NoError(t, v.GuestWrite("web-01", 0, 1<<20, []byte("written after the snapshot")))

	disk := make([]byte, vm.Disks[0].Bytes)
	err = s.ExportDisks(ctx, vm, id, func(_ context.Context, d migration.Disk,
		grains func(func(int64, []byte) error) (int64, error)) error {
		require.Equal(t, vm.Disks[0].Key, d.Key)
		n, err := grains(func(off int64, data []byte) error { copy(disk[off:], data); return nil })
		require.Equal(t, d.Bytes, n)
		return err
	})
	require.NoError(t, err)
	sum := sha256.Sum256(disk)
	require.Len(t, v.Exports(), 1)
	require.Equal(t, v.Exports()[0].SHA256, hex.EncodeToString(sum[:]))
	require.NotContains(t, string(disk[1<<20:1<<20+64]), "written after")
	require.NoError(t, s.RemoveSnapshot(ctx, vm, "drover-test"))
	require.NoError(t, s.RemoveSnapshot(ctx, vm, "drover-test"), "gone is as good")
	require.ErrorIs(t, s.RemoveSnapshot(ctx, vm, "backup"), vsphere.ErrNotOurs)
}

func TestAWrongPasswordIsRefusedForGood(t *testing.T) {
	_, conf := start(t)
	_, err := vsphere.Connect(context.Background(), conf, user, "wrong")
	require.ErrorIs(t, err, vsphere.ErrCredentials)
	require.NotContains(t, err.Error(), "wrong:")
}

func TestACertificateIsTrustedByItsThumbprintOnly(t *testing.T) {
	v, conf := start(t)
	conf.CAFile = ""
	_, err := vsphere.Connect(context.Background(), conf, user, pass)
	require.Error(t, err)
	conf.Thumbprint = v.Thumbprint()
	connect(t, conf)
	first := "00"
	if strings.HasPrefix(conf.Thumbprint, first) {
		first = "FF"
	}
	conf.Thumbprint = first + conf.Thumbprint[2:]
	_, err = vsphere.Connect(context.Background(), conf, user, pass)
	require.Error(t, err)
}

func TestPowerIsSwitchedOnce(t *testing.T) {
	v, conf := start(t, web)
	s := connect(t, conf)
	ctx := context.Background()
	vms, err := s.Inventory(ctx, migration.VMSelector{}, nil)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, s.Shutdown(ctx, vms[0], 5*time.Second, true))
		require.False(t, v.PoweredOn()["web-01"])
	}
	for range 2 {
		require.NoError(t, s.PowerOn(ctx, vms[0]))
		require.True(t, v.PoweredOn()["web-01"])
	}
}
