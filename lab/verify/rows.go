package verify

import (
	"context"
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

// table is one of the application's, with what identifies a write in it and what must be true of it, as SQL.
type table struct{ name, token, fact string }

var tables = []table{
	{"tenants", "''", "''"},
	{"acct", "''", "n::text"},
	{"orders", "coalesce(token::text, '')", "round(amount * 100)::bigint::text"},
	{"order_items", "coalesce(token::text, '')", "''"},
	{"events", "coalesce(token::text, '')", "''"},
	{"audit", "coalesce(token::text, '')", "''"},
	{"blobs", "coalesce(token::text, '')", "encode(data, 'escape')"},
}

// row of a tenant: who wrote it, what must be true of it, and a hash of all of it.
type row struct{ token, fact, hash string }

// rows by tenant and table.
type rows map[int64]map[string][]row

// kept is where a kind of write leaves its traces, one row in each.
var kept = map[load.Kind][]string{
	load.KindOrder: {"orders", "order_items"},
	load.KindEvent: {"events", "audit"},
	load.KindAdd:   {"blobs"},
	load.KindFile:  {"blobs"},
}

// verifyRows compares the ledger with each customer's home, and the home with the other side.
func verifyRows(ctx context.Context, db map[string]*pgx.Conn, customers []load.Customer, entries []load.Entry, res *Result) error {
	all := map[string]rows{}
	for side, c := range db {
		var err error
		if all[side], err = readRows(ctx, c); err != nil {
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
	for _, c := range customers {
		home, err := homeOf(ctx, db, c, res)
		if err != nil {
			return err
		}
		res.Homes[c.ID] = home
		other := onAWS
		if home == onAWS {
			other = onprem
		}
		t := tenant{customer: c, home: home, other: other, here: all[home][c.Tenant], there: all[other][c.Tenant], res: res}
		t.ledger(byTenant[c.Tenant])
		t.sides(standing)
	}
	return nil
}

// readRows reads every table whole; a side without them has no rows.
func readRows(ctx context.Context, c *pgx.Conn) (rows, error) {
	out := rows{}
	for _, t := range tables {
		q, err := c.Query(ctx, fmt.Sprintf("SELECT tenant_id, %s, %s, md5(t::text) FROM %s t", t.token, t.fact, t.name))
		if err == nil {
			err = collect(q, t.name, out)
		}
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "42P01" { // no such table
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	return out, nil
}

func collect(q pgx.Rows, name string, into rows) error {
	defer q.Close()
	for q.Next() {
		var tenant int64
		var r row
		if err := q.Scan(&tenant, &r.token, &r.fact, &r.hash); err != nil {
			return err
		}
		if into[tenant] == nil {
			into[tenant] = map[string][]row{}
		}
		into[tenant][name] = append(into[tenant][name], r)
	}
	return q.Err()
}

// replicated says whether replication stands: only then must both sides be equal. Where Drover's schema stands it must, or a migration
// that broke it would be compared with nothing and found whole.
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
		var prepared bool
		if err := db[way.to].QueryRow(ctx, "SELECT to_regnamespace('drover') IS NOT NULL").Scan(&prepared); err != nil {
			return false, fmt.Errorf("ask %s for Drover's schema: %w", way.to, err)
		}
		if prepared {
			res.violation("replication from %s to %s does not stand, so that the two sides were not compared: %s", way.from, way.to, down)
		}
	}
	return standing, nil
}

// broken says what is wrong with Drover's subscriptions on one side to the other; "" for nothing. A subscription's worker may well run and
// be refused by the other side, time after time: only a slot that is read says that it gets through.
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
		if errors.As(err, &pg) && (pg.Code == "3F000" || pg.Code == "42883") { // no such schema or function: nothing has begun, or all is undone
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

// tenant is one customer's rows on both sides.
type tenant struct {
	customer    load.Customer
	home, other string
	here, there map[string][]row
	res         *Result
}

// ledger wants each acknowledged write once, as it was written; a write that was given up once at most.
func (t *tenant) ledger(entries []load.Entry) {
	found := map[string]map[string][]row{}
	for name, rs := range t.here {
		found[name] = map[string][]row{}
		for _, r := range rs {
			if r.token != "" {
				found[name][r.token] = append(found[name][r.token], r)
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
			t.res.violation("customer %s: lost: %s %s, acknowledged at %s: %s", t.customer.ID, e.Kind, e.Token, e.Acked.Format("15:04:05.000"), why)
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
		if want := fact(e, name); want != "" && !slices.ContainsFunc(got, func(r row) bool { return r.fact == want }) {
			return fmt.Sprintf("in %s on %s it is %q, acknowledged was %q", name, t.home, got[0].fact, want)
		}
	}
	return ""
}

// fact is what a write must have left in a table; "" where only its being there counts.
func fact(e load.Entry, name string) string {
	switch {
	case name == "orders":
		return strconv.FormatInt(e.Amount, 10)
	case e.Kind == load.KindAdd:
		return fmt.Sprintf("add %d", e.Amount)
	case e.Kind == load.KindFile:
		return fmt.Sprintf("file %s %s", e.SHA256, e.Name)
	}
	return ""
}

// counter holds the customer's counter against the receipts of what was added to it.
func (t *tenant) counter() {
	var sum, n int64
	for _, r := range t.here["blobs"] {
		if add, ok := strings.CutPrefix(r.fact, "add "); ok {
			v, _ := strconv.ParseInt(add, 10, 64)
			sum += v
		}
	}
	for _, r := range t.here["acct"] {
		n, _ = strconv.ParseInt(r.fact, 10, 64)
	}
	switch {
	case n < sum:
		t.res.LostWrites++
		t.res.violation("customer %s: lost: the counter on %s is %d, what was added is %d", t.customer.ID, t.home, n, sum)
	case n > sum:
		t.res.DuplicateWrites++
		t.res.violation("customer %s: duplicate: the counter on %s is %d, what was added is %d", t.customer.ID, t.home, n, sum)
	}
}

// sides compares the rows of both sides: what is only away from home is misplaced; what is only at home was not carried, which is
// wrong only while replication stands.
func (t *tenant) sides(standing bool) {
	for _, tb := range tables {
		here, there := count(t.here[tb.name]), count(t.there[tb.name])
		t.res.RowsVerified += int64(len(t.here[tb.name]))
		if standing {
			t.res.RowsVerified += int64(len(t.there[tb.name]))
		}
		for _, r := range only(there, here) {
			if !standing && tb.name == "acct" || tb.name == "tenants" && !standing {
				continue // rows that change in place: an old one away from home is what stood when replication ended
			}
			t.res.MisplacedRows++
			t.res.violation("customer %s: misplaced: a row of %s (token %q) is only on %s, its home is %s", t.customer.ID, tb.name, r.token, t.other, t.home)
		}
		if !standing {
			continue
		}
		for _, r := range only(here, there) {
			t.res.UncarriedRows++
			t.res.violation("customer %s: not carried: a row of %s (token %q) is on %s and not on %s", t.customer.ID, tb.name, r.token, t.home, t.other)
		}
	}
}

func count(rs []row) map[row]int {
	out := map[row]int{}
	for _, r := range rs {
		out[r]++
	}
	return out
}

// only are the rows that a has more often than b.
func only(a, b map[row]int) (out []row) {
	for r, n := range a {
		for range n - b[r] {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(x, y row) int { return strings.Compare(x.token+x.hash, y.token+y.hash) })
	return out
}
