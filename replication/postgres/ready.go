package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
)

// recent keeps the freezes that this worker saw, by its own clock.
type recent struct {
	mu   sync.Mutex
	took []time.Duration // the last few, oldest first
}

const keepRecent = 20

func (r *recent) add(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = append(r.took, took)
	r.took = r.took[max(0, len(r.took)-keepRecent):]
}

// median of the recent freezes; 0: none seen.
func (r *recent) median() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.took) == 0 {
		return 0
	}
	s := slices.Clone(r.took)
	slices.Sort(s)
	return s[len(s)/2]
}

// StepsTake is what fence, seal and open take where there is no history yet.
const StepsTake = 30 * time.Millisecond

// longWriter is how old a transaction that has written for the tenant may be. Fence waits half a
// second at a time and would stall the tenant's other writers meanwhile.
const longWriter = 5 * time.Second

// Readiness says whether a tenant may be fenced now.
type Readiness struct {
	Findings  []migration.Finding
	Predicted time.Duration // fence to open
	How       string        // how Predicted was computed
	Lag       Lag
}

// Limits are what a freeze has to fit into.
type Limits struct {
	Lease  time.Duration // of the fence
	MaxLag time.Duration // of replication, in either direction
	Hooks  time.Duration // what the plan's hooks take inside the freeze
}

// ways are the directions that must flow before a Move from a side. Whoever goes to AWS must be
// able to come back; whoever comes home needs the way home alone, also where the way out is lost.
func ways(from migration.Side) []migration.Side {
	if from == migration.AWS {
		return []migration.Side{from}
	}
	return bothWays
}

// Ready asks what can be asked before a fence: the tenant is at home at from and nothing is under
// way, the ways that the Move needs carry a beat within maxLag, no transaction will hold the fence
// up, the publications say what the truth says, the schemas are as they were set up, and the
// freeze, as predicted, fits into the lease. An error means that it could not be asked.
func (p *Pair) Ready(ctx context.Context, from migration.Side, tenant int64, limits Limits) (Readiness, error) {
	var r Readiness
	home, err := p.Home(ctx, tenant)
	if err != nil {
		return r, err
	}
	subject := fmt.Sprintf("tenant %d", tenant)
	block := func(check, reason, remedy string) {
		r.Findings = append(r.Findings, migration.Finding{Severity: migration.Blocker, Check: check, Subject: subject, Reason: reason,
			Remedy: remedy})
	}
	if home.Undecided() != "" {
		block("postgres-no-home", home.Undecided(), "drover doctor PLAN.yaml shows both sides; nothing moves before that is settled")
	} else if !home.Side(from).Accepts() || home.Side(from.Other()).State != migration.Sealed {
		block("postgres-home", fmt.Sprintf("a Move from %s needs it open there and sealed on the other side; premises say %s, AWS says %s",
			from, home.OnPrem.State, home.AWS.State),
			"let the unfinished Move be repaired first")
	}
	// Before the beats, which make it last: see AwaitSync.
	sync, err := p.syncFrom(ctx, ways(from))
	if err != nil {
		return r, err
	}
	if !sync.Done() {
		block("postgres-sync", fmt.Sprintf("%d of %d tables do not replicate yet: %s", sync.Tables-sync.Ready, sync.Tables,
			strings.Join(sync.Waiting, ", ")), "wait for the first copy")
	}
	if err := p.readyLag(ctx, &r, from, limits.MaxLag, block); err != nil {
		return r, err
	}
	if err := p.readyOrigin(ctx, from, tenant, block); err != nil {
		return r, err
	}
	if alike, err := p.readySchema(ctx, from, block); err != nil || !alike {
		return r, err // what differs cannot be compared
	}
	if _, err := p.LoadTables(ctx); err != nil { // for the freeze
		return r, err
	}
	v, err := p.verifyInTurn(ctx, tenant)
	if err != nil {
		return r, err
	}
	r.predict(v, from, limits.Hooks)
	if r.Predicted > limits.Lease {
		block("postgres-freeze", fmt.Sprintf("the freeze would take %s, and the budget is %s: %s", r.Predicted.Round(time.Millisecond),
			limits.Lease, r.How), "raise policy.freezeBudget, or move this customer when it is quieter")
	}
	r.temper(p.recent.median(), limits.Hooks)
	return r, nil
}

// verifyInTurn compares a tenant while nobody is frozen: both servers' processors would be taken
// from a customer who waits. The sides may differ, since the tenant is written; what counts is how
// long it takes.
func (p *Pair) verifyInTurn(ctx context.Context, tenant int64) (Verification, error) {
	give, err := p.turn.Take(ctx)
	if err != nil {
		return Verification{}, fmt.Errorf("wait for the turn of other customers' freezes: %w", err)
	}
	defer give()
	return p.Verify(ctx, tenant)
}

func (p *Pair) readyLag(ctx context.Context, r *Readiness, from migration.Side, maxLag time.Duration,
	block func(check, reason, remedy string)) error {
	if maxLag <= 0 {
		maxLag = 5 * time.Second
	}
	beat, cancel := context.WithTimeout(ctx, maxLag+2*time.Second)
	defer cancel()
	lag, err := p.lagFrom(beat, ways(from))
	switch {
	case errors.Is(err, ErrNoBeat) && ctx.Err() == nil:
		block("postgres-beat", err.Error(), "replication must flow there before a Move, and for one to AWS back, too; see the "+
			"servers' logs and pg_stat_subscription")
	case err != nil:
		return err
	}
	r.Lag = lag
	for _, d := range []struct {
		from migration.Side
		lag  time.Duration
	}{{migration.OnPrem, lag.Forward}, {migration.AWS, lag.Back}} {
		if d.lag > maxLag {
			block("postgres-lag", fmt.Sprintf("a beat %s took %s; the plan allows %s", direction(d.from), d.lag.Round(time.Millisecond),
				maxLag), "wait until the backlog is worked off")
		}
	}
	return nil
}

// readyOrigin looks at what could hold the fence up or make it hollow.
func (p *Pair) readyOrigin(ctx context.Context, from migration.Side, tenant int64, block func(check, reason, remedy string)) error {
	for _, s := range p.Both() {
		if err := p.readyLocks(ctx, s, block); err != nil {
			return err
		}
		var drift int
		if err := s.Pool.QueryRow(ctx, `SELECT count(*) FROM drover.publication_drift()`).Scan(&drift); err != nil {
			return fmt.Errorf("look for publications that were changed by hand %s: %w", s.Where(), err)
		}
		if drift > 0 {
			block("postgres-drift", fmt.Sprintf("a publication %s was changed by hand: %d filters differ from the truth", s.Where(), drift),
				fmt.Sprintf("SELECT drover.rebuild('%s')", p.Names.Outgoing(s.Side)))
		}
	}
	s := p.Side(from)
	// A lock without a process is a prepared transaction's; its lock on its own id says which.
	rows, err := s.Pool.Query(ctx, `SELECT CASE WHEN l.pid IS NULL THEN 'prepared transaction ' || coalesce(x.gid, '?') ELSE 'session ' ||
		l.pid || ' of ' || coalesce(nullif(a.application_name, ''), a.usename, '?') END,
		  coalesce(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, x.prepared)), 0)::float8
		FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
		LEFT JOIN pg_locks own ON l.pid IS NULL AND own.pid IS NULL AND own.locktype = 'transactionid'
		AND own.virtualtransaction = l.virtualtransaction
		LEFT JOIN pg_prepared_xacts x ON x.transaction = own.transactionid
		WHERE l.locktype = 'advisory' AND l.classid = 724 AND l.objid = $1::int4::oid AND l.objsubid = 2 AND l.granted
		  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		  AND (l.pid IS NULL OR a.xact_start < clock_timestamp() - make_interval(secs => $2))`, tenant, longWriter.Seconds())
	if err != nil {
		return fmt.Errorf("look for old writers %s: %w", s.Where(), err)
	}
	type holder struct {
		Who string
		Age float64
	}
	holders, err := pgx.CollectRows(rows, pgx.RowToStructByPos[holder])
	if err != nil {
		return fmt.Errorf("look for old writers %s: %w", s.Where(), err)
	}
	for _, h := range holders {
		block("postgres-old-writer", fmt.Sprintf("%s %s has been writing for this tenant for %.0f s: the fence would wait for it", h.Who,
			s.Where(), h.Age), "let it finish, or end it")
	}
	return nil
}

// readyLocks looks for who keeps a publication from being changed, which both sides' last steps do:
// a VACUUM by hand, an index build. One of several databases would stay closed behind it. An
// autovacuum steps aside by itself.
func (p *Pair) readyLocks(ctx context.Context, s *Server, block func(check, reason, remedy string)) error {
	rows, err := s.Pool.Query(ctx, `SELECT DISTINCT format('session %s of %s %s holds table %s for %s s (%s)', a.pid,
		coalesce(nullif(a.application_name, ''), a.usename, '?'), $2::text, m.rel,
		  round(extract(epoch FROM clock_timestamp() - a.xact_start)), coalesce(nullif(upper(substring(a.query
		  FROM '^\s*(\w+)')), ''), l.mode))
		FROM drover.member m JOIN pg_locks l ON l.locktype = 'relation' AND l.relation = m.rel::oid AND l.granted
		  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		  AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
		JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE m.pub = $1 AND a.application_name <> 'drover' AND a.backend_type = 'client backend'
		AND a.xact_start < clock_timestamp() - interval '1 second'
		ORDER BY 1 LIMIT 5`, p.Names.Outgoing(s.Side), s.Where())
	if err == nil {
		var held []string
		if held, err = pgx.CollectRows(rows, pgx.RowTo[string]); err == nil {
			for _, h := range held {
				block("postgres-table-lock", h+": the Move's last steps would wait for it", "let it finish, or end it")
			}
			return nil
		}
	}
	return fmt.Errorf("look for locks on tables %s: %w", s.Where(), err)
}

// predict adds up what a freeze consists of: the origin is read while the mark travels, the
// destination after it.
func (r *Readiness) predict(v Verification, from migration.Side, hooks time.Duration) {
	lag := r.Lag.Forward
	if from == migration.AWS {
		lag = r.Lag.Back
	}
	r.Predicted = max(lag, v.Took) + v.Took + StepsTake
	r.How = fmt.Sprintf("beat %s %s beside reading %d rows %s + reading them there %s + steps %s", direction(from),
		lag.Round(time.Millisecond), v.Rows,
		v.Took.Round(time.Millisecond), v.Took.Round(time.Millisecond), StepsTake)
	if hooks > 0 {
		r.Predicted += hooks
		r.How += fmt.Sprintf(" + hooks %s", hooks.Round(time.Millisecond))
	}
}

// temper makes the prediction no better than what was seen. That is said and blocks nothing: the
// slow Moves would be the last ones, and no faster one could ever be seen.
func (r *Readiness) temper(seen, hooks time.Duration) {
	if seen > 0 && seen+hooks > r.Predicted {
		r.Predicted = seen + hooks
		r.How = fmt.Sprintf("median of this worker's last freezes, %s, hooks apart, above %s", seen.Round(time.Millisecond), r.How)
	}
}
