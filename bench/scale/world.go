package main

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/rpc"
	"slices"
	"sync"
	"time"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
	"github.com/drover-migration/drover/test/model"
)

// World is everything below the activities, in the process of the bench: the homes of all
// customers, their routes and the state bucket. Workers ask it by net/rpc, so that it outlives each
// of them. Its exported methods are what they may ask.
type World struct {
	mu       sync.Mutex
	tenants  map[int64]*tenant
	byID     map[string]*tenant
	done     map[string]map[string]int64 // activities that were carried out, by worker and name
	broken   []string                    // invariants that did not hold, and when
	first    time.Time                   // when the first customer was opened on AWS
	listener net.Listener
}

// tenant is one customer's data and route.
type tenant struct {
	id         string
	db         *model.Database
	route      migration.Side
	routeToken int64
}

// startWorld has so many customers at home.
func startWorld(customers int) (*World, error) {
	w := &World{tenants: map[int64]*tenant{}, byID: map[string]*tenant{}, done: map[string]map[string]int64{}}
	for n := range customers {
		t := &tenant{id: customerID(n), db: model.New("orders", migration.OnPrem, time.Now), route: migration.OnPrem}
		w.tenants[int64(n+1)], w.byID[t.id] = t, t
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for workers: %w", err)
	}
	w.listener = l
	calls := rpc.NewServer()
	if err := calls.Register(w); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(rpc.DefaultRPCPath, calls)
	mux.Handle("/", &bucket{objects: map[string][]byte{}})
	go func() { _ = http.Serve(l, mux) }() //nolint:gosec // for its own workers, on loopback
	return w, nil
}

func (w *World) address() string { return w.listener.Addr().String() }

func (w *World) close() { _ = w.listener.Close() }

// The steps of a Move, by the names of move.sql.
const (
	stepFence  = "fence"
	stepDrain  = "drain"
	stepSeal   = "seal"
	stepOpen   = "open"
	stepPoison = "poison"
	stepReopen = "reopen"
	stepClaim  = "claim"
)

// StepArgs asks for a step of one try.
type StepArgs struct {
	Step   string
	Tenant int64
	From   migration.Side
	Try    migration.Try
	Lease  time.Duration
}

// Answer is a step's word, and when.
type Answer struct {
	Word migration.Word
	At   time.Time
}

// Step carries out a step, and holds the customer to the invariants before it and after.
func (w *World) Step(a StepArgs, out *Answer) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, err := w.tenant(a.Tenant)
	if err != nil {
		return err
	}
	to := a.From.Other()
	t.db.Write(a.From) // the application does not stop
	t.db.Write(to)
	switch a.Step {
	case stepFence:
		out.Word = t.db.Fence(a.From, a.Try, a.Lease)
	case stepDrain:
		if t.db.Deliver(a.From); t.db.Arrived(to, a.Try) {
			out.Word = migration.WordFenced
		} else {
			out.Word = migration.WordBehind
		}
	case stepSeal:
		out.Word = t.db.Seal(a.From, a.Try)
	case stepOpen:
		was := t.db.Record().Home()
		out.Word = t.db.Open(to, a.Try)
		if w.first.IsZero() && t.db.Record().Home() != was {
			w.first = time.Now()
		}
	case stepPoison:
		out.Word = t.db.Poison(to, a.Try)
	case stepReopen:
		out.Word = t.db.Reopen(a.From, a.Try)
	case stepClaim:
		out.Word = t.db.Claim(a.From, a.Try)
	default:
		return fmt.Errorf("there is no step %q", a.Step)
	}
	out.At = time.Now()
	for _, u := range model.Unsound(t.db) {
		w.broken = append(w.broken, fmt.Sprintf("%s after %s %s: %s", t.id, a.Step, a.Try, u))
	}
	return nil
}

func (w *World) tenant(n int64) (*tenant, error) {
	t := w.tenants[n]
	if t == nil {
		return nil, fmt.Errorf("there is no tenant %d", n)
	}
	return t, nil
}

// Homes are the home records of tenants.
type Homes map[int64]migration.HomeRecord

// Home reads home records.
func (w *World) Home(tenants []int64, out *Homes) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	*out = make(Homes, len(tenants))
	for _, n := range tenants {
		t, err := w.tenant(n)
		if err != nil {
			return err
		}
		(*out)[n] = t.db.Record()
	}
	return nil
}

// NoteArgs is what is to be remembered of a tenant.
type NoteArgs struct {
	Tenant int64
	Side   migration.Side
	Note   migration.Note
}

// Note remembers it.
func (w *World) Note(a NoteArgs, out *migration.Word) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, err := w.tenant(a.Tenant)
	if err == nil {
		*out = t.db.WriteNote(a.Side, a.Note)
	}
	return err
}

// States are the routes of customers.
type States map[string]routes.State

// Route sends customers where they are wanted. An older token than one that was obeyed changes
// nothing.
func (w *World) Route(wanted []routes.Wanted, out *States) error {
	w.mu.Lock()
	for _, x := range wanted {
		if t := w.byID[x.Customer]; t != nil && x.Side != migration.NoHome && x.Token >= t.routeToken {
			t.route, t.routeToken = x.Side, x.Token
		}
	}
	w.mu.Unlock()
	return w.Routed(wanted, out)
}

// Routed says where customers are sent.
func (w *World) Routed(wanted []routes.Wanted, out *States) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	*out = make(States, len(wanted))
	for _, x := range wanted {
		t := w.byID[x.Customer]
		if t == nil {
			return fmt.Errorf("there is no customer %q", x.Customer)
		}
		s := routes.State{Customer: x.Customer, Home: x.Side}
		if x.Token < t.routeToken {
			s.Home = t.route
		}
		if s.Home != migration.NoHome && s.Home != t.route {
			s.Wrong = "it is sent to " + string(t.route)
		}
		(*out)[x.Customer] = s
	}
	return nil
}

// DoneArgs are the activities that a worker has carried out since it began.
type DoneArgs struct {
	Worker string
	Done   map[string]int64
}

// Done takes a worker's count.
func (w *World) Done(a DoneArgs, _ *struct{}) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[a.Worker] = a.Done
	return nil
}

// work is what each worker has carried out, by activity.
func (w *World) work() map[string]map[string]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.done)
}

func total(work map[string]map[string]int64) (n int64) {
	for _, by := range work {
		for _, k := range by {
			n += k
		}
	}
	return n
}

// away counts the customers that are homed on AWS.
func (w *World) away() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.tenants {
		if t.db.Record().Home() == migration.AWS {
			n++
		}
	}
	return n
}

// firstOpened is when the first customer was opened on AWS.
func (w *World) firstOpened() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.first
}

// judge says what is wrong with a customer that a status shows, with its data and its route.
func (w *World) judge(c migration.CustomerStatus) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.byID[c.ID]
	if t == nil {
		return "there is no such customer"
	}
	r := t.db.Record()
	switch {
	case !r.Settled():
		return fmt.Sprintf("its data is in the middle of a try: %+v", r)
	case c.Home != r.Home():
		return fmt.Sprintf("its status says %q, its data %q", c.Home, r.Home())
	case t.route != r.Home():
		return fmt.Sprintf("it is homed on %s, and sent to %s", r.Home(), t.route)
	}
	return ""
}

// violations are the invariants that did not hold.
func (w *World) violations() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.SortedFunc(slices.Values(w.broken), cmp.Compare[string])
}
