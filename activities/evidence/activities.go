package evidence

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"go.temporal.io/sdk/activity"

	engine "github.com/drover-migration/drover/evidence"
	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// ErrGone is that Temporal does not have a workflow, or no longer.
var ErrGone = errors.New("it is in Temporal no longer")

// Plans are running migrations, as those who look at them see them. An error that wraps ErrGone
// says that there is no such workflow.
type Plans interface {
	Migration(ctx context.Context, plan string) (migration.MigrationStatus, error)
	Batch(ctx context.Context, plan, batch string) (migration.BatchStatus, error)
	Customer(ctx context.Context, plan, id string) (migration.CustomerStatus, error)
	ServerVersion(ctx context.Context) (string, error) // of Temporal
}

// Specs reads compiled plans.
type Specs interface {
	Spec(ctx context.Context, ref migration.SpecRef) (*migration.Spec, error)
}

// Secrets resolves references, with this worker's own AWS credentials.
type Secrets interface {
	Resolve(ctx context.Context, ref migration.SecretRef) (string, error)
}

// Activities needs s3:GetObject and s3:PutObject below the state store's prefix, and whatever the
// plan's evidence.key asks for.
type Activities struct {
	plans   Plans
	specs   Specs
	bucket  objects.Bucket
	secrets Secrets
}

// New builds the activities.
func New(plans Plans, specs Specs, bucket objects.Bucket, secrets Secrets) *Activities {
	return &Activities{plans: plans, specs: specs, bucket: bucket, secrets: secrets}
}

// KeepRequest names a batch that has ended.
type KeepRequest struct {
	Spec  migration.SpecRef `json:"spec"`
	Batch string            `json:"batch"`
	Run   string            `json:"run"` // of its workflow: the first, if it went on as new
}

// KeepResult says where the evidence is.
type KeepResult struct {
	At string `json:"at"` // s3://BUCKET/KEY
}

// kind of what trying again does not cure.
const errorEvidence = "Evidence"

// KeepEvidence writes the evidence of a batch into the state bucket, once: one object for each plan
// revision, batch and run of it. Run twice, or cut off after its effect, it finds the object and
// takes it for the evidence if the plan's key has signed it; any other is left as it is, and is an
// error. It heartbeats how many customers it has read.
func (a *Activities) KeepEvidence(ctx context.Context, req KeepRequest) (KeepResult, error) {
	key, err := a.key(ctx, req.Spec)
	if err != nil {
		return KeepResult{}, err
	}
	name := fmt.Sprintf("plans/%s/evidence/%s/%s-%s.jsonl", req.Spec.Plan, req.Spec.Digest, req.Batch, req.Run)
	out := KeepResult{At: objects.Address(req.Spec.State, name)}
	if err := a.kept(ctx, req, name, key); !errors.Is(err, objects.ErrNotFound) {
		return out, err
	}
	text, err := a.bundle(ctx, req, key)
	if err != nil {
		return KeepResult{}, err
	}
	_, err = a.bucket.Put(ctx, req.Spec.State, req.Spec.Target, name, text, "")
	if errors.Is(err, objects.ErrConflict) { // somebody was first
		err = a.kept(ctx, req, name, key)
	}
	return out, err
}

// kept wants the bundle of the batch's run to be in the bucket already, signed with the key. A
// genuine bundle of another batch, revision or run is none. objects.ErrNotFound: nothing is there.
func (a *Activities) kept(ctx context.Context, req KeepRequest, name string, key ed25519.PrivateKey) error {
	ref := req.Spec
	text, _, err := a.bucket.Get(ctx, ref.State, ref.Target, name)
	if err != nil {
		return err
	}
	public, _ := key.Public().(ed25519.PublicKey)
	b, err := engine.Verify(text, public)
	if err != nil {
		return permanent.New(errorEvidence, err, "%s is there already, and is not evidence that the plan's key has signed: %v; find "+
			"out who wrote it, and have `drover evidence %s` write another", objects.Address(ref.State, name), err, ref.Plan)
	}
	if h := b.Head; h.Plan != ref.Plan || h.Digest != ref.Digest || h.Batch != req.Batch || h.Run != req.Run {
		return permanent.New(errorEvidence, nil, "%s is there already, and is the evidence of something else (plan %s, digest %s, "+
			"batch %s, run %q); find out who wrote it, and have `drover evidence %s` write another", objects.Address(ref.State, name),
			h.Plan, h.Digest, h.Batch, h.Run, ref.Plan)
	}
	return nil
}

// MakeRequest names a batch.
type MakeRequest struct {
	Spec  migration.SpecRef `json:"spec"`
	Batch string            `json:"batch"`
}

// MakeEvidence is the evidence of a batch: what was kept, if the batch has ended, and else how it
// stands now. It writes nothing. It heartbeats how many customers it has read.
func (a *Activities) MakeEvidence(ctx context.Context, req MakeRequest) (migration.EvidenceBundle, error) {
	s, err := a.plans.Batch(ctx, req.Spec.Plan, req.Batch)
	switch {
	case errors.Is(err, ErrGone):
		return migration.EvidenceBundle{}, permanent.New(errorEvidence, err, "batch %s of plan %s has not started, or Temporal no longer "+
			"has it: what was kept of it is below %s", req.Batch, req.Spec.Plan,
			objects.Address(req.Spec.State, "plans/"+req.Spec.Plan+"/evidence"))
	case err != nil:
		return migration.EvidenceBundle{}, err
	}
	if s.Evidence != "" {
		name, ok := objects.Key(req.Spec.State, s.Evidence)
		if !ok {
			return migration.EvidenceBundle{}, permanent.New(errorEvidence, nil, "the evidence of batch %s is in another bucket than the "+
				"plan's: %s", req.Batch, s.Evidence)
		}
		text, _, err := a.bucket.Get(ctx, req.Spec.State, req.Spec.Target, name)
		return migration.EvidenceBundle{Text: string(text), Kept: s.Evidence}, err
	}
	key, err := a.key(ctx, req.Spec)
	if err != nil {
		return migration.EvidenceBundle{}, err
	}
	text, err := a.bundle(ctx, KeepRequest{Spec: req.Spec, Batch: req.Batch}, key)
	return migration.EvidenceBundle{Text: string(text)}, err
}

// CheckKey wants the plan's key to be one that evidence can be signed with. A plan without one has
// no findings. Read-only.
func (a *Activities) CheckKey(ctx context.Context, ref migration.SpecRef) ([]migration.Finding, error) {
	s, err := a.specs.Spec(ctx, ref)
	if err != nil || s.Evidence == nil {
		return nil, err
	}
	_, bad := a.key(ctx, ref)
	if bad == nil {
		return nil, nil
	}
	return []migration.Finding{{Severity: migration.Blocker, Check: "evidence-key", Subject: "evidence.key", Reason: bad.Error(),
		Remedy: "give every main worker the private key that `drover evidence key` made, under that reference"}}, nil
}

// key is what the plan signs with. Errors never hold the secret.
func (a *Activities) key(ctx context.Context, ref migration.SpecRef) (ed25519.PrivateKey, error) {
	s, err := a.specs.Spec(ctx, ref)
	if err != nil {
		return nil, err
	}
	if s.Evidence == nil {
		return nil, permanent.New(errorEvidence, nil, "plan %s has no evidence.key, and what is not signed is no evidence: give it one, "+
			"and submit it again when it has ended", ref.Plan)
	}
	text, err := a.secrets.Resolve(ctx, s.Evidence.Key)
	if err != nil {
		return nil, err
	}
	key, err := identity.ParseKey([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("evidence.key: secret %s %w", s.Evidence.Key, err)
	}
	return key, nil
}

// bundle collects and signs. The same attempt made again later may find more.
func (a *Activities) bundle(ctx context.Context, req KeepRequest, key ed25519.PrivateKey) ([]byte, error) {
	say, stop := heartbeat.Saying[int](ctx)
	defer stop()
	f, err := a.collect(ctx, req, say)
	if err != nil {
		return nil, err
	}
	info := activity.GetInfo(ctx)
	f.Namespace, f.Made = info.Namespace, info.ScheduledTime
	lines, err := f.Lines()
	if err != nil {
		return nil, err
	}
	return engine.Seal(lines, key)
}
