package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/drover-migration/drover/migration"
)

// ErrNotSound says that rows which one side only has are not to be carried over as they are.
var ErrNotSound = errors.New("it is not sound to carry these rows over")

// errMoved says that the rows or the fence have changed since they were looked at.
var errMoved = errors.New("it has changed since it was looked at: ask again")

// Carried is what was carried over to a tenant's home.
type Carried struct {
	ID    string
	From  migration.Side // that the rows left
	Rows  int
	Words string // which rows
}

// carrying is rows on their way: written down where they were, and not known to be at home.
type carrying struct {
	id     string
	tenant int64
	from   *Server
	rows   int
	words  string
	by     string
	why    string
}

// carriedRow is a row as text: what replication sends of it.
type carriedRow struct {
	rel  string // the table, quoted
	cols []string
	vals []*string // nil: NULL
}

// CarryOver brings those rows of a tenant to its home that were written on the other side only,
// where that is sound (see Apart), and says which: by somebody's name, with a reason.
//
// What the home would not take is found out there first, in a transaction that is rolled back. Then
// one transaction takes the rows out of their tables and writes them down beside them, while the
// side stays closed; one at home puts them in, while the home stays open; replication brings them
// to the side again. Cut off anywhere, or run by several at once, it goes on where it was: the rows
// are in a table or written down, and a row at home says that they are there.
func (p *Pair) CarryOver(ctx context.Context, tenant int64, by, why string) (out []Carried, err error) {
	if err := p.Trusted(ctx); err != nil {
		return nil, err
	}
	begun, err := p.onTheWay(ctx, tenant)
	if err != nil {
		return nil, err
	}
	for _, c := range begun {
		if err := p.bringHome(ctx, c); err != nil {
			return out, err
		}
		out = append(out, c.carried())
	}
	a, err := p.Apart(ctx, tenant)
	if err != nil || a.New() == 0 {
		return out, err
	}
	if a.Why != "" {
		return out, fmt.Errorf("carry over %d rows of tenant %d: %w: %s", a.New(), tenant, ErrNotSound, a.Why)
	}
	c := carrying{id: uuid.NewString(), tenant: tenant, from: p.Side(a.Side), rows: a.New(), words: a.newWords(), by: by, why: why}
	rows, err := p.readRows(ctx, a)
	if err != nil {
		return out, err
	}
	if err := p.wouldTake(ctx, a, rows); err != nil {
		return out, err
	}
	if err := p.takeOut(ctx, c, a); err != nil {
		return out, err
	}
	if err := p.bringHome(ctx, c); err != nil {
		return out, err
	}
	return append(out, c.carried()), nil
}

func (c carrying) carried() Carried {
	return Carried{ID: c.id, From: c.from.Side, Rows: c.rows, Words: c.words}
}

// newWords names the rows that are carried over.
func (a Apart) newWords() string {
	var parts []string
	for _, t := range a.Tables {
		if t.New == 0 {
			continue
		}
		text := fmt.Sprintf("table %s: %d rows: %s", t.Table, t.New, strings.Join(t.Keys, ", "))
		if t.New > len(t.Keys) {
			text += ", ..."
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// onTheWay are the rows of a tenant that an attempt has left between the two sides; of tenant 0:
// those of all.
func (p *Pair) onTheWay(ctx context.Context, tenant int64) (out []carrying, err error) {
	for _, s := range p.Both() {
		rows, err := s.Pool.Query(ctx, `SELECT id::text, tenant, rows, words, by, why FROM drover.carrying
			WHERE NOT arrived AND $1::bigint IN (0, tenant) ORDER BY at`, tenant)
		if err == nil {
			c := carrying{from: s}
			_, err = pgx.ForEachRow(rows, []any{&c.id, &c.tenant, &c.rows, &c.words, &c.by, &c.why},
				func() error { out = append(out, c); return nil })
		}
		if err != nil {
			return nil, fmt.Errorf("read rows that are being carried over %s: %w", s.Where(), err)
		}
	}
	return out, nil
}

// Between are the tenants of whom rows that are being carried over stand in Drover's schema alone.
// A side without that schema has none.
func (p *Pair) Between(ctx context.Context) (tenants []int64, err error) {
	for _, s := range p.Both() {
		var there bool
		err := s.Pool.QueryRow(ctx, `SELECT to_regclass('drover.carrying') IS NOT NULL`).Scan(&there)
		if err == nil && there {
			var rows pgx.Rows
			if rows, err = s.Pool.Query(ctx, `SELECT DISTINCT tenant FROM drover.carrying WHERE NOT arrived ORDER BY tenant`); err == nil {
				var on []int64
				on, err = pgx.CollectRows(rows, pgx.RowTo[int64])
				tenants = append(tenants, on...)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("read rows that are being carried over %s: %w", s.Where(), err)
		}
	}
	return tenants, nil
}

// standing is the condition under which a row is the one that was looked at.
const standingRowSQL = `x.tableoid = $1 AND x.ctid = $2::text::tid AND %s = $3 AND x.%s = $4 AND %s`

func (r strayRow) condition(a Apart) string {
	return fmt.Sprintf(standingRowSQL, r.table.hashText(), pgx.Identifier{r.table.Column}.Sanitize(), writtenSince(a.Left))
}

// readRows reads the rows as text, from where they stand.
func (p *Pair) readRows(ctx context.Context, a Apart) (out []carriedRow, err error) {
	cols, err := p.storedColumns(ctx, a)
	if err != nil {
		return nil, err
	}
	b := &pgx.Batch{}
	for _, r := range a.rows {
		b.Queue(fmt.Sprintf(`SELECT %s FROM %s x WHERE `, textArray(cols[r.table.String()]), r.table.Ident())+r.condition(a),
			r.oid, r.ctid, r.hash, a.Tenant).QueryRow(func(row pgx.Row) error {
			x := carriedRow{rel: r.table.Ident(), cols: cols[r.table.String()]}
			err := row.Scan(&x.vals)
			if errors.Is(err, pgx.ErrNoRows) {
				return errMoved
			}
			out = append(out, x)
			return err
		})
	}
	if err := p.Side(a.Side).Pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("read %d rows of tenant %d %s: %w", len(a.rows), a.Tenant, where(a.Side), err)
	}
	return out, nil
}

// textArray is an expression that answers columns of row x as text.
func textArray(cols []string) string {
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = "x." + pgx.Identifier{c}.Sanitize() + "::text"
	}
	return "ARRAY[" + strings.Join(out, ", ") + "]"
}

// storedColumns are the columns, by table, of which rows of the side consist. What a server
// computes by itself is left out.
func (p *Pair) storedColumns(ctx context.Context, a Apart) (map[string][]string, error) {
	out := map[string][]string{}
	for _, t := range a.Tables {
		if t.New == 0 {
			continue
		}
		i := indexOfRow(a.rows, t.Table)
		var cols []string
		err := p.Side(a.Side).Pool.QueryRow(ctx, `SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
			WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`, a.rows[i].table.Ident()).Scan(&cols)
		if err != nil {
			return nil, fmt.Errorf("read columns of %s %s: %w", t.Table, where(a.Side), err)
		}
		out[t.Table] = cols
	}
	return out, nil
}

func indexOfRow(rows []strayRow, table string) int {
	for i, r := range rows {
		if r.table.String() == table {
			return i
		}
	}
	return -1
}

// takeOut takes the rows out of their tables and writes them down, in one transaction in which the
// side stays closed. Both, or nothing.
func (p *Pair) takeOut(ctx context.Context, c carrying, a Apart) error {
	cols, err := p.storedColumns(ctx, a)
	if err != nil {
		return err
	}
	return c.attempt(ctx, "take them out "+c.from.Where(), c.from, func(tx pgx.Tx) error {
		if err := holdFence(ctx, tx, c.tenant, migration.Sealed); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO drover.carrying (id, tenant, rows, words, by, why, arrived) VALUES ($1, $2, $3, $4, $5, $6, false)`,
			c.id, c.tenant, c.rows, c.words, c.by, c.why); err != nil {
			return err
		}
		b := &pgx.Batch{}
		for n, r := range a.rows {
			mine := cols[r.table.String()]
			b.Queue(fmt.Sprintf(`WITH gone AS (DELETE FROM %s x WHERE `, r.table.Ident())+r.condition(a)+
				fmt.Sprintf(` RETURNING %s AS vals)
				INSERT INTO drover.carried (id, n, rel, cols, vals) SELECT $5, $6, $7, $8, vals FROM gone`, textArray(mine)),
				r.oid, r.ctid, r.hash, a.Tenant, c.id, n, r.table.Ident(), mine)
		}
		res := tx.SendBatch(ctx, b)
		for range a.rows {
			tag, err := res.Exec()
			if err == nil && tag.RowsAffected() != 1 {
				err = errMoved
			}
			if err != nil {
				return errors.Join(err, res.Close())
			}
		}
		return res.Close()
	})
}

// wouldTake asks the home whether it takes the rows, in a transaction that is rolled back.
func (p *Pair) wouldTake(ctx context.Context, a Apart, rows []carriedRow) error {
	asked := errors.New("rolled back")
	home := p.Side(a.Side.Other())
	c := carrying{tenant: a.Tenant, rows: len(rows)}
	err := c.attempt(ctx, "ask whether they can be put in "+home.Where(), home, func(tx pgx.Tx) error {
		if err := putIn(ctx, tx, a.Tenant, rows); err != nil {
			return err
		}
		return asked
	})
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, asked):
		return nil
	case errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "22") || strings.HasPrefix(pg.Code, "23")): // data, constraints
		return fmt.Errorf("%w: %w", ErrNotSound, err)
	}
	return err
}

// bringHome puts rows that are written down into the tables of the tenant's home, once, and notes
// on both sides that they are there.
func (p *Pair) bringHome(ctx context.Context, c carrying) error {
	for _, s := range p.Both() {
		var there bool
		if err := s.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM drover.carrying WHERE id = $1 AND arrived)`, c.id).Scan(&there); err != nil {
			return fmt.Errorf("have the rows of tenant %d arrived %s: %w", c.tenant, s.Where(), err)
		}
		if there {
			return p.noteArrival(ctx, c)
		}
	}
	home, err := p.Home(ctx, c.tenant)
	if err != nil {
		return err
	}
	if !home.Settled() {
		return fmt.Errorf("bring %d rows of tenant %d home: %w", c.rows, c.tenant, ErrUnderWay)
	}
	rows, err := c.written(ctx)
	if err != nil {
		return err
	}
	at := p.Side(home.Home())
	err = c.attempt(ctx, "put them in "+at.Where(), at, func(tx pgx.Tx) error {
		// First: of two that do this at once the second waits here, and then finds it done.
		tag, err := tx.Exec(ctx, `INSERT INTO drover.carrying AS c (id, tenant, rows, words, by, why, arrived) VALUES ($1, $2, $3, $4, $5, $6, true)
			ON CONFLICT (id) DO UPDATE SET arrived = true WHERE NOT c.arrived`, c.id, c.tenant, c.rows, c.words, c.by, c.why)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return putIn(ctx, tx, c.tenant, rows)
	})
	if err != nil {
		return err
	}
	return p.noteArrival(ctx, c)
}

// written reads the rows that were taken out.
func (c carrying) written(ctx context.Context) (out []carriedRow, err error) {
	rows, err := c.from.Pool.Query(ctx, `SELECT rel, cols, vals FROM drover.carried WHERE id = $1 ORDER BY n`, c.id)
	if err == nil {
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r carriedRow, err error) {
			return r, row.Scan(&r.rel, &r.cols, &r.vals)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("read the rows of tenant %d that were taken out %s: %w", c.tenant, c.from.Where(), err)
	}
	return out, nil
}

// noteArrival ends it where the rows were: they are at home, and their text is not kept.
func (p *Pair) noteArrival(ctx context.Context, c carrying) error {
	said := fmt.Sprintf("; of these, carried over by %s (%s): %s", c.by, c.why, c.words)
	return c.attempt(ctx, "note that they are at home "+c.from.Where(), c.from, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM drover.carried WHERE id = $1`, c.id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE drover.stale SET writes = coalesce(writes, '') || $2 WHERE tenant = $1
			AND token = (SELECT max(token) FROM drover.stale WHERE tenant = $1) AND strpos(coalesce(writes, ''), $2) = 0`, c.tenant, said); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE drover.carrying SET arrived = true WHERE id = $1`, c.id)
		return err
	})
}

// attempt runs a part in one transaction. A part that finds a writer or a lock in its way is tried
// again.
func (c carrying) attempt(ctx context.Context, doing string, at *Server, do func(pgx.Tx) error) error {
	err := Patiently(ctx, func() error { return pgx.BeginFunc(ctx, at.Pool, do) })
	if err != nil {
		return fmt.Errorf("carry over %d rows of tenant %d: %s: %w", c.rows, c.tenant, doing, asRole(err))
	}
	return nil
}

// asRole adds the remedy where the role may not do it.
func asRole(err error) error {
	if IsCode(err, "42501") {
		return fmt.Errorf("%w (GRANT SET ON PARAMETER session_replication_role TO the role, from PostgreSQL 15 on, or be a superuser "+
			"for it; rds_superuser may)", err)
	}
	return err
}

// holdFence keeps a tenant's fence as it is until the transaction ends, and wants it in a state. No
// trigger fires in the transaction, as for rows that replication brings.
func holdFence(ctx context.Context, tx pgx.Tx, tenant int64, want migration.FenceState) error {
	id, err := TenantID(tenant)
	if err != nil {
		return err
	}
	var state migration.FenceState
	for _, sql := range []string{`SELECT drover._begin(ARRAY[$1::int], 3000)`, `SELECT pg_advisory_xact_lock_shared(724, $1)`} {
		if _, err := tx.Exec(ctx, sql, id); err != nil {
			return err
		}
	}
	lock := "FOR SHARE"
	if want == migration.Sealed { // an open does not take the lock above
		lock = "FOR UPDATE"
	}
	if err := tx.QueryRow(ctx, `SELECT state FROM drover.fence WHERE tenant = $1 `+lock, id).Scan(&state); err != nil {
		return err
	}
	if state != want {
		return ErrUnderWay
	}
	_, err = tx.Exec(ctx, `SELECT set_config('session_replication_role', 'replica', true), set_config('drover.carries', 'on', true)`)
	return err
}
