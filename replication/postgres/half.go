package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/drover-migration/drover/migration"
)

// ErrBothAnswer says that no side of a pair is lost.
var ErrBothAnswer = errors.New("both databases answer")

// ErrNoInstance says that AWS has no database instance of that name.
var ErrNoInstance = errors.New("there is no such database instance")

// connectError is an attempt to connect to a server whose address is known.
type connectError struct{ error }

func (e *connectError) Unwrap() error { return e.error }

// nobodyThere says whether an attempt to reach a server ended as it does where none stands there:
// nobody takes the connection, or the name is nobody's. A server that refuses a login answers, and
// so does one behind a bad certificate.
func nobodyThere(err error) bool {
	var server *pgconn.PgError
	var connecting *connectError
	switch {
	case errors.Is(err, ErrNoInstance):
		return true
	case errors.As(err, &server) || !errors.As(err, &connecting):
		return false
	}
	var name *net.DNSError
	var network *net.OpError
	return errors.As(err, &name) && name.IsNotFound || errors.As(err, &network) && network.Op == "dial" ||
		errors.Is(err, context.DeadlineExceeded)
}

// halfLimit is how long a side has to answer: a server that is alive does so in milliseconds.
const halfLimit = 5 * time.Second

// Half is the pair of a dataset of which one side does not answer, for who goes on without it. That
// side is Pair.Lost, and whatever is asked of it fails. It is ErrBothAnswer where both answer. As
// with Open, an attempt goes on when ctx ends.
func (c *Connector) Half(ctx context.Context, plan string, d migration.Dataset, target migration.Target) (*Pair, error) {
	if d.Postgres == nil {
		return nil, fmt.Errorf("dataset %q is not a PostgreSQL database", d.Name)
	}
	b, err := json.Marshal([]any{plan, d, target.Account, target.Region, target.Role})
	if err != nil {
		return nil, err
	}
	o := c.halfOf(context.WithoutCancel(ctx), string(b), plan, d, target)
	select {
	case <-o.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("dataset %s: which of its databases answer is not known yet: %w", d.Name, ctx.Err())
	}
	if o.err != nil {
		return nil, fmt.Errorf("dataset %s: %w", d.Name, o.err)
	}
	ping, cancel := context.WithTimeout(ctx, answersSoon)
	defer cancel()
	if err := o.pair.Side(o.pair.Lost.Other()).Pool.Ping(ping); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.dropHalf(string(b)) // the next attempt looks anew who answers
		return nil, fmt.Errorf("dataset %s: the database %s does not answer either: %w", d.Name, where(o.pair.Lost.Other()), err)
	}
	return o.pair, nil
}

// halfOf is the half of a key: kept, under way, or begun now. One that failed is not kept.
func (c *Connector) halfOf(ctx context.Context, key, plan string, d migration.Dataset, target migration.Target) *opening {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.halves[key]; o != nil {
		return o
	}
	o := &opening{done: make(chan struct{}), of: plan + "/" + d.Name}
	if c.closed {
		o.err = errors.New("this worker is stopping")
		close(o.done)
		return o
	}
	if c.halves == nil {
		c.halves = map[string]*opening{}
	}
	c.halves[key] = o
	go func() {
		defer close(o.done)
		ctx, cancel := context.WithTimeout(ctx, halfLimit)
		defer cancel()
		if o.pair, o.err = c.reachOne(ctx, plan, d, target); o.err != nil {
			c.mu.Lock()
			delete(c.halves, key)
			c.mu.Unlock()
		}
	}()
	return o
}

// dropHalf closes the half of a key, if there is one. The caller has the lock.
func (c *Connector) dropHalf(key string) {
	o := c.halves[key]
	if o == nil {
		return
	}
	delete(c.halves, key)
	go func() {
		<-o.done
		if o.pair != nil {
			o.pair.Close()
		}
	}()
}

// reachOne connects the side that answers.
func (c *Connector) reachOne(ctx context.Context, plan string, d migration.Dataset, target migration.Target) (*Pair, error) {
	var servers [2]*Server
	var errs [2]error
	var both sync.WaitGroup
	both.Go(func() { servers[0], errs[0] = c.reachOnPremises(ctx, *d.Postgres) })
	both.Go(func() { servers[1], errs[1] = c.reachAWS(ctx, *d.Postgres, target) })
	both.Wait()
	lost := migration.OnPrem
	switch {
	case errs[0] != nil && errs[1] != nil:
		return nil, errors.Join(errs[0], errs[1])
	case errs[0] == nil && errs[1] == nil:
		servers[0].Close()
		servers[1].Close()
		return nil, ErrBothAnswer
	case errs[1] != nil:
		lost = migration.AWS
	}
	i := 0
	if lost == migration.AWS {
		i = 1
	}
	var err error
	if servers[i], err = silent(lost, errs[i]); err != nil {
		servers[1-i].Close()
		return nil, err
	}
	p := NewPair(plan, d, servers[0], servers[1])
	p.Lost, p.Silence = lost, errs[i]
	p.again = func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, halfLimit)
		defer cancel()
		reach := func() (*Server, error) { return c.reachOnPremises(ctx, *d.Postgres) }
		if lost == migration.AWS {
			reach = func() (*Server, error) { return c.reachAWS(ctx, *d.Postgres, target) }
		}
		s, err := reach()
		if err == nil {
			s.Close()
		}
		return err
	}
	return p, nil
}
