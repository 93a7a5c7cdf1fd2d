package board

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/drover-migration/drover/migration"
)

const (
	freshFor     = 10 * time.Second // a customer's details, while its batch reports no change
	againAfter   = 2 * time.Second  // where it could not be read
	mostDetails  = 2000             // customers whose details are kept
	detailsLimit = 5 * time.Second  // for one reading of them
)

// details are customers read one by one, with their timelines, for those who look at their pages.
type details struct {
	mu    sync.Mutex
	byID  map[string]*detail
	slots chan struct{} // how many are read at once
}

// detail is a customer as it was read last. Whoever reads it holds its lock.
type detail struct {
	mu      sync.Mutex
	status  migration.CustomerStatus
	at      time.Time
	summary migration.CustomerStatus // what its batch said of it then
	err     error
	tried   time.Time // when it was asked for last
}

func newDetails() details {
	return details{byID: map[string]*detail{}, slots: make(chan struct{}, atOnce)}
}

// Customer is a customer with its timeline, and when that was read. It is read anew where its batch
// reports a change, or after a while: however many look at it, once. Where it cannot be read, the
// error comes with what was read last.
func (f *Follower) Customer(ctx context.Context, c Customer) (migration.CustomerStatus, time.Time, error) {
	d := f.customers.of(c.Status.ID)
	d.mu.Lock()
	defer d.mu.Unlock()
	f.mu.Lock()
	hurried := f.hurried
	f.mu.Unlock()
	if time.Since(d.at) < freshFor && d.at.After(hurried) && d.err == nil && reflect.DeepEqual(d.summary, c.Status) {
		return d.status, d.at, nil
	}
	if d.err != nil && time.Since(d.tried) < againAfter {
		return d.status, d.at, d.err
	}
	select {
	case f.customers.slots <- struct{}{}:
		defer func() { <-f.customers.slots }()
	case <-ctx.Done():
		return d.status, d.at, ctx.Err()
	}
	// A reader who leaves takes the answer from nobody else.
	ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), detailsLimit)
	defer cancel()
	status, err := f.hub.source.Customer(ask, f.plan, c.Status.ID)
	d.err, d.tried = err, time.Now()
	if err == nil {
		d.status, d.at, d.summary = status, time.Now(), c.Status
	}
	return d.status, d.at, err
}

// of is the place of a customer's details. Where there are too many, any other is forgotten
// and read anew when somebody looks.
func (d *details) of(id string) *detail {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at, ok := d.byID[id]; ok {
		return at
	}
	for old := range d.byID {
		if len(d.byID) < mostDetails {
			break
		}
		delete(d.byID, old)
	}
	out := &detail{}
	d.byID[id] = out
	return out
}
