package pairtest

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// Waiter is a write that met a fence.
type Waiter struct {
	code chan string // its SQLSTATE, "" when it was taken
	PID  uint32      // of its session
}

// Waits begins a write of the tenant's account, and returns when it waits for the end of the fence.
func (r *Rig) Waits(side migration.Side, level pgx.TxIsoLevel, tenant int64) Waiter {
	r.Helper()
	return r.WaitsWith(side, level, "UPDATE acct SET n = n + 1 WHERE tenant_id = $1", tenant)
}

// WaitsWith is Waits for another statement, whose one argument is the tenant.
func (r *Rig) WaitsWith(side migration.Side, level pgx.TxIsoLevel, sql string, tenant int64) Waiter {
	r.Helper()
	c := r.App(side)
	w := Waiter{code: make(chan string, 1), PID: c.PgConn().PID()}
	go func() {
		w.code <- Code(pgx.BeginTxFunc(context.WithoutCancel(r.Context()), c, pgx.TxOptions{IsoLevel: level}, func(tx pgx.Tx) error {
			_, err := tx.Exec(context.Background(), sql, tenant)
			return err
		}))
	}()
	r.Until("the write waits", func() bool { return r.Waiting(side, w.PID) == 1 })
	return w
}

// Waiting counts the sessions that wait for the end of a fence: of one process, or of all.
func (r *Rig) Waiting(side migration.Side, pid uint32) int64 {
	r.Helper()
	return r.Num(side, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 727 AND ($1 = 0 OR pid = $1::bigint)
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, int64(pid))
}

// Ends is what became of it.
func (r *Rig) Ends(w Waiter) string {
	r.Helper()
	select {
	case c := <-w.code:
		return c
	case <-time.After(Patience):
		require.Fail(r, "the write still waits")
		return ""
	}
}

// FencePatiently fences tenant 1, and lets its writes wait.
func (r *Rig) FencePatiently(side migration.Side, k migration.Try, lease, patience time.Duration) {
	r.Helper()
	require.Equal(r, migration.WordFenced, r.Word(StepsOn(r.Pair).FencePatiently(r.Context(), side, 1, k, lease, patience)))
}
