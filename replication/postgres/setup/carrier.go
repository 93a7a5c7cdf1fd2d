package setup

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// carrier is the session on premises of whoever carries tenants over, or takes away what carried
// them. Its advisory lock keeps others from both. A session can end before its worker knows:
// whatever must not happen then is asked of the session itself, or done in it.
type carrier struct {
	mu   sync.Mutex
	conn *pgx.Conn
}

// The server ends a carrier's session whose worker has fallen silent.
const (
	carrierIdle = time.Minute
	carrierBeat = 15 * time.Second
)

var errCarrierLost = errors.New("the session that held the lock of those who carry tenants over has ended")

// carryAlone runs do while nobody else carries tenants of this dataset over. Its context ends when
// the session is found to have ended.
func carryAlone(ctx context.Context, p *postgres.Pair, do func(context.Context, *carrier) error) error {
	return p.OnPrem.Unhurried(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `SELECT set_config('lock_timeout', '0', false), pg_advisory_lock(728, hashtext($1))`, p.Names.Joining)
		if err != nil {
			return fmt.Errorf("wait for whoever carries tenants over: %w", err)
		}
		defer func() { // a pool would keep the session, and its lock with it
			if _, err := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock_all()`); err != nil {
				_ = conn.Close(context.WithoutCancel(ctx))
			}
		}()
		_, err = conn.Exec(ctx, fmt.Sprintf(`RESET statement_timeout; RESET lock_timeout; SET idle_session_timeout = %d`,
			carrierIdle.Milliseconds()))
		if err != nil {
			return err
		}
		c := &carrier{conn: conn}
		within, cancel := context.WithCancelCause(ctx)
		done := make(chan struct{})
		var beats sync.WaitGroup
		beats.Go(func() {
			for tick := time.NewTicker(carrierBeat); ; {
				select {
				case <-done:
					tick.Stop()
					return
				case <-tick.C:
					if err := c.holds(ctx); err != nil {
						cancel(err)
					}
				}
			}
		})
		defer beats.Wait()
		defer close(done)
		defer cancel(nil)
		err = do(within, c)
		if lost := context.Cause(within); err != nil && errors.Is(lost, errCarrierLost) {
			return lost
		}
		return err
	})
}

// use lets the session do something. Whatever it commits was committed under the lock.
func (c *carrier) use(do func(*pgx.Conn) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return do(c.conn)
}

// holds is errCarrierLost unless the session has the lock at this moment.
func (c *carrier) holds(ctx context.Context) error {
	return c.use(func(conn *pgx.Conn) error {
		ctx, cancel := context.WithTimeout(ctx, carrierBeat)
		defer cancel()
		if err := conn.Ping(ctx); err != nil {
			return fmt.Errorf("%w: %w", errCarrierLost, err)
		}
		return nil
	})
}
