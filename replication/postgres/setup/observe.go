package setup

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// Observing is where the observation of a dataset's writers stands.
type Observing struct {
	migration.Observation
	// Over says that nothing is observed any more: it has ended, or replication is set up.
	Over bool
}

// Observe has premises write down who writes the tables of tenants, and answers with what was found
// so far. What is missing it makes first: the schema, triggers on each table and partition, event
// triggers where the role may make them. Who writes meets no lock of it but a trigger's, which is
// waited for briefly and tried again. Cut off anywhere, or run twice at once, it ends in the same
// state. Routed are the addresses whose requests the plan routes.
//
// It begins nothing where replication is set up already, and nothing anew where Prepare has ended
// it.
func Observe(ctx context.Context, p *postgres.Pair, routed []string, say func(string)) (Observing, error) {
	if err := observeAll(ctx, p, say); err != nil {
		return Observing{}, fmt.Errorf("observe who writes dataset %s %s: %w", p.Name, p.OnPrem.Where(), err)
	}
	return ReadObservation(ctx, p, routed)
}

// observeAll covers every table and folds what was noted, where there is anything to observe. What
// one of these steps errs keeps none of the others from its turn.
func observeAll(ctx context.Context, p *postgres.Pair, say func(string)) error {
	say("installing what observes")
	over, err := installObserver(ctx, p)
	if err != nil || over {
		return err
	}
	err = errors.Join(coverTables(ctx, p, say), watchDDL(ctx, p.OnPrem))
	say("reading what was noted")
	if _, folded := p.OnPrem.Pool.Exec(ctx, `SELECT drover_observe.fold()`); folded != nil {
		err = errors.Join(err, fmt.Errorf("read what was noted: %w", folded))
	}
	if err == nil {
		_, err = p.OnPrem.Pool.Exec(ctx, `UPDATE drover_observe.observation SET since = clock_timestamp() WHERE since IS NULL`)
	}
	return err
}

// observerDigest is of the observe.sql that is installed from here.
func observerDigest() string {
	sum := sha256.Sum256([]byte(postgres.ObserveSQL()))
	return hex.EncodeToString(sum[:])
}

// installObserver puts observe.sql on premises, or does nothing if that is done.
func installObserver(ctx context.Context, p *postgres.Pair) (over bool, err error) {
	digest := observerDigest()
	err = postgres.Patiently(ctx, func() error {
		return pgx.BeginFunc(ctx, p.OnPrem.Pool, func(tx pgx.Tx) error {
			if err := lockOwn(ctx, p, tx); err != nil {
				return err
			}
			if over, err = observedEnough(ctx, p, tx); err != nil || over {
				return err
			}
			var there string
			if there, err = observerOf(ctx, p, tx); err != nil || there == digest {
				return err
			}
			if _, err := tx.Exec(ctx, postgres.ObserveSQL()); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `INSERT INTO drover_observe.observation (plan, dataset, digest) VALUES ($1, $2, $3)
				ON CONFLICT (one) DO UPDATE SET digest = excluded.digest`, p.Plan, p.Name, digest)
			return err
		})
	})
	return over, err
}

// observedEnough says whether the observation has ended, or replication is set up.
func observedEnough(ctx context.Context, p *postgres.Pair, tx pgx.Tx) (over bool, err error) {
	for _, x := range []struct{ table, question string }{
		{"drover.direction", `SELECT EXISTS (SELECT FROM drover.direction)`},
		{"drover_observe.observation", `SELECT EXISTS (SELECT FROM drover_observe.observation WHERE ended IS NOT NULL)`},
	} {
		var is bool
		if err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, x.table).Scan(&is); err != nil {
			return false, err
		}
		if !is {
			continue
		}
		if err := tx.QueryRow(ctx, x.question).Scan(&over); err != nil || over {
			return over, err
		}
	}
	return false, nil
}

// observerOf is the digest of the observe.sql that stands on premises; "": none does. One of
// another plan's is ErrOtherPlan.
func observerOf(ctx context.Context, p *postgres.Pair, q postgres.Querier) (digest string, err error) {
	var is bool
	if err := q.QueryRow(ctx, `SELECT to_regclass('drover_observe.observation') IS NOT NULL`).Scan(&is); err != nil || !is {
		return "", err
	}
	var plan, dataset string
	err = q.QueryRow(ctx, `SELECT plan, dataset, digest FROM drover_observe.observation`).Scan(&plan, &dataset, &digest)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", nil
	case err == nil && (plan != p.Plan || dataset != p.Name):
		return "", fmt.Errorf("its writers are observed for plan %q (dataset %q): %w", plan, dataset, postgres.ErrOtherPlan)
	}
	return digest, err
}

// seen are the triggers by which a table is covered.
const seen = `tgname IN ('zzzz_drover_seen_insert', 'zzzz_drover_seen_update', 'zzzz_drover_seen_delete', 'zzzz_drover_seen_truncate')`

const (
	coverRounds   = 3           // times that a look tries a table that is in use
	coverPause    = time.Second // between two of them
	coveredErrors = 3           // of tables that could not be covered, that are worth reading
)

// coverTables puts the triggers on every table and partition. Each is tried in its own right: one
// that is never free keeps none of the others from its turn. Those that are left the next look
// tries again.
func coverTables(ctx context.Context, p *postgres.Pair, say func(string)) error {
	type uncovered struct {
		name, column string
		oid          uint32
		err          error
	}
	tables, err := postgres.ReadTables(ctx, p.OnPrem.Pool, p.Dataset)
	if err != nil {
		return err
	}
	var left []uncovered
	for _, t := range postgres.Of(tables, postgres.Tenants) {
		leaves, err := postgres.Leaves(ctx, p.OnPrem.Pool, t)
		if err != nil {
			return err
		}
		for _, l := range leaves {
			left = append(left, uncovered{name: l.Ident(), column: t.Column, oid: l.OID})
		}
	}
	for round := 0; round < coverRounds && len(left) > 0; round++ {
		if round > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(coverPause):
			}
		}
		var again []uncovered
		for _, u := range left {
			say("covering table " + u.name)
			if u.err = coverTable(ctx, p.OnPrem, u.oid, u.column); u.err != nil {
				again = append(again, u)
			}
		}
		left = again
	}
	var errs []error
	for _, u := range left[:min(len(left), coveredErrors)] {
		errs = append(errs, fmt.Errorf("cover table %s: %w", u.name, u.err))
	}
	if n := len(left) - coveredErrors; n > 0 {
		errs = append(errs, fmt.Errorf("%d more tables are not covered", n))
	}
	return errors.Join(errs...)
}

// coverTable covers a table where that is not done, or was done by another version of observe.sql
// or for another column.
func coverTable(ctx context.Context, s *postgres.Server, oid uint32, column string) error {
	var n int
	err := s.Pool.QueryRow(ctx, `SELECT count(*) FROM pg_trigger WHERE tgrelid = $1 AND tgenabled = 'O' AND `+seen+` AND tgargs =
		convert_to($2, getdatabaseencoding()) || '\x00' || convert_to($3, getdatabaseencoding()) || '\x00'`, oid, observerDigest(),
		column).Scan(&n)
	if err != nil || n == 4 {
		return err
	}
	err = once(ctx, s, `SELECT drover_observe.cover($1::oid::regclass, $2)`, oid, column)
	if postgres.IsCode(err, "55P03") {
		return errors.New("it was written at each try: see that no transaction that has written it stays open")
	}
	return err
}

// briefly executes a statement that needs a moment without writers. It waits for that briefly, and
// tries again.
func briefly(ctx context.Context, s *postgres.Server, sql string, args ...any) error {
	return postgres.Patiently(ctx, func() error {
		return once(ctx, s, sql, args...)
	})
}

// once is briefly without another try.
func once(ctx context.Context, s *postgres.Server, sql string, args ...any) error {
	return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '200ms'`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sql, args...)
		return err
	})
}

// ddlTriggers are the event triggers by which changes of the schema are noted.
var ddlTriggers = map[string]string{"drover_observe_ddl": "ddl_command_end", "drover_observe_drop": "sql_drop"}

// watchDDL makes the event triggers where the role may: else the tables are compared. An attempt
// that comes late makes none anew.
func watchDDL(ctx context.Context, s *postgres.Server) error {
	for name, event := range ddlTriggers {
		var is bool
		if err := s.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = $1)`, name).Scan(&is); err != nil {
			return err
		}
		if is {
			continue
		}
		err := pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
			var observes bool
			err := tx.QueryRow(ctx, `SELECT true FROM drover_observe.observation WHERE ended IS NULL FOR SHARE`).Scan(&observes)
			if err == nil {
				_, err = tx.Exec(ctx, fmt.Sprintf(`CREATE EVENT TRIGGER %s ON %s EXECUTE FUNCTION drover_observe.seen_ddl()`, name, event))
			}
			return err
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil && !postgres.IsCode(err, "42501") && !postgres.IsCode(err, "42710") { // it may not, or somebody else just did
			return fmt.Errorf("make event trigger %s: %w", name, err)
		}
	}
	return nil
}

// ReadObservation reads what was found of the writers of a dataset. It changes nothing.
func ReadObservation(ctx context.Context, p *postgres.Pair, routed []string) (out Observing, err error) {
	out.Dataset = p.Name
	var since, ended *time.Time
	var age float64
	err = pgx.BeginTxFunc(ctx, p.OnPrem.Pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		digest, err := observerOf(ctx, p, tx)
		if err != nil {
			return err
		}
		if out.Over, err = observedEnough(ctx, p, tx); err != nil || digest == "" {
			return err
		}
		err = tx.QueryRow(ctx, `SELECT since, ended, coalesce(extract(epoch FROM coalesce(ended, clock_timestamp()) - since), 0)::float8,
			EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'drover_observe_ddl') FROM drover_observe.observation`).Scan(&since,
			&ended, &age, &out.NamesDDL)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT id, kind, role, app, client, shape, rel, op, tenants, noted, first, last,
			coalesce(resolved_by, ''), coalesce(resolved_why, ''), resolved_at FROM drover_observe.finding ORDER BY kind, first, id`)
		if err != nil {
			return err
		}
		out.Findings, err = pgx.CollectRows(rows, observed)
		return err
	})
	if err != nil {
		return out, fmt.Errorf("read who writes dataset %s %s: %w", p.Name, p.OnPrem.Where(), err)
	}
	if since != nil {
		out.Since, out.Age = since.UTC(), migration.Duration(time.Duration(age*float64(time.Second)).Round(time.Second))
	}
	if ended != nil {
		out.Ended = ended.UTC()
	}
	out.Findings = found(out.Findings, routed)
	return out, nil
}

func observed(r pgx.CollectableRow) (f migration.Observed, err error) {
	var by, why string
	var at *time.Time
	err = r.Scan(&f.ID, &f.Kind, &f.Role, &f.Application, &f.Client, &f.Statement, &f.Table, &f.Operation, &f.Customers, &f.Noted,
		&f.First, &f.Last, &by, &why, &at)
	f.First, f.Last = f.First.UTC(), f.Last.UTC()
	if at != nil {
		f.Resolved = &migration.Event{At: at.UTC(), What: "resolved", By: by, Why: why}
	}
	return f, err
}

// found are the findings without the writers whose requests the plan routes: those that connect
// from one of these addresses.
func found(all []migration.Observed, routed []string) (out []migration.Observed) {
	for _, f := range all {
		if f.Kind == writer {
			if slices.Contains(routed, f.Client) {
				continue
			}
			f.Kind, f.Customers = migration.ObservedUnrouted, 0
		}
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b migration.Observed) int {
		return cmp.Compare(slices.Index(migration.ObservedKinds, a.Kind), slices.Index(migration.ObservedKinds, b.Kind))
	})
	return out
}

// writer is the kind of a finding that is one only where the plan does not route who it is.
const writer migration.ObservedKind = "writer"

// ResolveObserved notes that somebody says of a finding that it may be as it is, and why. Twice is
// once: the first word stays. It says whether the dataset has such a finding.
func ResolveObserved(ctx context.Context, p *postgres.Pair, id, by, why string) (found bool, err error) {
	digest, err := observerOf(ctx, p, p.OnPrem.Pool)
	if err == nil && digest != "" {
		err = p.OnPrem.Pool.QueryRow(ctx, `WITH f AS (UPDATE drover_observe.finding SET resolved_by = coalesce(resolved_by, $2),
			resolved_why = coalesce(resolved_why, $3), resolved_at = coalesce(resolved_at, clock_timestamp()) WHERE id = $1 RETURNING id)
			SELECT EXISTS (SELECT FROM f)`, id, by, why).Scan(&found)
	}
	if err != nil {
		return false, fmt.Errorf("resolve finding %s of dataset %s: %w", id, p.Name, err)
	}
	return found, nil
}

// EndObservation takes away what observes the writers of a dataset. What was found stays, until
// DropAll or Finalise. What is gone already is no error.
func EndObservation(ctx context.Context, p *postgres.Pair) error {
	digest, err := observerOf(ctx, p, p.OnPrem.Pool)
	if err != nil || digest == "" {
		return err
	}
	if err = uncover(ctx, p.OnPrem); err == nil {
		_, err = p.OnPrem.Pool.Exec(ctx, `SELECT drover_observe.fold()`)
	}
	if err != nil {
		return fmt.Errorf("end the observation of dataset %s %s: %w", p.Name, p.OnPrem.Where(), err)
	}
	return nil
}

// uncover says that the observation has ended, and drops the triggers, a table at a time. It says
// so first: an attempt that observes still makes none anew meanwhile.
func uncover(ctx context.Context, s *postgres.Server) error {
	if _, err := s.Pool.Exec(ctx, `UPDATE drover_observe.observation SET ended = clock_timestamp() WHERE ended IS NULL`); err != nil {
		return err
	}
	for name := range ddlTriggers {
		if _, err := s.Pool.Exec(ctx, "DROP EVENT TRIGGER IF EXISTS "+name); err != nil && !postgres.IsCode(err, "42501") {
			return err
		}
	}
	rows, err := s.Pool.Query(ctx, `SELECT string_agg(format('DROP TRIGGER IF EXISTS %I ON %s', tgname, tgrelid::regclass), '; ')
		FROM pg_trigger WHERE `+seen+` GROUP BY tgrelid ORDER BY tgrelid`)
	if err != nil {
		return err
	}
	drops, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, drop := range drops {
		if err := briefly(ctx, s, drop); err != nil && !postgres.IsCode(err, "42P01") { // the table has gone
			return err
		}
	}
	return nil
}

// dropObservation takes away what observed the writers of a dataset, with all that was found. What
// another plan observes stays.
func dropObservation(ctx context.Context, p *postgres.Pair) error {
	digest, err := observerOf(ctx, p, p.OnPrem.Pool)
	if errors.Is(err, postgres.ErrOtherPlan) || err == nil && digest == "" {
		return nil
	}
	if err == nil {
		err = uncover(ctx, p.OnPrem)
	}
	if err == nil {
		err = briefly(ctx, p.OnPrem, `DROP SCHEMA IF EXISTS drover_observe CASCADE`)
	}
	if err != nil {
		return fmt.Errorf("remove what observed the writers of dataset %s %s: %w", p.Name, p.OnPrem.Where(), err)
	}
	return nil
}
