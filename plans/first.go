package plans

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/drover-migration/drover/migration"
)

// FillIn stands in a first plan where only its lead knows what belongs there. No text of a plan may
// be so: validation names each place with what it wants.
const FillIn = "FILL-IN"

// First is what is known of a plan before anybody has written it. What is empty becomes FillIn, or
// is left out where a plan may do without it.
type First struct {
	Name, Bucket string
	Site         FirstSite
	Target       FirstTarget
	Workloads    []FirstWorkload
	Databases    []FirstDatabase
	Listener     string
	File         string // of the customers, beside the plan
	Customers    int    // in it
	Batches      []FirstBatch
	Notes        []string // above everything: what was left out, and why
}

// FirstSite is the vCenter that was asked.
type FirstSite struct{ Name, URL, Datacenter, Credentials, CAFile, Thumbprint string }

// FirstTarget is where everything goes.
type FirstTarget struct {
	Account, Region, VPC string
	Subnets              []string
}

// FirstWorkload is a component on machines of the site.
type FirstWorkload struct {
	Name  string
	VMs   []string
	Port  int // that takes requests of customers; 0: it takes none
	Notes []string
}

// FirstDatabase is a PostgreSQL database with a column that tells customers apart.
type FirstDatabase struct {
	Name, Address, Column string
	Notes                 []string
}

// FirstBatch is a batch by its customers' ids, or all who are left.
type FirstBatch struct {
	Name        string
	IDs         []string
	Count       int // of those who are left; 0: all
	Concurrency int // 0: one at a time
	Note        string
}

// YAML is the plan, with comments that say what each part is for.
func (f First) YAML() []byte {
	w := &yamlWriter{}
	w.line(0, "# yaml-language-server: $schema=plan.schema.json")
	w.line(0, "#")
	w.note(0, "A first plan, made by drover plan init. Where it says "+FillIn+" only you know what belongs there; `drover plan validate` "+
		"names each such place. docs/plan-reference.md has every key, those with a default too.")
	for i, n := range f.Notes {
		if i == 0 {
			w.line(0, "#")
		}
		w.note(0, n)
	}
	w.line(0, "version: 1")
	w.key(0, "name", f.Name)
	w.note(0, "Where checkpoints and manifests are kept: a bucket of yours, with conditional writes.")
	w.line(0, "state: {target: prod, bucket: %s}", text(or(f.Bucket)))
	w.line(0, "")
	f.site(w)
	w.line(0, "")
	w.line(0, "targets:")
	w.line(1, "prod:")
	w.line(2, "account: %s # in quotes: an account can begin with 0", quote(or(f.Target.Account)))
	w.key(2, "region", f.Target.Region)
	w.key(2, "vpc", f.Target.VPC)
	w.line(2, "subnets: [%s] # of machines and tasks; two, in two zones, are usual", texted(f.Target.Subnets))
	w.line(0, "")
	f.workloads(w)
	f.datasets(w)
	f.route(w)
	w.note(0, fmt.Sprintf("One customer a line (%d): who they are, by which hosts their requests are known, what they use.", f.Customers))
	w.line(0, "customers: {file: %s}", text(f.File))
	w.line(0, "")
	f.batches(w)
	w.note(0, "Defaults, to be thought over: how long a customer's writes may be refused, how long it is watched after its "+
		"cutover, how long going back loses nothing.")
	w.line(0, "policy: {freezeBudget: 5s, bake: 10m, soak: 72h}")
	return []byte(w.String())
}

func (f First) site(w *yamlWriter) {
	s := f.Site
	w.line(0, "sites:")
	w.note(1, "Needs a worker near it: drover worker --main=false --site "+s.Name)
	w.line(1, "%s:", text(s.Name))
	w.line(2, "vsphere:")
	w.key(3, "url", s.URL)
	w.key(3, "datacenter", s.Datacenter)
	w.line(3, `credentials: %s # JSON {"username": .., "password": ..}, read by the site's worker`, text(s.Credentials))
	if s.CAFile != "" {
		w.line(3, "caFile: %s # on the site's worker", text(s.CAFile))
	}
	if s.Thumbprint != "" {
		w.line(3, "thumbprint: %s", quote(s.Thumbprint))
	}
}

func (f First) workloads(w *yamlWriter) {
	w.line(0, "workloads:")
	fronts := 0
	for _, l := range f.Workloads {
		for _, n := range l.Notes {
			w.note(1, n)
		}
		w.line(1, "%s:", text(l.Name))
		w.key(2, "site", f.Site.Name)
		w.line(2, "vms: {names: [%s]}", texted(l.VMs))
		if len(f.Databases) == 0 {
			w.line(2, "state: none # nothing is lost with its machines: data that moves stands under datasets")
		}
		if l.Port != 0 {
			paths := ""
			if fronts > 0 {
				paths = fmt.Sprintf(`, paths: ["/%s/*"]`, l.Name)
			}
			w.line(2, "ingress: {port: %d%s}", l.Port, paths)
			if fronts++; paths != "" {
				w.note(2, "One workload of a route takes all paths that no other has. Are these its own?")
			}
		}
		w.line(2, "target:")
		w.line(3, "name: prod")
		w.line(3, "ec2: {instanceType: auto}")
		w.note(3, "config: {userData: {file: %s.sh}} # a copied machine still asks its old database", l.Name)
	}
	w.line(0, "")
}

func (f First) datasets(w *yamlWriter) {
	if len(f.Databases) == 0 {
		return
	}
	w.line(0, "datasets:")
	for _, d := range f.Databases {
		for _, n := range d.Notes {
			w.note(1, n)
		}
		name := strings.ToUpper(strings.ReplaceAll(d.Name, "-", "_"))
		w.line(1, "%s:", text(d.Name))
		w.line(2, "postgres:")
		w.key(3, "site", f.Site.Name)
		w.line(3, "source:")
		w.line(4, "dsn: env://%s_ONPREM # connection string, read by the site's worker", name)
		w.line(4, "addressFromTarget: %s # as RDS reaches it: replication runs in both directions", text(or(d.Address)))
		w.line(3, "target:")
		w.line(4, "name: prod")
		w.line(4, "rds: %s # the RDS instance that takes it", FillIn)
		w.line(4, `credentials: awssm://%s/drover # JSON {"username": .., "password": ..}`, d.Name)
		w.line(3, "tenancy: {column: %s} # the integer column that tells customers apart", text(d.Column))
	}
	w.line(0, "")
}

func (f First) route(w *yamlWriter) {
	w.line(0, "routes:")
	w.line(1, "public:")
	w.line(2, "alb:")
	w.line(3, "target: prod")
	w.line(3, "listener: %s # of the load balancer that takes the customers' requests", text(or(f.Listener)))
	w.line(3, "workloads:")
	w.note(4, "onprem: the target group (type ip) with the addresses of the machines on premises.")
	for _, l := range f.Workloads {
		if l.Port != 0 {
			w.line(4, "%s: {onprem: %s}", text(l.Name), FillIn)
		}
	}
	w.line(0, "")
}

func (f First) batches(w *yamlWriter) {
	w.line(0, "batches:")
	w.note(1, "Released in this order. Each may have a window in which its customers begin to move:")
	w.line(1, `# window: {opens: "2026-12-02 22:00", for: 4h, zone: UTC}`)
	for _, b := range f.Batches {
		if b.Note != "" {
			w.note(1, b.Note)
		}
		members := "{}"
		switch {
		case len(b.IDs) > 0:
			members = "[" + texted(b.IDs) + "]"
		case b.Count > 0:
			members = fmt.Sprintf("{count: %d}", b.Count)
		}
		more := ""
		if b.Concurrency > 1 {
			more = fmt.Sprintf(", concurrency: %d", b.Concurrency)
		}
		w.line(1, "- {name: %s, customers: %s%s, approval: {by: 1}}", text(b.Name), members, more)
	}
	w.line(0, "")
}

// FirstBatches divides customers, in the order in which they are to go: one that shows the way, a
// tenth, and the rest.
func FirstBatches(ids []string) (out []FirstBatch) {
	const few, many = 20, 1000
	if len(ids) == 0 {
		return nil
	}
	out = []FirstBatch{{Name: "canary", IDs: ids[:1], Note: "Choose one who may be first: its users notice a freeze of a second."}}
	left := len(ids) - 1
	if left >= few {
		out = append(out, FirstBatch{Name: "early", Count: left / 10, Concurrency: 2})
		left -= left / 10
	}
	for n := 1; left > many; n++ { // one batch tells only so many
		out = append(out, FirstBatch{Name: fmt.Sprintf("wave-%d", n), Count: many, Concurrency: 10})
		left -= many
	}
	if left > 0 {
		last := FirstBatch{Name: "everyone-else"}
		if left >= few {
			last.Concurrency = 5
		}
		out = append(out, last)
	}
	return out
}

// fitting are the forms of what a lead is asked for, by the names of the questions.
var fitting = map[string]func(string) error{
	"name": fits[Name], "site": fits[Name], "workload": fits[Name], "database": fits[Name], "vcenter": fits[HTTPSURL],
	"credentials": fits[migration.SecretRef], "ca": fits[AbsolutePath], "thumbprint": fits[Thumbprint], "text": fits[Text],
	"account": fits[Account], "region": fits[Region], "bucket": fits[Bucket], "vpc": fits[VPC], "subnet": fits[Subnet],
	"listener": fits[ListenerARN], "address": fits[HostPort], "column": fits[Column],
}

// Fits says what is wrong with the answer to a question; what may be a secret it does not show.
func Fits(question, answer string) error { return fitting[question](answer) }

func fits[T ~string](answer string) error {
	sc := scalars[typeOf[T]()]
	_, err := sc.read(typeOf[T](), answer)
	switch {
	case err == nil:
		return nil
	case sc.secret:
		return fmt.Errorf("it has to be %s (what was given is not shown)", sc.want)
	case err.Error() != "":
		return fmt.Errorf("%s is not %s: %w", quoted(answer), sc.want, err)
	}
	return fmt.Errorf("%s is not %s", quoted(answer), sc.want)
}

// yamlWriter writes lines with their indents.
type yamlWriter struct{ strings.Builder }

func (w *yamlWriter) line(depth int, format string, args ...any) {
	if format != "" {
		w.WriteString(strings.Repeat("  ", depth))
	}
	fmt.Fprintf(w, format+"\n", args...)
}

func (w *yamlWriter) key(depth int, key, value string) { w.line(depth, "%s: %s", key, text(or(value))) }

// note writes comments of at most 100 columns. What is in them came from elsewhere: no end of a
// line in it ends the comment.
func (w *yamlWriter) note(depth int, format string, args ...any) {
	const width = 100
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	at := strings.Repeat("  ", depth) + "#"
	line := at
	for _, word := range strings.Fields(oneLine(format)) {
		if len(line)+1+len(word) > width && line != at {
			w.WriteString(line + "\n")
			line = at
		}
		line += " " + word
	}
	w.WriteString(line + "\n")
}

func or(s string) string {
	if s == "" {
		return FillIn
	}
	return s
}

// plainly are the texts that YAML takes for nothing else without quotes.
var plainly = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./-]*(://[A-Za-z0-9_./#+=@-]+(:[0-9]+)?(/[A-Za-z0-9_./-]*)?)?$`)

// text is a text in YAML, in quotes where it needs them.
func text(s string) string {
	taken := []string{"true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"}
	if plainly.MatchString(s) && !slices.Contains(taken, strings.ToLower(s)) {
		return s
	}
	return quote(s)
}

// quote is a text in double quotes, as JSON and YAML both have it.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a text always has a form in JSON
	}
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(b))
}

// texted is the inside of a list; FillIn for an empty one.
func texted(all []string) string {
	if len(all) == 0 {
		return FillIn
	}
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = text(s)
	}
	return strings.Join(out, ", ")
}
