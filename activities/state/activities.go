package state

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// Activities needs S3 on the state bucket: s3:GetObject and s3:PutObject below the store's prefix.
type Activities struct {
	objects *objects.Store
	specs   *Specs
	plans   Plans
}

// New builds the activities over the state bucket. Plans are asked how far a plan has come that is
// to be amended.
func New(store *objects.Store, specs *Specs, plans Plans) *Activities {
	return &Activities{objects: store, specs: specs, plans: plans}
}

// Specs reads compiled plans and keeps those it has read: a spec never changes under its digest.
type Specs struct {
	objects *objects.Store

	mu   sync.Mutex
	kept map[migration.Revision]*migration.Spec
}

// NewSpecs reads from the state bucket.
func NewSpecs(store *objects.Store) *Specs {
	return &Specs{objects: store, kept: map[migration.Revision]*migration.Spec{}}
}

// SaveSpecRequest carries a compiled plan once, from the workflow that accepted it.
type SaveSpecRequest struct {
	Spec   *migration.Spec `json:"spec"`
	Accept *Acceptance     `json:"accept,omitempty"` // makes it a revision of its plan; nil: it is only stored
}

// SavedSpec names what was stored, or the revision that goes on.
type SavedSpec struct {
	migration.SpecRef
	Newer bool `json:"newer,omitempty"` // it has another content than what was submitted
}

// SaveSpec stores a spec under the digest of its bytes and names it. The same spec again is the
// same object: run twice, or cut off after its effect, it changes nothing.
func (a *Activities) SaveSpec(ctx context.Context, req SaveSpecRequest) (SavedSpec, error) {
	body, err := req.Spec.Encode()
	if err != nil {
		return SavedSpec{}, fmt.Errorf("encode plan %q: %w", req.Spec.Plan, err)
	}
	target, ok := req.Spec.Target(req.Spec.State.Target)
	if !ok {
		return SavedSpec{},
			temporal.NewNonRetryableApplicationError(fmt.Sprintf("plan %q: state.target %q is not among the targets", req.Spec.Plan,
				req.Spec.State.Target), "BadSpec", nil)
	}
	sum := sha256.Sum256(body)
	ref := migration.SpecRef{Plan: req.Spec.Plan, Revision: req.Spec.Revision, Digest: hex.EncodeToString(sum[:]), State: req.Spec.State,
		Target: target}
	_, err = a.objects.Put(ctx, ref.State, ref.Target, key(ref), body, "")
	if errors.Is(err, objects.ErrConflict) {
		_, err = a.specs.Spec(ctx, ref) // somebody was first, or only tried to be
	}
	if err != nil || req.Accept == nil {
		return SavedSpec{SpecRef: ref}, refused(ref, err)
	}
	saved, err := a.accept(ctx, ref, *req.Accept)
	return saved, refused(ref, err)
}

// refused makes the bucket's refusal the answer to who submits: nothing has been touched.
func refused(ref migration.SpecRef, err error) error {
	if !objects.Refused(err) {
		return err
	}
	return permanent.New("StateBucket", err, "store plan %q: %v", ref.Plan, err)
}

func key(ref migration.SpecRef) string { return "plans/" + ref.Plan + "/specs/" + ref.Digest + ".json" }

// Spec reads a spec, and checks that it is the one that was named. One that comes with the
// reference is not read. Its revision is that of ref.
func (a *Specs) Spec(ctx context.Context, ref migration.SpecRef) (*migration.Spec, error) {
	if ref.Inline != nil {
		return ref.Inline, nil
	}
	named := migration.Revision{Revision: ref.Revision, Digest: ref.Digest}
	a.mu.Lock()
	spec := a.kept[named]
	a.mu.Unlock()
	if spec != nil {
		return spec, nil
	}
	body, _, err := a.objects.Get(ctx, ref.State, ref.Target, key(ref))
	if err != nil {
		return nil, fmt.Errorf("plan %q revision %d: %w", ref.Plan, ref.Revision, err)
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != ref.Digest {
		return nil, temporal.NewNonRetryableApplicationError(fmt.Sprintf("plan %q: s3://%s/%s is not what its name says; restore the "+
			"object's first version", ref.Plan, ref.State.Bucket, key(ref)), "SpecCorrupt", nil)
	}
	spec = new(migration.Spec)
	if err := json.Unmarshal(body, spec); err != nil {
		return nil, temporal.NewNonRetryableApplicationError(fmt.Sprintf("plan %q: the stored spec cannot be read", ref.Plan),
			"SpecCorrupt", err)
	}
	spec.Revision = ref.Revision
	a.mu.Lock()
	a.kept[named] = spec
	a.mu.Unlock()
	return spec, nil
}

// Plan is a spec without its customers: what Migration works from.
type Plan struct {
	Sites     []migration.Site     `json:"sites"`
	Targets   []migration.Target   `json:"targets"`
	Workloads []migration.Workload `json:"workloads"`
	Datasets  []migration.Dataset  `json:"datasets"`
	Batches   []migration.Batch    `json:"batches"`
	Policy    migration.Policy     `json:"policy"`
	Routed    bool                 `json:"routed"`              // it has routes
	Tenants   map[string][]int64   `json:"tenants"`             // by dataset, ascending
	Stateless []string             `json:"stateless,omitempty"` // customers without a database
	// Told are the kinds of notices that some rule tells somebody of.
	Told []migration.NoticeKind `json:"told,omitempty"`

	Hooks    []migration.Hook `json:"hooks,omitempty"`
	Evidence bool             `json:"evidence,omitempty"` // signed evidence of each batch is written
	Counted  bool             `json:"counted,omitempty"`  // it names who counts the requests of users
}

// Target finds a target that validation said exists.
func (p Plan) Target(name string) migration.Target {
	t, ok := p.spec().Target(name)
	if !ok {
		t.Name = name
	}
	return t
}

// Site finds a site that validation said exists.
func (p Plan) Site(name string) migration.Site {
	s, ok := p.spec().Site(name)
	if !ok {
		s.Name = name
	}
	return s
}

// spec is as much of the spec as its finders are asked for.
func (p Plan) spec() *migration.Spec { return &migration.Spec{Sites: p.Sites, Targets: p.Targets} }

// LoadPlan reads a spec without its customers. Read-only.
func (a *Activities) LoadPlan(ctx context.Context, ref migration.SpecRef) (Plan, error) {
	s, err := a.specs.Spec(ctx, ref)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Sites: s.Sites, Targets: s.Targets, Workloads: s.Workloads, Datasets: s.Datasets, Batches: s.Batches, Policy: s.Policy,
		Hooks: s.Hooks, Routed: len(s.Routes) > 0, Evidence: s.Evidence != nil, Counted: s.Health.Requests != nil,
		Tenants: map[string][]int64{}}
	for _, c := range s.Customers {
		if s.Stateless(c) {
			p.Stateless = append(p.Stateless, c.ID)
		}
		for _, d := range c.Datasets {
			p.Tenants[d] = append(p.Tenants[d], c.Tenant)
		}
	}
	for d := range p.Tenants {
		slices.Sort(p.Tenants[d])
	}
	p.Told = s.Notify.Tells()
	return p, nil
}

// LoadCustomerRequest asks for one customer's slice.
type LoadCustomerRequest struct {
	Spec     migration.SpecRef `json:"spec"`
	Customer string            `json:"customer"`
}

// LoadCustomer reads one customer's slice. Read-only.
func (a *Activities) LoadCustomer(ctx context.Context, req LoadCustomerRequest) (migration.CustomerSlice, error) {
	s, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return migration.CustomerSlice{}, err
	}
	out, ok := s.Slice(req.Customer)
	if !ok {
		return out, permanent.New("NoSuchCustomer", nil, "plan %q revision %d has no customer %q", s.Plan, s.Revision, req.Customer)
	}
	return out, nil
}

// NameCustomersRequest asks whose tenants these are.
type NameCustomersRequest struct {
	Spec    migration.SpecRef `json:"spec"`
	Dataset string            `json:"dataset"`
	Tenants []int64           `json:"tenants"`
}

// CustomerNames are ids by tenant.
type CustomerNames struct {
	IDs map[int64]string `json:"ids"`
}

// NameCustomers names the customers whose tenants of a dataset these are. Read-only.
func (a *Activities) NameCustomers(ctx context.Context, req NameCustomersRequest) (CustomerNames, error) {
	s, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return CustomerNames{}, err
	}
	out := CustomerNames{IDs: map[int64]string{}}
	for _, c := range s.Customers {
		if slices.Contains(c.Datasets, req.Dataset) && slices.Contains(req.Tenants, c.Tenant) {
			out.IDs[c.Tenant] = c.ID
		}
	}
	return out, nil
}

// ListFileCustomersRequest asks who has files in a dataset.
type ListFileCustomersRequest struct {
	Spec    migration.SpecRef `json:"spec"`
	Dataset string            `json:"dataset"`
}

// FileCustomers are in the plan's order.
type FileCustomers struct {
	Customers []FileCustomer `json:"customers"`
}

// FileCustomer is who owns a part of a file tree, and which rows its fence is found by.
type FileCustomer struct {
	ID     string `json:"id"`
	Tenant int64  `json:"tenant"`
}

// ListFileCustomers names the customers that use a dataset. Read-only.
func (a *Activities) ListFileCustomers(ctx context.Context, req ListFileCustomersRequest) (FileCustomers, error) {
	s, err := a.specs.Spec(ctx, req.Spec)
	if err != nil {
		return FileCustomers{}, err
	}
	var out FileCustomers
	for _, c := range s.Customers {
		if slices.Contains(c.Datasets, req.Dataset) {
			out.Customers = append(out.Customers, FileCustomer{ID: c.ID, Tenant: c.Tenant})
		}
	}
	return out, nil
}
