package migration

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Duration is a time.Duration that reads as text ("5s") in payloads, files and pages.
type Duration time.Duration

// D is the duration as the standard library has it.
func (d Duration) D() time.Duration { return time.Duration(d) }

func (d Duration) String() string { return time.Duration(d).String() }

// Brief is the duration without its zero parts: 72h, not 72h0m0s.
func (d Duration) Brief() string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// TimeLayout is how people read a time: to the minute, with its day and zone.
const TimeLayout = "Mon 2 Jan 2006 15:04 MST"

// MarshalText writes "1m30s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// SecretRef names a secret and never holds one: env://NAME, file:///path, awssm://name, ssm://name.
type SecretRef string

// Spec is a compiled plan: everything resolved, every list in a fixed order, every default filled
// in. It holds no secret.
type Spec struct {
	Plan      string     `json:"plan"`
	Revision  int        `json:"revision"` // from 1 on, once it is submitted; 0: not numbered yet
	State     StateStore `json:"state"`
	Sites     []Site     `json:"sites,omitempty"`
	Targets   []Target   `json:"targets,omitempty"`
	Workloads []Workload `json:"workloads,omitempty"`
	Datasets  []Dataset  `json:"datasets,omitempty"`
	Routes    []Route    `json:"routes,omitempty"`
	Health    Health     `json:"health"`
	Customers []Customer `json:"customers"`
	Batches   []Batch    `json:"batches"`
	Policy    Policy     `json:"policy"`
	Hooks     []Hook     `json:"hooks,omitempty"` // in the order of HookEvents
	Notify    *Notify    `json:"notify,omitempty"`
	Evidence  *Evidence  `json:"evidence,omitempty"` // nil: none is written
}

// Evidence says how signed evidence of what is done is written.
type Evidence struct {
	Key   SecretRef `json:"key"`   // PEM of a private ed25519 key, PKCS 8
	Names bool      `json:"names"` // it has the customers' names and contacts
}

// StateStore is the bucket of checkpoints, manifests, compiled specs and evidence.
type StateStore struct {
	Target string `json:"target"`
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix,omitempty"`
}

// Site is an on-premises place: a vCenter and a worker near it.
type Site struct {
	Name    string   `json:"name"`
	VSphere *VSphere `json:"vsphere,omitempty"`
}

// VSphere is how a site's vCenter is reached. The secret is JSON {"username": .., "password": ..}.
type VSphere struct {
	URL         string    `json:"url"`
	Datacenter  string    `json:"datacenter"`
	Credentials SecretRef `json:"credentials"`
	CAFile      string    `json:"caFile,omitempty"`     // PEM file on the site's worker
	Thumbprint  string    `json:"thumbprint,omitempty"` // SHA-1 or SHA-256 of the certificate, colon-separated hex
}

// Target is an AWS account and region.
type Target struct {
	Name    string            `json:"name"`
	Account string            `json:"account"`
	Region  string            `json:"region"`
	Role    *Role             `json:"role,omitempty"`
	VPC     string            `json:"vpc,omitempty"`
	Subnets []string          `json:"subnets,omitempty"`
	KMSKey  string            `json:"kmsKey,omitempty"` // key id, ARN or alias/NAME; resolved to an ARN where AWS wants one
	Tags    map[string]string `json:"tags,omitempty"`
}

// Role is assumed in the target's account.
type Role struct {
	ARN        string    `json:"arn"`
	ExternalID SecretRef `json:"externalId,omitempty"`
}

// WorkloadState says where a workload keeps what must not be lost.
type WorkloadState string

// Where state can be.
const (
	StateNone     WorkloadState = "none"
	StateDatasets WorkloadState = "datasets"
	StateDisk     WorkloadState = "disk" // inside the VM: needs an outage window; reserved
)

// Workload is an application component on VMs today, on EC2 or Fargate tomorrow.
type Workload struct {
	Name           string        `json:"name"`
	Site           string        `json:"site,omitempty"`
	VMs            VMSelector    `json:"vms,omitzero"`
	Origin         string        `json:"origin,omitempty"` // instead of VMs: what serves it today, the ARN of a target group or a URL
	State          WorkloadState `json:"state"`
	AcceptDataLoss bool          `json:"acceptDataLoss,omitempty"`
	Ingress        *Ingress      `json:"ingress,omitempty"`
	Target         string        `json:"target"`
	EC2            *EC2          `json:"ec2,omitempty"` // exactly one of EC2 and Fargate
	Fargate        *Fargate      `json:"fargate,omitempty"`
	Config         Config        `json:"config"`
}

// VMSelector picks VMs by exact names, or by all of the other conditions together.
type VMSelector struct {
	Names  []string `json:"names,omitempty"`
	Folder string   `json:"folder,omitempty"` // inventory path below the datacenter's vm folder
	Tag    string   `json:"tag,omitempty"`    // "category:tag" or "tag"
	Name   string   `json:"name,omitempty"`   // glob
}

// Ingress is where a workload takes requests.
type Ingress struct {
	Port     int      `json:"port"`
	Paths    []string `json:"paths"`    // ALB path patterns
	Protocol string   `json:"protocol"` // http | https

	HealthPath string `json:"healthPath,omitempty"` // what the load balancer asks; empty: /healthz
}

// PathMatches says whether a load balancer sends a request for path to a rule with this pattern: *
// is any text, slashes too, ? is any character, and the query is not looked at
// (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-listeners.html#path-conditions).
func PathMatches(pattern, path string) bool {
	form := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
	path, _, _ = strings.Cut(path, "?")
	ok, _ := regexp.MatchString(`^`+form+`$`, path)
	return ok
}

// HealthCheckPath is the path by which the load balancer judges the workload's targets.
func (i Ingress) HealthCheckPath() string {
	if i.HealthPath == "" {
		return "/healthz"
	}
	return i.HealthPath
}

// EC2 is how a workload's VMs run on EC2.
type EC2 struct {
	InstanceType   string   `json:"instanceType"` // "auto": from the VM's CPU and memory
	SecurityGroups []string `json:"securityGroups,omitempty"`
	Profile        string   `json:"profile,omitempty"` // instance profile name
	Conversion     string   `json:"conversion"`        // none
	License        string   `json:"license,omitempty"` // byol | included
}

// Fargate is how a workload runs as a service.
type Fargate struct {
	Cluster        string   `json:"cluster"`
	Image          string   `json:"image"`
	CPU            int      `json:"cpu"`    // CPU units, 1024 to a vCPU
	Memory         int      `json:"memory"` // MiB
	Count          int      `json:"count"`
	TaskRole       string   `json:"taskRole,omitempty"`
	ExecutionRole  string   `json:"executionRole,omitempty"`
	SecurityGroups []string `json:"securityGroups,omitempty"`
}

// Config is what a workload is told on AWS that it was told otherwise at home.
type Config struct {
	Env      map[string]string `json:"env,omitempty"`
	Secrets  map[string]string `json:"secrets,omitempty"`  // environment variable -> awssm:// or ssm:// reference, resolved by AWS
	UserData string            `json:"userData,omitempty"` // text, not base64
	Identity string            `json:"identity,omitempty"` // keep
}

// Dataset is state that moves. Exactly one of its kinds is set.
type Dataset struct {
	Name     string    `json:"name"`
	Postgres *Postgres `json:"postgres,omitempty"`
	Files    *Files    `json:"files,omitempty"`
}

// Site is the site whose worker reaches the dataset.
func (d Dataset) Site() string {
	if d.Postgres != nil {
		return d.Postgres.Site
	}
	if d.Files != nil {
		return d.Files.Site
	}
	return ""
}

// Target is the name of the target the dataset moves to.
func (d Dataset) Target() string {
	if d.Postgres != nil {
		return d.Postgres.Target
	}
	if d.Files != nil {
		return d.Files.Target
	}
	return ""
}

// Postgres is a PostgreSQL database whose customers are told apart by a column.
type Postgres struct {
	Site              string    `json:"site"`
	DSN               SecretRef `json:"dsn"`               // of the database on premises, as the site's worker reaches it
	AddressFromTarget string    `json:"addressFromTarget"` // host:port by which RDS reaches the database on premises
	Target            string    `json:"target"`
	RDS               string    `json:"rds"`         // DB instance identifier
	Credentials       SecretRef `json:"credentials"` // JSON {"username": .., "password": ..} for the RDS instance
	Column            string    `json:"column"`      // tenancy: the integer column that holds Customer.Tenant
	Tables            []Table   `json:"tables,omitempty"`
	Synthetic         []int64   `json:"synthetic,omitempty"`    // tenants of write probes: they may write on both sides
	NewCustomers      Side      `json:"newCustomers,omitempty"` // where tenants that the plan does not know may write; empty: on premises
	WALBudgetBytes    int64     `json:"walBudgetBytes,omitempty"`
	OnWALExceeded     string    `json:"onWALExceeded,omitempty"` // hold
}

// Table says how one table differs from the dataset's tenancy.
type Table struct {
	Name      string `json:"name"`                // [schema.]table
	Column    string `json:"column,omitempty"`    // its tenant column, where it has another name
	Reference Side   `json:"reference,omitempty"` // not tenants' data: written on this side, copied to the other
	Exclude   bool   `json:"exclude,omitempty"`   // stays behind
}

// Files is a file tree, one folder a customer.
type Files struct {
	Site     string `json:"site"`
	Path     string `json:"path"` // contains {customer}
	Target   string `json:"target"`
	Bucket   string `json:"bucket"`
	Prefix   string `json:"prefix"`   // contains {customer}
	FencedBy string `json:"fencedBy"` // the database the application asks before it writes a file
}

// Route is how requests reach a customer's side. Exactly one of its kinds is set.
type Route struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"` // of those whom it carries; none: whom no other route picks by labels
	ALB    *ALB              `json:"alb,omitempty"`
	DNS    *DNS              `json:"route53,omitempty"`
	Hook   *HookRoute        `json:"hook,omitempty"`
}

// ALB routes by host-header rules of one listener.
type ALB struct {
	Target    string            `json:"target"`
	Listener  string            `json:"listener"`  // ARN
	Workloads map[string]string `json:"workloads"` // workload -> ARN of the target group of its machines on premises
}

// Health says how a customer's health is judged.
type Health struct {
	Probes  []Probe  `json:"probes"`
	Compare *Compare `json:"compare,omitempty"`
	// Requests are counted around each Move, and judge nobody; nil: nobody counts them.
	Requests *RequestQueries `json:"requests,omitempty"`
}

// RequestQueries ask others how many requests of a customer's users failed, and how many were
// retried, over the time of a Move: Drover sees none of them. Either may be nil.
type RequestQueries struct {
	Failed  *CountQuery `json:"failed,omitempty"`
	Retried *CountQuery `json:"retried,omitempty"`
}

// CountQuery asks for a count over a time. One of CloudWatch and Prometheus is set.
type CountQuery struct {
	CloudWatch *CloudWatchQuery `json:"cloudwatch,omitempty"` // a Sum; Over is not used
	Prometheus *PrometheusQuery `json:"prometheus,omitempty"` // {window} is put in too, as 152s
}

// Probe is one question asked again and again. Exactly one of its kinds is set.
type Probe struct {
	HTTP        *HTTPProbe        `json:"http,omitempty"`
	TCP         *TCPProbe         `json:"tcp,omitempty"`
	TargetGroup *TargetGroupProbe `json:"targetGroup,omitempty"`
	Write       *WriteProbe       `json:"write,omitempty"`
	Query       *QueryProbe       `json:"query,omitempty"`
	Every       Duration          `json:"every"`
	Timeout     Duration          `json:"timeout"`
	FailAfter   int               `json:"failAfter"` // consecutive failures that make a verdict of fail
}

// HTTPProbe asks with the customer's host name.
type HTTPProbe struct {
	Path   string `json:"path"`
	Expect int    `json:"expect"` // status code
}

// TCPProbe opens a connection to the workload's port.
type TCPProbe struct{}

// TargetGroupProbe wants every target of the workload's group healthy.
type TargetGroupProbe struct{}

// WriteProbe writes through the application, for a tenant that is nobody's, and takes it away
// again. In paths and body {token} stands for an id of its own for each write.
type WriteProbe struct {
	Tenant  int64   `json:"tenant"` // may write on both sides, whatever is moved
	Host    string  `json:"host"`
	Method  string  `json:"method"`
	Path    string  `json:"path"`
	Type    string  `json:"type,omitempty"` // of the body
	Body    string  `json:"body,omitempty"`
	Expect  int     `json:"expect"` // status code
	Cleanup Cleanup `json:"cleanup"`
}

// Cleanup is the request that takes away what a write probe wrote.
type Cleanup struct {
	Method string `json:"method"`
	Path   string `json:"path"`
}

// QueryProbe wants a number that others count within a bound. One of CloudWatch and Prometheus is
// set. Where the bound has a baseline it is the customer's own number at home, before its fence.
type QueryProbe struct {
	CloudWatch *CloudWatchQuery `json:"cloudwatch,omitempty"`
	Prometheus *PrometheusQuery `json:"prometheus,omitempty"`
	Bound      Bound            `json:"bound"`
}

// CloudWatchQuery is a metric of the target groups of the customer's workloads.
type CloudWatchQuery struct {
	Metric    string   `json:"metric"`
	Statistic string   `json:"statistic"` // Sum, Average, Maximum, Minimum, SampleCount, or a percentile like p95
	Over      Duration `json:"over"`      // whole minutes
}

// PrometheusQuery is an instant query that answers one number.
type PrometheusQuery struct {
	URL   string    `json:"url"`
	Query string    `json:"query"`           // {customer}, {tenant}, {host} and {side} are put in
	Token SecretRef `json:"token,omitempty"` // bearer token
}

// Compares says whether a customer's health is held against its own from before its fence.
func (h Health) Compares() bool {
	if h.Compare != nil {
		return true
	}
	for _, p := range h.Probes {
		if p.Query != nil && p.Query.Bound.Times > 0 {
			return true
		}
	}
	return false
}

// AsksCloudWatch says whether some number is CloudWatch's.
func (h Health) AsksCloudWatch() bool {
	for _, q := range h.Requests.All() {
		if q.CloudWatch != nil {
			return true
		}
	}
	return slices.ContainsFunc(h.Probes, func(p Probe) bool { return p.Query != nil && p.Query.CloudWatch != nil })
}

// All are those that a plan names.
func (r *RequestQueries) All() (out []*CountQuery) {
	if r == nil {
		return nil
	}
	for _, q := range []*CountQuery{r.Failed, r.Retried} {
		if q != nil {
			out = append(out, q)
		}
	}
	return out
}

// Compare holds the customer's numbers at the destination against its own at the origin: value <=
// Times*baseline + Plus.
type Compare struct {
	ErrorRate  *Bound `json:"errorRate,omitempty"` // a fraction of the http samples
	P95        *Bound `json:"p95,omitempty"`       // seconds
	MinSamples int    `json:"minSamples"`          // of http probes; fewer are inconclusive
}

// Bound is the line value <= Times*baseline + Plus.
type Bound struct {
	Times float64 `json:"times"`
	Plus  float64 `json:"plus"`
}

// Allows says whether v is within the bound over the baseline b.
func (x Bound) Allows(v, b float64) bool { return v <= x.Times*b+x.Plus }

func (x Bound) String() string {
	switch {
	case x.Times == 0:
		return fmt.Sprintf("<= %g", x.Plus)
	case x.Plus == 0:
		return fmt.Sprintf("<= %gx", x.Times)
	}
	return fmt.Sprintf("<= %gx + %g", x.Times, x.Plus)
}

// Customer is the unit of cutover.
type Customer struct {
	ID        string            `json:"id"`
	Name      string            `json:"name,omitempty"`
	Tenant    int64             `json:"tenant"` // 0: it has no database
	Hosts     []string          `json:"hosts"`
	Workloads []string          `json:"workloads,omitempty"`
	Datasets  []string          `json:"datasets,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Zone      string            `json:"zone,omitempty"` // IANA name
	Contact   string            `json:"contact,omitempty"`
	Blackouts []Span            `json:"blackouts,omitempty"` // it does not begin to move in any of them
}

// Span is a time, without its end.
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// OpenFrom is the first moment from now on that lies in none of the customer's blackouts.
func (c Customer) OpenFrom(now time.Time) time.Time { return OpenFrom(c.Blackouts, now) }

// Closed says whether all of a time lies in the customer's blackouts.
func (c Customer) Closed(from, to time.Time) bool { return !c.OpenFrom(from).Before(to) }

// OpenFrom is the first moment from now on that lies in none of these.
func OpenFrom(blackouts []Span, now time.Time) time.Time {
	for moved := true; moved; {
		moved = false
		for _, b := range blackouts {
			if !now.Before(b.From) && now.Before(b.To) {
				now, moved = b.To, true
			}
		}
	}
	return now
}

// Reach says what one failing customer takes back with it.
type Reach string

// The reaches of a rollback.
const (
	ReachCustomer Reach = "customer"
	ReachBatch    Reach = "batch"
)

// Batch is customers cut over together. Its membership is frozen when the plan is compiled.
type Batch struct {
	Name        string   `json:"name"`
	Customers   []string `json:"customers"`   // ids, in the order in which they are told to go
	Concurrency int      `json:"concurrency"` // Moves at a time
	MaxUnbaked  int      `json:"maxUnbaked"`  // customers that are cut over and not baked yet; 0: no limit
	Approvals   int      `json:"approvals,omitempty"`
	Window      *Window  `json:"window,omitempty"`
	Rollback    Reach    `json:"rollback"`
	Bake        Duration `json:"bake"`
	Ticket      string   `json:"ticket,omitempty"`

	Requires *Requires `json:"requires,omitempty"`
}

// Window is when new Moves of a batch may start. A Move that has started finishes.
type Window struct {
	Opens time.Time `json:"opens"`
	For   Duration  `json:"for"`
	Zone  string    `json:"zone"` // IANA name, for display
}

// Equal says whether two windows are the same time, whatever zone they are shown in.
func (w Window) Equal(o Window) bool { return w.Opens.Equal(o.Opens) && w.For == o.For }

// Within says whether all of a window lies in another.
func (w Window) Within(o Window) bool {
	return !w.Opens.Before(o.Opens) && !w.Closes().After(o.Closes())
}

// backFactor is how many customers of a batch come back at a time, as a multiple of those that go,
// where the plan does not say: a way back is urgent.
const backFactor = 2

// Slots are how many customers of a batch may be on their way at a time: to AWS, and back.
func (b Batch) Slots(p Policy) (going, back int) {
	going = max(b.Concurrency, 1)
	if back = p.BackConcurrency; back == 0 {
		back = backFactor * going
	}
	return going, back
}

// BackSlots are how many customers may be on their way back at a time where everybody of some
// batches is taken back at once, by batch: in all as many as the batch with the most may have
// alone, shared by how many come back of each. A batch has one at least. Without batches nobody has
// any.
func BackSlots(batches []Batch, p Policy, coming []int) []int {
	most, all := 0, 0
	for _, b := range batches {
		_, back := b.Slots(p)
		most = max(most, back)
	}
	for _, n := range coming {
		all += n
	}
	out := make([]int, len(coming))
	for i, n := range coming {
		out[i] = min(most, max(1, most*n/max(all, 1)))
	}
	return out
}

// Closes is the end of the window.
func (w Window) Closes() time.Time { return w.Opens.Add(w.For.D()) }

// Policy is what holds for every batch that does not say otherwise.
type Policy struct {
	FreezeBudget Duration `json:"freezeBudget"` // predicted before the fence; the lease during it
	Patience     Duration `json:"patience"`     // how long a write that meets a fence may wait for its end; 0: it is refused
	Tries        int      `json:"tries"`        // tries of a Move before the customer is held
	// BackConcurrency is how many customers of a batch may be on their way back at a time; 0: twice
	// as many as go at a time. Batches that are taken back at once share it (BackSlots).
	BackConcurrency int      `json:"backConcurrency"`
	StopAfter       int      `json:"stopAfter"` // customers rolled back or held before the migration pauses itself; 0: never
	Soak            Duration `json:"soak"`
	MaxLag          Duration `json:"maxLag"` // of either direction, before a fence
	// Weights are the shares of its requests, in percent, that go to AWS of a customer without a
	// database, one after the other: ascending, the last is 100. Step is how long it is watched at
	// each before the last, where it bakes.
	Weights []int    `json:"weights,omitempty"`
	Step    Duration `json:"step,omitempty"`
}

// NextWeight is the share of its requests, in percent, that goes to AWS next, of a customer that
// has this one there.
func (p Policy) NextWeight(now int) int {
	for _, w := range p.Weights {
		if w > now {
			return w
		}
	}
	return 100
}

// Customer finds a customer by id.
func (s *Spec) Customer(id string) (Customer, bool) {
	return find(s.Customers, func(c Customer) bool { return c.ID == id })
}

// Batch finds a batch by name.
func (s *Spec) Batch(name string) (Batch, bool) {
	return find(s.Batches, func(b Batch) bool { return b.Name == name })
}

// Target finds a target by name.
func (s *Spec) Target(name string) (Target, bool) {
	return find(s.Targets, func(t Target) bool { return t.Name == name })
}

// Site finds a site by name.
func (s *Spec) Site(name string) (Site, bool) {
	return find(s.Sites, func(x Site) bool { return x.Name == name })
}

// Workload finds a workload by name.
func (s *Spec) Workload(name string) (Workload, bool) {
	return find(s.Workloads, func(w Workload) bool { return w.Name == name })
}

// Dataset finds a dataset by name.
func (s *Spec) Dataset(name string) (Dataset, bool) {
	return find(s.Datasets, func(d Dataset) bool { return d.Name == name })
}

func find[T any](in []T, is func(T) bool) (T, bool) {
	for _, v := range in {
		if is(v) {
			return v, true
		}
	}
	var none T
	return none, false
}

// Stateless says whether a customer has no database, so that its home record is in the state
// bucket.
func (s *Spec) Stateless(c Customer) bool {
	return !slices.ContainsFunc(c.Datasets, func(name string) bool {
		d, _ := s.Dataset(name)
		return d.Postgres != nil
	})
}

// Encode is the canonical form whose SHA-256 names the spec in the state bucket. The number of the
// revision is no part of it: the same content has the same name, whenever it holds.
func (s *Spec) Encode() ([]byte, error) {
	c := *s
	c.Revision = 0
	return json.Marshal(&c)
}

// SpecRef names a compiled spec in the state bucket. It is what travels between workflows instead
// of the spec.
type SpecRef struct {
	Plan     string     `json:"plan"`
	Revision int        `json:"revision"`
	Digest   string     `json:"digest"` // SHA-256, hex
	State    StateStore `json:"state"`
	Target   Target     `json:"target"` // of the state bucket
	// Inline is the spec itself, where it is not in the state bucket: whoever only looks stores
	// nothing there.
	Inline *Spec `json:"inline,omitempty"`
}

// Inline refers to a spec that travels with the reference.
func (s *Spec) Inline() SpecRef {
	target, _ := s.Target(s.State.Target)
	return SpecRef{Plan: s.Plan, Revision: s.Revision, State: s.State, Target: target, Inline: s}
}

// Revision names a revision of a plan that is known already. It is all that travels of a newer one:
// the state bucket never changes.
type Revision struct {
	Revision int    `json:"revision,omitempty"`
	Digest   string `json:"digest,omitempty"`
}

// Renews is the spec that r names, where it is newer than have.
func (r Revision) Renews(have SpecRef) (newer SpecRef, is bool) {
	if r.Digest == "" || r.Revision <= have.Revision {
		return have, false
	}
	have.Revision, have.Digest = r.Revision, r.Digest
	return have, true
}

// Amended is what others are told of the spec: nothing of a plan's first revision, by which they
// were started.
func (s SpecRef) Amended() Revision {
	if s.Revision <= 1 {
		return Revision{}
	}
	return Revision{Revision: s.Revision, Digest: s.Digest}
}
