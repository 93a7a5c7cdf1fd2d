package main

// house says what each room may import, from the bottom up; docs/design.md, section 3, draws it. A
// package belongs to the room with the longest name that it lies in, and every package must have a
// room.
//
// ours are the rooms that it may import besides itself; a room's folders come with it, "internal/*"
// is each folder of its own choice, and "= x" is x without its folders. others are the packages of
// others that it must not import; "+" turns that around: it may import these and the standard
// library, and nothing else. "far" holds for what its imports import too.
var house = []room{
	{at: "migration", others: "+", why: "the nouns need the standard library only"},
	{at: "plans", ours: "= migration internal/spelling", others: "+ github.com/goccy/go-yaml github.com/invopop/jsonschema " +
		"github.com/pb33f/ordered-map",
		why: "the YAML knows the nouns"},
	{at: "discover", ours: "= migration plans internal/spelling", others: "+ github.com/goccy/go-yaml", why: "proposals are made of " +
		"the nouns, and speak the plan's language"},

	{at: "internal", ours: "migration", why: "internal packages serve the rooms above and know none of them"},
	{at: "vsphere", ours: "migration", others: temporal, far: true, why: engine},
	{at: "replication/disks", ours: "migration vsphere", others: temporal, far: true, why: engine},
	{at: "replication/files", ours: "migration", others: temporal, far: true, why: engine},
	{at: "replication/postgres", ours: "migration", others: temporal, far: true, why: engine},
	{at: "replication/postgres/setup", ours: "migration = replication/postgres", others: temporal, far: true, why: engine},
	{at: "replication/postgres/preflight", ours: "migration = replication/postgres replication/postgres/setup", others: temporal, far: true,
		why: engine},
	{at: "replication/postgres/pairtest", ours: "migration = replication/postgres replication/postgres/setup internal/tooltest lab/pg",
		others: temporal,
		why:    "pairtest is for tests: two servers and the setup"},
	{at: "compute", ours: "migration internal/await internal/awsconf internal/permanent internal/secrets", others: temporal, far: true,
		why: engine},
	{at: "routes", ours: "migration internal/await internal/objects internal/permanent internal/webhook", others: temporal, far: true,
		why: engine},
	{at: "homes", ours: "migration internal/objects", others: temporal, far: true, why: engine},
	{at: "health", ours: "migration internal/permanent", others: temporal, far: true, why: engine},

	{at: "notify", ours: "migration internal/permanent internal/webhook", others: temporal, far: true, why: engine},
	{at: "hooks", ours: "migration internal/permanent internal/webhook", others: temporal, far: true, why: engine},
	{at: "evidence", ours: "migration internal/identity internal/goldenfile", others: temporal, far: true, why: engine},

	{at: "activities/vsphere", ours: "migration vsphere internal", others: insideTemporal, why: adapter},
	{at: "activities/disks", ours: "migration vsphere replication/disks internal", others: insideTemporal, why: adapter},
	{at: "activities/files", ours: "migration vsphere replication/files internal", others: insideTemporal, why: adapter},
	{at: "activities/freeze", ours: "migration replication/postgres health hooks internal", others: insideTemporal, why: adapter},
	{at: "activities/postgres", ours: "migration vsphere replication/postgres internal", others: insideTemporal, why: adapter},
	{at: "activities/compute", ours: "migration compute internal", others: insideTemporal, why: adapter},
	{at: "activities/traffic", ours: "migration routes internal", others: insideTemporal, why: adapter},
	{at: "activities/health", ours: "migration health internal = routes", others: insideTemporal, why: adapter},
	{at: "activities/homes", ours: "migration homes internal", others: insideTemporal, why: adapter},
	{at: "activities/state", ours: "migration internal", others: insideTemporal, why: adapter},
	{at: "activities/roll", ours: "migration internal", others: insideTemporal, why: adapter},
	{at: "activities/evidence", ours: "migration evidence internal", others: insideTemporal, why: adapter},
	{at: "activities/hooks", ours: "migration hooks internal", others: insideTemporal, why: adapter},
	{at: "activities/notify", ours: "migration notify internal", others: insideTemporal, why: adapter},

	{at: "workflows", ours: "migration activities",
		others: "github.com/aws github.com/vmware github.com/jackc go.temporal.io/sdk/client go.temporal.io/sdk/activity",
		why: "workflows know the nouns and the activities, as method values; a workflow is deterministic, and all work belongs to " +
			"activities"},
	{at: "client", ours: "migration internal", others: "github.com/aws github.com/vmware", why: "client knows the nouns and the " +
		"Temporal client"},
	{at: "worker", ours: "migration internal vsphere replication compute routes homes health notify hooks evidence activities workflows " +
		"client", why: "worker joins what is below it, and knows nothing above or beside it"},
	{at: "web", ours: "migration client internal", others: temporal, why: "web is made over client"},
	{at: "watch", ours: "migration client web internal", others: temporal, why: "watch shows on a terminal what web/board has read"},
	{at: "cmd/drover", ours: "migration plans discover notify evidence internal worker client web watch",
		why: "the product knows of no lab"},

	{at: "lab/verify", ours: "lab", why: "the judge imports nothing of the product: it must not share its mistakes"},
	{at: "lab", ours: product, why: "the lab is around the product, not in it"},
	{at: "cmd/lab", ours: product + " lab", why: "cmd/lab joins the lab and the product"},
	{at: "bench", ours: product + " lab cmd test/model", why: "a bench is over everything"},
	{at: "test", ours: product + " lab cmd bench", why: "tests are over everything"},
	{at: "tools", why: "tools know nothing of the product"},
}

const (
	temporal       = "go.temporal.io"
	insideTemporal = "go.temporal.io/sdk/workflow go.temporal.io/sdk/client go.temporal.io/sdk/worker"
	engine         = "engines know the nouns and their SDK, and nothing of Temporal"
	adapter        = "activities know the nouns, their engine and internal/*; a sibling is reached through a small interface that " +
		"worker joins"
	product = "migration plans discover internal vsphere replication compute routes homes health notify hooks evidence activities " +
		"workflows client worker web watch"
)
