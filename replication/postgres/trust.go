package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
)

// ErrDoubtedServer says that a server is not the one that Drover knew: it was failed over, restored
// or replaced, and may have forgotten that a customer was closed there.
var ErrDoubtedServer = errors.New("a database server is not the one that Drover knew")

// ErrOtherServer says that a server changed between the look at it and the agreement.
var ErrOtherServer = errors.New("it is another server than the one that was shown")

// Identity tells a server from another that took its place.
type Identity struct {
	SystemID string // pg_control_system()
	Timeline int    // grows by one at each promotion and point-in-time recovery
}

func (i Identity) String() string {
	return fmt.Sprintf("system %s, timeline %d", i.SystemID, i.Timeline)
}

// ServerState is one side's server beside what both databases remember of it.
type ServerState struct {
	Side     migration.Side
	Now      Identity
	Known    *Identity // as its peer remembers it; nil: nobody has met it yet
	Doubt    string    // why it is not the server that was known; "": it is
	AgreedBy string    // who vouched for Known; "": Drover, when it first met the server
}

// serverRow is a row of drover.server. WAL positions are compared by the server, so they stay text.
type serverRow struct {
	Identity
	lsn, agreedBy string
}

// witness is what one database says: of itself now, and of both servers as it remembers them.
type witness struct {
	now              Identity
	written, flushed string // pg_lsn
	rows             map[migration.Side]serverRow
}

const askServers = `SELECT side, system_id, timeline, lsn::text, coalesce(agreed_by, '') FROM drover.server`

const askThisServer = `SELECT system_id, timeline, written::text, flushed::text FROM drover.this_server()`

// witness asks a database that has Drover's functions.
func (s *Server) witness(ctx context.Context) (witness, error) {
	b := &pgx.Batch{}
	b.Queue(askServers)
	b.Queue(askThisServer)
	r := s.lane.SendBatch(ctx, b) // repairs ask it
	w, err := readWitness(r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return w, fmt.Errorf("ask which server this is %s: %w", s.Where(), err)
	}
	return w, nil
}

// readWitness reads the answers to askServers and askThisServer.
func readWitness(r pgx.BatchResults) (witness, error) {
	w := witness{rows: map[migration.Side]serverRow{}}
	rows, err := r.Query()
	if err != nil {
		return w, err
	}
	var side migration.Side
	var row serverRow
	_, err = pgx.ForEachRow(rows, []any{&side, &row.SystemID, &row.Timeline, &row.lsn, &row.agreedBy},
		func() error { w.rows[side] = row; return nil })
	if err != nil {
		return w, err
	}
	return w, r.QueryRow().Scan(&w.now.SystemID, &w.now.Timeline, &w.written, &w.flushed)
}

// judge says whether a server is the one that its peer remembers. A restore takes a server's own
// row back, never its peer's: so its own row and its WAL must have come at least as far as the
// peer's row.
func judge(side migration.Side, own, peer witness) ServerState {
	s := ServerState{Side: side, Now: own.now}
	theirs, met := peer.rows[side]
	mine, has := own.rows[side]
	if !met && has {
		theirs, met = mine, true // the peer was restored to a day before they met: it is the one in doubt
	}
	if !met {
		return s
	}
	s.Known, s.AgreedBy = &theirs.Identity, theirs.agreedBy
	var why string
	switch {
	case theirs.SystemID != own.now.SystemID:
		why = fmt.Sprintf("its system identifier is %s, and was %s: it is another database cluster", own.now.SystemID, theirs.SystemID)
	case theirs.Timeline != own.now.Timeline:
		why = fmt.Sprintf("its timeline is %d, and was %d: it was failed over, or restored to a point in time", own.now.Timeline,
			theirs.Timeline)
	case before(own.written, theirs.lsn):
		why = fmt.Sprintf("its WAL ends at %s, and had come to %s: it was restored from a backup", own.written, theirs.lsn)
	case !has || before(mine.lsn, theirs.lsn):
		why = "it has forgotten what it had written of itself: it was restored from a backup"
	default:
		return s
	}
	s.Doubt = fmt.Sprintf("the database server %s is not the one that Drover knew: %s. What was closed or written there may be forgotten; "+
		"look at it with drover doctor, then agree to it there", where(side), why)
	return s
}

// before compares two WAL positions as PostgreSQL prints them, such as 16/B374D848.
func before(a, b string) bool {
	var ah, al, bh, bl uint64
	if n, _ := fmt.Sscanf(a, "%X/%X", &ah, &al); n != 2 {
		return false
	}
	if n, _ := fmt.Sscanf(b, "%X/%X", &bh, &bl); n != 2 {
		return false
	}
	return ah < bh || ah == bh && al < bl
}

// Servers says of both servers whether they are the ones that Drover knew. Read-only.
func (p *Pair) Servers(ctx context.Context) ([]ServerState, error) {
	onprem, aws, err := p.witnesses(ctx)
	if err != nil {
		return nil, err
	}
	return []ServerState{judge(migration.OnPrem, onprem, aws), judge(migration.AWS, aws, onprem)}, nil
}

func (p *Pair) witnesses(ctx context.Context) (onprem, aws witness, err error) {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { onprem, err = p.OnPrem.witness(gctx); return err })
	g.Go(func() (err error) { aws, err = p.AWS.witness(gctx); return err })
	return onprem, aws, g.Wait()
}

// Trusted is an ErrDoubtedServer where a server is not the one that Drover knew.
func (p *Pair) Trusted(ctx context.Context) error {
	states, err := p.Servers(ctx)
	if err != nil {
		return err
	}
	if d := doubts(states); d != "" {
		return fmt.Errorf("%w: %s", ErrDoubtedServer, d)
	}
	return nil
}

func doubts(states []ServerState) string {
	var out []string
	for _, s := range states {
		if s.Doubt != "" {
			out = append(out, s.Doubt)
		}
	}
	return strings.Join(out, "; ")
}

// Remember writes down how far both servers have come, on both: a server's own row first. Nothing
// is written while one of them is in doubt. Any number of workers may remember at once.
func (p *Pair) Remember(ctx context.Context) error {
	onprem, aws, err := p.witnesses(ctx)
	if err != nil {
		return err
	}
	return p.remember(ctx, onprem, aws)
}

// remember is Remember of what was read a moment ago: a server that has changed since keeps its
// row, which names another identity.
func (p *Pair) remember(ctx context.Context, onprem, aws witness) error {
	if d := doubts([]ServerState{judge(migration.OnPrem, onprem, aws), judge(migration.AWS, aws, onprem)}); d != "" {
		return fmt.Errorf("%w: %s", ErrDoubtedServer, d)
	}
	for side, w := range map[migration.Side]witness{migration.OnPrem: onprem, migration.AWS: aws} {
		for _, s := range []*Server{p.Side(side), p.Side(side.Other())} {
			if _, err := s.Pool.Exec(ctx, `SELECT drover.remember_server($1, $2, $3, $4::text::pg_lsn)`, string(side), w.now.SystemID,
				w.now.Timeline, w.flushed); err != nil {
				return fmt.Errorf("remember the server %s %s: %w", where(side), s.Where(), err)
			}
		}
	}
	return nil
}

// Agree vouches for the server that stands on a side now, by somebody's name. seen is the identity
// that was shown to that person: another one that has come since is refused.
func (p *Pair) Agree(ctx context.Context, side migration.Side, seen Identity, by, why string) error {
	own, err := p.Side(side).witness(ctx)
	if err != nil {
		return err
	}
	if own.now != seen {
		return fmt.Errorf("agree to the server %s: %w: it is %s now, and %s was agreed to; look at it again", where(side), ErrOtherServer,
			own.now, seen)
	}
	for _, s := range []*Server{p.Side(side), p.Side(side.Other())} {
		_, err := s.Pool.Exec(ctx, `SELECT drover.agree_server($1, $2, $3, $4::text::pg_lsn, $5, $6)`, string(side), seen.SystemID,
			seen.Timeline, own.flushed, by, why)
		if err != nil {
			return fmt.Errorf("agree to the server %s, written %s: %w", where(side), s.Where(), err)
		}
	}
	return nil
}

func where(s migration.Side) string {
	if s == migration.AWS {
		return "on AWS"
	}
	return "on premises"
}

// Forget takes away what both databases remember of the servers. One without Drover's schema
// remembers nothing.
func (p *Pair) Forget(ctx context.Context) error {
	for _, s := range p.Both() {
		if version, _, err := Installed(ctx, s.Pool); err != nil {
			return err
		} else if version == 0 {
			continue
		}
		if other, err := p.OtherOwner(ctx, s.Pool); err != nil {
			return err
		} else if other != "" {
			continue // that plan's servers
		}
		if _, err := s.Pool.Exec(ctx, `DELETE FROM drover.server`); err != nil {
			return fmt.Errorf("forget the servers %s: %w", s.Where(), err)
		}
	}
	return nil
}
