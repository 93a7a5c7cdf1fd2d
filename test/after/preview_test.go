package after

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	temporalclient "go.temporal.io/sdk/client"

	"github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/worker"
)

// center is a vCenter with one machine, which takes no command: whatever would change it fails.
type center struct{ vm migration.VM }

func (c *center) ListVMs(context.Context, vsphere.ListVMsRequest) (vsphere.ListVMsResult, error) {
	return vsphere.ListVMsResult{VMs: []migration.VM{c.vm}}, nil
}

func (c *center) MadeSnapshots(_ context.Context, req vsphere.MadeSnapshotsRequest) (vsphere.MadeSnapshotsResult, error) {
	if req.Remove {
		panic("a preview removes snapshots")
	}
	return vsphere.MadeSnapshotsResult{}, nil
}

// written is the next transaction of both servers: each that writes takes one, also where it is
// rolled back.
func written(r *pairtest.Rig) (n int64) {
	r.Helper()
	for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
		n += r.Num(side, `SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint`)
	}
	return n
}

// unattended keeps the servers from writing by themselves.
func unattended(r *pairtest.Rig) {
	r.Helper()
	for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
		r.Must(side, `ALTER SYSTEM SET autovacuum = off`)
		r.Must(side, `SELECT pg_reload_conf()`)
		r.Until("autovacuum is off", func() bool {
			return r.Num(side, `SELECT (current_setting('autovacuum') = 'off' AND NOT EXISTS (SELECT FROM pg_stat_activity
				WHERE backend_type = 'autovacuum worker'))::int`) == 1
		})
	}
}

// A plan is looked at before it is submitted, and again when half of it exists. Nothing is changed
// anywhere: no call to AWS, no row in a database, no workflow but the preview's.
func TestPreviewSaysWhatWouldBeDoneAndDoesNothing(t *testing.T) {
	r := pairtest.New(t)
	r.Must(migration.OnPrem, "INSERT INTO acct SELECT g, 0 FROM generate_series(1, 2) g")
	r.Must(migration.OnPrem, "INSERT INTO orders (tenant_id, amount) SELECT 2, g FROM generate_series(1, 5000) g")
	unattended(r)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	a := cloud(t)
	net := ec2.NewFromConfig(a.cfg)
	vpc, err := net.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	require.NoError(t, err)
	subnet, err := net.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String("10.0.1.0/24")})
	require.NoError(t, err)
	vm := migration.VM{Name: "web-01", Ref: "vm-1", UUID: "web-01-uuid", CPUs: 2, MemoryMB: 4096,
		Disks: []migration.Disk{{Key: 2000, Label: "Hard disk 1", Bytes: 8 << 30}}}

	s := spec(r, 2)
	s.Sites[0].VSphere = &migration.VSphere{URL: "https://vcenter.example/sdk"}
	s.Targets[0] = migration.Target{Name: "prod", Account: "123456789012", Region: "us-east-1", VPC: *vpc.Vpc.VpcId,
		Subnets: []string{*subnet.Subnet.SubnetId}}
	s.Workloads = []migration.Workload{{Name: "web", Site: "dc1", Target: "prod", State: migration.StateDatasets,
		VMs: migration.VMSelector{Names: []string{"web-01"}}, EC2: &migration.EC2{InstanceType: "auto"}}}
	s.Policy = migration.Policy{FreezeBudget: migration.Duration(5 * time.Second), Patience: migration.Duration(3 * time.Second)}

	o := temporal(t)
	c := dial(t, o)
	queue := migration.OwnQueue("preview")
	serve(t, worker.Options{Client: o, Main: true, Sites: []string{"dc1"}, Queue: queue}, r, append(a.activities(), &center{vm})...)
	raw, err := temporalclient.Dial(o)
	require.NoError(t, err)
	t.Cleanup(raw.Close)

	untouched := func() migration.PreviewReport {
		t.Helper()
		before := written(r)
		a.calls.seen()
		got, err := c.Preview(ctx, s, queue)
		require.NoError(t, err)
		require.Empty(t, got.Unseen)
		require.Empty(t, a.calls.seen(), "calls to AWS and S3 that change something")
		require.Equal(t, before, written(r), "transactions that wrote in the databases")
		list, err := raw.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: "WorkflowType != 'Preview'"})
		require.NoError(t, err)
		require.Empty(t, list.GetExecutions(), "workflows")
		return got
	}
	state := func(p migration.PreviewReport, do string) []string {
		var out []string
		for _, x := range p.Steps {
			if strings.HasPrefix(x.Do, do) {
				out = append(out, x.To+": "+x.State)
			}
		}
		return out
	}
	first := untouched()
	require.Equal(t, []string{"VM web-01: will be made"}, state(first, "instance"))
	require.Equal(t, []string{"VM web-01: will be made"}, state(first, "image"))
	require.Equal(t, []string{"both databases of orders: will be made"}, state(first, "functions"))
	order := []string{"store the compiled plan", "take a snapshot", "copy 1 disks", "image", "instance", "functions", "copy the tables",
		"move 2 customers", "end the way back"}
	at := -1
	for _, do := range order {
		i := slices.IndexFunc(first.Steps, func(x migration.PreviewStep) bool { return strings.HasPrefix(x.Do, do) })
		require.Greater(t, i, at, do)
		at = i
	}
	require.Len(t, first.Customers, 2)
	require.EqualValues(t, 1, first.Customers[0].Rows)
	require.EqualValues(t, 5001, first.Customers[1].Rows)
	for _, x := range first.Customers {
		require.Positive(t, x.Freeze)
		require.Equal(t, x.Freeze, x.Stall)
		require.False(t, x.Over)
	}
	require.Equal(t, migration.PreviewSize{What: "disk Hard disk 1 of VM web-01", Bytes: 8 << 30}, first.Sizes[0])
	require.Positive(t, first.Sizes[1].Bytes)
	require.Empty(t, migration.Blockers(first.Findings), "%v", first.Findings)
	require.Contains(t, strings.Join(first.LeftOut, "\n"), "postgres-connectivity of orders")

	r.Prepare(2)
	r.Synced()
	a.launched(t, s.Plan, "web-01", a.copied(t, s.Plan, "web-01"))
	s.Policy.FreezeBudget, s.Policy.Patience = 1, 1
	second, err := c.Preview(ctx, s, queue)
	require.NoError(t, err)
	require.Equal(t, []string{"VM web-01: exists"}, state(second, "instance"))
	require.Equal(t, []string{"both databases of orders: exists"}, state(second, "functions"))
	require.True(t, second.Customers[0].Over)
	require.True(t, second.Customers[0].Refused)
	require.Zero(t, second.Customers[0].Stall)
}
