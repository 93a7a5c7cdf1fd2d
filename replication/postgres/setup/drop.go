package setup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// ErrNotHome says that tenants are homed on AWS, so that taking replication away would lose what
// they wrote there.
var ErrNotHome = errors.New("not every tenant is homed on premises: roll them back first")

// ErrBetween says that rows which are being carried over stand in Drover's schema alone, so that
// taking it away would lose them.
var ErrBetween = errors.New("rows that are carried over have not arrived at home: end it with `drover doctor PLAN --carry-over CUSTOMER`")

func noneBetween(ctx context.Context, p *postgres.Pair) error {
	tenants, err := p.Between(ctx)
	if err != nil {
		return err
	}
	if len(tenants) > 0 {
		return fmt.Errorf("tenants %v: %w", tenants, ErrBetween)
	}
	return nil
}

// DropAll takes away what Prepare made in both databases, only if every tenant is homed on
// premises: subscriptions, slots, publications, guards, Drover's schema, and on premises the
// replica identities that it changed. Tables and rows stay, on AWS as well. Where a database
// belongs to another plan, all that is that plan's stays. What observed writers goes with all that
// it found. What is gone already is no error.
func DropAll(ctx context.Context, p *postgres.Pair, say func(string)) error {
	if err := drop(ctx, p, say); err != nil {
		return err
	}
	return dropObservation(ctx, p)
}

// drop is DropAll without what was found of writers.
func drop(ctx context.Context, p *postgres.Pair, say func(string)) error {
	if say == nil {
		say = func(string) {}
	}
	version, _, err := postgres.Installed(ctx, p.OnPrem.Pool)
	if err != nil {
		return fmt.Errorf("drop replication of dataset %s: %w", p.Name, err)
	}
	if err := noneBetween(ctx, p); err != nil {
		return fmt.Errorf("drop replication of dataset %s: %w", p.Name, err)
	}
	// The schema on premises goes last: without it, everything before it is gone.
	if version > 0 {
		away, err := p.AwayFromHome(ctx)
		if err != nil {
			// The fences on AWS may be gone from a run that was cut off; those on premises say
			// where home was.
			return fmt.Errorf("drop replication of dataset %s: %w", p.Name, err)
		}
		if len(away) > 0 {
			return fmt.Errorf("drop replication of dataset %s: tenants %v: %w", p.Name, away, ErrNotHome)
		}
	}
	return remove(ctx, p, say)
}

// TakeBack undoes a Prepare that cannot come to its end: premises are as they were before it. Where
// a first copy has begun, or a database is another plan's, it does nothing. What was found of
// writers stays: they are not observed once more.
func TakeBack(ctx context.Context, p *postgres.Pair, say func(string)) error {
	for _, s := range p.Both() {
		if other, err := p.OtherOwner(ctx, s.Pool); err != nil || other != "" {
			return err
		}
	}
	if begun, err := copyBegun(ctx, p); err != nil || begun {
		return err
	}
	return drop(ctx, p, say)
}

// copyBegun says whether rows have come to AWS, or may come at any moment.
func copyBegun(ctx context.Context, p *postgres.Pair) (begun bool, err error) {
	err = p.AWS.Unhurried(ctx, func(c *pgx.Conn) error {
		exists, _, err := postgres.Subscription(ctx, c, p.Names.Forward)
		if err != nil || !exists {
			return err
		}
		unfinished, err := postgres.IsUnfinished(ctx, c, p.Names.Forward)
		begun = !unfinished
		return err
	})
	if err != nil || begun {
		return begun, err
	}
	tables, err := postgres.ReadTables(ctx, p.OnPrem.Pool, p.Dataset)
	if err != nil {
		return false, err
	}
	full, err := RowsOnAWS(ctx, p, tables)
	return len(full) > 0, err
}

// DropLeftovers takes out of both databases what is left of this plan where Drover's schema stands
// in neither: its slots hold WAL back for nobody. It refuses while the schema stands anywhere, and
// keeps everybody from installing it until it is done.
func DropLeftovers(ctx context.Context, p *postgres.Pair) error {
	err := postgres.Patiently(ctx, func() error {
		return pgx.BeginFunc(ctx, p.OnPrem.Pool, func(onprem pgx.Tx) error {
			return pgx.BeginFunc(ctx, p.AWS.Pool, func(aws pgx.Tx) error {
				if err := nothingStands(ctx, onprem, p.OnPrem); err != nil {
					return err
				}
				if err := nothingStands(ctx, aws, p.AWS); err != nil {
					return err
				}
				return dropLeftovers(ctx, p)
			})
		})
	})
	if err != nil {
		return fmt.Errorf("drop what is left of dataset %s: %w", p.Name, err)
	}
	return nil
}

// nothingStands wants that Drover's schema does not stand in a database: nobody installs it until
// the transaction ends.
func nothingStands(ctx context.Context, tx pgx.Tx, s *postgres.Server) error {
	if err := lockDatabase(ctx, tx); err != nil {
		return err
	}
	if version, _, err := postgres.Installed(ctx, tx); err != nil || version == 0 {
		return err
	}
	return fmt.Errorf("the schema of Drover stands %s: %w", s.Where(), ErrStanding)
}

func dropLeftovers(ctx context.Context, p *postgres.Pair) error {
	for _, s := range p.Both() {
		for _, name := range []string{p.Names.Outgoing(s.Side), p.Names.Reference} {
			if _, err := s.Pool.Exec(ctx, "DROP PUBLICATION IF EXISTS "+pgx.Identifier{name}.Sanitize()); err != nil {
				return fmt.Errorf("drop publication %s %s: %w", name, s.Where(), err)
			}
		}
	}
	return remove(ctx, p, func(string) {})
}

// ErrStanding says that a plan still works in a database.
var ErrStanding = errors.New("a plan is at work there: end it with drover abort or drover finalise")

// remove takes Drover's objects from both databases, in an order that can be begun again anywhere.
func remove(ctx context.Context, p *postgres.Pair, say func(string)) error {
	for _, part := range []struct {
		what string
		do   func(context.Context) error
	}{
		// Each server remembers the other: a schema that is gone from one would look like a
		// restore.
		{"what the servers remember of each other", p.Forget},
		{"what carries those who join", func(ctx context.Context) error {
			return carryAlone(ctx, p, func(ctx context.Context, c *carrier) error { return endJoin(ctx, p, c) })
		}},
		{"the subscription on AWS", func(ctx context.Context) error { return dropSubscription(ctx, p.AWS, p.OnPrem, p.Names.Forward) }},
		{"the subscription on premises", func(ctx context.Context) error { return dropSubscription(ctx, p.OnPrem, p.AWS, p.Names.Back) }},
		{"what is on AWS", func(ctx context.Context) error { return unpublish(ctx, p, p.AWS) }},
		{"what is on premises", func(ctx context.Context) error { return unpublish(ctx, p, p.OnPrem) }},
	} {
		say("removing " + part.what)
		if err := part.do(ctx); err != nil {
			return fmt.Errorf("drop replication of dataset %s: %s: %w", p.Name, part.what, err)
		}
	}
	return nil
}

// dropSubscription drops a subscription and its slot apart from each other, so that either may be
// gone.
func dropSubscription(ctx context.Context, at, from *postgres.Server, name string) error {
	exists, _, err := postgres.Subscription(ctx, at.Pool, name)
	if err != nil {
		return err
	}
	if exists {
		sub := pgx.Identifier{name}.Sanitize()
		for _, sql := range []string{"ALTER SUBSCRIPTION %s DISABLE", "ALTER SUBSCRIPTION %s SET (slot_name = NONE)",
			"DROP SUBSCRIPTION %s"} {
			if _, err := at.Pool.Exec(ctx, fmt.Sprintf(sql, sub)); err != nil && !postgres.IsCode(err, "42704") {
				return fmt.Errorf("drop subscription %s %s: %w", name, at.Where(), err)
			}
		}
	}
	return dropSlots(ctx, from, name)
}

// dropSlots drops the subscription's slot and those of its first copies. Their walsenders end when
// the subscriber has let go.
func dropSlots(ctx context.Context, s *postgres.Server, name string) error {
	for {
		_, err := s.Pool.Exec(ctx,
			`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND database = current_database()`,
			name)
		if err == nil {
			return nil
		}
		if !postgres.IsCode(err, "55006") { // in use
			return fmt.Errorf("drop replication slot %s %s: %w", name, s.Where(), err)
		}
		// The walsender of a subscriber whose machine is gone would hold it until its time-out.
		if _, err := s.Pool.Exec(ctx,
			`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL`,
			name); err != nil {
			return fmt.Errorf("release replication slot %s %s: %w", name, s.Where(), err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// unpublish removes publications, guards and, unless it is another plan's, the schema. One
// transaction, so that a guard never stands without its fences.
func unpublish(ctx context.Context, p *postgres.Pair, s *postgres.Server) error {
	version, _, err := postgres.Installed(ctx, s.Pool)
	if err != nil || version == 0 {
		return err
	}
	return postgres.Patiently(ctx, func() error {
		return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error { return unpublishIn(ctx, p, tx, s) })
	})
}

func unpublishIn(ctx context.Context, p *postgres.Pair, tx pgx.Tx, s *postgres.Server) error {
	if err := lockDatabase(ctx, tx); err != nil {
		return err
	}
	if version, _, err := postgres.Installed(ctx, tx); err != nil || version == 0 {
		return err
	}
	pub := p.Names.Outgoing(s.Side)
	for _, name := range []string{pub, p.Names.Reference} {
		if _, err := tx.Exec(ctx, "DROP PUBLICATION IF EXISTS "+pgx.Identifier{name}.Sanitize()); err != nil {
			return err
		}
	}
	// A table that another plan's publication carries keeps its guard.
	rows, err := tx.Query(ctx, `SELECT x.r::oid, x.r::text FROM drover.member m, LATERAL (SELECT m.rel AS r UNION SELECT relid FROM
		pg_partition_tree(m.rel)) x
		WHERE m.pub = $1 AND NOT EXISTS (SELECT FROM drover.member o WHERE o.rel = m.rel AND o.pub <> $1) AND EXISTS (SELECT
		FROM pg_class c WHERE c.oid = m.rel)
		ORDER BY (x.r <> m.rel), 1`, pub)
	if err != nil {
		return err
	}
	type guarded struct {
		OID  uint32
		Name string
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[guarded])
	if err != nil {
		return err
	}
	for _, t := range tables {
		var part bool
		if err := tx.QueryRow(ctx, `SELECT relispartition FROM pg_class WHERE oid = $1`, t.OID).Scan(&part); err != nil {
			return err
		}
		sql := "DROP TRIGGER IF EXISTS zzzz_drover_truncate ON " + t.Name
		if !part { // on a partition it goes with the parent's
			sql += "; DROP TRIGGER IF EXISTS zzzz_drover_guard ON " + t.Name + "; DROP TRIGGER IF EXISTS zzzz_drover_shield ON " + t.Name
		}
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("unguard table %s: %w", t.Name, err)
		}
		if err := restoreIdentity(ctx, tx, t.OID, t.Name); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `DELETE FROM drover.member WHERE pub = $1`, pub); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM drover.direction WHERE pub = $1`, pub); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM drover.plan WHERE (plan, dataset) = ($1, $2)`, p.Plan, p.Name); err != nil {
		return err
	}
	var others bool
	if err := tx.QueryRow(ctx,
		`SELECT EXISTS (SELECT FROM drover.plan) OR EXISTS (SELECT FROM drover.direction) OR EXISTS (SELECT FROM drover.member)`).Scan(
		&others); err != nil || others {
		return err
	}
	if err := restoreRest(ctx, tx); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DROP SCHEMA drover CASCADE`)
	return err
}

// restoreRest puts back what a Prepare has changed that was cut off before it guarded the tables:
// their identities, and indexes that were made and never used.
func restoreRest(ctx context.Context, tx pgx.Tx) error {
	type named struct {
		OID  uint32
		Name string
	}
	read := func(question string) ([]named, error) {
		rows, err := tx.Query(ctx, question)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowToStructByPos[named])
	}
	tables, err := read(`SELECT c.oid, c.oid::regclass::text FROM drover.identity i JOIN pg_class c ON c.oid = i.rel::oid
		ORDER BY c.relispartition, 1`)
	if err != nil {
		return fmt.Errorf("read the replica identities that were changed: %w", err)
	}
	for _, t := range tables {
		if err := restoreIdentity(ctx, tx, t.OID, t.Name); err != nil {
			return err
		}
	}
	indexes, err := read(`SELECT x.oid, x.oid::regclass::text FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
		JOIN pg_namespace n ON n.oid = x.relnamespace
		WHERE x.relname ~ '_drover_ri$' AND NOT i.indisreplident AND NOT x.relispartition AND ` + postgres.NotOurs)
	if err != nil {
		return fmt.Errorf("read the indexes that were made: %w", err)
	}
	for _, x := range indexes {
		if _, err := tx.Exec(ctx, "DROP INDEX "+x.Name); err != nil {
			return fmt.Errorf("drop index %s: %w", x.Name, err)
		}
	}
	return nil
}

// restoreIdentity puts a replica identity back as it was, and drops the index that was made for it.
func restoreIdentity(ctx context.Context, tx pgx.Tx, oid uint32, table string) error {
	var was string
	var idx, made, schema *string
	err := tx.QueryRow(ctx,
		`SELECT i.was, i.idx, i.made, n.nspname FROM drover.identity i JOIN pg_class c ON c.oid = i.rel
			JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.rel = $1::oid`, oid).Scan(&was, &idx, &made, &schema)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	to := map[string]string{"d": "DEFAULT", "n": "NOTHING", "f": "FULL"}[was]
	if was == "i" && idx != nil {
		to = "USING INDEX " + pgx.Identifier{*idx}.Sanitize()
	}
	if to == "" {
		to = "DEFAULT"
	}
	if _, err := tx.Exec(ctx, "ALTER TABLE ONLY "+table+" REPLICA IDENTITY "+to); err != nil {
		return fmt.Errorf("restore the replica identity of %s: %w", table, err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM drover.identity WHERE rel = $1::oid`, oid); err != nil {
		return err
	}
	if made == nil {
		return nil
	}
	// An index of a partition goes with its parent's, which comes first.
	var own bool
	index := pgx.Identifier{*schema, *made}.Sanitize()
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass($1) AND NOT relispartition)`,
		index).Scan(&own); err != nil || !own {
		return err
	}
	if _, err := tx.Exec(ctx, "DROP INDEX "+index); err != nil {
		return fmt.Errorf("drop index %s: %w", index, err)
	}
	return nil
}
