package setup

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// Sequence makes ids: of a column, or of whatever an application asks it for.
type Sequence struct {
	Schema, Name string
	Table        postgres.Table
	Column       string // "": no column takes its values by itself
	Increment    int64
	Max          int64 // of the sequence and of the column's type, the lesser
	Last         int64 // 0: never used
	Cycles       bool
	Readable     bool // by this role; if not, Last is not known
}

// Counts says whether its values can be kept apart on two sides; why not.
func (s Sequence) Counts() (bool, string) {
	switch {
	case !s.Readable:
		return false, "this role may not read it: how many of its ids are given is not known"
	case s.Increment < 0 || s.Cycles:
		return false, "it counts down or starts over: its ids cannot be kept apart on two sides"
	case s.Base() == 0:
		return false, fmt.Sprintf("it has given %d of %d ids: there is no room for a range of AWS's own", s.Last, s.Max)
	}
	return true, ""
}

// Ident is its name, quoted.
func (s Sequence) Ident() string { return pgx.Identifier{s.Schema, s.Name}.Sanitize() }

// Base is the first id that AWS gives. On premises gives those below. 0: there is no room for two.
func (s Sequence) Base() int64 {
	var base int64
	switch {
	case s.Max >= math.MaxInt64/2:
		base = 1_000_000_000_000 // readable, and 9 * 10^18 are left
	case s.Max >= math.MaxInt32:
		base = 1_500_000_000
	default:
		base = s.Max / 4 * 3
	}
	if s.Last >= base-base/10 {
		return 0
	}
	return base
}

// SequencesOf finds the sequences behind columns of tenant tables: identity, serial, or any default
// that asks one.
func SequencesOf(ctx context.Context, q postgres.Querier, t postgres.Table) ([]Sequence, error) {
	rows, err := q.Query(ctx, `SELECT DISTINCT n.nspname, c.relname, a.attname, s.seqincrement, s.seqcycle, r.readable, CASE WHEN
		r.readable THEN coalesce(pg_sequence_last_value(c.oid), 0) ELSE 0 END,
		  least(s.seqmax, CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 ELSE s.seqmax END)
		FROM pg_attribute a
		JOIN pg_class c ON c.relkind = 'S' AND (
		  EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
		  AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i'))
		  OR EXISTS (SELECT FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
		  AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
		    WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum))
		JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence s ON s.seqrelid = c.oid
		CROSS JOIN LATERAL (SELECT has_sequence_privilege(c.oid, 'SELECT, USAGE')) r(readable)
		WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2`, t.OID)
	if err != nil {
		return nil, fmt.Errorf("read sequences of %s: %w", t, err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (s Sequence, err error) {
		s.Table = t
		err = r.Scan(&s.Schema, &s.Name, &s.Column, &s.Increment, &s.Cycles, &s.Readable, &s.Last, &s.Max)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("read sequences of %s: %w", t, err)
	}
	return out, nil
}

// SequencesAlone finds the sequences that no column owns or takes values from: an application asks
// them by itself.
func SequencesAlone(ctx context.Context, q postgres.Querier) ([]Sequence, error) {
	rows, err := q.Query(ctx, `SELECT n.nspname, c.relname, s.seqincrement, s.seqcycle, r.readable, CASE WHEN r.readable THEN
		coalesce(pg_sequence_last_value(c.oid), 0) ELSE 0 END, s.seqmax
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence s ON s.seqrelid = c.oid
		CROSS JOIN LATERAL (SELECT has_sequence_privilege(c.oid, 'SELECT, USAGE')) r(readable)
		WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND `+postgres.NotOurs+`
		  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
		  AND d.deptype IN ('a', 'i', 'e'))
		  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_attrdef'::regclass
		  AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)
		ORDER BY 1, 2`)
	if err != nil {
		return nil, fmt.Errorf("read sequences: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (s Sequence, err error) {
		err = r.Scan(&s.Schema, &s.Name, &s.Increment, &s.Cycles, &s.Readable, &s.Last, &s.Max)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("read sequences: %w", err)
	}
	return out, nil
}

// separateRanges makes AWS give ids that premises never will, so that no id is fetched or set in a
// freeze, in either direction. It starts above every id of that range that is in use on either
// side: ids of an earlier, aborted run are not given twice. Sequences that stand alone are set
// apart too, where they can be; which ids of theirs are in use nobody can know.
func separateRanges(ctx context.Context, p *postgres.Pair) error {
	tables, err := postgres.ReadTables(ctx, p.OnPrem.Pool, p.Dataset)
	if err != nil {
		return err
	}
	for _, t := range postgres.Of(tables, postgres.Tenants) {
		seqs, err := SequencesOf(ctx, p.OnPrem.Pool, t)
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			if err := separate(ctx, p, seq); err != nil {
				return fmt.Errorf("sequence %s: %w", seq.Ident(), err)
			}
		}
	}
	alone, err := SequencesAlone(ctx, p.OnPrem.Pool)
	if err != nil {
		return err
	}
	for _, seq := range alone {
		if can, _ := seq.Counts(); !can {
			continue // the preflight has said so
		}
		if err := separate(ctx, p, seq); err != nil {
			return fmt.Errorf("sequence %s: %w", seq.Ident(), err)
		}
	}
	return nil
}

func separate(ctx context.Context, p *postgres.Pair, seq Sequence) error {
	if can, why := seq.Counts(); !can {
		return errors.New(why)
	}
	base := seq.Base()
	next, err := firstFree(ctx, p, seq, base)
	if err != nil {
		return err
	}
	var exists bool
	if err := p.AWS.Pool.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, seq.Ident()).Scan(&exists); err != nil {
		return fmt.Errorf("on AWS: %w", err)
	}
	if !exists && seq.Column == "" {
		return nil // nor can anything there ask it
	}
	var last int64
	if err := p.AWS.Pool.QueryRow(ctx, `SELECT coalesce(pg_sequence_last_value($1::regclass), 0)`, seq.Ident()).Scan(&last); err != nil {
		return fmt.Errorf("on AWS: %w", err)
	}
	if last >= base && last+seq.Increment >= next {
		return nil
	}
	// setval and not RESTART: an id that a session has fetched already stays fetched.
	if _, err := p.AWS.Pool.Exec(ctx, `SELECT setval($1::regclass, $2, true)`, seq.Ident(), next-1+seq.Increment); err != nil {
		return fmt.Errorf("on AWS: %w", err)
	}
	return nil
}

// handSequencesOver has AWS go on where premises have come to with the ids of reference tables:
// only premises gave them until now. A sequence on AWS that is further stays as it is.
func handSequencesOver(ctx context.Context, p *postgres.Pair) error {
	tables, err := postgres.ReadTables(ctx, p.OnPrem.Pool, p.Dataset)
	if err != nil {
		return err
	}
	for _, t := range postgres.Of(tables, postgres.Reference) {
		seqs, err := SequencesOf(ctx, p.OnPrem.Pool, t)
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			if seq.Last == 0 { // never used, or not to be read
				continue
			}
			if _, err := p.AWS.Pool.Exec(ctx, `SELECT setval(c.oid, $2, true) FROM pg_class c JOIN pg_sequence q ON q.seqrelid = c.oid
				WHERE c.oid = to_regclass($1) AND (q.seqincrement < 0 AND $2 < coalesce(pg_sequence_last_value(c.oid), $2 + 1)
				OR q.seqincrement > 0 AND $2 > coalesce(pg_sequence_last_value(c.oid), $2 - 1))`, seq.Ident(), seq.Last); err != nil {
				return fmt.Errorf("sequence %s of reference table %s: %w", seq.Ident(), t, err)
			}
		}
	}
	return nil
}

// firstFree is the first id from base on that no row has, on either side.
func firstFree(ctx context.Context, p *postgres.Pair, seq Sequence, base int64) (int64, error) {
	next := base
	if seq.Column == "" {
		return next, nil
	}
	for _, s := range p.Both() {
		err := s.Unhurried(ctx, func(c *pgx.Conn) error {
			var used int64
			col := pgx.Identifier{seq.Column}.Sanitize()
			err := c.QueryRow(ctx, fmt.Sprintf(`SELECT coalesce(max(%s), 0)::bigint FROM %s WHERE %[1]s >= $1`, col, seq.Table.Ident()),
				base).Scan(&used)
			next = max(next, used+1)
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("%s: %w", s.Where(), err)
		}
	}
	return next, nil
}
