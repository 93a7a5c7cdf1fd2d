package plans

import "github.com/drover-migration/drover/migration"

// Health says how a customer's health is judged.
type Health struct {
	Probes  []Probe  `json:"probes,omitempty" jsonschema:"minItems=1" jsonschema_description:"Questions asked for each customer and workload. Default: one http probe with its own defaults."`
	Compare *Compare `json:"compare,omitempty" jsonschema_description:"The customer's numbers after the cutover against its own before it. Without it only probes decide."`

	Requests *Requests `json:"requests,omitempty" jsonschema_description:"Who counts the requests of a customer's users: Drover sees none of them. The numbers are shown beside each Move; they judge nobody, and no Move waits for them. Without it they are shown as not measured."`
}

// Requests are those of a customer's users over the time of a Move.
type Requests struct {
	Failed  *Count `json:"failed,omitempty" jsonschema_description:"Requests that failed, from a minute before the fence to a minute after the route was set."`
	Retried *Count `json:"retried,omitempty" jsonschema_description:"Requests that were retried meanwhile."`
}

// Count is a number over a time.
type Count struct {
	CloudWatch *CloudWatchCount `json:"cloudwatch,omitempty" jsonschema_description:"A metric of the load balancer, added up over the target groups of the customer's workloads on both sides, in whole minutes: of a group that serves several customers it counts all of them. This or prometheus."`
	Prometheus *PrometheusQuery `json:"prometheus,omitempty" jsonschema_description:"A query to a Prometheus that the main worker reaches, asked as of the end of that time. Its query has {window}, which is that time, like 152s; {side} is where the customer has moved to. This or cloudwatch."`
}

// CloudWatchCount is a metric of AWS/ApplicationELB that is added up.
type CloudWatchCount struct {
	Metric MetricName `json:"metric" jsonschema:"required" jsonschema_description:"Metric of namespace AWS/ApplicationELB that target groups have and that counts, like HTTPCode_Target_5XX_Count."`
}

// Compare bounds the numbers at the destination by those at the origin.
type Compare struct {
	ErrorRate  *RateBound `json:"errorRate,omitempty" jsonschema_description:"Bound of the share of http samples that failed."`
	P95        *TimeBound `json:"p95,omitempty" jsonschema_description:"Bound of the 95th percentile of the http samples' answer times."`
	MinSamples int        `json:"minSamples,omitempty" jsonschema:"default=100,minimum=1,maximum=1000000" jsonschema_description:"With fewer http samples, before or after, the verdict is inconclusive: it holds and asks a human."`
}

// Customers are listed in the plan, or in a CSV file beside it.
type Customers struct {
	List []Customer
	File RelativePath
}

// Customer is the unit of cutover.
type Customer struct {
	ID      Name              `json:"id" jsonschema:"required" jsonschema_description:"Id; what the Temporal UI shows and filters by. Opaque if you make it so."`
	Name    Text              `json:"name,omitempty" jsonschema_description:"Name for people."`
	Tenant  int64             `json:"tenant,omitempty" jsonschema:"minimum=1,maximum=2147483647" jsonschema_description:"Required with datasets. Value of the tenant column in the databases. Close numbers make short filters, hence short freezes."`
	Match   Match             `json:"match" jsonschema:"required" jsonschema_description:"How the customer's requests are recognised."`
	Uses    Uses              `json:"uses" jsonschema:"required" jsonschema_description:"What the customer uses."`
	Labels  map[Name]LabelVal `json:"labels,omitempty" jsonschema_description:"What batches select by."`
	Zone    Zone              `json:"zone,omitempty" jsonschema_description:"Time zone, for display."`
	Contact Text              `json:"contact,omitempty" jsonschema_description:"Whom to talk to."`

	Blackouts []Days `json:"blackouts,omitempty" jsonschema:"minItems=1,maxItems=50" jsonschema_description:"Days on which the customer does not begin to move, in its zone (UTC without one): its batch goes on without it. A customer that has moved still goes back."`
}

// Match recognises a customer's requests.
type Match struct {
	Host []Host `json:"host" jsonschema:"required,minItems=1,maxItems=4" jsonschema_description:"Host names, at most 4: an ALB rule has five condition values, and one is the path. No other customer may have them."`
}

// Uses names what a customer uses.
type Uses struct {
	Workloads []Name `json:"workloads" jsonschema:"required,minItems=1" jsonschema_description:"Workloads that answer the customer. At least one must be carried by a route, and each one that takes requests must be."`
	Datasets  []Name `json:"datasets,omitempty" jsonschema:"minItems=1" jsonschema_description:"Datasets that hold the customer's data; at least one database, which holds the customer's home. Without any the customer is stateless: both sides may serve it at once, its home is recorded in the state bucket, and its requests are shifted by policy.weights. Every workload of it then says state: none."`
}

// Batch is customers cut over together.
type Batch struct {
	Name        Name                `json:"name" jsonschema:"required" jsonschema_description:"Name."`
	Customers   Members             `json:"customers" jsonschema:"required" jsonschema_description:"Its customers: a list of ids, told to go in that order; or a selection, told to go by tenant."`
	Approval    *Approval           `json:"approval,omitempty" jsonschema_description:"Who must agree before it starts."`
	Concurrency int                 `json:"concurrency,omitempty" jsonschema:"default=1,minimum=1,maximum=100" jsonschema_description:"Moves at a time."`
	MaxUnbaked  int                 `json:"maxUnbaked,omitempty" jsonschema:"default=0,minimum=0,maximum=10000" jsonschema_description:"Customers that may be cut over and not baked yet; 0: no limit."`
	Window      *Window             `json:"window,omitempty" jsonschema_description:"When new Moves may start. One that has started finishes."`
	Rollback    Choice              `json:"rollback,omitempty" jsonschema:"enum=customer,enum=batch" jsonschema_description:"What one failing customer takes back with it. Default: policy.rollback."`
	Bake        *migration.Duration `json:"bake,omitempty" bounds:"100ms..720h" jsonschema_description:"Time a customer is watched after its cutover before it counts as moved. Default: policy.bake."`
	Ticket      Text                `json:"ticket,omitempty" jsonschema_description:"Change ticket, for display."`
	Requires    *Requires           `json:"requires,omitempty" jsonschema_description:"What must have been shown before it starts."`
}

// Requires is what must have been shown before a batch starts.
type Requires struct {
	Observe *Observe `json:"observe,omitempty" jsonschema_description:"Of the first batch: who writes the databases on premises is observed before anything of them is replicated (docs/observe.md). {} for its defaults."`
}

// Observe is how long writers are observed, and what may be left open of what is found.
type Observe struct {
	For        migration.Duration `json:"for,omitempty" jsonschema:"default=168h" bounds:"1s..2160h" jsonschema_description:"How long at least: a whole cycle of your jobs. Nothing is brought up before that."`
	Unresolved int                `json:"unresolved,omitempty" jsonschema:"default=0,minimum=0,maximum=2500" jsonschema_description:"How many findings may be left that nobody has resolved."`
}

// Members are a batch's customers: listed, or selected. Selections choose, batch after batch, among
// the customers that no batch lists.
type Members struct {
	IDs    []Name
	Select *Selection
}

// Selection chooses customers by labels.
type Selection struct {
	Labels map[Name]LabelVal `json:"labels,omitempty" jsonschema_description:"Labels that must all match. Without any: every customer that no batch before has taken and none lists."`
	Count  int               `json:"count,omitempty" jsonschema:"minimum=1,maximum=100000" jsonschema_description:"At most so many, those with the lowest tenants. Default: all."`
}

// Approval is who must agree before a batch starts.
type Approval struct {
	By int `json:"by" jsonschema:"required,minimum=1,maximum=10" jsonschema_description:"Number of people."`
}

// Window is when new Moves of a batch may start.
type Window struct {
	Opens LocalTime          `json:"opens" jsonschema:"required" jsonschema_description:"Local time in zone. Of an hour that the zone has twice, the first."`
	For   migration.Duration `json:"for" jsonschema:"required" bounds:"1s..720h" jsonschema_description:"How long it stays open: at least as long as the bake."`
	Zone  Zone               `json:"zone" jsonschema:"required" jsonschema_description:"Time zone."`
}

// Policy is what holds for every batch that does not say otherwise.
type Policy struct {
	FreezeBudget    migration.Duration `json:"freezeBudget,omitempty" jsonschema:"default=5s" bounds:"100ms..1m" jsonschema_description:"Longest time a customer's writes may be refused before the seal: predicted before the fence, and the fence's lease during it. After the seal the customer stays closed until the destination, or a repair, answers."`
	Patience        migration.Duration `json:"patience,omitempty" jsonschema:"default=2s" bounds:"0s..1m" jsonschema_description:"How long a write that meets a freeze waits for its end, but never past the freeze budget, before it is refused; 0s: it is refused at once. A quarter of the database's connections may wait."`
	Tries           int                `json:"tries,omitempty" jsonschema:"default=3,minimum=1,maximum=20" jsonschema_description:"Tries of a Move before the customer is held. Each freezes the customer at most once: on the way out so many freezes, and so many times the freeze budget before a seal in all; on the way back three times as many."`
	Bake            migration.Duration `json:"bake,omitempty" jsonschema:"default=10m" bounds:"100ms..720h" jsonschema_description:"Time a customer is watched after its cutover before it counts as moved."`
	Rollback        Choice             `json:"rollback,omitempty" jsonschema:"enum=customer,enum=batch,default=customer" jsonschema_description:"What one failing customer takes back with it."`
	BackConcurrency int                `json:"backConcurrency,omitempty" jsonschema:"default=0,minimum=0,maximum=200" jsonschema_description:"Customers of a batch that may be on their way back at a time; 0: twice the batch's concurrency. Where the whole plan is taken back, its batches share the largest of these numbers, and each has at least one."`
	StopAfter       int                `json:"stopAfter,omitempty" jsonschema:"default=2,minimum=0,maximum=100000" jsonschema_description:"Customers rolled back or held before the migration pauses itself; 0: never."`
	Soak            migration.Duration `json:"soak,omitempty" jsonschema:"default=72h" bounds:"0s..8760h" jsonschema_description:"Time after the bake during which going back still loses nothing and health still decides."`
	MaxLag          migration.Duration `json:"maxLag,omitempty" jsonschema:"default=2s" bounds:"10ms..1h" jsonschema_description:"Lag of replication, in either direction, above which no fence goes up."`
	Weights         []int              `json:"weights,omitempty" jsonschema_description:"Shares of the requests of a customer without datasets that go to AWS, in percent, one after the other, with a verdict at each: ascending, the last is 100. Default: 5, 25, 100."`
	Step            migration.Duration `json:"step,omitempty" jsonschema:"default=2m" bounds:"100ms..720h" jsonschema_description:"Time such a customer is watched at each weight before the last. At the last it bakes."`
	NewCustomers    Choice             `json:"newCustomers,omitempty" jsonschema:"enum=onprem,enum=aws,default=onprem" jsonschema_description:"The side where customers that the plan does not know may write, from the first minute to the plan's end. Their rows are carried to the other side."`
}
