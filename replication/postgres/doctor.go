package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Condition is what stands in both databases of a dataset beside the homes of its tenants.
type Condition struct {
	// Standing is in how many of the two Drover's schema stands. Where it stands in neither, the
	// plan has not begun or has ended, and nothing there says where anybody is homed.
	Standing int
	Broken   []string // invariants that do not hold, and directions that are lost or stand still
	Made     []Made   // Drover's objects, whichever plan's
}

// Made is something that Drover made in a database.
type Made struct {
	Kind, Name string
	On         *Server
	Bytes      int64  // of WAL that a replication slot holds back
	Left       string // why nobody needs it; "": it is in use
}

// Examine reads both databases for a person. It changes nothing. budget is the plan's for WAL, in
// bytes; 0: none.
func (p *Pair) Examine(ctx context.Context, budget int64) (Condition, error) {
	var c Condition
	for _, s := range p.Both() {
		version, _, err := Installed(ctx, s.Pool)
		if err != nil {
			return c, fmt.Errorf("read which version of Drover's functions stands %s: %w", s.Where(), err)
		}
		if version > 0 {
			c.Standing++
		}
	}
	if c.Standing == 2 {
		var err error
		if c.Broken, err = p.Audit(ctx); err != nil {
			return c, err
		}
		flows, err := p.OverBudget(ctx, budget)
		if err != nil {
			return c, err
		}
		for _, f := range flows {
			c.Broken = append(c.Broken, f.Subject+": "+f.Reason+" ("+f.Remedy+")")
		}
	}
	if c.Standing == 1 {
		c.Broken = append(c.Broken, "Drover's schema stands in one of the two databases only: one was restored or replaced, or the "+
			"end of a plan was cut off; where it was, run that command again")
	}
	var err error
	c.Made, err = p.made(ctx, c.Standing)
	return c, err
}

// mostCompared is of how many tenants doctor compares both sides at a time.
const mostCompared = 100

// ApartNow compares both sides of those who may have rows on one of them only: a side was closed
// for them as stale, or given up, or rows of theirs are being carried over. It answers with those
// that are not alike, and with what else is broken. It changes nothing but beats.
func (p *Pair) ApartNow(ctx context.Context) (out []Apart, broken []string, err error) {
	begun, err := p.onTheWay(ctx, 0)
	if err != nil {
		return nil, nil, err
	}
	for _, x := range begun {
		broken = append(broken, fmt.Sprintf("tenant %d: %d rows were taken out %s and are not known to be at home: carry them over "+
			"again (%s)", x.tenant, x.rows, x.from.Where(), x.words))
	}
	var tenants []int64
	for _, s := range p.Both() {
		var some []int64
		err := s.Pool.QueryRow(ctx, `SELECT coalesce(array_agg(t ORDER BY t), '{}') FROM (
			SELECT x.tenant::bigint t FROM drover.stale x JOIN drover.direction d USING (tenant) JOIN drover.fence f USING (tenant)
			  WHERE d.pub = $1 AND f.state = 'sealed'
			UNION SELECT l.tenant FROM drover.loss l JOIN drover.direction d USING (tenant) JOIN drover.fence f USING (tenant)
			  WHERE d.pub = $1 AND l.token > f.sealed_token) x`, p.Names.Outgoing(s.Side)).Scan(&some)
		if err != nil {
			return nil, broken, fmt.Errorf("read whose side was stale or given up %s: %w", s.Where(), err)
		}
		tenants = append(tenants, some...)
	}
	slices.Sort(tenants)
	tenants = slices.Compact(tenants)
	if n := len(tenants) - mostCompared; n > 0 {
		broken = append(broken, fmt.Sprintf("%d more tenants whose side was stale or given up were not compared", n))
		tenants = tenants[:mostCompared]
	}
	for _, t := range tenants {
		a, err := p.Apart(ctx, t)
		switch {
		case errors.Is(err, ErrUnderWay): // what it is said of elsewhere
		case err != nil:
			return out, broken, err
		case !a.Alike():
			out = append(out, a)
		}
	}
	return out, broken, nil
}

// made lists what Drover made in both databases.
func (p *Pair) made(ctx context.Context, standing int) (out []Made, err error) {
	for _, s := range p.Both() {
		other, err := p.OtherOwner(ctx, s.Pool)
		if err != nil {
			return nil, fmt.Errorf("read which plan the database %s belongs to: %w", s.Where(), err)
		}
		rows, err := s.Pool.Query(ctx, `
			SELECT 'schema', nspname::text, 0::bigint FROM pg_namespace WHERE nspname IN ('drover', 'drover_observe')
			UNION ALL SELECT 'event trigger', evtname::text, 0 FROM pg_event_trigger WHERE evtname LIKE 'drover\_%'
			UNION ALL SELECT 'publication', pubname::text, 0 FROM pg_publication WHERE pubname LIKE 'drover\_%'
			UNION ALL SELECT 'subscription', subname::text, 0 FROM pg_subscription JOIN pg_database d ON d.oid = subdbid
				WHERE d.datname = current_database() AND subname LIKE 'drover\_%'
			UNION ALL SELECT 'replication slot', slot_name::text, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint
				FROM pg_replication_slots WHERE database = current_database() AND slot_name LIKE 'drover\_%' AND (NOT active OR slot_name = ANY ($1))
			UNION ALL SELECT 'trigger', tgname || ' on ' || tgrelid::regclass::text, 0 FROM pg_trigger
				WHERE tgname LIKE 'zzzz\_drover\_%' AND tgparentid = 0
			ORDER BY 1, 2`, []string{p.Names.Forward, p.Names.Back, p.Names.Joining})
		if err != nil {
			return nil, fmt.Errorf("list what Drover made %s: %w", s.Where(), err)
		}
		m := Made{On: s}
		if _, err := pgx.ForEachRow(rows, []any{&m.Kind, &m.Name, &m.Bytes}, func() error {
			m.Left = p.needless(m, standing, other)
			out = append(out, m)
			return nil
		}); err != nil {
			return nil, fmt.Errorf("list what Drover made %s: %w", s.Where(), err)
		}
	}
	return out, nil
}

// needless says why nobody needs an object; "": it is in use, or another plan's.
func (p *Pair) needless(m Made, standing int, otherPlan string) string {
	named := m.Kind == "publication" || m.Kind == "subscription" || m.Kind == "replication slot"
	mine := !named || slices.Contains([]string{p.Names.Forward, p.Names.Back, p.Names.Reference, p.Names.Joining}, m.Name)
	switch {
	case otherPlan != "" || standing == 1:
		return ""
	case m.observes(): // before replication is set up; then only what was found stays
		if standing == 2 && m.Kind != "schema" {
			return "replication is set up: nobody observes who writes any more"
		}
		return ""
	case standing == 0 && mine:
		return "Drover's schema stands in neither database: the plan has ended here"
	case standing == 2 && !mine:
		return "the database belongs to this plan, and it is none of its names"
	}
	return ""
}

// observes says whether it is of what observes writers.
func (m Made) observes() bool {
	return m.Kind == "event trigger" || m.Name == "drover_observe" || strings.HasPrefix(m.Name, "zzzz_drover_seen_")
}

// Mend puts right what one rule decides by itself, by the same functions as everything else: a side
// that forgot a seal is closed, a publication that was changed by hand is written from the truth, a
// subscription that was disabled runs again, and a slot that nobody of this plan reads goes. It
// says what it did. While a server is in doubt it does nothing.
func (p *Pair) Mend(ctx context.Context) (done []string, err error) {
	for _, s := range p.Both() {
		if version, _, err := Installed(ctx, s.Pool); err != nil || version == 0 {
			return nil, err
		}
	}
	if err := p.Trusted(ctx); err != nil {
		return nil, err
	}
	for _, s := range p.Both() { // first: what is stale is compared with what has arrived
		enabled, err := p.enable(ctx, s)
		done = append(done, enabled...)
		if err != nil {
			return done, err
		}
	}
	open, err := p.openOnBoth(ctx)
	if err != nil {
		return done, err
	}
	if _, err := p.Watch(ctx); err != nil {
		return done, err
	}
	still, err := p.openOnBoth(ctx)
	if err != nil {
		return done, err
	}
	for _, t := range open {
		if !slices.ContainsFunc(still, func(o openTenant) bool { return o.Tenant == t.Tenant }) {
			done = append(done, fmt.Sprintf("tenant %d: the side that opened earlier was closed", t.Tenant))
		}
	}
	freed, err := p.dropForeignSlots(ctx)
	done = append(done, freed...)
	if err != nil {
		return done, err
	}
	for _, s := range p.Both() {
		rebuilt, err := s.rebuildDrifted(ctx)
		done = append(done, rebuilt...)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// dropForeignSlots drops the slots of former plans that nobody reads: they hold WAL back until the
// disk is full.
func (p *Pair) dropForeignSlots(ctx context.Context) (done []string, err error) {
	made, err := p.made(ctx, 2)
	for _, m := range made {
		if m.Left == "" || m.Kind != "replication slot" {
			continue
		}
		if _, err := m.On.Pool.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
			WHERE slot_name = $1 AND database = current_database()`, m.Name); err != nil {
			return done, fmt.Errorf("drop replication slot %s %s: %w", m.Name, m.On.Where(), err)
		}
		done = append(done, fmt.Sprintf("replication slot %s %s was dropped: it held %d bytes of WAL for nobody", m.Name, m.On.Where(),
			m.Bytes))
	}
	return done, err
}

func (s *Server) rebuildDrifted(ctx context.Context) (done []string, err error) {
	rows, err := s.Pool.Query(ctx, `SELECT DISTINCT pub FROM drover.publication_drift() ORDER BY 1`)
	if err == nil {
		var pubs []string
		if pubs, err = pgx.CollectRows(rows, pgx.RowTo[string]); err == nil {
			for _, pub := range pubs {
				if _, err := s.Pool.Exec(ctx, `SELECT drover.rebuild($1)`, pub); err != nil {
					return done, fmt.Errorf("write publication %s %s from the truth: %w", pub, s.Where(), err)
				}
				done = append(done, fmt.Sprintf("publication %s %s was written from the truth", pub, s.Where()))
			}
			return done, nil
		}
	}
	return nil, fmt.Errorf("look for publications that were changed by hand %s: %w", s.Where(), err)
}

// enable lets the subscription at a server run again if somebody disabled it.
func (p *Pair) enable(ctx context.Context, at *Server) (done []string, err error) {
	name := p.Names.Outgoing(at.Side.Other())
	exists, enabled, err := Subscription(ctx, at.Pool, name)
	if err != nil || !exists || enabled {
		return nil, err
	}
	if _, err := at.Pool.Exec(ctx, "ALTER SUBSCRIPTION "+pgx.Identifier{name}.Sanitize()+" ENABLE"); err != nil {
		return nil, fmt.Errorf("enable subscription %s %s: %w", name, at.Where(), err)
	}
	return []string{fmt.Sprintf("subscription %s %s runs again", name, at.Where())}, nil
}
