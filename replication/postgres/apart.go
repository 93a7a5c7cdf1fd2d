package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
)

// ErrUnderWay says that a tenant is not open on exactly one side now: a Move of it is under way, or
// one was left between its steps.
var ErrUnderWay = errors.New("it is not open on exactly one side now: let its Move end, or repair it with drover doctor --repair")

// Apart is what of a tenant the two sides do not have alike: the side that is closed for it, held
// against its home.
type Apart struct {
	Tenant int64
	Side   migration.Side // that is closed for it
	// Left is the last moment, by the clock of Side, of which the home is known to have everything
	// that was written there. Zero: nobody knows.
	Left   time.Time
	Tables []TableApart // those that are not alike
	// Why says why no row may be carried over; "": each row of New may.
	Why string

	rows    []strayRow // of New
	crowded bool       // there are more than mostSeen that are not alike
}

// TableApart is a table of which the two sides do not have the same rows of a tenant.
type TableApart struct {
	Table   string
	New     int      // rows that were written on Side since Left and that the home never had
	Old     int      // rows of Side that the home has not, and may have had
	Differ  int      // rows of which each side has another content
	Missing int      // rows of the home that Side has not
	Keys    []string // of New, the first few
	Others  []string // of Old and Differ, the first few
}

// strayRow is a row of New: where it stands, and what it holds.
type strayRow struct {
	table Table
	oid   uint32 // of the partition, or of the table
	ctid  string
	hash  int64
	key   string
}

// New is how many rows may be carried over, unless Why says otherwise.
func (a Apart) New() (n int) {
	for _, t := range a.Tables {
		n += t.New
	}
	return n
}

// Alike says whether both sides have the same rows.
func (a Apart) Alike() bool { return len(a.Tables) == 0 }

func (t TableApart) String() string {
	var parts []string
	add := func(n int, what string, keys []string) {
		if n == 0 {
			return
		}
		text := fmt.Sprintf("%d %s", n, what)
		if len(keys) > 0 {
			text += ": " + strings.Join(keys, ", ")
		}
		parts = append(parts, text)
	}
	add(t.New, "rows that its home never had", t.Keys)
	add(t.Old+t.Differ, "rows that its home has not, or has with another content", t.Others)
	add(t.Missing, "rows that only its home has", nil)
	return "table " + t.Table + ": " + strings.Join(parts, "; ")
}

// mostCarried bounds the rows of a tenant that are carried over at once: more are no slip, but a
// side that was used for days. mostSeen bounds what a look remembers.
const (
	mostCarried = 20_000
	mostSeen    = 1_000_000
)

// Apart compares a tenant's rows on the side that is closed for it with its home. It changes
// nothing but a beat.
//
// A row of that side which the home has not may be carried over if the home never had it. Three
// things together say so:
//   - it was written there by a session, and did not come by replication;
//   - it was committed there after the tenant had left, by the clock that committed the tenant's
//     last fence there (or after the last row that the home was given, where the side was lost);
//   - of the rows that were there before, all are at home still. Otherwise rows that were deleted
//     at home have not gone here, and a new row cannot be told from one that was deleted at home
//     and changed here.
//
// The server says the first two of each row (track_commit_timestamp).
func (p *Pair) Apart(ctx context.Context, tenant int64) (Apart, error) {
	home, err := p.Home(ctx, tenant)
	if err != nil {
		return Apart{}, err
	}
	if !home.Settled() {
		return Apart{}, fmt.Errorf("compare both sides of tenant %d: %w", tenant, ErrUnderWay)
	}
	a := Apart{Tenant: tenant, Side: home.Home().Other()}
	if err := p.left(ctx, &a); err != nil {
		return a, err
	}
	tables, err := p.LoadTables(ctx)
	if err != nil {
		return a, err
	}
	// Twice, and what both looks found: rows that are on their way now are no strays. The beat
	// before each look says that all is here that the home had sent before it.
	var before map[string]bool
	for range 2 {
		if err := p.arrives(ctx, &a); err != nil {
			return a, err
		}
		l := look{pair: p, apart: &a, before: before, seen: map[string]bool{}}
		if err := l.all(ctx, tables); err != nil {
			return a, err
		}
		before, a.crowded = l.seen, a.crowded || len(l.seen) == mostSeen
	}
	if a.Why == "" {
		a.Why = a.doubt()
	}
	return a, nil
}

// doubt is why what was found does not allow to carry anything over.
func (a Apart) doubt() string {
	old := 0
	for _, t := range a.Tables {
		old += t.Old
	}
	switch {
	case old > 0:
		return fmt.Sprintf("%d rows that stood %s before are not at home, so that nothing tells a new row from one that was deleted at "+
			"home: delete there what is not wanted at home, then look again", old, where(a.Side))
	case a.New() > mostCarried || a.crowded:
		return fmt.Sprintf("%d rows are more than the %d that are carried over at once", a.New(), mostCarried)
	}
	return ""
}

// left finds out what the servers know of the moment at which the tenant left the side.
func (p *Pair) left(ctx context.Context, a *Apart) error {
	id, err := TenantID(a.Tenant)
	if err != nil {
		return err
	}
	at := p.Side(a.Side.Other())
	var left *time.Time
	var known bool
	err = at.Pool.QueryRow(ctx, `SELECT CASE WHEN l.tenant IS NULL THEN m.at WHEN l.newest IS NOT NULL THEN greatest(l.newest, l.heard) END FROM (SELECT $1::int AS t) x
		LEFT JOIN drover.beat m ON m.pub = $2 AND m.tenant = x.t
		LEFT JOIN LATERAL drover.loss_of(x.t) l ON l.lost = $3 AND l.token >= coalesce(m.token, 0)`, id, p.Names.Outgoing(a.Side),
		string(a.Side)).
		Scan(&left)
	if err != nil {
		return fmt.Errorf("when did tenant %d leave the side %s, read %s: %w", a.Tenant, where(a.Side), at.Where(), err)
	}
	if err := p.Side(a.Side).Pool.QueryRow(ctx, `SELECT current_setting('track_commit_timestamp')::bool`).Scan(&known); err != nil {
		return fmt.Errorf("read track_commit_timestamp %s: %w", where(a.Side), err)
	}
	switch {
	case !known:
		a.Why = "the server " + where(
			a.Side,
		) + " does not know when a row was written, and where it came from (track_commit_timestamp is off)"
	case left == nil:
		a.Why = "nothing says from when on nobody but the side " + where(a.Side) + " had its rows"
	default:
		a.Left = *left
	}
	return nil
}

// arrives waits until all has come that either side had sent. Where nothing comes nothing may be
// carried over. A side whose slot is gone sends nothing any more.
func (p *Pair) arrives(ctx context.Context, a *Apart) error {
	wait, cancel := context.WithTimeout(ctx, arrivalPatience)
	defer cancel()
	for _, from := range []migration.Side{a.Side.Other(), a.Side} {
		var sends bool
		err := p.Side(from).Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)`,
			p.Names.Outgoing(from)).Scan(&sends)
		if err != nil {
			return fmt.Errorf("read replication slots %s: %w", where(from), err)
		}
		if !sends && from == a.Side {
			continue
		}
		if _, err := p.beat(wait, p.Side(from), p.Side(from.Other())); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			a.Why = fmt.Sprintf("nothing arrives from %s now: rows that are under way look as if they were missing", where(from))
		}
	}
	return nil
}

// look is one comparison of all tables. It counts what the look before it has seen too.
type look struct {
	pair   *Pair
	apart  *Apart
	before map[string]bool // what the look before has seen; nil: it is the first
	seen   map[string]bool
	table  Table
	at     TableApart
}

func (l *look) all(ctx context.Context, tables []Table) error {
	l.apart.Tables, l.apart.rows = nil, nil
	for _, t := range tables {
		l.table, l.at = t, TableApart{Table: t.String()}
		if err := l.one(ctx); err != nil {
			return fmt.Errorf("compare table %s of tenant %d: %w", t, l.apart.Tenant, err)
		}
		if l.at.New+l.at.Old+l.at.Differ+l.at.Missing > 0 {
			l.apart.Tables = append(l.apart.Tables, l.at)
		}
	}
	return nil
}

// one merges the rows of both sides in the order of their keys. A table may be large: no statement
// has a limit.
func (l *look) one(ctx context.Context) error {
	key, keyed, err := l.pair.primaryKey(ctx, l.table)
	if err != nil {
		return err
	}
	side, home := l.pair.Side(l.apart.Side), l.pair.Side(l.apart.Side.Other())
	return side.Unhurried(ctx, func(c *pgx.Conn) error {
		here, err := c.Query(ctx, l.table.standingQuery(key, keyed, l.apart.Left), l.apart.Tenant)
		if err != nil {
			return err
		}
		defer here.Close()
		return home.Unhurried(ctx, func(c *pgx.Conn) error {
			there, err := c.Query(ctx, l.table.standingQuery(key, keyed, time.Time{}), l.apart.Tenant)
			if err != nil {
				return err
			}
			defer there.Close()
			a, b := &standings{rows: here}, &standings{rows: there}
			a.next()
			b.next()
			for a.ok || b.ok {
				k := a.row.key
				if !a.ok || b.ok && b.row.key < k {
					k = b.row.key
				}
				l.judge(a.of(k), b.of(k), keyed)
			}
			return errors.Join(a.err, b.err, here.Err(), there.Err())
		})
	})
}

// judge sorts the rows of one key: those of the side, and those of the home. A table without a key
// may have several rows with one content.
func (l *look) judge(here, there []standingRow, keyed bool) {
	switch {
	case keyed && len(here) > 0 && len(there) > 0:
		if here[0].hash != there[0].hash && l.again("differs ", here[0]) {
			l.at.Differ++
			named(&l.at.Others, here[0])
		}
	case len(here) < len(there):
		l.at.Missing += len(there) - len(here)
	default:
		surplus := len(here) - len(there)
		for _, written := range []bool{true, false} { // those that were written here come first
			for _, r := range here {
				if surplus == 0 || r.written != written {
					continue
				}
				surplus--
				if l.again("is here ", r) {
					l.count(r)
				}
			}
		}
	}
}

func (l *look) count(r standingRow) {
	if !r.written {
		l.at.Old++
		named(&l.at.Others, r)
		return
	}
	l.at.New++
	named(&l.at.Keys, r)
	if len(l.apart.rows) <= mostCarried {
		l.apart.rows = append(l.apart.rows, strayRow{table: l.table, oid: r.oid, ctid: r.ctid, hash: r.hash, key: r.key})
	}
}

// again says whether the look before this one has seen the same.
func (l *look) again(what string, r standingRow) bool {
	id := fmt.Sprintf("%s%s %s %d", what, l.table, r.key, r.hash)
	if len(l.seen) < mostSeen {
		l.seen[id] = true
	}
	return l.before == nil || l.before[id]
}

func named(list *[]string, r standingRow) {
	if len(*list) < namedStrays {
		*list = append(*list, r.key)
	}
}

// standingRow is a row of a tenant as one side has it.
type standingRow struct {
	key     string
	hash    int64
	oid     uint32
	ctid    string
	written bool // here, by a session, since the tenant had left
}

// standings walks the rows of a side in the order of their keys.
type standings struct {
	rows pgx.Rows
	row  standingRow
	ok   bool
	err  error
}

func (s *standings) next() {
	if s.ok = s.rows.Next(); s.ok {
		s.row = standingRow{}
		s.err = s.rows.Scan(&s.row.key, &s.row.hash, &s.row.oid, &s.row.ctid, &s.row.written)
		s.ok = s.err == nil
	}
}

// of takes the rows of a key.
func (s *standings) of(key string) (out []standingRow) {
	for s.ok && s.row.key == key {
		out = append(out, s.row)
		s.next()
	}
	return out
}

// standingQuery reads a tenant's rows in the order of their keys: key, hash, where the row stands,
// and whether it was written there since a time. A row of a table without a key has its hash for a
// key.
func (t Table) standingQuery(key []string, keyed bool, since time.Time) string {
	name, written := t.keyText(key), "false"
	if !keyed {
		name = `'a row with hash ' || to_hex(` + t.hashText() + `)`
	}
	if !since.IsZero() {
		written = writtenSince(since)
	}
	return fmt.Sprintf(`SELECT (%s) COLLATE "C" AS k, %s AS h, x.tableoid::oid, x.ctid::text, %s FROM %s x WHERE x.%s = $1 ORDER BY k, h`,
		name, t.hashText(), written, t.Ident(), pgx.Identifier{t.Column}.Sanitize())
}

// writtenSince says of row x that a session of this server committed it after a time.
func writtenSince(t time.Time) string {
	return fmt.Sprintf(
		`EXISTS (SELECT FROM pg_xact_commit_timestamp_origin(x.xmin) o WHERE o.roident = 0 AND o."timestamp" > '%s'::timestamptz)`,
		t.UTC().Format("2006-01-02 15:04:05.999999Z07:00"),
	)
}

// primaryKey are the columns of the table's primary key on premises, but for the tenant's. keyed is
// false where it has none.
func (p *Pair) primaryKey(ctx context.Context, t Table) (cols []string, keyed bool, err error) {
	err = p.OnPrem.Pool.QueryRow(ctx, `SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.attname <> $2), '{}'),
		count(*) > 0 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
		WHERE i.indrelid = $1 AND i.indisprimary`, t.OID, t.Column).Scan(&cols, &keyed)
	if err != nil {
		return nil, false, fmt.Errorf("read the primary key of %s: %w", t, err)
	}
	return cols, keyed, nil
}
