package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/migration"
)

// lookEvery is how often a customer's status is held against its fences.
const lookEvery = 100 * time.Millisecond

// watcher holds what status says of customers against their fences, read before it and after it. It
// looks for two open sides too.
type watcher struct {
	rig       *rig
	customers []lab.Customer
	cancel    context.CancelFunc
	done      sync.WaitGroup

	mu       sync.Mutex
	samples  int
	said     []string // that was not so
	bothOpen map[string]time.Duration
}

// watch begins; end ends it.
func (r *rig) watch(ctx context.Context, customers ...lab.Customer) *watcher {
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{rig: r, customers: customers, cancel: cancel, bothOpen: map[string]time.Duration{}}
	for _, c := range customers {
		w.done.Go(func() { w.follow(ctx, c) })
	}
	return w
}

func (w *watcher) end() {
	w.cancel()
	w.done.Wait()
}

// looked says whether any status was held against its fences.
func (w *watcher) looked() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.samples > 0
}

// fences are what both sides say of a customer's writes at a moment.
type fences struct{ onprem, aws bool }

func (f fences) open(s migration.Side) bool {
	if s == migration.AWS {
		return f.aws
	}
	return f.onprem
}

func (w *watcher) follow(ctx context.Context, c lab.Customer) {
	sides := &sides{rig: w.rig, tenant: c.Tenant}
	defer sides.close()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.look(ctx, sides, c)
	}
}

func (w *watcher) look(ctx context.Context, sides *sides, c lab.Customer) {
	before, err := sides.read(ctx)
	if err != nil {
		return // a server that is down says nothing of its fences
	}
	asked, cancel := context.WithTimeout(ctx, time.Second)
	s, said := w.rig.client.Customer(asked, w.rig.Shape.Name, c.ID)
	cancel()
	after, err := sides.read(ctx)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if before.onprem && before.aws {
		w.bothOpen[c.ID] += lookEvery
	}
	if said != nil {
		return
	}
	w.samples++
	if why := untrue(s, before, after); why != "" && !slices.Contains(w.said, why) {
		w.said = append(w.said, why)
	}
}

const otherTook = " the other side took writes"

// untrue says what a status claims that both fences deny, before it was asked and after it.
func untrue(s migration.CustomerStatus, before, after fences) string {
	switch s.Phase {
	case migration.CustomerBaking, migration.CustomerSoaking, migration.CustomerRolledBack, migration.CustomerHeld,
		migration.CustomerWaiting, migration.CustomerFinished:
	default:
		return "" // on its way: nothing is claimed but that
	}
	if !s.Home.Valid() || strings.Contains(s.Reason, "closed on both sides") || strings.Contains(s.Reason, "both sides take") {
		return ""
	}
	claim := fmt.Sprintf("status said %s: %s on %s (%s), and before and after it", s.ID, s.Phase, s.Home, s.Reason)
	other := s.Home.Other()
	switch {
	case !before.open(s.Home) && !after.open(s.Home):
		return claim + " that side took no writes"
	case before.open(other) && after.open(other):
		return claim + otherTook
	}
	return ""
}

// sides reads a tenant's fences past every door.
type sides struct {
	rig    *rig
	tenant int
	conns  [2]*pgx.Conn
}

func (s *sides) close() {
	for _, c := range s.conns {
		if c != nil {
			_ = c.Close(context.Background())
		}
	}
}

// read looks at premises, AWS and premises again: a side that was closed meanwhile was not open at
// the same time as the other.
func (s *sides) read(ctx context.Context) (f fences, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var again bool
	for _, x := range []struct {
		side migration.Side
		into *bool
	}{{migration.OnPrem, &f.onprem}, {migration.AWS, &f.aws}, {migration.OnPrem, &again}} {
		if *x.into, err = s.open(ctx, x.side); err != nil {
			return f, err
		}
	}
	f.onprem = f.onprem && again
	return f, nil
}

func (s *sides) open(ctx context.Context, at migration.Side) (is bool, err error) {
	i := 0
	if at == migration.AWS {
		i = 1
	}
	if s.conns[i] == nil || s.conns[i].IsClosed() {
		if s.conns[i], err = pgx.Connect(ctx, s.rig.DSN(at)); err != nil {
			return false, err
		}
	}
	const query = `SELECT state = 'open' OR state = 'fenced' AND lease_until <= clock_timestamp() FROM drover.fence WHERE tenant = $1`
	err = s.conns[i].QueryRow(ctx, query, s.tenant).Scan(&is)
	return is, err
}
