// Package webtest is a migration in memory for the board's tests: what board.Source answers and
// what commands do, without Temporal. It counts what it is asked. It is for tests only.
package webtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

// World is one migration whose state a test sets.
type World struct {
	Asked atomic.Int64 // questions to Temporal

	mu        sync.Mutex
	spec      *migration.Spec
	status    migration.MigrationStatus
	execution string
	customers map[string]migration.CustomerStatus
	started   map[string]bool // batches
	down      error
	mute      bool // the workers do not answer
	sent      []Sent
	past      map[string]*migration.MessagesStatus // by customer
}

// Sent is a command as it arrived.
type Sent struct {
	Name string
	At   client.Aim
	migration.Command
}

// Start is when the plan of New was submitted.
var Start = time.Date(2026, 12, 2, 20, 0, 0, 0, time.UTC)

// New is a plan of so many customers in so many batches, none of which has begun.
func New(plan string, customers, batches int) *World {
	m := &World{execution: client.Running, customers: map[string]migration.CustomerStatus{}, started: map[string]bool{}}
	m.spec = &migration.Spec{Plan: plan, Revision: 1, Policy: migration.Policy{Soak: migration.Duration(72 * time.Hour)}}
	tiers := []string{"gold", "silver", "bronze"}
	for b := range batches {
		name := fmt.Sprintf("wave-%02d", b+1)
		opens := Start.Add(time.Duration(b) * 24 * time.Hour)
		batch := migration.Batch{Name: name, Approvals: 1, Ticket: fmt.Sprintf("CHG-%d", 1040+b), Window: &migration.Window{Opens: opens,
			For: migration.Duration(4 * time.Hour), Zone: "Europe/Kyiv"}}
		for c := b * customers / batches; c < (b+1)*customers/batches; c++ {
			id := fmt.Sprintf("cust-%05d", c)
			m.spec.Customers = append(m.spec.Customers, migration.Customer{ID: id, Name: "Customer " + fmt.Sprint(c),
				Hosts: []string{id + ".app.example.com"}, Labels: map[string]string{"tier": tiers[c%3]}, Zone: "Europe/Kyiv",
				Contact: fmt.Sprintf("cs-%d@example.com", c%4), Datasets: []string{"orders"}, Workloads: []string{"web"}})
			batch.Customers = append(batch.Customers, id)
			if c == 12 {
				m.spec.Customers[c].Blackouts = []migration.Span{{From: Start.AddDate(0, 0, 28), To: Start.AddDate(0, 0, 31)}}
			}
			m.customers[id] = migration.CustomerStatus{ID: id, Name: "Customer " + fmt.Sprint(c), Batch: name, Home: migration.OnPrem,
				Phase: migration.CustomerWaiting, WaitingFor: migration.WaitBatch, Since: Start, MayDo: []string{migration.UpdateHold}}
		}
		m.spec.Batches = append(m.spec.Batches, batch)
		m.status.Batches = append(m.status.Batches, migration.BatchStatus{Name: name})
	}
	digest, err := m.spec.Digest()
	if err != nil {
		panic(err) // it has nothing that cannot be encoded
	}
	m.status.Plan, m.status.Revision, m.status.Digest = plan, 1, digest
	m.status.Phase, m.status.Since, m.status.MayDo = migration.MigrationReleasing, Start, []string{migration.UpdatePause}
	m.status.Datasets = []migration.PieceStatus{{Name: "orders", Phase: migration.PieceReady, Detail: "lag under 0.1s",
		Progress: migration.Progress{Done: 3 << 30, Total: 3 << 30}, AsOf: Start.Add(3 * time.Hour)}}
	m.status.Workloads = []migration.PieceStatus{{Name: "web", Phase: migration.PieceReplicating,
		Progress: migration.Progress{Done: 2 << 30, Total: 8 << 30, Rate: 40 << 20, ETA: migration.Duration(150 * time.Second)}}}
	m.status.Timeline = []migration.Event{{At: Start, What: "plan accepted"}}
	return m
}

// SetPlan changes the migration itself.
func (m *World) SetPlan(change func(*migration.MigrationStatus)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Batches = slices.Clone(m.status.Batches)
	change(&m.status)
}

// SetBatch changes a batch, which has begun from then on.
func (m *World) SetBatch(i int, change func(*migration.BatchStatus)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Batches = slices.Clone(m.status.Batches)
	b := &m.status.Batches[i]
	m.started[b.Name] = true
	b.Window, b.Needs, b.Ticket = m.spec.Batches[i].Window, m.spec.Batches[i].Approvals, m.spec.Batches[i].Ticket
	change(b)
	m.count(i)
}

// SetCustomer changes a customer.
func (m *World) SetCustomer(id string, change func(*migration.CustomerStatus)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.customers[id]
	change(&c)
	m.customers[id] = c
	m.status.Batches = slices.Clone(m.status.Batches)
	for i, b := range m.status.Batches {
		if b.Name == c.Batch {
			m.count(i)
		}
	}
}

// count renews a batch's counts as its workflow would.
func (m *World) count(i int) {
	b := &m.status.Batches[i]
	b.Counts = migration.Counts{}
	for _, id := range m.spec.Batches[i].Customers {
		b.Counts.Customers++
		switch m.customers[id].Phase {
		case migration.CustomerHeld:
			b.Counts.Held++
		case migration.CustomerRolledBack:
			b.Counts.RolledBack++
		case migration.CustomerMoving, migration.CustomerMovingBack:
			b.Counts.Moving++
		case migration.CustomerBaking:
			b.Counts.Baking++
		case migration.CustomerSoaking, migration.CustomerFinished:
			b.Counts.OnAWS++
		default:
			b.Counts.Waiting++
		}
	}
}

// Down makes every question fail with err, as when Temporal is down; nil: it is up again.
func (m *World) Down(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = err
}

// Mute makes the workers silent, or lets them answer again.
func (m *World) Mute(mute bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mute = mute
}

// Terminated is what Temporal says of the workflow from then on.
func (m *World) Terminated() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.execution = "Terminated"
}

// Unplanned makes the plan itself unreadable.
func (m *World) Unplanned() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spec = &migration.Spec{Plan: m.spec.Plan, Batches: m.spec.Batches}
	m.started["no plan"] = true
}

var noWorker = &client.Problem{Kind: client.ErrUnreachable, Doing: "read the status", Why: "no worker answered in time",
	Next: "see that `drover worker` runs"}

// ask counts a question to a workflow, which a worker answers.
func (m *World) ask(plan string) error {
	m.Asked.Add(1)
	switch {
	case m.down != nil:
		return m.down
	case plan != m.status.Plan:
		return &client.Problem{Kind: client.ErrNotFound, Doing: "read the status", Why: "no plan " + plan + " was submitted"}
	case m.mute:
		return noWorker
	default:
		return nil
	}
}

// List implements board.Source.
func (m *World) List(context.Context) ([]client.PlanSummary, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Asked.Add(1)
	return []client.PlanSummary{{Plan: m.status.Plan, Phase: m.status.Phase, Execution: m.execution, Started: Start}}, m.down
}

// Execution implements board.Source. No worker is needed for it.
func (m *World) Execution(_ context.Context, at client.Aim) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask(at.Plan); err != nil && !errors.Is(err, noWorker) {
		return "", err
	}
	return m.execution, nil
}

// Spec implements board.Source.
func (m *World) Spec(_ context.Context, plan string) (*migration.Spec, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask(plan); err != nil && !errors.Is(err, noWorker) {
		return nil, err
	}
	if m.started["no plan"] {
		return nil, &client.Problem{Kind: client.ErrNotFound, Doing: "read the plan", Why: "it is gone"}
	}
	return m.spec, nil
}

// Migration implements board.Source.
func (m *World) Migration(_ context.Context, plan string) (migration.MigrationStatus, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status, m.ask(plan)
}

// Work implements board.Source. Temporal has nothing to add to what a test says.
func (m *World) Work(_ context.Context, s migration.MigrationStatus) (client.Work, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask(s.Plan); err != nil && !errors.Is(err, noWorker) {
		return nil, err
	}
	return nil, nil
}

// Batch implements board.Source.
func (m *World) Batch(_ context.Context, plan, name string) (migration.BatchStatus, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask(plan); err != nil {
		return migration.BatchStatus{}, err
	}
	for i, b := range m.status.Batches {
		if b.Name != name || !m.started[name] {
			continue
		}
		for _, id := range m.spec.Batches[i].Customers {
			c := m.customers[id]
			c.Timeline, c.Notes, c.Messages = nil, nil, nil
			b.Customers = append(b.Customers, c)
		}
		return b, nil
	}
	return migration.BatchStatus{}, &client.Problem{Kind: client.ErrNotFound, Doing: "read batch " + name, Why: "it has not started"}
}

// Customer implements board.Source.
func (m *World) Customer(_ context.Context, plan, id string) (migration.CustomerStatus, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask(plan); err != nil {
		return migration.CustomerStatus{}, err
	}
	c, ok := m.customers[id]
	if m.spec.Notify != nil && c.Messages == nil {
		c.Messages = &migration.MessagesStatus{Phase: migration.OutboxOpen}
	}
	if !ok {
		return c, &client.Problem{Kind: client.ErrNotFound, Doing: "read customer " + id, Why: "there is none"}
	}
	return c, nil
}

// Notify has the plan send messages to these contacts.
func (m *World) Notify(contacts ...migration.Contact) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spec.Notify = &migration.Notify{Contacts: contacts}
}

// SetMessages says what became of the messages of a customer; "": of what is not a customer's.
func (m *World) SetMessages(customer string, s migration.MessagesStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.past == nil {
		m.past = map[string]*migration.MessagesStatus{}
	}
	m.past[customer] = &s
	if c, ok := m.customers[customer]; ok {
		c.Messages = &s
		m.customers[customer] = c
	}
}

// Messages implements board.Source.
func (m *World) Messages(_ context.Context, plan, customer string) (migration.MessagesStatus, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.ask(plan); err != nil {
		return migration.MessagesStatus{}, err
	}
	out := migration.MessagesStatus{Phase: migration.OutboxOpen}
	for _, id := range slices.Sorted(maps.Keys(m.past)) {
		if s := m.past[id]; customer == "" || customer == id {
			out.Asks = append(out.Asks, s.Asks...)
			out.Pending, out.Past = append(out.Pending, s.Pending...), append(out.Past, s.Past...)
			out.Waiting, out.Fails = out.Waiting+s.Waiting, out.Fails+s.Fails
		}
	}
	return out, nil
}

// Sent gives the commands that arrived.
func (m *World) Sent() []Sent {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.sent)
}

// IDs are the ids of all customers, sorted.
func (m *World) IDs() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.customers))
}
