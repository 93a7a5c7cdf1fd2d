package board

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

// Snapshot is a migration as it was read last. It is never changed after it was published.
type Snapshot struct {
	Version   uint64    // grows with every change of what is shown
	At        time.Time // when everything was read
	Trouble   *Trouble  // what keeps it from being read anew; nil: nothing
	Execution string    // what Temporal says of the migration's workflow

	Status    migration.MigrationStatus // without customers
	Spec      *migration.Spec           // the compiled plan; nil: not known
	Batches   []Batch                   // in the plan's order
	Customers []Customer                // in the order in which they are told to go
	Messages  *migration.MessagesStatus // nil: the plan sends none

	// Choices are what the customers can be filtered by.
	Choices Choices

	byID  map[string]int
	names map[string]int // places of batches
}

// Batch is a batch with its place in the plan and what its Moves measured.
type Batch struct {
	migration.BatchStatus // without customers

	Place   int  // from 1
	Started bool // its workflow has answered
	First   int  // place of its first customer in Snapshot.Customers
	Score   Score

	AtOnce   int // customers that may move at a time; 0: not known
	Deferred int // of those that are held: they wait for their time, and for nobody
}

// Customer is a customer with all that is known of it.
type Customer struct {
	Status  migration.CustomerStatus // with id and batch at least
	Spec    migration.Customer       // with an id at least
	Place   int                      // in the plan's order, from 1
	Started bool                     // its batch has reported it
	Back    Back                     // whether it can go back

	text string // what a search looks in, in lower case
}

// State is the group that the customer is counted and coloured by.
func (c Customer) State() State {
	if s := stateOf(c.Status); s != CanGoBack || c.Back.Way != BackLost {
		return s
	}
	return Stranded
}

// Words is what the customer's state is called on its page.
func (c Customer) Words() string {
	if c.Status.Deferred() {
		return "waits for its time"
	}
	if n := c.Status.Weight; n > 0 && c.State() == Checking {
		return fmt.Sprintf("%d of 100 requests go to AWS", n)
	}
	if c.State() == CanGoBack {
		switch c.Back.Way {
		case BackOpen:
		case BackHalted:
			return "on AWS, cannot go back now"
		default:
			return "on AWS"
		}
	}
	return c.State().Words()
}

// Score is what the Moves of a batch measured.
type Score struct {
	Moves      int           // that changed a home
	Freeze     time.Duration // the longest of them
	Stall      time.Duration // longest from a fence to the route that follows; 0: not known
	WentBack   int           // customers that are on premises again after a Move to AWS
	Unanswered int           // customers with a verdict that says neither pass nor fail

	RequestsFailed  Counted // of users, around the Moves
	RequestsRetried Counted
}

// Customer finds a customer by id.
func (s *Snapshot) Customer(id string) (Customer, bool) {
	i, ok := s.byID[id]
	if !ok {
		return Customer{}, false
	}
	return s.Customers[i], true
}

// Batch finds a batch by name.
func (s *Snapshot) Batch(name string) (Batch, bool) {
	i, ok := s.names[name]
	if !ok {
		return Batch{}, false
	}
	return s.Batches[i], true
}

// GoesOn says whether the migration's workflow runs or has come to its own end. One that somebody
// ended answers as if it lived.
func (s *Snapshot) GoesOn() bool {
	return s.Execution == client.Running || s.Execution == client.Completed
}

// Ahead is how many customers of the plan stand before a customer and have not moved yet.
func (s *Snapshot) Ahead(c Customer) (n int) {
	for _, o := range s.Customers[:c.Place-1] {
		if o.State() == Waiting {
			n++
		}
	}
	return n
}

// Count is how many customers are in each state.
func (s *Snapshot) Count() map[State]int {
	out := map[State]int{}
	for _, c := range s.Customers {
		out[c.State()]++
	}
	return out
}

// reading is what one round has read.
type reading struct {
	at        time.Time
	execution string
	status    migration.MigrationStatus
	spec      *migration.Spec
	full      map[string]migration.BatchStatus // batches that have started, with their customers
	messages  *migration.MessagesStatus        // of the whole plan; nil: it sends none
}

// snapshot puts a reading together with the plan.
func (r reading) snapshot(version uint64) *Snapshot {
	s := &Snapshot{Version: version, At: r.at, Execution: r.execution, Status: r.status, Spec: r.spec, Messages: r.messages,
		byID: map[string]int{}, names: map[string]int{}}
	if !s.GoesOn() { // nothing that it offered would be taken
		s.Status.MayDo = nil
	}
	specs := map[string]migration.Customer{}
	if r.spec != nil {
		for _, c := range r.spec.Customers {
			specs[c.ID] = c
		}
	}
	for i, summary := range r.status.Batches {
		full, started := r.full[summary.Name]
		b := Batch{BatchStatus: summary, Place: i + 1, Started: started, First: len(s.Customers)}
		var ids []string
		planned := migration.Batch{}
		if r.spec != nil {
			var ok bool
			if planned, ok = r.spec.Batch(summary.Name); ok {
				ids, b.AtOnce = planned.Customers, max(planned.Concurrency, 1)
			}
		}
		if started {
			b.BatchStatus = full
			b.Finalised = summary.Finalised // the migration's to say, as the next
			if summary.MayEnd {
				b.MayDo = append(slices.Clone(b.MayDo), migration.UpdateFinalise)
			}
		} else {
			b.completed(planned)
		}
		known := map[string]migration.CustomerStatus{}
		for _, c := range full.Customers {
			known[c.ID] = c
			if ids == nil {
				s.add(c, specs[c.ID], true, b.Finalised)
			}
		}
		for _, id := range ids {
			c, reported := known[id]
			if !reported || c.ID == "" {
				c, reported = migration.CustomerStatus{ID: id, Phase: migration.CustomerWaiting, WaitingFor: migration.WaitBatch}, false
			}
			c.Batch = summary.Name
			s.add(c, specs[id], reported, b.Finalised)
		}
		b.Score = score(s.Customers[b.First:])
		for _, c := range s.Customers[b.First:] {
			if c.Status.Deferred() {
				b.Deferred++
			}
		}
		b.Customers = nil
		s.names[b.Name] = len(s.Batches)
		s.Batches = append(s.Batches, b)
	}
	s.Status.Batches, s.Choices = nil, choicesOf(s.Customers)
	return s
}

// completed adds what the plan says of a batch that has not started.
func (b *Batch) completed(planned migration.Batch) {
	if b.Phase == "" {
		b.Phase = migration.BatchWaiting
	}
	if b.Window == nil {
		b.Window = planned.Window
	}
	if b.Ticket == "" {
		b.Ticket = planned.Ticket
	}
	if b.Needs == 0 {
		b.Needs = planned.Approvals
	}
	if b.Counts.Customers == 0 {
		b.Counts.Customers, b.Counts.Waiting = len(planned.Customers), len(planned.Customers)
	}
}

func (s *Snapshot) add(c migration.CustomerStatus, spec migration.Customer, started bool, finalised *migration.Finalised) {
	planned := &spec
	if spec.ID == "" {
		planned, spec.ID = nil, c.ID
	}
	if c.Name == "" {
		c.Name = spec.Name
	}
	words := append([]string{c.ID, c.Name, c.Batch, spec.Contact, c.Reason}, spec.Hosts...)
	for k, v := range spec.Labels {
		words = append(words, k+":"+v)
	}
	s.byID[c.ID] = len(s.Customers)
	s.Customers = append(s.Customers, Customer{Status: c, Spec: spec, Place: len(s.Customers) + 1, Started: started,
		Back: WayBackOf(c, &s.Status, planned, finalised), text: strings.ToLower(strings.Join(words, "\n"))})
}

func score(customers []Customer) (out Score) {
	for _, c := range customers {
		out.Moves += len(c.Status.Moves)
		for _, m := range c.Status.Moves {
			out.Freeze, out.Stall = max(out.Freeze, m.Freeze.D()), max(out.Stall, m.Stall())
			out.RequestsFailed.add(m.Requests.FailedCount())
			out.RequestsRetried.add(m.Requests.RetriedCount())
		}
		if n := len(c.Status.Moves); n > 1 && c.Status.Home == migration.OnPrem {
			out.WentBack++
		}
		if v := c.Status.Verdict; v != nil && v.Outcome == migration.Inconclusive {
			out.Unanswered++
		}
	}
	return out
}
