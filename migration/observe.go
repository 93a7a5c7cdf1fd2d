package migration

import (
	"fmt"
	"time"
)

// Observe is how long writers are observed before anything of their database is replicated, and how
// many findings may be left unresolved then.
type Observe struct {
	For        Duration `json:"for"`
	Unresolved int      `json:"unresolved"`
}

// Requires is what a batch waits for beside its window and its approvals.
type Requires struct {
	Observe *Observe `json:"observe,omitempty"` // of the first batch only: who writes is observed before databases are replicated
}

// Observes is what the plan's first batch requires of its writers; nil: nothing.
func Observes(batches []Batch) *Observe {
	if len(batches) == 0 || batches[0].Requires == nil {
		return nil
	}
	return batches[0].Requires.Observe
}

// ObservedKind is what is wrong with a writer, once customers have moved.
type ObservedKind string

// Kinds of findings about writers.
const (
	ObservedMany     ObservedKind = "many"     // one statement or transaction writes for several customers
	ObservedUnrouted ObservedKind = "unrouted" // it is none of the machines whose requests the plan routes
	ObservedNobody   ObservedKind = "nobody"   // rows without a customer
	ObservedTruncate ObservedKind = "truncate"
	ObservedDDL      ObservedKind = "ddl"
	ObservedMissed   ObservedKind = "missed" // notes that were left out: for want of room, by an error or a crash
)

// ObservedKinds are all kinds, in the order in which people read them.
var ObservedKinds = []ObservedKind{ObservedMany, ObservedUnrouted, ObservedNobody, ObservedTruncate, ObservedDDL, ObservedMissed}

// Observed is a finding about who writes a database on premises. No value of the database's is in
// it: of a statement its shape, of customers how many.
type Observed struct {
	ID          string       `json:"id"`
	Kind        ObservedKind `json:"kind"`
	Role        string       `json:"role,omitempty"`        // who has connected; "": not known
	Application string       `json:"application,omitempty"` // its application_name, each number in it as "#"
	Client      string       `json:"client,omitempty"`      // its address, or local
	Statement   string       `json:"statement,omitempty"`   // its shape
	Table       string       `json:"table,omitempty"`
	Operation   string       `json:"operation,omitempty"` // INSERT, UPDATE, DELETE, TRUNCATE, or the command of a change of the schema
	Customers   int          `json:"customers,omitempty"` // most that one statement or transaction wrote for, up to 1,000
	Noted       int64        `json:"noted"`               // at least so often
	First       time.Time    `json:"first"`
	Last        time.Time    `json:"last"`
	Resolved    *Event       `json:"resolved,omitempty"` // nil: nobody has said that it may be so
}

// Observation is who wrote a database on premises, as observed so far.
type Observation struct {
	Dataset  string     `json:"dataset"`
	Since    time.Time  `json:"since,omitzero"` // zero: it is not observed yet
	Ended    time.Time  `json:"ended,omitzero"` // zero: it is observed still
	Age      Duration   `json:"age,omitempty"`  // how long it has been observed, by the server's clock
	Findings []Observed `json:"findings,omitempty"`
	// NamesDDL says whether changes of the schema are noted with who made them. Else the tables'
	// columns are compared.
	NamesDDL bool   `json:"namesDDL"`
	Error    string `json:"error,omitempty"` // why it could not be read
}

// Unresolved are the findings that nobody has resolved.
func (o Observation) Unresolved() (n int) {
	for _, f := range o.Findings {
		if f.Resolved == nil {
			n++
		}
	}
	return n
}

// ObservationReport is who wrote the databases of a plan.
type ObservationReport struct {
	Requires *Observe      `json:"requires,omitempty"` // nil: no batch does
	Datasets []Observation `json:"datasets"`
	Unseen   []string      `json:"unseen,omitempty"` // what could not be asked
}

// Wants says in words what is missing until writers have been observed as o wants it; "": nothing.
// The youngest observation began at since, age ago by its server's clock.
func (o Observe) Wants(plan string, since time.Time, age Duration, unresolved int) string {
	until := since.Add(o.For.D()).UTC().Format(TimeLayout)
	see := fmt.Sprintf("`drover observe report %s`", plan)
	switch left := o.For - age; {
	case left > 0 && unresolved > o.Unresolved:
		return fmt.Sprintf("who writes is observed until %s, and %s: %s", until, o.words(unresolved), see)
	case left > 0:
		return fmt.Sprintf("who writes is observed until %s: %s", until, see)
	case unresolved > o.Unresolved:
		return fmt.Sprintf("who writes has been observed for %s, and %s: %s", o.For.Brief(), o.words(unresolved), see)
	}
	return ""
}

func (o Observe) words(unresolved int) string {
	is := "findings are"
	if unresolved == 1 {
		is = "finding is"
	}
	return fmt.Sprintf("%d %s unresolved where %d may be", unresolved, is, o.Unresolved)
}
