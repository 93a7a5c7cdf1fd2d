package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/freeze"
	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/hooks"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/test/model"
	"github.com/drover-migration/drover/workflows/customer"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/move"
	"github.com/drover-migration/drover/workflows/work"
)

// call is one call of an activity: the nth of its name upon one dataset.
type call struct {
	step, on string
	nth      int
}

func (c call) String() string { return fmt.Sprintf("%s %s #%d", c.step, c.on, c.nth) }

// mishap is what befalls a call.
type mishap string

const (
	answerLost mishap = "loses its answer and is repeated"
	runsTwice  mishap = "runs twice"
	comesBack  mishap = "comes back later"
	foundBusy  mishap = "finds the tables busy"
	neverHeard mishap = "takes effect and is never heard of"
	neverCame  mishap = "fails for good and takes no effect"
	tooLate    mishap = "is given up and takes effect later"
)

// passes says whether it costs a customer nothing but time; the others end a try.
func (m mishap) passes() bool {
	return m == answerLost || m == runsTwice || m == comesBack || m == foundBusy
}

// delays are the numbers of calls that are tried between the mishap and its late effect.
func (m mishap) delays() []int {
	if m == comesBack || m == tooLate {
		return []int{1, 4, 12, 1000} // the last: when all is over
	}
	return []int{0}
}

type fault struct {
	mishap
	after int // calls between the mishap and its late effect
}

// death ends the first Move from one side in one of its steps, as a termination does. The first
// took databases have carried the step out; where a step runs on all databases at once, took is a
// set of bits instead.
type death struct {
	step string
	from migration.Side
	took int
}

var atOnce = map[string]bool{"CheckTenant": true, "FenceTenant": true, "DrainTenant": true, "SealTenant": true, "UnfenceTenant": true}

var (
	errNetwork   = errors.New("connection reset by peer")
	errUntaken   = temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
	errPermanent = temporal.NewNonRetryableApplicationError("permission denied", postgres.ErrorRefused, nil)
)

// world is all that a Customer touches. Its exported methods are the activities, under the names
// that the workflows call.
type world struct {
	tables
}

// tables are the databases, what happens to the calls upon them, and what happened.
type tables struct {
	now      func() time.Time
	mu       sync.Mutex
	cond     *sync.Cond
	dbs      []*model.Database
	slice    migration.CustomerSlice
	loaded   []int // revisions by which it was read
	verdict  migration.Outcome
	blind    string // why who watches reaches nothing; "": the verdict is as above
	routed   migration.Side
	told     int64          // the newest token of a route
	refuses  migration.Side // that the load balancer does not route to, for the time being
	faults   map[call]fault
	death    death
	silent   string          // the database that does not answer
	unpolled bool            // no worker of the site runs: what is asked of it lies until its time is over
	loss     *migration.Loss // of the side that somebody gave up
	behind   map[string]int  // how many times an open of a database still finds that the mark has not arrived
	canceled bool            // a cancel has reached the activity under way
	ends     int             // the number of the call with which everything that runs Drover dies; 0: never
	before   func(c call)    // before a call takes effect
	// hook is what the nth call of an event is answered with; nil: go on.
	hook   func(req hooks.CallHookRequest, nth int) (hold string, err error)
	hooked []migration.HookCall
	// counts is what the nth question for the requests around a Move is answered with; nil: two
	// failed, five were retried.
	counts  func(req health.RequestsRequest, nth int) (health.RequestsResult, error)
	counted []health.RequestsRequest

	most    int          // calls that are carried out; none of a play takes more
	over    bool         // the play is: what a canceled workflow has left running does nothing any more
	seen    map[call]int // nth, by step and dataset
	calls   []call
	trace   []string
	wrong   []string
	zombies []zombie
	dying   int // calls of the step of death that have arrived
	dead    string
}

type zombie struct {
	in   int
	what string
	do   func() migration.Word
}

// newWorld has n databases and one file tree.
func newWorld(n int, home migration.Side, now func() time.Time) *world {
	w := &world{tables{now: now, faults: map[call]fault{}, behind: map[string]int{}, seen: map[call]int{}, verdict: migration.Pass,
		routed: home, most: 2000}}
	w.cond = sync.NewCond(&w.mu)
	w.slice = migration.CustomerSlice{
		Customer: migration.Customer{ID: "acme", Tenant: 17},
		Batch:    migration.Batch{Name: "canary", Bake: migration.Duration(time.Second)},
		Files:    []migration.Dataset{{Name: "attachments", Files: &migration.Files{Site: "dc1", Target: "prod", FencedBy: "orders"}}},
		Routes:   []migration.Route{{Name: "public"}},
		Policy:   migration.Policy{FreezeBudget: migration.Duration(5 * time.Second), Tries: 3},
	}
	for _, name := range []string{"orders", "billing", "audit"}[:n] {
		w.slice.Databases = append(w.slice.Databases,
			migration.Dataset{Name: name, Postgres: &migration.Postgres{Site: "dc1", Target: "prod"}})
		w.dbs = append(w.dbs, model.New(name, home, func() time.Time { return w.now() }))
	}
	return w
}

func (w *tables) db(name string) *model.Database {
	return w.dbs[slices.IndexFunc(w.dbs, func(d *model.Database) bool { return d.Name == name })]
}

// do is every call: it meets its mishap, if it has one, and the invariants are looked at before and
// after.
func (w *tables) do(ctx context.Context, step, on string, from migration.Side, effect func() migration.Word) (migration.Word, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := activity.GetInfo(ctx).WorkflowExecution.ID
	if w.over || id == w.dead || len(w.calls) > w.most || w.ends > 0 && len(w.calls) >= w.ends {
		return "", errPermanent
	}
	if on != "" && w.unpolled {
		return "", errUntaken
	}
	if on != "" && on == w.silent {
		return "", errNetwork
	}
	key := call{step: step, on: on}
	w.seen[key]++
	key.nth = w.seen[key]
	w.calls = append(w.calls, key)
	w.look("before " + key.String())
	for i := range w.zombies {
		if w.zombies[i].in--; w.zombies[i].in == 0 {
			w.rise(w.zombies[i])
		}
	}
	if w.before != nil {
		w.before(key)
	}
	if len(w.calls)%2 == 0 {
		for _, d := range w.dbs {
			d.Write(migration.OnPrem)
			d.Write(migration.AWS)
		}
	}
	if step == w.death.step && from == w.death.from && w.dead == "" {
		return w.die(id, on, effect)
	}
	f := w.faults[key]
	switch f.mishap {
	case neverCame:
		return "", errPermanent
	case tooLate:
		w.zombies = append(w.zombies, zombie{f.after, key.String(), effect})
		return "", errPermanent
	case foundBusy:
		return migration.WordBusy, nil
	}
	word := effect()
	w.trace = append(w.trace, fmt.Sprintf("%s: %s", key, word))
	switch f.mishap {
	case answerLost:
		return "", errNetwork
	case neverHeard:
		return "", errPermanent
	case runsTwice:
		word = effect()
	case comesBack:
		w.zombies = append(w.zombies, zombie{f.after, key.String(), effect})
	}
	w.look("after " + key.String())
	return word, nil
}

// die carries out the step of death on a database that it reached, and says whether the Move is
// dead then: it heard no answer.
func (w *tables) die(id, on string, effect func() migration.Word) (migration.Word, error) {
	w.dying++
	i := slices.IndexFunc(w.dbs, func(d *model.Database) bool { return d.Name == on })
	took, over := i < w.death.took, i >= w.death.took || i == len(w.dbs)-1
	if atOnce[w.death.step] {
		took, over = w.death.took>>i&1 == 1, true
	}
	var word migration.Word
	if took {
		word = effect()
		w.trace = append(w.trace, fmt.Sprintf("%s %s: %s", w.death.step, on, word))
		w.look("after " + w.death.step)
	}
	if !over {
		return word, nil
	}
	if w.dying == len(w.dbs) || !atOnce[w.death.step] {
		w.dead = id
		w.trace = append(w.trace, id+" is terminated")
		w.cond.Broadcast()
	}
	for w.dead == "" {
		w.cond.Wait()
	}
	return "", errPermanent
}

// end is after a play: the tables are the test's alone.
func (w *tables) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}

// mended is a world in which nothing more goes wrong.
func (w *tables) mended() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults, w.verdict, w.silent, w.refuses, w.unpolled = nil, migration.Pass, "", "", false
}

func (w *tables) rise(z zombie) {
	w.trace = append(w.trace, fmt.Sprintf("%s again: %s", z.what, z.do()))
	w.look("after a late " + z.what)
}

func (w *tables) look(when string) {
	for _, u := range model.Unsound(w.dbs...) {
		w.wrong = append(w.wrong, when+": "+u)
	}
}

func (w *tables) isCanceled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.canceled
}

func (w *tables) isUnpolled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unpolled
}

func (w *tables) isDead(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead == id
}

func (w *world) step(ctx context.Context, name string, req postgres.TenantMove,
	take func(*model.Database) migration.Word) (postgres.StepResult, error) {
	d := w.db(req.Dataset.Name)
	word, err := w.do(ctx, name, d.Name, req.From, func() migration.Word { return take(d) })
	if err != nil {
		return postgres.StepResult{}, err
	}
	return postgres.StepResult{Word: word, At: d.Now()}, nil
}

// ask is a call that has no word for busy: it fails, and is tried again.
func (w *world) ask(ctx context.Context, name, on string, take func() migration.Word) (migration.Word, error) {
	word, err := w.do(ctx, name, on, "", take)
	if word == migration.WordBusy {
		err = errNetwork
	}
	return word, err
}

// FreezeCustomer is the activity of that name over the model: the same steps in the same order,
// each of which may meet its mishap. The last call is its answer.
func (w *world) FreezeCustomer(ctx context.Context, req freeze.Request) (freeze.Result, error) {
	if w.isUnpolled() {
		return freeze.Result{}, errUntaken
	}
	r := freeze.Result{Step: migration.StepChecking}
	on := slices.DeleteFunc(slices.Clone(req.Slice.Databases), func(d migration.Dataset) bool { return d.Site() != req.Site })
	trees := slices.DeleteFunc(slices.Clone(req.Slice.Files), func(d migration.Dataset) bool { return d.Site() != req.Site })
	steps := []migration.MoveStep{migration.StepChecking, migration.StepFencing, migration.StepDraining, migration.StepCalling,
		migration.StepSealing, migration.StepOpening}
	for _, step := range steps[slices.Index(steps, req.First) : slices.Index(steps, req.Last)+1] {
		frozen := migration.FrozenHooks(req.Slice.Hooks, req.From.Other())
		if step == migration.StepCalling && len(frozen) == 0 {
			continue
		}
		if step == migration.StepSealing && w.isCanceled() {
			r.Reason = "canceled"
			break
		}
		r.Step = step
		var err error
		switch step {
		case migration.StepChecking:
			if req.Note != nil && on[0].Name == w.dbs[0].Name {
				_, _ = w.ask(ctx, "WriteNote", on[0].Name, func() migration.Word { return w.dbs[0].WriteNote(req.From, *req.Note) })
			}
			err = w.all(on, func(d migration.Dataset) error {
				found, err := w.check(ctx, req, d)
				w.mu.Lock()
				defer w.mu.Unlock()
				r.Findings = append(r.Findings, found...)
				return err
			})
		case migration.StepFencing:
			r.Fenced, err = w.now(), w.all(on, func(d migration.Dataset) error { return w.fence(ctx, req, d) })
		case migration.StepDraining:
			if err = w.all(on, func(d migration.Dataset) error { return w.drain(ctx, req, d) }); err == nil {
				err = w.all(trees, func(d migration.Dataset) error { return w.lastPass(ctx, req, d) })
			}
		case migration.StepCalling:
			r.Hold, r.Missed, err = w.callFrozen(req, frozen)
		case migration.StepSealing:
			err = w.all(on, func(d migration.Dataset) error { return w.seal(ctx, req, d) })
		default:
			r.Opened, r.RestOpen, err = w.open(ctx, req, on)
		}
		var said answered
		switch {
		case errors.As(err, &said):
			r.Reason, r.Superseded = said.Error(), said.word == migration.WordSuperseded
		case err != nil && r.Doubtful():
			return r, err
		case err != nil:
			r.Reason = work.Reason(err)
		}
		if r.Reason != "" || len(r.Findings) > 0 {
			break
		}
	}
	_, err := w.ask(ctx, "FreezeCustomer", "", func() migration.Word { return "" })
	return r, err
}

// callFrozen calls the hooks of a freeze.
func (w *world) callFrozen(req freeze.Request, frozen []migration.Hook) (hold string, missed []string, err error) {
	for _, h := range frozen {
		_, must := migration.HookBefore(req.Slice.Hooks, h.Event, req.From.Other())
		r, err := w.answer(hooks.CallHookRequest{Spec: req.Spec, Call: migration.HookCall{Event: h.Event, Batch: req.Slice.Batch.Name,
			Customer: req.Slice.Customer.ID, Token: req.Try.Token, From: req.From, To: req.From.Other()}})
		if err == nil && r.Hold != "" {
			err = errors.New(r.Hold)
		}
		switch {
		case err == nil:
		case !must:
			missed = append(missed, err.Error())
		default:
			return r.Hold, nil, err
		}
	}
	return "", missed, nil
}

// CallHook is the activity of that name.
func (w *world) CallHook(_ context.Context, req hooks.CallHookRequest) (hooks.CallHookResult, error) {
	return w.answer(req)
}

func (w *world) answer(req hooks.CallHookRequest) (hooks.CallHookResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return hooks.CallHookResult{}, errPermanent
	}
	nth := 1
	for _, c := range w.hooked {
		if c.Event == req.Call.Event {
			nth++
		}
	}
	w.hooked = append(w.hooked, req.Call)
	if w.hook == nil {
		return hooks.CallHookResult{}, nil
	}
	hold, err := w.hook(req, nth)
	return hooks.CallHookResult{Hold: hold}, err
}

// answered is a word that ends a try.
type answered struct {
	step, on string
	word     migration.Word
}

func (a answered) Error() string {
	if a.word == migration.WordExpired {
		return "the freeze budget was spent"
	}
	return fmt.Sprintf("%s %s: %s", a.step, a.on, a.word)
}

// all is a step on several datasets at once; the first error in their order counts.
func (w *world) all(on []migration.Dataset, do func(migration.Dataset) error) error {
	errs := make([]error, len(on))
	var all sync.WaitGroup
	for i, d := range on {
		all.Go(func() { errs[i] = do(d) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// fencePatience is how often FreezeCustomer tries a fence.
const fencePatience = 12

func (w *world) fence(ctx context.Context, req freeze.Request, on migration.Dataset) error {
	d := w.db(on.Name)
	for range fencePatience {
		word, err := w.do(ctx, "FenceTenant", d.Name, req.From, func() migration.Word {
			return d.Fence(req.From, req.Try, req.Slice.Policy.FreezeBudget.D())
		})
		switch {
		case err != nil:
			return err
		case word == migration.WordFenced:
			return nil
		case word != migration.WordBusy:
			return answered{"fence", d.Name, word}
		}
	}
	return errors.New("writers did not finish in time")
}

// drain finds that the sides differ when the lease ran out and somebody wrote.
func (w *world) drain(ctx context.Context, req freeze.Request, on migration.Dataset) error {
	d := w.db(on.Name)
	var differ atomic.Bool // a late effect writes it beside its reader
	word, err := w.do(ctx, "DrainTenant", d.Name, req.From, func() migration.Word {
		from, to := d.Half(req.From), d.Half(req.From.Other())
		d.Deliver(req.From)
		if !d.Arrived(req.From.Other(), req.Try) {
			return migration.WordBehind
		}
		differ.Store(from.Has != to.Has)
		return migration.WordFenced
	})
	switch {
	case err != nil:
		return err
	case word != migration.WordFenced:
		return answered{"drain", d.Name, word}
	case differ.Load():
		return errors.New(d.Name + ": the sides differ")
	}
	return nil
}

func (w *world) lastPass(ctx context.Context, req freeze.Request, on migration.Dataset) error {
	word, err := w.ask(ctx, "FinalFiles", on.Name, func() migration.Word {
		if r := w.db(on.Files.FencedBy).Record().Side(req.From); r.State != migration.Fenced || r.Expired || r.Token != req.Try.Token ||
			r.Owner != req.Try.Owner {
			return migration.WordNotFenced
		}
		return ""
	})
	if err == nil && word != "" {
		err = errors.New("the fence of this try does not stand")
	}
	return err
}

func (w *world) seal(ctx context.Context, req freeze.Request, on migration.Dataset) error {
	d := w.db(on.Name)
	for {
		word, err := w.do(ctx, "SealTenant", d.Name, req.From, func() migration.Word { return d.Seal(req.From, req.Try) })
		switch {
		case err != nil:
			return err
		case word == migration.WordSealed:
			return nil
		case word != migration.WordBusy:
			return answered{"seal", d.Name, word}
		}
	}
}

// openPatience is how often FreezeCustomer finds a destination behind.
const openPatience = 20

func (w *world) open(ctx context.Context, req freeze.Request, on []migration.Dataset) (at time.Time, rest bool, err error) {
	rest = true
	for i, x := range on {
		word := migration.WordBehind
		for n := 0; n < openPatience && err == nil && (word == migration.WordBehind || word == migration.WordBusy); n++ {
			word, err = w.openOn(ctx, req.From, req.Try, w.db(x.Name))
		}
		if err == nil && word != migration.WordOpen {
			err = answered{"open", x.Name, word}
		}
		switch {
		case err != nil && i == 0:
			return at, false, err
		case err != nil:
			rest, err = false, nil
		case i == 0:
			at = w.now()
		}
	}
	return at, rest, nil
}

// OpenTenant also holds the Move to its order: every origin is sealed, and the first database is
// open, before another opens. A repeat of an open that has been carried out opens nothing.
func (w *world) OpenTenant(ctx context.Context, req postgres.TenantMove) (postgres.StepResult, error) {
	word, err := w.openOn(ctx, req.From, req.Try, w.db(req.Dataset.Name))
	if err != nil {
		return postgres.StepResult{}, err
	}
	return postgres.StepResult{Word: word, At: w.now()}, nil
}

func (w *world) openOn(ctx context.Context, from migration.Side, try migration.Try, d *model.Database) (migration.Word, error) {
	to := from.Other()
	return w.do(ctx, "OpenTenant", d.Name, from, func() migration.Word {
		was := d.Half(to).State
		if would := *d; w.behind[d.Name] > 0 && was != migration.Open && would.Open(to, try) == migration.WordOpen {
			w.behind[d.Name]--
			return migration.WordBehind
		}
		word := d.Open(to, try)
		if word != migration.WordOpen || was == migration.Open {
			return word
		}
		for _, o := range w.dbs {
			if o.Half(from).State != migration.Sealed {
				w.wrong = append(w.wrong, fmt.Sprintf("%s opened on %s before %s was sealed", d.Name, to, o.Name))
			}
		}
		if w.dbs[0].Half(to).State != migration.Open {
			w.wrong = append(w.wrong, fmt.Sprintf("%s opened on %s before %s", d.Name, to, w.dbs[0].Name))
		}
		return word
	})
}

func (w *world) UnfenceTenant(ctx context.Context, req postgres.TenantMove) (postgres.StepResult, error) {
	return w.step(ctx, "UnfenceTenant", req, func(d *model.Database) migration.Word { return d.Claim(req.From, req.Try) })
}

func (w *world) PoisonTenant(ctx context.Context, req postgres.TenantMove) (postgres.StepResult, error) {
	return w.step(ctx, "PoisonTenant", req, func(d *model.Database) migration.Word { return d.Poison(req.From.Other(), req.Try) })
}

func (w *world) ReopenTenant(ctx context.Context, req postgres.TenantMove) (postgres.StepResult, error) {
	return w.step(ctx, "ReopenTenant", req, func(d *model.Database) migration.Word { return d.Reopen(req.From, req.Try) })
}

func (w *world) ClaimTenant(ctx context.Context, req postgres.TenantMove) (postgres.StepResult, error) {
	return w.step(ctx, "ClaimTenant", req, func(d *model.Database) migration.Word { return d.Claim(req.From, req.Try) })
}

// check refuses what engine.Pair.Ready refuses: a database that is in the middle of something. A
// call that fails, but not for good, is made again.
func (w *world) check(ctx context.Context, req freeze.Request, on migration.Dataset) (out []migration.Finding, err error) {
	d := w.db(on.Name)
	for range checkPatience {
		var word migration.Word
		word, err = w.do(ctx, "CheckTenant", d.Name, req.From, func() migration.Word {
			out = nil
			if r := d.Record(); !r.Side(req.From).Accepts() || r.Side(req.From.Other()).State != migration.Sealed {
				out = []migration.Finding{{Severity: migration.Blocker, Subject: d.Name, Reason: "not at home", Remedy: "repair"}}
			}
			return ""
		})
		if word != migration.WordBusy && !errors.Is(err, errNetwork) {
			break
		}
	}
	return found(w, &out), err
}

// checkPatience is how often FreezeCustomer makes a check.
const checkPatience = 12

// found copies what a call has found: one that comes back later finds again.
func found[T any](w *world, out *T) T {
	w.mu.Lock()
	defer w.mu.Unlock()
	return *out
}

func (w *world) ReadHome(ctx context.Context, req postgres.TenantRequest) (migration.HomeRecord, error) {
	var out migration.HomeRecord
	_, err := w.ask(ctx, "ReadHome", req.Dataset.Name, func() migration.Word {
		out = w.db(req.Dataset.Name).Record()
		out.Loss = w.loss
		return ""
	})
	return found(w, &out), err
}

func (w *world) NoteTenant(ctx context.Context, req postgres.NoteRequest) (postgres.StepResult, error) {
	word, err := w.ask(ctx, "NoteTenant", req.Dataset.Name,
		func() migration.Word { return w.db(req.Dataset.Name).WriteNote(req.Side, req.Note) })
	return postgres.StepResult{Word: word}, err
}

// ReconcileRoute obeys whoever has been told the newest token, as a router does.
func (w *world) ReconcileRoute(ctx context.Context, req traffic.ReconcileRouteRequest) (traffic.RouteState, error) {
	to := req.Wanted[0]
	_, err := w.ask(ctx, "ReconcileRoute", "", func() migration.Word {
		if to.Side == migration.NoHome || to.Token < w.told {
			return "not obeyed"
		}
		if to.Side == w.refuses {
			return migration.WordBusy
		}
		w.routed, w.told = to.Side, to.Token
		return ""
	})
	return traffic.RouteState{Set: w.now()}, err
}

func (w *world) FindMachines(context.Context, health.DestinationRequest) ([]any, error) {
	return nil, nil
}

func (w *world) LoadCustomer(_ context.Context, req state.LoadCustomerRequest) (migration.CustomerSlice, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loaded = append(w.loaded, req.Spec.Revision)
	return w.slice, nil
}

func (w *world) MeasureBaseline(context.Context, health.WatchRequest) (health.Baseline, error) {
	return health.Baseline{P95: 0.02, Samples: 20}, nil
}

// CountRequests knows how many requests failed around a Move.
func (w *world) CountRequests(_ context.Context, req health.RequestsRequest) (health.RequestsResult, error) {
	w.mu.Lock()
	w.counted = append(w.counted, req)
	nth, counts := len(w.counted), w.counts
	w.mu.Unlock()
	if counts != nil {
		return counts(req, nth)
	}
	return health.RequestsResult{Failed: &migration.Count{N: 2}, Retried: &migration.Count{N: 5}}, nil
}

// WatchHealth says pass or fail, and nothing is wrong on premises.
func (w *world) WatchHealth(context.Context, health.WatchRequest) (migration.Verdict, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blind != "" {
		return migration.Verdict{Outcome: migration.Inconclusive, Reason: "it cannot be judged: " + w.blind, Blind: w.blind}, nil
	}
	return migration.Verdict{Outcome: w.verdict, Reason: "as the test says"}, nil
}

// patience is how long a step of a workflow may take on a machine that is busy with something else.
const patience = time.Minute

// stage is a Temporal of its own with a world under it. Its time is virtual.
type stage struct {
	tester
	*world
	env  *testsuite.TestWorkflowEnvironment
	goes time.Duration // when the batch says go; 0: at once
	said *summaries    // of all that the workflows ask for

	last   migration.CustomerStatus // as the customer reported to its batch; its Until only while it soaks
	order  mail.Order               // of that report
	looked bool                     // the batch has looked since the soak began
	notes  *mail.SoakNotes          // that the customer wants written
	mute   bool                     // nothing that its batch wants noted is
}

// tester is a *testing.T, or rapid's.
type tester interface {
	require.TestingT
	Helper()
}

func newStage(t tester, n int, home migration.Side) *stage {
	t.Helper()
	env := newEnvironment()
	return on(t, env, newWorld(n, home, env.Now))
}

// again is a new Temporal over the same world, at the same time, after the old one is gone.
func (s *stage) again() *stage {
	env := newEnvironment()
	env.SetStartTime(s.now())
	s.mu.Lock() // a call of the life before may still be under way
	s.world.now, s.ends, s.over = env.Now, 0, false
	s.mu.Unlock()
	return on(s.tester, env, s.world)
}

func newEnvironment() *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(patience)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: patience})
	return env
}

func on(t tester, env *testsuite.TestWorkflowEnvironment, w *world) *stage {
	s := &stage{tester: t, env: env, world: w, said: &summaries{}}
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{s.said}, DeadlockDetectionTimeout: patience})
	env.RegisterActivity(s.world)
	env.RegisterWorkflow(life)
	env.RegisterWorkflowWithOptions(s.move, workflow.RegisterOptions{Name: "Move"})
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(
		func(_, _, _, _ string, arg any) error {
			if r, ok := arg.(mail.CustomerReport); ok {
				s.heard(r)
			}
			return nil
		})
	return s
}

// heard plays the customer's batch, which looks at it each minute while it soaks, and when its soak
// ends.
func (s *stage) heard(r mail.CustomerReport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !r.Order.Newer(s.order) { // overtaken
		return
	}
	c := r.Status
	s.order, s.notes = r.Order, r.Soak
	began := c.Phase == migration.CustomerSoaking && !s.last.Until.Equal(c.Until)
	if s.last = c; c.Phase != migration.CustomerSoaking {
		s.last.Until = time.Time{}
	}
	if began {
		s.looked = false
		s.lookAgain(c.Until)
	}
}

func (s *stage) lookAgain(until time.Time) {
	wait := time.Minute
	if left := until.Sub(s.now()); left > 0 || !s.looked {
		wait = max(min(wait, left), time.Millisecond)
	}
	s.env.RegisterDelayedCallback(func() { s.lookAtSoak(until) }, wait)
}

// lookAtSoak is one look of the batch's: it sets the route, and tells the customer what it has
// found.
func (s *stage) lookAtSoak(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || !s.last.Until.Equal(until) {
		return
	}
	s.looked = true
	seen, home := mail.Seen{Until: until}, s.dbs[0].Record().Home()
	if home != migration.NoHome {
		s.routed = home
	}
	switch {
	case home == migration.OnPrem:
		seen.Elsewhere = true
	case s.verdict == migration.Fail:
		seen.Unwell = &migration.Verdict{Outcome: s.verdict, Reason: "as the test says"}
	case home == migration.AWS && !s.now().Before(until):
		seen.Over = true
		seen.Noted = !s.mute && s.dbs[0].WriteNote(migration.AWS, s.notes.Over) == migration.WordNoted
	case !s.mute:
		s.dbs[0].WriteNote(migration.AWS, s.notes.Begun)
	}
	s.env.SignalWorkflow(mail.SignalSeen, seen)
	s.lookAgain(until)
}

// move is Move, unless it is told to die.
func (s *stage) move(ctx workflow.Context, in move.Input) (result migration.MoveResult, err error) {
	if s.death.step == "" {
		return move.Move(ctx, in)
	}
	ended, id := false, workflow.GetInfo(ctx).WorkflowExecution.ID
	workflow.Go(ctx, func(ctx workflow.Context) {
		result, err = move.Move(ctx, in)
		ended = true
	})
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	_ = workflow.Await(ctx, func() bool { return ended || s.isDead(id) })
	if !ended {
		err = errors.New("terminated")
	}
	return result, err
}

// life is a Customer until it has ended, or the test has seen enough.
func life(ctx workflow.Context, in customer.Input) (err error) {
	ended := false
	workflow.Go(ctx, func(ctx workflow.Context) {
		err = customer.Customer(ctx, in)
		ended = true
	})
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	enough := workflow.GetSignalChannel(ctx, "enough")
	_ = workflow.Await(ctx, func() bool { return ended || enough.Len() > 0 })
	return err
}

// try plays one Move by itself.
func (s *stage) try(from migration.Side, token int64) (result migration.MoveResult) {
	s.Helper()
	s.env.ExecuteWorkflow("Move", move.Input{Slice: s.slice, From: from, To: from.Other(), Token: token})
	s.end()
	require.True(s, s.env.IsWorkflowCompleted(), s.story())
	require.NoError(s, s.env.GetWorkflowError(), s.story())
	require.NoError(s, s.env.GetWorkflowResult(&result))
	require.Empty(s, s.wrong, s.story())
	return result
}

// customer plays a Customer from its batch's go until it waits for a human or has finished, and
// says where it says it stands.
func (s *stage) customer() migration.CustomerStatus {
	s.Helper()
	var last migration.CustomerStatus
	ask := func() (c migration.CustomerStatus) {
		v, err := s.env.QueryWorkflow(migration.QueryStatus)
		require.NoError(s, err)
		require.NoError(s, v.Get(&c))
		return c
	}
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(mail.SignalGo, mail.Go{Round: 1}) }, max(s.goes, time.Millisecond))
	s.env.RegisterDelayedCallback(func() {
		last = ask()
		s.env.SignalWorkflow("enough", nil)
	}, time.Hour)
	s.env.ExecuteWorkflow(life, customer.Input{ID: "acme", Batch: "canary"})
	s.end()
	require.True(s, s.env.IsWorkflowCompleted(), s.story())
	require.NoError(s, s.env.GetWorkflowError(), s.story())
	if last.Phase == "" {
		last = ask()
	}
	require.Positive(s, s.said.n)
	require.Empty(s, s.said.mute, "these say nothing of what they are for")
	require.Empty(s, s.said.astray, "these are on a queue of the other kind of worker")
	return last
}

// sound holds the world to everything that must be true whatever happened, when the customer says
// that it stands at c.
func (s *stage) sound(c migration.CustomerStatus) {
	s.Helper()
	for _, z := range s.zombies {
		if z.in > 0 {
			s.rise(z)
		}
	}
	over := s.now().Add(s.slice.Policy.FreezeBudget.D()) // a fence that came late runs out by itself
	s.now = func() time.Time { return over }
	s.look("in the end")
	require.Empty(s, s.wrong, s.story())
	require.LessOrEqual(s, len(s.calls), s.most, "it does not end")
	home := settledOn(s.dbs)
	require.NotEmpty(s, home, "not all open on one side\n%s", s.story())
	require.Equal(s, home, c.Home, "what the customer says\n%s", s.story())
	require.Equal(s, home, s.routed, "the route\n%s", s.story())
}

func (s *stage) story() string {
	var b strings.Builder
	b.WriteString(strings.Join(s.trace, "\n"))
	for _, d := range s.dbs {
		fmt.Fprintf(&b, "\n%s: %+v", d.Name, d.Record())
	}
	return b.String()
}

// settledOn says on which side all of a customer's databases are open, and sealed on the other; ""
// if that is not so.
func settledOn(dbs []*model.Database) migration.Side {
	for _, s := range []migration.Side{migration.OnPrem, migration.AWS} {
		if !slices.ContainsFunc(dbs, func(d *model.Database) bool { return !d.Accepts(s) || d.Half(s.Other()).State != migration.Sealed }) {
			return s
		}
	}
	return ""
}
