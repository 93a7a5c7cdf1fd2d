package vsphere

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/lab/vcenter"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/vsphere"
)

// secret answers with itself.
type secret string

func (s secret) Resolve(context.Context, migration.SecretRef) (string, error) { return string(s), nil }

type site struct {
	*testing.T
	vc   *vcenter.VCenter
	site migration.Site
	env  *testsuite.TestActivityEnvironment
	a    *Activities

	centers *vsphere.Pool
}

// start runs a vCenter and the activities against it.
func start(t *testing.T, says secret, vms ...vcenter.VM) *site {
	t.Helper()
	vc, err := vcenter.Start(t.Context(), vcenter.Options{Listen: "127.0.0.1:0", Dir: t.TempDir(), VMs: vms, Username: "admin",
		Password: "right"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, vc.Close()) })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, vc.CAPEM(), 0o600))
	pool := vsphere.NewPool(says, hclog.NewNullLogger())
	t.Cleanup(pool.Close)
	var suite testsuite.WorkflowTestSuite
	s := &site{T: t, vc: vc, env: suite.NewTestActivityEnvironment(), a: New(pool, hclog.NewNullLogger()), centers: pool}
	s.site = migration.Site{Name: "dc1", VSphere: &migration.VSphere{URL: vc.URL(), Datacenter: "DC0", Credentials: "env://VSPHERE",
		CAFile: ca}}
	s.env.RegisterActivity(s.a)
	return s
}

const right = secret(`{"username":"admin","password":"right"}`)

func (s *site) list(sel migration.VMSelector) []migration.VM {
	s.Helper()
	v, err := s.env.ExecuteActivity(s.a.ListVMs, ListVMsRequest{Site: s.site, Selector: sel})
	require.NoError(s, err)
	var res ListVMsResult
	require.NoError(s, v.Get(&res))
	return res.VMs
}

// snapshot makes one, as a copy does.
func (s *site) snapshot(vm migration.VM, name string) {
	s.Helper()
	session, err := s.centers.Session(s.Context(), s.site)
	require.NoError(s, err)
	_, err = session.Snapshot(s.Context(), vm, name)
	require.NoError(s, err)
}

func (s *site) do(activity, req any) error {
	_, err := s.env.ExecuteActivity(activity, req)
	return err
}

func (s *site) permanent(err error, kind string) {
	s.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(s, err, &app)
	require.True(s, app.NonRetryable())
	require.Equal(s, kind, app.Type())
}

var web = vcenter.VM{Name: "web-01", CPUs: 1, MemoryMB: 512, DiskBytes: []int64{1 << 20}}

func TestEachRunsTwice(t *testing.T) {
	s := start(t, right, web)
	vm := s.list(migration.VMSelector{Names: []string{"web-01"}})[0]
	require.Equal(t, []migration.VM{vm}, s.list(migration.VMSelector{}))

	s.snapshot(vm, "drover-plan")
	for range 2 {
		require.NoError(t, s.do(s.a.RemoveVMSnapshot, RemoveVMSnapshotRequest{Site: s.site, VM: vm, Name: "drover-plan"}))
	}
	for range 2 {
		require.NoError(t, s.do(s.a.ShutdownVM, ShutdownVMRequest{Site: s.site, VM: vm, Timeout: migration.Duration(10 * time.Second)}))
		require.False(t, s.vc.PoweredOn()["web-01"])
	}
	for range 2 {
		require.NoError(t, s.do(s.a.ShutdownVM, ShutdownVMRequest{Site: s.site, VM: vm, Timeout: migration.Duration(10 * time.Second),
			Retired: true}))
		require.Equal(t, []string{"drover:" + vsphere.Retired}, s.list(migration.VMSelector{})[0].Tags)
	}
	for range 2 {
		require.NoError(t, s.do(s.a.PowerOnVM, PowerOnVMRequest{Site: s.site, VM: vm}))
		require.True(t, s.vc.PoweredOn()["web-01"])
	}
}

func TestWhatNoRepetitionMends(t *testing.T) {
	deaf := web
	deaf.Deaf = true
	s := start(t, right, deaf)
	vm := s.list(migration.VMSelector{})[0]
	s.permanent(s.do(s.a.ShutdownVM, ShutdownVMRequest{Site: s.site, VM: vm, Timeout: migration.Duration(100 * time.Millisecond)}),
		"StillRunning")
	s.permanent(s.do(s.a.RemoveVMSnapshot, RemoveVMSnapshotRequest{Site: s.site, VM: vm, Name: "backup"}), "NotOurs")
	gone := vm
	gone.Ref = "vm-9999"
	s.permanent(s.do(s.a.PowerOnVM, PowerOnVMRequest{Site: s.site, VM: gone}), "NotFound")

	other := start(t, `{"username":"admin","password":"wrong"}`)
	err := other.do(other.a.ListVMs, ListVMsRequest{Site: other.site})
	other.permanent(err, "Credentials")
	require.NotContains(t, err.Error(), `wrong"`)
}

// Whoever may not tag in vCenter has the machine off all the same.
func TestAMachineThatCannotBeTaggedIsOff(t *testing.T) {
	s := start(t, right, web)
	vm := s.list(migration.VMSelector{})[0]
	s.vc.SetPassword("another") // sessions live on; the tagging service wants a new one
	v, err := s.env.ExecuteActivity(s.a.ShutdownVM, ShutdownVMRequest{Site: s.site, VM: vm, Timeout: migration.Duration(10 * time.Second),
		Retired: true})
	require.NoError(t, err)
	var r ShutdownVMResult
	require.NoError(t, v.Get(&r))
	require.Contains(t, r.Untagged, "correct the secret env://VSPHERE")
	require.False(t, s.vc.PoweredOn()["web-01"])
}

func TestAMistakeInThePlanOrItsSecretIsSaidAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		says     secret
		turn     func(*ListVMsRequest)
		kind     string
		messages []string
	}{
		"a datacenter that is not there": {right, func(r *ListVMsRequest) { r.Site.VSphere.Datacenter = "DC9" }, "NoDatacenter",
			[]string{`datacenter "DC9"`, "it shows DC0: correct the site's datacenter, or let user admin read it"}},
		"a secret that is no JSON": {"admin:s3cret", func(*ListVMsRequest) {}, "BadSecret",
			[]string{`site "dc1": the secret env://VSPHERE is not JSON {"username": .., "password": ..}: correct it`}},
		"a pattern that cannot be read": {right, func(r *ListVMsRequest) { r.Selector.Name = "web-[" }, "BadPattern",
			[]string{`"web-["`, "correct the workload's vms.match.name"}},
		"a certificate that nobody vouches for": {right, func(r *ListVMsRequest) {
			conf := *r.Site.VSphere
			conf.CAFile = ""
			r.Site.VSphere = &conf
		}, "Untrusted", []string{"give the site's caFile or thumbprint"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, c.says, web)
			req := ListVMsRequest{Site: s.site}
			c.turn(&req)
			err := s.do(s.a.ListVMs, req)
			s.permanent(err, c.kind)
			for _, m := range c.messages {
				require.ErrorContains(t, err, m)
			}
			require.NotContains(t, err.Error(), "s3cret")
		})
	}
}

// TestASessionThatIsLost: the next activity logs in again.
func TestASessionThatIsLost(t *testing.T) {
	s := start(t, right, web)
	vm := s.list(migration.VMSelector{})[0]
	require.NoError(t, s.vc.DropSessions(t.Context()))
	require.NoError(t, s.do(s.a.PowerOnVM, PowerOnVMRequest{Site: s.site, VM: vm}))
	require.NoError(t, s.vc.DropSessions(t.Context()))
	require.Len(t, s.list(migration.VMSelector{}), 1)
}

// What a copy that was cut off has left is found by its name, and nobody else's snapshot is.
func TestSnapshotsThatACopyLeftAreListedAndRemovedOnce(t *testing.T) {
	s := start(t, right, web)
	vm := s.list(migration.VMSelector{})[0]
	for _, plan := range []string{"plan", "other"} {
		s.snapshot(vm, SnapshotName(plan))
	}
	made := func(remove bool) (out MadeSnapshotsResult) {
		v, err := s.env.ExecuteActivity(s.a.MadeSnapshots, MadeSnapshotsRequest{Plan: "plan", Site: s.site, Remove: remove})
		require.NoError(t, err)
		require.NoError(t, v.Get(&out))
		return out
	}
	require.Len(t, made(false).Things, 1)
	require.Equal(t, []string{"snapshot drover-plan of VM web-01"}, made(true).Removed)
	require.Empty(t, made(true).Removed)
	v, err := s.env.ExecuteActivity(s.a.MadeSnapshots, MadeSnapshotsRequest{Plan: "other", Site: s.site})
	require.NoError(t, err)
	var other MadeSnapshotsResult
	require.NoError(t, v.Get(&other))
	require.Len(t, other.Things, 1)
}
