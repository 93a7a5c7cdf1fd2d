package board

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

const (
	asleepAfter = time.Minute      // without anybody who looks
	messagesAge = 5 * time.Second  // between two readings of a plan's messages
	workAge     = 5 * time.Second  // between two questions how far copies are, and what fails
	quietBatch  = 30 * time.Second // between two readings of a batch in which nothing seems to happen
	roundLimit  = 20 * time.Second // for one reading of a whole migration
	atOnce      = 4                // queries of one reading
)

// Follower reads one migration and tells those who watch it of every change.
type Follower struct {
	hub  *Hub
	plan string
	now  chan struct{} // asks for a reading before its time

	mu       sync.Mutex
	last     *Snapshot
	looked   time.Time // when somebody looked last
	hurried  time.Time // when something was done last that changes what is shown
	watchers map[chan struct{}]bool

	// Only the reader touches these.
	before reading
	asked  map[string]time.Time // when each batch was asked for its customers last
	posted time.Time            // when the messages were read last
	work   client.Work          // what Temporal said last of copies, and of what is tried in vain
	worked time.Time            // when it was asked

	customers details
}

func newFollower(h *Hub, plan string) *Follower {
	return &Follower{hub: h, plan: plan, now: make(chan struct{}, 1), looked: time.Now(), watchers: map[chan struct{}]bool{},
		asked: map[string]time.Time{}, customers: newDetails()}
}

// run reads until ctx ends.
func (f *Follower) run(ctx context.Context) {
	tick := time.NewTicker(f.hub.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.now:
			f.posted = time.Time{}
		case <-tick.C:
			if f.asleep() {
				continue
			}
		}
		round, cancel := context.WithTimeout(ctx, roundLimit)
		r, server, err := f.read(round)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			f.failed(err, server)
		default:
			f.took(r)
		}
	}
}

func (f *Follower) asleep() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.watchers) == 0 && time.Since(f.looked) > asleepAfter
}

// Snapshot is the migration as it was read last. One that nobody looked at for a while is read
// anew first, if that is quick.
func (f *Follower) Snapshot(ctx context.Context) *Snapshot {
	f.mu.Lock()
	last := f.last
	slept := len(f.watchers) == 0 && time.Since(f.looked) > asleepAfter
	f.looked = time.Now()
	f.mu.Unlock()
	if !slept {
		return last
	}
	changed, stop := f.Watch()
	defer stop()
	f.Hurry()
	patience := time.NewTimer(f.hub.every)
	defer patience.Stop()
	select {
	case <-changed:
	case <-patience.C:
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// Watch gives a channel that has a value after every change, and what ends the watch. Changes that
// come faster than they are received are one.
func (f *Follower) Watch() (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers[c] = true
	return c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers, c)
		f.looked = time.Now()
	}
}

// Hurry asks for a reading now: something was done that changes what is shown.
func (f *Follower) Hurry() {
	f.mu.Lock()
	f.hurried = time.Now()
	f.mu.Unlock()
	select {
	case f.now <- struct{}{}:
	default: // one is asked for already
	}
}

// took publishes what was read.
func (f *Follower) took(r reading) {
	same := f.last != nil && f.last.Trouble == nil && r.same(f.before)
	f.before = r
	if same {
		next := *f.last
		next.At = r.at
		f.publish(&next)
		return
	}
	version := uint64(1)
	if f.last != nil {
		version = f.last.Version + 1
	}
	f.publish(r.snapshot(version))
}

// failed publishes the last known state with what keeps it from being renewed.
func (f *Follower) failed(err error, server bool) {
	next := *f.last
	next.Trouble = trouble(err, server, time.Now(), f.last.Trouble)
	if was := f.last.Trouble; was == nil || was.Temporal != next.Trouble.Temporal || was.Why != next.Trouble.Why {
		next.Version++
	}
	f.publish(&next)
}

func (f *Follower) publish(s *Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed := f.last == nil || f.last.Version != s.Version
	f.last = s
	if !changed {
		return
	}
	for c := range f.watchers {
		select {
		case c <- struct{}{}:
		default: // it has not taken the last one yet
		}
	}
}

// read asks for the migration, and for those batches that move or have changed. Server says whether
// Temporal itself answered.
func (f *Follower) read(ctx context.Context) (r reading, server bool, err error) {
	source := f.hub.source
	// Before the status: a workflow that has ended does not change any more.
	if r.execution, err = source.Execution(ctx, client.Aim{Plan: f.plan}); err != nil {
		return r, !errors.Is(err, client.ErrUnreachable), err
	}
	if r.status, err = source.Migration(ctx, f.plan); err != nil {
		return r, true, err
	}
	r.at = time.Now()
	if r.at.Sub(f.worked) >= workAge {
		// Without it the page shows what was known last; it is no reason to show nothing.
		if work, err := source.Work(ctx, r.status); err == nil {
			f.work = work
		}
		f.worked = r.at
	}
	f.work.Tell(&r.status)
	for i := range r.status.Datasets { // with every beat it is another; a minute before is as true
		r.status.Datasets[i].AsOf = r.status.Datasets[i].AsOf.Truncate(time.Minute)
	}
	r.spec = f.before.spec
	if r.spec == nil || f.before.status.Digest != r.status.Digest {
		// Without the plan the page shows less; it is no reason to show nothing.
		r.spec, _ = source.Spec(ctx, f.plan)
	}
	r.full = maps.Clone(f.before.full)
	if r.full == nil {
		r.full = map[string]migration.BatchStatus{}
	}
	f.readMessages(ctx, &r)
	return r, true, f.readBatches(ctx, &r)
}

// readMessages reads what waits for somebody and what cannot be delivered, of a plan that sends
// messages. Without them the page shows less; it is no reason to show nothing.
func (f *Follower) readMessages(ctx context.Context, r *reading) {
	if r.spec == nil || r.spec.Notify == nil {
		return
	}
	if r.messages = f.before.messages; r.at.Sub(f.posted) < messagesAge {
		return
	}
	f.posted = r.at
	m, err := f.hub.source.Messages(ctx, f.plan, "")
	if err != nil {
		m = migration.MessagesStatus{Phase: migration.OutboxUnread}
	}
	r.messages = &m
}

func (f *Follower) readBatches(ctx context.Context, r *reading) error {
	var due []migration.BatchStatus // known before the first answer is written down
	for _, b := range r.status.Batches {
		if f.due(b, r.at) {
			due = append(due, b)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	var mu sync.Mutex
	for _, b := range due {
		group.Go(func() error {
			full, err := f.hub.source.Batch(ctx, f.plan, b.Name)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, client.ErrNotFound): // not started, or no longer kept: what was read last stands
			case err != nil:
				return err
			default:
				r.full[b.Name] = full
			}
			f.asked[b.Name] = r.at
			return nil
		})
	}
	return group.Wait()
}

// due says whether a batch's customers are to be read: they move, the batch says that something has
// changed, or it was not looked at for a while.
func (f *Follower) due(b migration.BatchStatus, now time.Time) bool {
	read, ok := f.asked[b.Name]
	if !ok {
		return true
	}
	busy := b.Counts.Moving+b.Counts.Baking > 0 || b.Phase == migration.BatchCuttingOver || b.Phase == migration.BatchTakingBack
	return busy || now.Sub(read) > quietBatch || !reflect.DeepEqual(b, f.summary(b.Name))
}

func (f *Follower) summary(name string) migration.BatchStatus {
	for _, b := range f.before.status.Batches {
		if b.Name == name {
			return b
		}
	}
	return migration.BatchStatus{}
}

// same says whether two readings show the same.
func (r reading) same(o reading) bool {
	return r.execution == o.execution && (r.spec == nil) == (o.spec == nil) && reflect.DeepEqual(r.status, o.status) &&
		reflect.DeepEqual(r.full, o.full) && reflect.DeepEqual(r.messages, o.messages)
}
