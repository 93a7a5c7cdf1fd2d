package disks

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"golang.org/x/time/rate"

	"github.com/drover-migration/drover/internal/awsconf"
	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/internal/measure"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/disks"
)

// Tags of a snapshot beside the plan's own.
const (
	tagPlan = "drover:plan"
	tagVM   = "drover:vm" // instance UUID: names are not unique among sites
	tagName = "Name"      // the VM's
	tagDisk = "drover:disk"
)

// beat is how often progress is heartbeaten.
const beat = 2 * time.Second

// Activities copy disks.
type Activities struct {
	exporter Exporter
	clients  Clients
	bucket   objects.Bucket
	limit    *rate.Limiter
}

// New makes the activities of one worker. bytesPerSecond limits all its copies together; 0: no
// limit.
func New(exporter Exporter, clients Clients, bucket objects.Bucket, bytesPerSecond int64) *Activities {
	a := &Activities{exporter: exporter, clients: clients, bucket: bucket}
	if bytesPerSecond > 0 {
		a.limit = rate.NewLimiter(rate.Limit(bytesPerSecond), int(max(bytesPerSecond, disks.BlockSize)))
	}
	return a
}

// ReplicateDisksRequest names the snapshot of a VM that is found or made, and copied. Pass tells
// copies of one snapshot apart.
type ReplicateDisksRequest struct {
	Plan        string               `json:"plan"`
	Site        migration.Site       `json:"site"`
	Target      migration.Target     `json:"target"`
	State       migration.StateStore `json:"state"`
	StateTarget migration.Target     `json:"stateTarget"`
	VM          migration.VM         `json:"vm"`
	Snapshot    string               `json:"snapshot"` // its name, which begins with "drover-"
	Pass        string               `json:"pass"`
}

// ReplicateDisksResult has the disks in the order of the VM.
type ReplicateDisksResult struct {
	Disks []migration.DiskImage `json:"disks"`
}

// ReplicateDisks makes a snapshot of a VM, unless it has it, and copies every disk of it into a
// completed EBS snapshot that was read back. It heartbeats a migration.Progress over all disks. It
// leaves the VM's snapshot to whoever asked.
//
// Run twice, it finds the VM's snapshot by its name, and the first run's snapshots by client token
// and returns what it recorded. Cut off anywhere, the next run reads the stream again and puts only
// blocks that its checkpoint does not have. Where two run at once, the first to write its
// checkpoint goes on, and the other fails.
func (a *Activities) ReplicateDisks(ctx context.Context, req ReplicateDisksRequest) (res ReplicateDisksResult, err error) {
	copier, key, err := a.copier(ctx, req.Target)
	if err != nil {
		return res, err
	}
	p := newProgress(req.VM)
	defer p.run(ctx)()
	id, made, err := a.exporter.Snapshot(ctx, req.Site, req.VM, req.Snapshot)
	if err != nil {
		return res, classify(fmt.Errorf("replicate the disks of VM %q: %w", req.VM.Name, err))
	}
	carried := measure.Carried(ctx, req.Plan, migration.MoverDisks, migration.AWS)
	err = a.exporter.ExportDisks(ctx, req.Site, req.VM, id,
		func(ctx context.Context, d migration.Disk, grains func(func(int64, []byte) error) (int64, error)) error {
			o := a.options(req, id, d, key, p)
			o.Carried = carried
			image, err := copier.Copy(ctx, d, grains, a.checkpoint(req, id, d), o)
			if err != nil {
				return err
			}
			p.finished(d)
			image.AsOf = made
			res.Disks = append(res.Disks, image)
			return nil
		})
	if err != nil {
		return ReplicateDisksResult{}, classify(fmt.Errorf("replicate the disks of VM %q (snapshot %s): %w", req.VM.Name, id, err))
	}
	return res, nil
}

func (a *Activities) copier(ctx context.Context, t migration.Target) (*disks.Copier, string, error) {
	blocks, err := a.clients.EBS(ctx, t)
	if err != nil {
		return nil, "", err
	}
	records, err := a.clients.EC2(ctx, t)
	if err != nil {
		return nil, "", err
	}
	key, err := awsconf.KeyARN(ctx, t, a.clients.KMS)
	if err != nil {
		return nil, "", classify(fmt.Errorf("find the ARN of KMS key %q of target %q: %w", t.KMSKey, t.Name, err))
	}
	return &disks.Copier{EBS: blocks, EC2: records}, key, nil
}

// name is that of a copy: a snapshot's id is never that of another one.
func name(req ReplicateDisksRequest, snapshot string, d migration.Disk) string {
	return fmt.Sprintf("%s/%s/%s/%d/%s", req.Plan, req.VM.UUID, req.Pass, d.Key, snapshot)
}

func (a *Activities) checkpoint(req ReplicateDisksRequest, snapshot string, d migration.Disk) *checkpoint {
	return &checkpoint{bucket: a.bucket, store: req.State, target: req.StateTarget, prefix: "disks/" + name(req, snapshot, d) + "/",
		etags: map[string]string{}}
}

func (a *Activities) options(req ReplicateDisksRequest, snapshot string, d migration.Disk, key string, p *progress) disks.Options {
	tags := map[string]string{}
	maps.Copy(tags, req.Target.Tags)
	tags[tagPlan], tags[tagVM], tags[tagName], tags[tagDisk] = req.Plan, req.VM.UUID, req.VM.Name, fmt.Sprint(d.Key)
	return disks.Options{
		Name: name(req, snapshot, d), Description: fmt.Sprintf("Drover %s: %s %s", req.Plan, req.VM.Name, d.Label), Tags: tags,
		KMSKey: key, Limit: a.limit, Progress: p.tell,
	}
}

// progress adds the disks of a VM up.
type progress struct {
	mu       sync.Mutex
	total    int64
	complete int64
	last     migration.Progress
}

func newProgress(vm migration.VM) *progress {
	p := &progress{}
	for _, d := range vm.Disks {
		p.total += d.Bytes
	}
	p.last = migration.Progress{Total: p.total, Measuring: true}
	return p
}

func (p *progress) tell(one migration.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := migration.Progress{Done: p.complete + one.Done, Total: p.total, Rate: one.Rate, Measuring: one.Measuring}
	if one.Rate > 0 {
		all.ETA = migration.Duration(time.Duration(float64(p.total-all.Done) / one.Rate * float64(time.Second)).Round(time.Second))
	}
	p.last = all
}

func (p *progress) finished(d migration.Disk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complete += d.Bytes
}

// run heartbeats until the returned function is called, after a cancel too.
func (p *progress) run(ctx context.Context) (stop func()) {
	return heartbeat.Beside(context.WithoutCancel(ctx), beat, func() {
		p.mu.Lock()
		last := p.last
		p.mu.Unlock()
		activity.RecordHeartbeat(ctx, last)
	})
}
