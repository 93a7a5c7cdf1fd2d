package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
)

// Watch is what one look at both databases found, for all tenants of a dataset at once.
type Watch struct {
	Doubts []string     // servers that are not the ones that Drover knew
	Both   []BothOpen   // tenants that both sides take writes of, and no rule says which side is stale
	Stale  []StaleSide  // sides that a look has ever closed because they had forgotten a seal
	Drift  []string     // publications that do not say what the truth says
	Clocks []string     // servers whose clocks differ from the worker's
	Lost   []TenantLoss // who goes on without a side
	Silent string       // why a side could not be looked at; "": both were
	Schema []string     // what DDL by hand has changed, and nothing has taken in
}

// BothOpen is a tenant whose writes both sides take.
type BothOpen struct {
	Tenant int64
	Why    string // the tokens, and why neither side was closed
}

// StaleSide is a side that was closed for a tenant because the other side is open under a later
// Move.
type StaleSide struct {
	Tenant int64
	Side   migration.Side
	Token  int64 // under which the other side is open
	At     time.Time
	Writes string // what had been written to the stale side and is nowhere else
}

// Watch holds both databases against the invariants, once for every tenant of the dataset, with one
// query a side, and their clocks against the worker's. Where both sides are open for a tenant and
// the turn of the directions says which one opened later, it closes the other at once and names
// what was written there: closing is always safe. Then it writes down how far both servers have
// come. Run twice, it finds nothing more to do.
//
// Where a side does not answer it only says who goes on without it.
func (p *Pair) Watch(ctx context.Context) (Watch, error) {
	var w Watch
	var err error
	if w.Lost, err = p.Losses(ctx); err != nil {
		return w, err
	}
	if p.Lost != "" {
		w.Silent = fmt.Sprintf("the database %s does not answer: %v", where(p.Lost), p.Silence)
		return w, nil
	}
	onprem, aws, err := p.witnesses(ctx)
	if err != nil {
		return w, err
	}
	for _, s := range []ServerState{judge(migration.OnPrem, onprem, aws), judge(migration.AWS, aws, onprem)} {
		if s.Doubt != "" {
			w.Doubts = append(w.Doubts, s.Doubt)
		}
	}
	open, err := p.openOnBoth(ctx)
	if err != nil {
		return w, err
	}
	for _, t := range open {
		if why, err := p.closeStale(ctx, t); err != nil {
			return w, err
		} else if why != "" {
			w.Both = append(w.Both, BothOpen{Tenant: t.Tenant, Why: why})
		}
	}
	if w.Stale, err = p.staleSides(ctx); err != nil {
		return w, err
	}
	for _, s := range p.Both() {
		drift, err := s.drift(ctx)
		if err != nil {
			return w, err
		}
		w.Drift = append(w.Drift, drift...)
	}
	if w.Clocks, err = p.clocks(ctx); err != nil {
		return w, err
	}
	if w.Schema, err = p.Changes(ctx); err != nil {
		return w, err
	}
	if len(w.Doubts) == 0 {
		err = p.remember(ctx, onprem, aws)
	}
	return w, err
}

// openTenant is a tenant that is sealed nowhere.
type openTenant struct {
	Tenant int64
	sides  map[migration.Side]turn
}

// turn is one side's fence, with what its outgoing direction says.
type turn struct {
	Tenant int64
	State  migration.FenceState
	Token  int64
	Owner  string
	Opened int64 // token that last turned the direction away from here on; -1: it is off
}

// openOnBoth finds the tenants that are sealed nowhere. The sides are read a moment apart, so who
// looks open on both is read again: a Move that ended in between has moved its fences on.
func (p *Pair) openOnBoth(ctx context.Context) ([]openTenant, error) {
	seen, err := p.unsealed(ctx, nil)
	if err != nil || len(seen) == 0 {
		return nil, err
	}
	ids := make([]int64, len(seen))
	for i, t := range seen {
		ids[i] = t.Tenant
	}
	again, err := p.unsealed(ctx, ids)
	if err != nil {
		return nil, err
	}
	// Whoever has another fence now is in the middle of something: the next look sees it settled.
	return slices.DeleteFunc(again, func(t openTenant) bool {
		i := slices.IndexFunc(seen, func(s openTenant) bool { return s.Tenant == t.Tenant })
		return i < 0 || seen[i].sides[migration.OnPrem].Token != t.sides[migration.OnPrem].Token ||
			seen[i].sides[migration.AWS].Token != t.sides[migration.AWS].Token
	}), nil
}

// unsealed reads who is sealed on neither side, of the tenants named or of all.
func (p *Pair) unsealed(ctx context.Context, only []int64) ([]openTenant, error) {
	var sides [2]map[int64]turn
	g, gctx := errgroup.WithContext(ctx)
	for i, s := range p.Both() {
		g.Go(func() (err error) { sides[i], err = s.turns(gctx, p.Names.Outgoing(s.Side), only); return err })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var out []openTenant
	for t, o := range sides[0] {
		if a, ok := sides[1][t]; ok {
			out = append(out, openTenant{Tenant: t, sides: map[migration.Side]turn{migration.OnPrem: o, migration.AWS: a}})
		}
	}
	slices.SortFunc(out, func(a, b openTenant) int { return cmp.Compare(a.Tenant, b.Tenant) })
	return out, nil
}

func (s *Server) turns(ctx context.Context, pub string, only []int64) (map[int64]turn, error) {
	rows, err := s.Pool.Query(ctx, `SELECT f.tenant, f.state, f.token, coalesce(f.owner::text, ''), CASE WHEN d.is_on THEN d.token ELSE -1
		END
		FROM drover.fence f JOIN drover.direction d USING (tenant)
		WHERE d.pub = $1 AND f.state <> 'sealed' AND ($2::bigint[] IS NULL OR f.tenant = ANY ($2))`, pub, only)
	if err != nil {
		return nil, fmt.Errorf("audit %s: %w", s.Where(), err)
	}
	out := map[int64]turn{}
	var t turn
	_, err = pgx.ForEachRow(rows, []any{&t.Tenant, &t.State, &t.Token, &t.Owner, &t.Opened}, func() error { out[t.Tenant] = t; return nil })
	if err != nil {
		return nil, fmt.Errorf("audit %s: %w", s.Where(), err)
	}
	return out, nil
}

// closeStale closes the side that opened earlier. It answers why it closed none, or "" when no more
// than one side is open now.
//
// What tells them apart is the turn of the directions, which only seal, open and reopen write: a
// claim raises a fence's token without opening anything. A side whose seal was undone by hand has
// its direction off; one that was restored, or failed over, has it on under an older token.
func (p *Pair) closeStale(ctx context.Context, t openTenant) (string, error) {
	o, a := t.sides[migration.OnPrem], t.sides[migration.AWS]
	if o.Opened == a.Opened {
		return fmt.Sprintf("both sides take its writes (premises at token %d, AWS at token %d), and neither says that it opened later: "+
			"find out which one the application writes to, and look with drover doctor", o.Token, a.Token), nil
	}
	stale, home := o, a
	side := migration.OnPrem
	if o.Opened > a.Opened {
		stale, home, side = a, o, migration.AWS
	}
	r, err := p.Side(side).sealStale(ctx, t.Tenant, stale, home)
	switch {
	case err != nil:
		return "", err
	case r == migration.WordBusy:
		return fmt.Sprintf("both sides take its writes (premises at token %d, AWS at token %d); %s is stale and cannot be closed yet: a "+
			"writer holds it",
			o.Token, a.Token, where(side)), nil
	}
	return "", nil
}

func (s *Server) sealStale(ctx context.Context, tenant int64, stale, home turn) (migration.Word, error) {
	var w migration.Word
	err := s.Pool.QueryRow(ctx, `SELECT drover.seal_stale($1, $2, nullif($3, '')::uuid, $4, nullif($5, '')::uuid)`,
		tenant, stale.Token, stale.Owner, home.Token, home.Owner).Scan(&w)
	if IsCode(err, "55P03") || IsCode(err, "40P01") || IsCode(err, "57014") { // lock time-out, deadlock, statement time-out: rolled back
		return migration.WordBusy, nil
	}
	if err != nil {
		return "", fmt.Errorf("close the stale side of tenant %d %s: %w", tenant, s.Where(), err)
	}
	return w, nil
}

// staleSides reads every side that was ever closed as stale. What was written there is compared the
// first time that it is asked for, and kept.
func (p *Pair) staleSides(ctx context.Context) ([]StaleSide, error) {
	var out []StaleSide
	for _, s := range p.Both() {
		rows, err := s.Pool.Query(ctx, `SELECT x.tenant, x.token, x.at, x.writes FROM drover.stale x
			JOIN drover.direction d USING (tenant) WHERE d.pub = $1 ORDER BY x.tenant, x.token`, p.Names.Outgoing(s.Side))
		if err != nil {
			return nil, fmt.Errorf("read stale sides %s: %w", s.Where(), err)
		}
		list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (staleRow, error) {
			x := staleRow{StaleSide: StaleSide{Side: s.Side}}
			return x, r.Scan(&x.Tenant, &x.Token, &x.At, &x.writes)
		})
		if err != nil {
			return nil, fmt.Errorf("read stale sides %s: %w", s.Where(), err)
		}
		for _, x := range list {
			if x.writes == nil {
				text, err := p.strays(ctx, s.Side, x.Tenant)
				if err != nil {
					return nil, err
				}
				if _, err := s.Pool.Exec(ctx, `UPDATE drover.stale SET writes = $3 WHERE tenant = $1 AND token = $2`, x.Tenant, x.Token,
					text); err != nil {
					return nil, fmt.Errorf("keep what was written %s for tenant %d: %w", s.Where(), x.Tenant, err)
				}
				x.writes = &text
			}
			x.Writes = *x.writes
			out = append(out, x.StaleSide)
		}
	}
	return out, nil
}

type staleRow struct {
	StaleSide
	writes *string
}

// arrivalPatience is how long strays waits for what the home has sent: rows under way are no
// strays.
const arrivalPatience = 10 * time.Second

// namedStrays is how many rows of a table strays names; it counts them all.
const namedStrays = 20

// nothingStray is what strays says of a side that took no write which the other does not have.
const nothingStray = "nothing that is not on the other side too"

// strays names the tenant's rows that exist on a side only, or with another content there.
func (p *Pair) strays(ctx context.Context, side migration.Side, tenant int64) (string, error) {
	caveat := ""
	wait, cancel := context.WithTimeout(ctx, arrivalPatience)
	defer cancel()
	if _, err := p.beat(wait, p.Side(side.Other()), p.Side(side)); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		caveat = fmt.Sprintf(" (nothing arrives from %s now: rows that are under way count too)", where(side.Other()))
	}
	text, err := p.apart(ctx, side, tenant)
	return text + caveat, err
}

// apart is strays without the wait for rows that are under way.
func (p *Pair) apart(ctx context.Context, side migration.Side, tenant int64) (string, error) {
	tables, err := p.LoadTables(ctx)
	if err != nil {
		return "", err
	}
	var found []string
	for _, t := range tables {
		text, err := p.straysIn(ctx, t, side, tenant)
		if err != nil {
			return "", fmt.Errorf("compare table %s of tenant %d: %w", t, tenant, err)
		}
		if text != "" {
			found = append(found, text)
		}
	}
	if len(found) == 0 {
		return nothingStray, nil
	}
	return strings.Join(found, "; "), nil
}

// straysIn compares one table by merging both sides' rows in the order of their hashes: memory does
// not grow with the table.
func (p *Pair) straysIn(ctx context.Context, t Table, side migration.Side, tenant int64) (string, error) {
	key, err := p.keyColumns(ctx, t)
	if err != nil {
		return "", err
	}
	query := t.hashesQuery(key)
	here, err := p.Side(side).Pool.Query(ctx, query, tenant)
	if err != nil {
		return "", err
	}
	defer here.Close()
	there, err := p.Side(side.Other()).Pool.Query(ctx, query, tenant)
	if err != nil {
		return "", err
	}
	defer there.Close()
	only, missing, names := 0, 0, []string{}
	a, b := &hashes{rows: here}, &hashes{rows: there}
	a.next()
	b.next()
	for a.ok || b.ok {
		switch {
		case a.ok && b.ok && a.hash == b.hash && a.key == b.key:
			a.next()
			b.next()
		case a.ok && (!b.ok || a.before(b)):
			if only++; only <= namedStrays {
				names = append(names, a.key)
			}
			a.next()
		default:
			missing++
			b.next()
		}
	}
	if err := cmp.Or(a.err, b.err, here.Err(), there.Err()); err != nil {
		return "", err
	}
	return tell(t, side, only, missing, names), nil
}

func tell(t Table, side migration.Side, only, missing int, names []string) string {
	switch {
	case only == 0 && missing == 0:
		return ""
	case only == 0:
		return fmt.Sprintf("table %s: %d rows that are missing %s", t, missing, where(side))
	}
	out := fmt.Sprintf("table %s: %d rows as they are %s only: %s", t, only, where(side), strings.Join(names, ", "))
	if only > len(names) {
		out += ", ..."
	}
	if missing > 0 {
		out += fmt.Sprintf("; %d rows as they are %s only", missing, where(side.Other()))
	}
	return out
}

// hashes walks rows of (hash, key) in ascending order.
type hashes struct {
	rows pgx.Rows
	hash int64
	key  string
	ok   bool
	err  error
}

func (h *hashes) next() {
	if h.ok = h.rows.Next(); h.ok {
		h.err = h.rows.Scan(&h.hash, &h.key)
		h.ok = h.err == nil
	}
}

func (h *hashes) before(o *hashes) bool { return h.hash < o.hash || h.hash == o.hash && h.key < o.key }

// hashesQuery reads a hash and the key of each row of a tenant, in the order that hashes.before
// has.
func (t Table) hashesQuery(key []string) string {
	k := `'a row with hash ' || to_hex(` + t.hashText() + `)`
	if len(key) > 0 {
		k = t.keyText(key)
	}
	return fmt.Sprintf(`SELECT %s h, (%s) COLLATE "C" k FROM %s x WHERE x.%s = $1 ORDER BY 1, 2`,
		t.hashText(), k, t.Ident(), pgx.Identifier{t.Column}.Sanitize())
}

// hashText is a hash of row x, whatever the order of its columns.
func (t Table) hashText() string {
	cols := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		cols[i] = "x." + pgx.Identifier{c}.Sanitize()
	}
	return fmt.Sprintf(`hashtextextended(ROW(%s)::text COLLATE "C", 0)`, strings.Join(cols, ", "))
}

// keyText names row x by columns of its key. Without columns the tenant has one row.
func (t Table) keyText(key []string) string {
	if len(key) == 0 {
		return "'its one row'"
	}
	out := make([]string, len(key))
	for i, c := range key {
		out[i] = fmt.Sprintf("'%s=' || coalesce(x.%s::text, 'NULL')", strings.ReplaceAll(c, "'", "''"), pgx.Identifier{c}.Sanitize())
	}
	return strings.Join(out, " || ' ' || ")
}

// keyColumns are the columns of the table's primary key on premises, but for the tenant's. A table
// may have none: its rows are then named by their hash, since what they hold is nobody's business
// here.
func (p *Pair) keyColumns(ctx context.Context, t Table) (cols []string, err error) {
	err = p.OnPrem.Pool.QueryRow(ctx, `SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum), '{}') FROM pg_index i
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
		WHERE i.indrelid = $1 AND i.indisprimary AND a.attname <> $2`, t.OID, t.Column).Scan(&cols)
	return cols, err
}
