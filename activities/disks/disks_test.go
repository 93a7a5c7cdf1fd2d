package disks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vim25/soap"
	vim "github.com/vmware/govmomi/vim25/types"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/internal/objects"
	lab "github.com/drover-migration/drover/lab/ebs"
	"github.com/drover-migration/drover/lab/vcenter"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/disks"
	"github.com/drover-migration/drover/vsphere"
)

const keyARN = "arn:aws:kms:eu-west-1:123456789012:key/1234"

// account is one on AWS: the lab's block store, which also says what EC2 and KMS would.
type account struct {
	store *lab.Server
	ebs   disks.EBS
	err   error // of KMS

	mu      sync.Mutex
	started []*ebs.StartSnapshotInput
}

func newAccount(t *testing.T) *account {
	t.Helper()
	s, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	c := ebs.New(ebs.Options{Region: "eu-west-1", BaseEndpoint: aws.String(s.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider("k", "s", "")})
	return &account{store: s, ebs: c}
}

func (a *account) EBS(context.Context, migration.Target) (disks.EBS, error) {
	return starts{a.ebs, a}, nil
}
func (a *account) EC2(context.Context, migration.Target) (disks.EC2, error) { return a, nil }
func (a *account) KMS(context.Context, migration.Target) (KMS, error)       { return a, nil }

// starts notes what snapshots are asked for.
type starts struct {
	disks.EBS
	a *account
}

func (s starts) StartSnapshot(ctx context.Context, in *ebs.StartSnapshotInput, o ...func(*ebs.Options)) (*ebs.StartSnapshotOutput, error) {
	s.a.mu.Lock()
	s.a.started = append(s.a.started, in)
	s.a.mu.Unlock()
	return s.EBS.StartSnapshot(ctx, in, o...)
}

func (a *account) DescribeSnapshots(_ context.Context, in *ec2.DescribeSnapshotsInput,
	_ ...func(*ec2.Options)) (*ec2.DescribeSnapshotsOutput, error) {
	state := a.store.State(in.SnapshotIds[0])
	if state == "" {
		return nil, &smithy.GenericAPIError{Code: "InvalidSnapshot.NotFound"}
	}
	return &ec2.DescribeSnapshotsOutput{Snapshots: []types.Snapshot{{State: types.SnapshotState(state)}}}, nil
}

func (a *account) DeleteSnapshot(context.Context, *ec2.DeleteSnapshotInput,
	...func(*ec2.Options)) (*ec2.DeleteSnapshotOutput, error) {
	return &ec2.DeleteSnapshotOutput{}, nil
}

func (a *account) DescribeKey(context.Context, *kms.DescribeKeyInput, ...func(*kms.Options)) (*kms.DescribeKeyOutput, error) {
	return &kms.DescribeKeyOutput{KeyMetadata: &kmstypes.KeyMetadata{Arn: aws.String(keyARN)}}, a.err
}

// bucket is the state bucket in memory, with internal/objects' conditions.
type bucket struct {
	mu      sync.Mutex
	bodies  map[string][]byte
	version map[string]int
	writes  int
	before  func() // the next write
}

func newBucket() *bucket { return &bucket{bodies: map[string][]byte{}, version: map[string]int{}} }

func (b *bucket) Get(_ context.Context, _ migration.StateStore, _ migration.Target, key string) ([]byte, string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	body, ok := b.bodies[key]
	if !ok {
		return nil, "", fmt.Errorf("read %s: %w", key, objects.ErrNotFound)
	}
	return body, fmt.Sprint(b.version[key]), nil
}

func (b *bucket) Put(ctx context.Context, at migration.StateStore, target migration.Target, key string, body []byte,
	ifMatch string) (string, error) {
	b.mu.Lock()
	if before := b.before; before != nil {
		b.before = nil
		b.mu.Unlock()
		before()
		return b.Put(ctx, at, target, key, body, ifMatch)
	}
	defer b.mu.Unlock()
	now := ""
	if _, ok := b.bodies[key]; ok {
		now = fmt.Sprint(b.version[key])
	}
	if ifMatch != now {
		return "", fmt.Errorf("write %s: %w", key, objects.ErrConflict)
	}
	b.writes++
	b.bodies[key], b.version[key] = body, b.version[key]+1
	return fmt.Sprint(b.version[key]), nil
}

func (b *bucket) Remove(_ context.Context, _ migration.StateStore, _ migration.Target, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.bodies, key)
	return nil
}

func (b *bucket) keys() (out []string) {
	for k := range b.bodies {
		out = append(out, k)
	}
	return out
}

// vm plays disks of bytes that are the disk's number, one grain in each block.
type vm struct {
	played int
	err    error // after so many disks
	good   int

	snapped []string // names, in the order in which they were asked for
	refused error    // of a snapshot
}

// snapped is when all snapshots were made.
var snapped = time.Date(2026, 12, 2, 20, 30, 0, 0, time.UTC)

// Snapshot answers with the name as the id.
func (v *vm) Snapshot(_ context.Context, _ migration.Site, _ migration.VM, name string) (string, time.Time, error) {
	v.snapped = append(v.snapped, name)
	return name, snapped, v.refused
}

const diskBytes = 1 << 20

func (v *vm) ExportDisks(ctx context.Context, _ migration.Site, m migration.VM, _ string,
	each func(context.Context, migration.Disk, func(func(int64, []byte) error) (int64, error)) error) error {
	for i, d := range m.Disks {
		if v.err != nil && i == v.good {
			return v.err
		}
		err := each(ctx, d, func(emit func(int64, []byte) error) (int64, error) {
			v.played++
			grain := make([]byte, 64<<10)
			for at := int64(0); at < d.Bytes; at += disks.BlockSize {
				grain[0] = byte(d.Key) //nolint:gosec // its last digits
				if err := emit(at, grain); err != nil {
					return 0, err
				}
			}
			return d.Bytes, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func request() ReplicateDisksRequest {
	return ReplicateDisksRequest{
		Plan: "shop", Pass: "1", Snapshot: "snapshot-7",
		Target: migration.Target{Name: "main", KMSKey: "alias/disks", Tags: map[string]string{"owner": "ops", tagPlan: "not yours"}},
		VM: migration.VM{Name: "web-01", UUID: "5029", Disks: []migration.Disk{
			{Key: 2000, Label: "Hard disk 1", Bytes: diskBytes}, {Key: 2001, Label: "Hard disk 2", Bytes: diskBytes},
		}},
	}
}

// replicate runs the activity and gives its heartbeats.
func replicate(t *testing.T, a *Activities, req ReplicateDisksRequest) (res ReplicateDisksResult, beats []migration.Progress, err error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(a)
	var mu sync.Mutex
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		mu.Lock()
		defer mu.Unlock()
		var p migration.Progress
		if details.Get(&p) == nil {
			beats = append(beats, p)
		}
	})
	v, err := env.ExecuteActivity(a.ReplicateDisks, req)
	if err == nil {
		err = v.Get(&res)
	}
	return res, beats, err
}

func TestEveryDiskBecomesASnapshotOfTheTarget(t *testing.T) {
	aws, b, v := newAccount(t), newBucket(), &vm{}
	res, beats, err := replicate(t, New(v, aws, b, 0), request())
	require.NoError(t, err)
	require.Len(t, res.Disks, 2)
	for i, d := range res.Disks {
		require.EqualValues(t, 2000+i, d.Key, "in the order of the VM")
		require.Equal(t, snapped, d.AsOf)
		require.Equal(t, "completed", aws.store.State(d.Snapshot))
		digest, blocks, err := aws.store.ReadDigest(d.Snapshot)
		require.NoError(t, err)
		require.Equal(t, d.Digest, digest)
		require.EqualValues(t, diskBytes/disks.BlockSize, blocks)
	}
	require.NotEqual(t, res.Disks[0].Digest, res.Disks[1].Digest)

	require.Len(t, aws.started, 2)
	for i, in := range aws.started {
		require.Equal(t, keyARN, *in.KmsKeyArn, "EBS direct takes no alias")
		require.True(t, *in.Encrypted)
		tags := map[string]string{}
		for _, tag := range in.Tags {
			tags[*tag.Key] = *tag.Value
		}
		require.Equal(t, map[string]string{"owner": "ops", tagPlan: "shop", tagVM: "5029", tagName: "web-01",
			tagDisk: fmt.Sprint(2000 + i), disks.TagBytes: fmt.Sprint(diskBytes)}, tags)
		require.Equal(t, fmt.Sprintf("Drover shop: web-01 Hard disk %d", i+1), *in.Description)
	}
	require.ElementsMatch(t, []string{"disks/shop/5029/1/2000/snapshot-7/head.json", "disks/shop/5029/1/2000/snapshot-7/blocks-0000",
		"disks/shop/5029/1/2001/snapshot-7/head.json", "disks/shop/5029/1/2001/snapshot-7/blocks-0000"}, b.keys())
	require.NotEmpty(t, beats)
	require.Less(t, beats[0].Done, int64(2*diskBytes), "the first is told before the work or beside it, not after")
	beats[0].Done = 0
	require.Equal(t, migration.Progress{Total: 2 * diskBytes, Measuring: true}, beats[0])
}

func TestReplicatedTwiceItIsTheSameSnapshots(t *testing.T) {
	aws, b, v := newAccount(t), newBucket(), &vm{}
	first, _, err := replicate(t, New(v, aws, b, 0), request())
	require.NoError(t, err)
	again, _, err := replicate(t, New(v, aws, b, 0), request())
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Equal(t, 2, v.played, "a finished disk is not read again")
	lost, _, err := replicate(t, New(v, aws, newBucket(), 0), request())
	require.NoError(t, err)
	require.Equal(t, first, lost, "without its checkpoints it is found by client token")
	require.Equal(t, 2, aws.store.Snapshots())
}

func TestOtherCopiesAreOtherSnapshots(t *testing.T) {
	for _, c := range []struct {
		name string
		turn func(*ReplicateDisksRequest)
	}{
		{"another pass", func(r *ReplicateDisksRequest) { r.Pass = "2" }},
		{"another snapshot of the VM", func(r *ReplicateDisksRequest) { r.Snapshot = "snapshot-8" }},
		{"another plan", func(r *ReplicateDisksRequest) { r.Plan = "other" }},
		{"another VM of the same name", func(r *ReplicateDisksRequest) { r.VM.UUID = "502a" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			aws, b := newAccount(t), newBucket()
			a, req := New(&vm{}, aws, b, 0), request()
			req.VM.Disks = req.VM.Disks[:1]
			first, _, err := replicate(t, a, req)
			require.NoError(t, err)
			c.turn(&req)
			second, _, err := replicate(t, a, req)
			require.NoError(t, err)
			require.NotEqual(t, first.Disks[0].Snapshot, second.Disks[0].Snapshot)
		})
	}
}

func TestACopyThatFailsAfterTheFirstDiskDoesNotReadItAgain(t *testing.T) {
	acc, b, v := newAccount(t), newBucket(), &vm{err: errors.New("the host rebooted"), good: 1}
	a := New(v, acc, b, 0)
	res, _, err := replicate(t, a, request())
	require.ErrorContains(t, err, `replicate the disks of VM "web-01" (snapshot snapshot-7): the host rebooted`)
	require.Empty(t, res.Disks, "half a VM is no result")
	v.err = nil
	res, _, err = replicate(t, a, request())
	require.NoError(t, err)
	require.Len(t, res.Disks, 2)
	require.Equal(t, 2, v.played)
	require.Equal(t, 2, acc.store.Snapshots())
}

func TestACopyThatAnotherWorkerHasTakenOverEnds(t *testing.T) {
	acc, b := newAccount(t), newBucket()
	req := request()
	req.VM.Disks = req.VM.Disks[:1]
	var other ReplicateDisksResult
	b.before = func() {
		var err error
		other, _, err = replicate(t, New(&vm{}, acc, b, 0), req)
		require.NoError(t, err)
	}
	a := New(&vm{}, acc, b, 0)
	_, _, err := replicate(t, a, req)
	require.ErrorContains(t, err, "another worker copies this disk")
	again, _, err := replicate(t, a, req)
	require.NoError(t, err, "and its next try has what the other did")
	require.Equal(t, other, again)
	require.Equal(t, 1, acc.store.Snapshots())
}

func TestACheckpointIsWrittenOnlyOverWhatItsWorkerKnows(t *testing.T) {
	b := newBucket()
	mine, other := &checkpoint{bucket: b, prefix: "k/", etags: map[string]string{}},
		&checkpoint{bucket: b, prefix: "k/", etags: map[string]string{}}
	for _, c := range []*checkpoint{mine, other} {
		body, err := c.Read(t.Context(), "head")
		require.NoError(t, err)
		require.Nil(t, body, "nothing was kept")
	}
	require.NoError(t, mine.Write(t.Context(), "head", []byte("1")))
	require.NoError(t, mine.Write(t.Context(), "head", []byte("2")), "a write is known to who wrote it")
	require.ErrorIs(t, other.Write(t.Context(), "head", []byte("3")), objects.ErrConflict)
	require.ErrorIs(t, other.Write(t.Context(), "head", []byte("3")), objects.ErrConflict, "trying again is no reading")
	body, err := other.Read(t.Context(), "head")
	require.NoError(t, err)
	require.Equal(t, "2", string(body))
	require.NoError(t, other.Write(t.Context(), "head", []byte("3")))
	require.ErrorIs(t, mine.Write(t.Context(), "head", []byte("4")), objects.ErrConflict)
	require.NoError(t, mine.Write(t.Context(), "blocks", []byte("5")), "each part has its own version")
}

func TestWhatAnOperatorHasToMendIsNotTriedAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		kind string // "" is tried again
	}{
		{"refused", &smithy.GenericAPIError{Code: "AccessDeniedException"}, "Refused"},
		{"a key that is not there", &smithy.GenericAPIError{Code: "NotFoundException"}, "Refused"},
		{"a key that is off", &smithy.GenericAPIError{Code: "DisabledException"}, "Refused"},
		{"a quota", &smithy.GenericAPIError{Code: "ServiceQuotaExceededException"}, "Refused"},
		{"vCenter's credentials: trying them again locks the account", fmt.Errorf("vCenter vc: %w", vsphere.ErrCredentials), "Credentials"},
		{"a secret that is none", fmt.Errorf("site dc1: %w", vsphere.ErrSecret), "BadSecret"},
		{"a machine that was removed", fmt.Errorf("export VM: %w", notFound("VirtualMachine")), "MachineGone"},
		{"a snapshot that was removed", fmt.Errorf("export VM: %w", notFound("VirtualMachineSnapshot")), "SnapshotGone"},
		{"a snapshot that has grown too large", fmt.Errorf("export VM: %w", vsphere.ErrSnapshotSpent), "SnapshotSpent"},
		{"disks that were added since", fmt.Errorf("export VM: %w", vsphere.ErrInventoryStale), "InventoryStale"},
		{"a lease that ended with its session", notFound("HttpNfcLease"), ""},
		{"throttled", &smithy.GenericAPIError{Code: "RequestThrottledException"}, ""},
		{"a broken line", errors.New("EOF"), ""},
		{"a snapshot that AWS gave up", disks.ErrGone, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := replicate(t, New(&vm{err: c.err}, newAccount(t), newBucket(), 0), request())
			var app *temporal.ApplicationError
			require.ErrorAs(t, err, &app)
			require.Equal(t, c.kind != "", app.NonRetryable())
			if c.kind != "" {
				require.Equal(t, c.kind, app.Type())
			}
			require.ErrorContains(t, err, `VM "web-01"`)
		})
	}
}

// notFound is vCenter's answer for an object that it does not have.
func notFound(kind string) error {
	return soap.WrapVimFault(&vim.ManagedObjectNotFound{Obj: vim.ManagedObjectReference{Type: kind, Value: "1"}})
}

func TestACopyThatWouldHaveToGoOnWithOtherParametersEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		turn func(*ReplicateDisksRequest)
	}{
		{"another key", func(r *ReplicateDisksRequest) { r.Target.KMSKey = keyARN + "5" }},
		{"other tags", func(r *ReplicateDisksRequest) { r.Target.Tags = map[string]string{"owner": "dev"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			acc, b := newAccount(t), newBucket()
			v, req := &vm{err: errors.New("the host rebooted"), good: 1}, request()
			_, _, err := replicate(t, New(v, acc, b, 0), req)
			require.ErrorContains(t, err, "rebooted")
			v.err = nil
			c.turn(&req)
			_, _, err = replicate(t, New(v, acc, newBucket(), 0), req)
			var app *temporal.ApplicationError
			require.ErrorAs(t, err, &app)
			require.True(t, app.NonRetryable(), "%v", err)
			require.Equal(t, "Changed", app.Type())
			require.ErrorContains(t, err, `VM "web-01"`)
			require.ErrorContains(t, err, "give the target back the kmsKey")
			require.Equal(t, 1, acc.store.Snapshots())
		})
	}
}

// A snapshot grows for as long as it waits: the copy makes it, once it has its slot.
func TestACopyMakesItsSnapshotAndReadsNothingWithoutOne(t *testing.T) {
	acc, v := newAccount(t), &vm{refused: errors.New("another task is in progress")}
	_, _, err := replicate(t, New(v, acc, newBucket(), 0), request())
	require.ErrorContains(t, err, `replicate the disks of VM "web-01": another task is in progress`)
	require.Zero(t, v.played)
	v.refused = fmt.Errorf("snapshot %q: %w", "backup", vsphere.ErrNotOurs)
	_, _, err = replicate(t, New(v, acc, newBucket(), 0), request())
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.True(t, app.NonRetryable())
	require.Equal(t, "NotOurs", app.Type())
	require.Zero(t, v.played)
	require.Equal(t, []string{"snapshot-7", "snapshot-7"}, v.snapped)
}

func TestAMachineThatWasRemovedFromVCenterIsNotAskedForForEver(t *testing.T) {
	vc, err := vcenter.Start(t.Context(), vcenter.Options{Listen: "127.0.0.1:0", Dir: t.TempDir(), Username: "admin", Password: "right",
		VMs: []vcenter.VM{{Name: "web-01", CPUs: 1, MemoryMB: 512, DiskBytes: []int64{diskBytes}}}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, vc.Close()) })
	s, err := vsphere.Connect(t.Context(), migration.VSphere{URL: vc.URL(), Datacenter: "DC0", Thumbprint: vc.Thumbprint()}, "admin",
		"right")
	require.NoError(t, err)
	t.Cleanup(s.Close)
	all, err := s.Inventory(t.Context(), migration.VMSelector{}, nil)
	require.NoError(t, err)
	gone := all[0]
	gone.Ref = "vm-9999"

	for snapshot, kind := range map[string]string{"snapshot-9999": "SnapshotGone", "": "MachineGone"} {
		req := request()
		req.VM, req.Snapshot = gone, "drover-shop"
		_, _, err = replicate(t, New(of{s, snapshot}, newAccount(t), newBucket(), 0), req)
		var app *temporal.ApplicationError
		require.ErrorAs(t, err, &app)
		require.True(t, app.NonRetryable(), "%v", err)
		require.Equal(t, kind, app.Type())
		require.ErrorContains(t, err, "submit the plan again")
	}
}

// of exports over one session, whatever the site. It believes to have found a snapshot where it
// names one.
type of struct {
	*vsphere.Session
	found string
}

func (o of) Snapshot(ctx context.Context, _ migration.Site, m migration.VM, name string) (string, time.Time, error) {
	if o.found != "" {
		return o.found, snapped, nil
	}
	id, err := o.Session.Snapshot(ctx, m, name)
	return id, snapped, err
}

func (o of) ExportDisks(ctx context.Context, _ migration.Site, m migration.VM, snapshot string,
	each func(context.Context, migration.Disk, func(func(int64, []byte) error) (int64, error)) error) error {
	return o.Session.ExportDisks(ctx, m, snapshot, each)
}

func TestAKeyThatCannotBeFoundIsNamed(t *testing.T) {
	acc := newAccount(t)
	acc.err = &smithy.GenericAPIError{Code: "NotFoundException"}
	_, _, err := replicate(t, New(&vm{}, acc, newBucket(), 0), request())
	require.ErrorContains(t, err, `find the ARN of KMS key "alias/disks" of target "main"`)
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.True(t, app.NonRetryable())
	require.Empty(t, acc.started)
}

func TestProgressAddsTheDisksUp(t *testing.T) {
	v := migration.VM{Disks: []migration.Disk{{Key: 1, Bytes: 100}, {Key: 2, Bytes: 300}}}
	p := newProgress(v)
	require.Equal(t, migration.Progress{Total: 400, Measuring: true}, p.last)
	p.tell(migration.Progress{Done: 50, Total: 100, Measuring: true})
	require.Equal(t, migration.Progress{Done: 50, Total: 400, Measuring: true}, p.last, "no rate, no time to go")
	p.finished(v.Disks[0])
	p.tell(migration.Progress{Done: 100, Total: 300, Rate: 10})
	require.Equal(t, migration.Progress{Done: 200, Total: 400, Rate: 10, ETA: migration.Duration(20 * time.Second)}, p.last)
}

func TestTheLimitLetsABlockThrough(t *testing.T) {
	require.Nil(t, New(nil, nil, nil, 0).limit)
	slow := New(nil, nil, nil, 1000).limit
	require.EqualValues(t, 1000, slow.Limit())
	require.Equal(t, disks.BlockSize, slow.Burst(), "a burst below a block would let none through")
	require.Equal(t, 1<<30, New(nil, nil, nil, 1<<30).limit.Burst())
}
