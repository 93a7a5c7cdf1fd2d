package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/plans"
)

// shape is a plan and how it is run.
type shape struct {
	customers, batches int
	workers            int           // processes
	soak               time.Duration // of a customer
	window             time.Duration // how long all of them soak at once, at least
}

const (
	planName    = "scale"
	site        = "dc1"
	concurrency = 30          // Moves at a time of a batch
	bake        = time.Second // short: batches go one after the other, and each ends with a bake

	// goal is the time that ten thousand cutovers may take.
	goal     = 12 * time.Minute
	goalSize = 10_000

	// Of a hundred customers one is not healthy while it bakes, and of a thousand one while it
	// soaks.
	sickWhileBaking  = 100
	sickWhileSoaking = 1000
)

func (s shape) String() string {
	return fmt.Sprintf("%d customers in %d batches", s.customers, s.batches)
}

// key names the shape in the results.
func (s shape) key() string { return fmt.Sprintf("%d/%d", s.customers, s.batches) }

// allowed is what the goal allows the cutovers, and a minute for what comes before them.
func (s shape) allowed() time.Duration {
	return time.Minute + goal*time.Duration(s.customers)/goalSize
}

// workersFor says how many workers share a plan: a small one is there to tell what one customer
// costs.
func workersFor(customers int) int {
	if customers < 1000 {
		return 1
	}
	return 2
}

func customerID(n int) string { return fmt.Sprintf("c%05d", n) }

// sick says whether a customer is not healthy on AWS in a phase.
func sick(tenant int64, soaks bool) bool {
	if soaks {
		return tenant%sickWhileSoaking == sickWhileSoaking/2+1
	}
	return tenant%sickWhileBaking == sickWhileBaking/4
}

// spec is the plan as a migration lead would have written it, validated and compiled.
func (s shape) spec() (*migration.Spec, error) {
	p, problems := plans.Parse("scale.yaml", []byte(s.yaml()), "")
	if len(problems) > 0 {
		return nil, errors.New(problems.Error())
	}
	return plans.Compile(p)
}

const head = `version: 1
name: %s
state: {target: prod, bucket: drover-state}
sites:
  dc1: {vsphere: {url: "https://vcenter.example/sdk", datacenter: DC0, credentials: env://VSPHERE}}
targets:
  prod: {account: "123456789012", region: us-east-1, vpc: vpc-1, subnets: [subnet-a, subnet-b]}
workloads:
  web:
    site: dc1
    vms: {names: [web-01, web-02]}
    state: datasets
    ingress: {port: 8080, paths: ["/*"], protocol: http}
    target: {name: prod, ec2: {}}
  api:
    site: dc1
    vms: {names: [api-01]}
    state: datasets
    ingress: {port: 8080, paths: ["/api/*"], protocol: http}
    target:
      name: prod
      fargate: {cluster: platform, image: "registry.example/api:1.4.2", cpu: 512, memory: 1024, count: 2}
datasets:
  orders:
    postgres:
      site: dc1
      source: {dsn: env://ORDERS_ONPREM, addressFromTarget: "db.example:5432"}
      target: {name: prod, rds: orders, credentials: awssm://orders/drover}
      tenancy: {column: tenant_id}
  attachments:
    files: {site: dc1, path: "/srv/attachments/{customer}", target: {name: prod, bucket: attachments, prefix: "{customer}/"}, fencedBy: orders}
routes:
  public:
    alb: {target: prod, listener: %s, workloads: {web: {onprem: %s}, api: {onprem: %s}}}
health:
  probes:
    - {http: {path: /healthz, expect: 200}, every: 500ms, timeout: 1s, failAfter: 3}
    - {http: {path: /api/healthz, expect: 200}, every: 500ms, timeout: 1s, failAfter: 3}
  compare: {errorRate: "<= 1x + 5%%", p95: "<= 5x + 500ms", minSamples: 20}
policy: {freezeBudget: 5s, tries: 3, bake: %s, stopAfter: 0, soak: %s, maxLag: 5s}
`

const balancer = `"arn:aws:elasticloadbalancing:us-east-1:123456789012:`

func (s shape) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, head, planName, balancer+`listener/app/public/0123456789abcdef/0123456789abcdef"`,
		balancer+`targetgroup/onprem-web/0123456789abcdef"`, balancer+`targetgroup/onprem-api/0123456789abcdef"`, bake, s.soak)
	b.WriteString("customers:\n")
	for n := range s.customers {
		fmt.Fprintf(&b, "  - {id: %[1]s, name: Customer %[2]d, tenant: %[3]d, match: {host: [%[1]s.app.example.com]}, "+
			"uses: {workloads: [web, api], datasets: [orders, attachments]}}\n", customerID(n), n, n+1)
	}
	b.WriteString("batches:\n")
	for n := range s.batches {
		var ids []string
		for i := n * s.customers / s.batches; i < (n+1)*s.customers/s.batches; i++ {
			ids = append(ids, customerID(i))
		}
		fmt.Fprintf(&b, "  - {name: b%03d, customers: [%s], concurrency: %d}\n", n, strings.Join(ids, ", "), concurrency)
	}
	return b.String()
}
