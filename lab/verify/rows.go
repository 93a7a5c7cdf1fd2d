package verify

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/drover-migration/drover/lab/load"
)

// known is what identifies a write in a table of the application's and what must be true of it, as
// SQL. Of every other table only the rows are compared.
var known = map[string]struct{ token, fact string }{
	"acct":        {"''", "n::text"},
	"orders":      {"coalesce(token::text, '')", "concat_ws(' ', round(amount * 100)::bigint, body->>'sku')"},
	"order_items": {"coalesce(token::text, '')", "concat_ws(' ', sku, qty)"},
	"events":      {"coalesce(token::text, '')", "concat_ws(' ', doc->>'kind', encode(raw, 'hex'), " + moment + ")"},
	"audit":       {"coalesce(token::text, '')", "concat_ws(' ', msg, " + moment + ")"},
	"blobs":       {"coalesce(token::text, '')", "encode(data, 'escape')"},
}

// moment is ts as a ledger writes it: UTC, to the microsecond.
const moment = `to_char(ts AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')`

// kept is where a kind of write leaves its traces, one row in each.
var kept = map[load.Kind][]string{
	load.KindOrder: {"orders", "order_items"},
	load.KindEvent: {"events", "audit"},
	load.KindAdd:   {"blobs"},
	load.KindFile:  {"blobs"},
}

// verifyRows compares the ledger and what stood before the load with each customer's home, and the
// home with the other side.
func verifyRows(ctx context.Context, db map[string]*pgx.Conn, o Options, entries []load.Entry, res *Result) error {
	var only []int64
	for _, c := range o.Customers {
		if o.Only {
			only = append(only, c.Tenant)
		}
	}
	all := map[string]*tables{}
	for side, c := range db {
		var err error
		if all[side], err = readTables(ctx, c, only); err != nil {
			return fmt.Errorf("read the database on %s: %w", side, err)
		}
	}
	standing, err := replicated(ctx, db, res)
	if err != nil {
		return err
	}
	byTenant := map[int64][]load.Entry{}
	for _, e := range entries {
		byTenant[e.Tenant] = append(byTenant[e.Tenant], e)
		if !e.Acked.IsZero() {
			res.AckedWrites++
		}
	}
	for _, c := range o.Customers {
		home, err := homeOf(ctx, db, c, res)
		if err != nil {
			return err
		}
		res.Homes[c.ID] = home
		other := onAWS
		if home == onAWS {
			other = onprem
		}
		t := tenant{customer: c, home: home, other: other, was: o.Before.tables.rows[c.Tenant], here: all[home].of(c.Tenant),
			there: all[other].of(c.Tenant), res: res}
		t.ledger(byTenant[c.Tenant])
		t.before(byTenant[c.Tenant])
		t.sides(standing)
	}
	carried, err := prepared(ctx, db[onAWS])
	if err != nil {
		return err
	}
	references(o.Before.tables, all, carried, res)
	return nil
}

// replicated says whether replication stands: only then must both sides be equal. Where Drover's
// schema stands it must, or a migration that broke it would be compared with nothing and found
// whole.
func replicated(ctx context.Context, db map[string]*pgx.Conn, res *Result) (bool, error) {
	if len(db) < 2 {
		return false, nil
	}
	standing := true
	for _, way := range []struct{ from, to string }{{onprem, onAWS}, {onAWS, onprem}} {
		down, err := broken(ctx, db[way.from], db[way.to])
		if err != nil {
			return false, fmt.Errorf("ask %s for its subscriptions: %w", way.to, err)
		}
		if down == "" {
			continue
		}
		standing = false
		must, err := prepared(ctx, db[way.to])
		if err != nil {
			return false, fmt.Errorf("ask %s: %w", way.to, err)
		}
		if must {
			res.violation("replication from %s to %s does not stand, so that the two sides were not compared: %s", way.from, way.to, down)
		}
	}
	return standing, nil
}

// prepared says whether Drover's schema stands on a side: not before the first Prepare, and not
// after an abort.
func prepared(ctx context.Context, c *pgx.Conn) (is bool, err error) {
	if c == nil {
		return false, nil
	}
	if err := c.QueryRow(ctx, "SELECT to_regclass('drover.fence') IS NOT NULL").Scan(&is); err != nil {
		return false, fmt.Errorf("look for Drover's schema: %w", err)
	}
	return is, nil
}

// broken says what is wrong with Drover's subscriptions on one side to the other; "" for nothing. A
// subscription's worker may well run and be refused by the other side, time after time: only a slot
// that is read says that it gets through.
func broken(ctx context.Context, from, to *pgx.Conn) (string, error) {
	rows, err := to.Query(ctx, `SELECT subname::text, coalesce(subslotname::text, ''), subenabled FROM pg_subscription
		WHERE subname LIKE 'drover\_%' AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1`)
	if err != nil {
		return "", err
	}
	type subscription struct {
		Name, Slot string
		Enabled    bool
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[subscription])
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "there is no subscription", nil
	}
	for _, s := range all {
		if !s.Enabled {
			return fmt.Sprintf("subscription %s is disabled", s.Name), nil
		}
		var read bool
		err := from.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active)", s.Slot).Scan(&read)
		if err != nil {
			return "", err
		}
		if !read {
			return fmt.Sprintf("subscription %s does not read its slot %q", s.Name, s.Slot), nil
		}
	}
	return "", nil
}

// homeOf asks both sides whether they are the customer's home; exactly one must say so.
func homeOf(ctx context.Context, db map[string]*pgx.Conn, c load.Customer, res *Result) (string, error) {
	var homes []string
	for _, side := range []string{onprem, onAWS} {
		if db[side] == nil {
			continue
		}
		var is bool
		err := db[side].QueryRow(ctx, "SELECT drover.is_home($1)", c.Tenant).Scan(&is)
		var pg *pgconn.PgError
		// no such schema or function: nothing has begun, or all is undone
		if errors.As(err, &pg) && (pg.Code == "3F000" || pg.Code == "42883") {
			is, err = side == onprem, nil
		}
		if err != nil {
			return "", fmt.Errorf("ask %s whether it is the home of %s: %w", side, c.ID, err)
		}
		if is {
			homes = append(homes, side)
		}
	}
	switch len(homes) {
	case 1:
		return homes[0], nil
	case 0:
		res.violation("customer %s: no side takes its writes", c.ID)
		return onprem, nil
	default:
		res.violation("customer %s: both sides take its writes", c.ID)
		return onprem, nil
	}
}

// tenant is one customer's rows on both sides, and those of before the load.
type tenant struct {
	customer    load.Customer
	home, other string
	was         map[string][]row
	here, there map[string][]row
	res         *Result
}

// ledger wants each acknowledged write once, as it was written; a write that was given up once at
// most.
func (t *tenant) ledger(entries []load.Entry) {
	found := map[string]map[string][]row{}
	for name, rs := range t.here {
		found[name] = map[string][]row{}
		for _, r := range rs {
			if r.Token != "" {
				found[name][r.Token] = append(found[name][r.Token], r)
			}
		}
		for _, token := range slices.Sorted(maps.Keys(found[name])) {
			if n := len(found[name][token]); n > 1 {
				t.res.DuplicateWrites++
				t.res.violation("customer %s: duplicate: token %s is %d times in %s on %s", t.customer.ID, token, n, name, t.home)
			}
		}
	}
	for _, e := range entries {
		if e.Acked.IsZero() {
			continue
		}
		if why := t.missing(e, found); why != "" {
			t.res.LostWrites++
			t.res.violation("customer %s: lost: %s %s, acknowledged at %s: %s", t.customer.ID, e.Kind, e.Token,
				e.Acked.Format("15:04:05.000"), why)
		}
	}
	t.counter()
}

func (t *tenant) missing(e load.Entry, found map[string]map[string][]row) string {
	for _, name := range kept[e.Kind] {
		got := found[name][e.Token]
		if len(got) == 0 {
			return fmt.Sprintf("no row in %s on %s", name, t.home)
		}
		if want := fact(e, name); !slices.ContainsFunc(got, func(r row) bool { return r.Fact == want }) {
			return fmt.Sprintf("in %s on %s it is %q, acknowledged was %q", name, t.home, got[0].Fact, want)
		}
	}
	return ""
}

// fact is what a write must have left in a table, as known says it of the row.
func fact(e load.Entry, table string) string {
	switch {
	case table == "orders":
		return fmt.Sprintf("%d %s", e.Amount, e.What)
	case table == "order_items":
		return e.What + " 1"
	case table == "events":
		raw := md5.Sum([]byte(e.What))
		return fmt.Sprintf("%s %x %s", e.What, raw, e.At.UTC().Format(microseconds))
	case table == "audit":
		return fmt.Sprintf("event %s %s", e.What, e.At.UTC().Format(microseconds))
	case e.Kind == load.KindAdd:
		return fmt.Sprintf("add %d", e.Amount)
	default:
		return fmt.Sprintf("file %s %s", e.SHA256, e.Name)
	}
}

const microseconds = "2006-01-02T15:04:05.000000"

// before wants every row of before the load as it was, and of every other row that somebody sent
// it.
func (t *tenant) before(entries []load.Entry) {
	sent := map[string]map[string]bool{} // table -> tokens
	for _, e := range entries {
		for _, name := range kept[e.Kind] {
			if sent[name] == nil {
				sent[name] = map[string]bool{}
			}
			sent[name][e.Token] = true
		}
	}
	for _, name := range t.names() {
		if name == "acct" {
			continue // it changes in place: counter has it
		}
		was, here := count(t.was[name]), count(t.here[name])
		for _, r := range only(was, here) {
			t.res.LostWrites++
			t.res.violation("customer %s: lost: a row of %s (token %q) of before the load is not on %s as it was", t.customer.ID, name,
				r.Token, t.home)
		}
		for _, r := range only(here, was) {
			if !sent[name][r.Token] {
				t.res.UnknownRows++
				t.res.violation("customer %s: unknown: a row of %s (token %q) on %s was there neither before the load nor is it in the "+
					"ledger", t.customer.ID, name, r.Token, t.home)
			}
		}
	}
}

// names of all tables that have, or had, rows of the tenant.
func (t *tenant) names() []string {
	all := map[string]bool{}
	for _, m := range []map[string][]row{t.was, t.here, t.there} {
		for name := range m {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// counter holds the customer's counter against the receipts of what was added to it since before
// the load.
func (t *tenant) counter() {
	n, added := counted(t.here)
	was, addedBefore := counted(t.was)
	n, added = n-was, added-addedBefore
	switch {
	case n < added:
		t.res.LostWrites++
		t.res.violation("customer %s: lost: the counter on %s grew by %d, what was added is %d", t.customer.ID, t.home, n, added)
	case n > added:
		t.res.DuplicateWrites++
		t.res.violation("customer %s: duplicate: the counter on %s grew by %d, what was added is %d", t.customer.ID, t.home, n, added)
	}
}

// counted is a counter, and the sum of its receipts.
func counted(rows map[string][]row) (n, sum int64) {
	for _, r := range rows["blobs"] {
		if add, ok := strings.CutPrefix(r.Fact, "add "); ok {
			v, _ := strconv.ParseInt(add, 10, 64)
			sum += v
		}
	}
	for _, r := range rows["acct"] {
		n, _ = strconv.ParseInt(r.Fact, 10, 64)
	}
	return n, sum
}

// sides compares the rows of both sides: what is only away from home is misplaced; what is only at
// home was not carried, which is wrong only while replication stands.
func (t *tenant) sides(standing bool) {
	for _, name := range t.names() {
		here, there := count(t.here[name]), count(t.there[name])
		t.res.RowsVerified += int64(len(t.here[name]))
		if standing {
			t.res.RowsVerified += int64(len(t.there[name]))
		}
		for _, r := range only(there, here) {
			if !standing && (name == "acct" || name == "tenants") {
				continue // rows that change in place: an old one away from home is what stood when replication ended
			}
			t.res.MisplacedRows++
			t.res.violation("customer %s: misplaced: a row of %s (token %q) is only on %s, its home is %s", t.customer.ID, name, r.Token,
				t.other, t.home)
		}
		if !standing {
			continue
		}
		for _, r := range only(here, there) {
			t.res.UncarriedRows++
			t.res.violation("customer %s: not carried: a row of %s (token %q) is on %s and not on %s", t.customer.ID, name, r.Token,
				t.home, t.other)
		}
	}
}
