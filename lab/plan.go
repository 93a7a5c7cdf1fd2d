package lab

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed plan.yaml.tmpl
var planTemplate string

// Shape is what a lab is made for: how many customers, and the pace of its plan.
type Shape struct {
	Name     string // of the plan
	Bake     string
	Soak     string
	Batches  []Batch
	Interval string // between probes
	Freeze   string // budget of a freeze; empty: 5s
	StopsAt  int    // incidents after which the migration pauses itself; 0: 3
	Archive  bool   // customers have a second database, see ArchiveDSN
	Tells    bool   // the plan tells people (Lab.Inbox), and leaves signed evidence (Lab.EvidenceKey)
}

// Batch of a Shape.
type Batch struct {
	Name        string
	Customers   []Customer
	Rollback    string // customer | batch
	Concurrency int
	Approvals   int
}

// Customer of the lab.
type Customer struct {
	ID     string
	Name   string
	Tenant int
	Host   string
	ByName bool // its requests find their side by the records of its host
}

// Domain is the zone in Route 53 of the customers that are found by name.
const Domain = "names.lab"

// Named is the customer with a host that is found by name.
func (c Customer) Named() Customer {
	c.Host, c.ByName = c.ID+"."+Domain, true
	return c
}

// names of the lab's customers.
var names = strings.Fields("acme birch cedar delta ember fjord grove haven indigo juniper kestrel lotus maple nectar onyx pine quartz " +
	"raven sable tulip")

// NewCustomer is the i-th customer, from 0.
func NewCustomer(i int) Customer {
	id := names[i%len(names)]
	if i >= len(names) {
		id = fmt.Sprintf("%s-%d", id, i/len(names))
	}
	return Customer{ID: id, Name: strings.ToUpper(id[:1]) + id[1:] + " Ltd", Tenant: i + 1, Host: id + ".app.lab"}
}

// DemoShape is twelve customers in four batches.
func DemoShape() Shape {
	s := Shape{Name: "orders", Bake: "22s", Soak: "2h", Interval: "250ms", Tells: true}
	next := 0
	add := func(b Batch, n int) {
		for range n {
			b.Customers = append(b.Customers, NewCustomer(next))
			next++
		}
		s.Batches = append(s.Batches, b)
	}
	add(Batch{Name: "canary", Rollback: "customer", Concurrency: 1, Approvals: 1}, 1)
	add(Batch{Name: "early", Rollback: "customer", Concurrency: 2, Approvals: 1}, 3)
	add(Batch{Name: "wave", Rollback: "batch", Concurrency: 4, Approvals: 1}, 4)
	add(Batch{Name: "rest", Rollback: "customer", Concurrency: 2, Approvals: 1}, 4)
	return s
}

// Customers of all batches.
func (s Shape) Customers() (out []Customer) {
	for _, b := range s.Batches {
		out = append(out, b.Customers...)
	}
	return out
}

// writePlan renders the plan that a migration lead would have written for this lab.
func (l *Lab) writePlan() error {
	t, err := template.New("plan").Parse(planTemplate)
	if err != nil {
		return err
	}
	l.Plan = filepath.Join(l.opts.Dir, "plan.yaml")
	f, err := os.Create(l.Plan)
	if err != nil {
		return err
	}
	if err := t.Execute(f, l); err != nil {
		_ = f.Close()
		return fmt.Errorf("write %s: %w", l.Plan, err)
	}
	return f.Close()
}

// SmallShape is one batch that needs no approval, at a quick pace: what a test moves back and
// forth.
func SmallShape(customers int) Shape {
	b := Batch{Name: "all", Rollback: "customer", Concurrency: customers}
	for i := range customers {
		b.Customers = append(b.Customers, NewCustomer(i))
	}
	return Shape{Name: "orders", Bake: "2500ms", Soak: "2h", Interval: "100ms", Batches: []Batch{b}}
}
