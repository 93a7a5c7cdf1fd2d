package setup

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// Prepare sets both directions up for the tenants of the plan: Drover's functions, the schema on
// AWS, replica identities, the guard, fences, publications, disjoint id ranges, subscriptions.
// Every part looks at what is there first, so that it can be cut off anywhere and run again. say is
// told what is being done; it may be nil.
//
// The tenants of the plan have fences and are replicated. Those of the data that the plan leaves
// out stay where they are. A newcomer, who has no row yet, writes on the side that the plan says
// (Pair.Newcomers), and its rows go to the other. From here on nobody observes who writes.
func Prepare(ctx context.Context, p *postgres.Pair, tenants []int64, say func(string)) error {
	if say == nil {
		say = func(string) {}
	}
	ids, err := postgres.TenantIDs(tenants)
	if err != nil {
		return err
	}
	if err := EndObservation(ctx, p); err != nil {
		return err
	}
	for _, part := range []struct {
		what string
		do   func(context.Context) error
	}{
		// AWS first: a plan that is refused there has not touched premises.
		{"Drover's functions on AWS", func(ctx context.Context) error { return install(ctx, p, p.AWS) }},
		{"Drover's functions on premises", func(ctx context.Context) error { return install(ctx, p, p.OnPrem) }},
		{"the schema on AWS", func(ctx context.Context) error { return copySchema(ctx, p) }},
		{"the servers' identities", p.Remember},
		{"replica identities on AWS", func(ctx context.Context) error { return identities(ctx, p, p.AWS) }},
		// Premises last: whatever fails before has changed none of their tables.
		{"replica identities on premises", func(ctx context.Context) error { return identities(ctx, p, p.OnPrem) }},
		{"id ranges", func(ctx context.Context) error { return separateRanges(ctx, p) }},
		{"fences", func(ctx context.Context) error { return admit(ctx, p, ids, say) }},
		{"the guard and the publications", func(ctx context.Context) error { return publish(ctx, p) }},
		// The way back first: its slot would wait for the tables that the first copy is writing on
		// AWS.
		{"the subscription on premises", func(ctx context.Context) error { return subscribe(ctx, p, migration.AWS) }},
		{"the subscription on AWS", func(ctx context.Context) error { return subscribe(ctx, p, migration.OnPrem) }},
	} {
		say(part.what)
		if err := part.do(ctx); err != nil {
			return fmt.Errorf("prepare dataset %s: %s: %w", p.Name, part.what, err)
		}
	}
	_, err = p.LoadTables(ctx)
	return err
}

// TakeIn sets up what is new in both databases, which have the same schema: tables and partitions
// get their replica identities, guards and publications, ids of their own on each side, and a copy
// of their rows, each tenant's from where it is at home. Everybody else's replication goes on. Cut
// off anywhere, it is run again.
func TakeIn(ctx context.Context, p *postgres.Pair, say func(string)) error {
	if say == nil {
		say = func(string) {}
	}
	for _, part := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"replica identities on AWS", func(ctx context.Context) error { return identities(ctx, p, p.AWS) }},
		{"replica identities on premises", func(ctx context.Context) error { return identities(ctx, p, p.OnPrem) }},
		{"id ranges", func(ctx context.Context) error { return separateRanges(ctx, p) }},
		{"the guard and the publications", func(ctx context.Context) error { return publish(ctx, p) }},
		{"the subscription on premises", func(ctx context.Context) error { return subscribe(ctx, p, migration.AWS) }},
		{"the subscription on AWS", func(ctx context.Context) error { return subscribe(ctx, p, migration.OnPrem) }},
	} {
		say(part.what)
		if err := part.do(ctx); err != nil {
			return fmt.Errorf("take new tables into dataset %s: %s: %w", p.Name, part.what, err)
		}
	}
	return p.AwaitSync(ctx, say)
}

// admit gives every tenant of the plan a fence and a direction on both sides. What is there already
// stays as it is. A direction is on where the fence is not sealed. Tenants of the data that the
// plan leaves out are written down once, before the first copy: they stay where they are, until an
// amendment takes them into the plan. Whoever comes later is a newcomer, and needs nothing, until
// an amendment takes it in: all its rows are on both sides then, and its fence is open where
// newcomers write.
func admit(ctx context.Context, p *postgres.Pair, plan []int32, say func(string)) error {
	var came []int32
	err := carryAlone(ctx, p, func(ctx context.Context, c *carrier) (err error) {
		var stayed []int32
		stayed, came, err = joinedLate(ctx, p, plan)
		switch {
		case err != nil:
			return err
		case len(stayed) > 0:
			return join(ctx, p, c, stayed, say)
		}
		return endJoin(ctx, p, c) // what an attempt has left that was cut off after the handover
	})
	if err != nil {
		return err
	}
	if len(came) > 0 {
		if err := admitOn(ctx, p, came, nil, p.Newcomers()); err != nil {
			return err
		}
	}
	found, err := tenantsOf(ctx, p)
	if err != nil {
		return err
	}
	var apart []int32 // tenants that do not stay
	for _, t := range p.Dataset.Synthetic {
		apart = append(apart, int32(t)) // the plan's schema bounds it
	}
	return admitOn(ctx, p, plan, spansWithout(found, append(apart, plan...), mostSpans), migration.OnPrem)
}

// admitOn admits tenants that are at home on a side. The other side comes first: a tenant that is
// open must not be unknown there.
func admitOn(ctx context.Context, p *postgres.Pair, plan []int32, stay []span, home migration.Side) error {
	for _, s := range []*postgres.Server{p.Side(home.Other()), p.Side(home)} {
		err := postgres.Patiently(ctx, func() error {
			return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error { return admitIn(ctx, p, tx, s.Side, plan, stay, home) })
		})
		if err != nil {
			return fmt.Errorf("database %s: %w", s.Where(), err)
		}
	}
	return nil
}

// tenantsOf are all tenants that have rows on premises.
func tenantsOf(ctx context.Context, p *postgres.Pair) (all []int64, err error) {
	tables, err := postgres.ReadTables(ctx, p.OnPrem.Pool, p.Dataset)
	if err != nil {
		return nil, err
	}
	err = p.OnPrem.Unhurried(ctx, func(c *pgx.Conn) error {
		for _, t := range postgres.Of(tables, postgres.Tenants) {
			found, err := tenantsIn(ctx, c, t)
			if err != nil {
				return err
			}
			all = append(all, found...)
		}
		return nil
	})
	return all, err
}

func admitIn(ctx context.Context, p *postgres.Pair, tx pgx.Tx, side migration.Side, plan []int32, stay []span,
	home migration.Side) error {
	if err := claim(ctx, p, tx); err != nil {
		return err
	}
	state := "open"
	if side != home {
		state = "sealed"
	}
	pub := p.Names.Outgoing(side)
	var again bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM drover.direction WHERE pub = $1)`, pub).Scan(&again); err != nil {
		return err
	}
	_, err := tx.Exec(ctx,
		`INSERT INTO drover.fence (tenant, state) SELECT t, $2 FROM unnest($1::int[]) t ORDER BY t ON CONFLICT DO NOTHING`, plan, state)
	if err != nil {
		return err
	}
	// The fences are locked, so that none is sealed before its direction is written.
	_, err = tx.Exec(ctx, `WITH f AS (SELECT tenant, state FROM drover.fence f WHERE tenant = ANY ($1::int[])
		    AND NOT EXISTS (SELECT FROM drover.direction d WHERE d.pub = $2 AND d.tenant = f.tenant) ORDER BY tenant FOR UPDATE)
		INSERT INTO drover.direction (pub, peer, tenant, is_on) SELECT $2, $3, tenant, state <> 'sealed'
		FROM f ORDER BY tenant ON CONFLICT DO NOTHING`,
		plan, pub, p.Names.Outgoing(side.Other()))
	if err != nil {
		return err
	}
	if again {
		// Whoever has come into the plan does not stay.
		if err := leaveSpans(ctx, tx, plan); err != nil {
			return err
		}
		return admitSynthetic(ctx, p, tx, side)
	}
	first, last := make([]int64, len(stay)), make([]int64, len(stay))
	for i, x := range stay {
		first[i], last[i] = x.first, x.last
	}
	_, err = tx.Exec(ctx,
		`INSERT INTO drover.elsewhere (first, last, here) SELECT f, l, $3
			FROM unnest($1::bigint[], $2::bigint[]) x(f, l) ON CONFLICT DO NOTHING`,
		first, last, side == migration.OnPrem)
	if err != nil {
		return err
	}
	return admitSynthetic(ctx, p, tx, side)
}

// admitSynthetic lets the tenants of write probes write also on the side where newcomers may not.
// What they write there is not sent. One among the tenants that stay is not admitted: its probe
// says so.
func admitSynthetic(ctx context.Context, p *postgres.Pair, tx pgx.Tx, side migration.Side) error {
	if side == p.Newcomers() || len(p.Dataset.Synthetic) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO drover.elsewhere (first, last, here) SELECT t, t, true FROM unnest($1::bigint[]) t
		WHERE NOT EXISTS (SELECT FROM drover.elsewhere e WHERE t BETWEEN e.first AND e.last) ON CONFLICT DO NOTHING`, p.Dataset.Synthetic)
	return err
}

// joinedLate are the tenants of the plan that came into it after the first copy: those that had
// rows before and stayed on premises, and those that came as newcomers.
func joinedLate(ctx context.Context, p *postgres.Pair, plan []int32) (stayed, came []int32, err error) {
	var copied bool
	err = p.OnPrem.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $2),
		coalesce(array_agg(t ORDER BY t) FILTER (WHERE EXISTS (SELECT FROM drover.elsewhere e WHERE t BETWEEN e.first AND e.last)), '{}')
		FROM unnest($1::int[]) t`, plan, p.Names.Forward).Scan(&copied, &stayed)
	if err != nil || !copied {
		return nil, nil, err
	}
	for _, s := range p.Both() { // an attempt may have been cut off between the two
		var unknown []int32
		err := s.Pool.QueryRow(ctx, `SELECT coalesce(array_agg(t ORDER BY t), '{}') FROM unnest($1::int[]) t
			WHERE NOT EXISTS (SELECT FROM drover.direction d WHERE d.pub = $2 AND d.tenant = t)`, plan, p.Names.Outgoing(s.Side)).Scan(&unknown)
		if err != nil {
			return nil, nil, fmt.Errorf("tenants that have joined, %s: %w", s.Where(), err)
		}
		came = append(came, unknown...)
	}
	slices.Sort(came)
	came = slices.DeleteFunc(slices.Compact(came), func(t int32) bool { return slices.Contains(stayed, t) })
	return stayed, came, nil
}

// tenantsIn lists the tenants of a table by hopping from one to the next in the index that begins
// with the tenant, if there is one.
func tenantsIn(ctx context.Context, c *pgx.Conn, t postgres.Table) ([]int64, error) {
	col := pgx.Identifier{t.Column}.Sanitize()
	query := fmt.Sprintf(`SELECT DISTINCT %s::bigint FROM %s WHERE %[1]s IS NOT NULL`, col, t.Ident())
	indexed, err := postgres.LeadingIndex(ctx, c, t)
	if err != nil {
		return nil, err
	}
	if indexed {
		query = fmt.Sprintf(`WITH RECURSIVE h AS (SELECT min(%[1]s) AS v FROM %[2]s UNION ALL SELECT (SELECT min(x.%[1]s)
			FROM %[2]s x WHERE x.%[1]s > h.v) FROM h WHERE h.v IS NOT NULL)
			SELECT v::bigint FROM h WHERE v IS NOT NULL`, col, t.Ident())
	}
	rows, err := c.Query(ctx, query)
	if err == nil {
		var out []int64
		if out, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err == nil {
			return out, nil
		}
	}
	return nil, fmt.Errorf("list tenants of %s: %w", t, err)
}

// publish puts the guard on every table and makes the publications, on both sides. The guard needs
// a moment without writers on each table: it waits briefly and tries again, so that it stops nobody
// for long.
func publish(ctx context.Context, p *postgres.Pair) error {
	for _, s := range p.Both() {
		tables, err := postgres.ReadTables(ctx, s.Pool, p.Dataset)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Where(), err)
		}
		tag, err := s.Pool.Exec(ctx, `UPDATE drover.config SET newcomers = $1 WHERE newcomers <> $1`, s.Side == p.Newcomers())
		if err != nil {
			return fmt.Errorf("say where newcomers write %s: %w", s.Where(), err)
		}
		pub, changed := p.Names.Outgoing(s.Side), tag.RowsAffected() > 0
		for _, t := range postgres.Of(tables, postgres.Tenants) {
			did, err := protect(ctx, s, pub, t)
			if err != nil {
				return fmt.Errorf("guard table %s %s: %w", t, s.Where(), err)
			}
			changed = changed || did
		}
		if err := rebuild(ctx, s, pub, changed); err != nil {
			return err
		}
	}
	if err := guardReference(ctx, p); err != nil {
		return err
	}
	return publishReference(ctx, p)
}

// protect guards a table that is not guarded yet.
func protect(ctx context.Context, s *postgres.Server, pub string, t postgres.Table) (did bool, err error) {
	var guarded bool
	err = s.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM drover.member WHERE pub = $1 AND rel = $2::oid AND col = $3)
		AND NOT EXISTS (SELECT FROM (SELECT $2::oid::regclass AS r UNION SELECT relid FROM pg_partition_tree($2::oid::regclass)) x
		  WHERE (SELECT count(*) FROM pg_trigger g WHERE g.tgrelid = x.r
		  AND g.tgname IN ('zzzz_drover_guard', 'zzzz_drover_truncate') AND g.tgenabled = 'O') < 2)`,
		pub, t.OID, t.Column).Scan(&guarded)
	if err != nil || guarded {
		return false, err
	}
	return true, postgres.Patiently(ctx, func() error {
		return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '400ms'`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `SELECT drover.protect($1, $2::oid::regclass, $3)`, pub, t.OID, t.Column)
			return err
		})
	})
}

// rebuild derives a publication from the truth if a table or a tenant is missing in it. Where
// nothing changed it alters nothing: an ALTER would wait behind every VACUUM.
func rebuild(ctx context.Context, s *postgres.Server, pub string, changed bool) error {
	if !changed {
		var missing bool
		err := s.Pool.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM pg_publication WHERE pubname = $1)
			OR EXISTS (SELECT FROM drover.publication_drift() d WHERE d.pub = $1)
			OR EXISTS (SELECT FROM drover.member m JOIN pg_class t ON t.oid = m.rel
			WHERE m.pub = $1 AND NOT EXISTS (SELECT FROM pg_publication_rel r JOIN pg_publication u ON u.oid = r.prpubid
			WHERE u.pubname = m.pub AND r.prrelid = m.rel))`, pub).Scan(&missing)
		if err != nil {
			return fmt.Errorf("read publication %s %s: %w", pub, s.Where(), err)
		}
		if !missing {
			return nil
		}
	}
	err := postgres.Patiently(ctx, func() error {
		_, err := s.Pool.Exec(ctx, `SELECT drover.rebuild($1)`, pub)
		return err
	})
	if err != nil {
		return fmt.Errorf("make publication %s %s: %w", pub, s.Where(), err)
	}
	return nil
}

// publishReference makes the publication of the tables that belong to no tenant. They flow from
// premises to AWS.
func publishReference(ctx context.Context, p *postgres.Pair) error {
	s := p.OnPrem
	tables, err := postgres.ReadTables(ctx, s.Pool, p.Dataset)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Where(), err)
	}
	refs := postgres.Of(tables, postgres.Reference)
	if len(refs) == 0 {
		return nil
	}
	names := make([]string, len(refs))
	rels := make([]uint32, len(refs))
	for i, t := range refs {
		names[i], rels[i] = t.Ident(), t.OID
	}
	pub, list := pgx.Identifier{p.Names.Reference}.Sanitize(), strings.Join(names, ", ")
	return postgres.Patiently(ctx, func() error {
		return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
			var is, all bool
			err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = $1),
				NOT EXISTS (SELECT FROM unnest($2::oid[]) t WHERE t NOT IN (SELECT r.prrelid
				FROM pg_publication_rel r JOIN pg_publication u ON u.oid = r.prpubid WHERE u.pubname = $1))`,
				p.Names.Reference, rels).Scan(&is, &all)
			switch {
			case err != nil || is && all:
				return err
			case is:
				_, err = tx.Exec(ctx, fmt.Sprintf(`ALTER PUBLICATION %s SET TABLE %s`, pub, list))
			default:
				_, err = tx.Exec(ctx,
					fmt.Sprintf(
						`CREATE PUBLICATION %s FOR TABLE %s WITH (publish = 'insert,update,delete,truncate', publish_via_partition_root =
							true)`, pub, list))
			}
			return err
		})
	})
}

// guardReference keeps everybody but replication from writing the tables of no tenant on AWS.
func guardReference(ctx context.Context, p *postgres.Pair) error {
	s := p.AWS
	tables, err := postgres.ReadTables(ctx, s.Pool, p.Dataset)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Where(), err)
	}
	for _, t := range postgres.Of(tables, postgres.Reference) {
		err := postgres.Patiently(ctx, func() error {
			_, err := s.Pool.Exec(ctx, `SELECT drover.protect_reference($1::oid::regclass)`, t.OID)
			return err
		})
		if err != nil {
			return fmt.Errorf("guard table %s %s: %w", t, s.Where(), err)
		}
	}
	return nil
}
