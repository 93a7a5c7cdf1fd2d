package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	temporalclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/activities/freeze"
	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/lab/temporal"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/setup"
	"github.com/drover-migration/drover/workflows"
	"github.com/drover-migration/drover/workflows/move"
)

const (
	database = "orders"
	site     = "dc1"
	budget   = 30 * time.Second // what is measured is not cut off
)

// surroundings are two servers with customers, and Temporal with one worker.
type surroundings struct {
	dir     string
	servers []*pg.Server // on premises, AWS
	pair    *engine.Pair
	client  temporalclient.Client
	closers []func()

	mu     sync.Mutex
	tokens map[int64]int64 // by tenant
}

func (s *surroundings) close() {
	for i := range s.closers {
		s.closers[len(s.closers)-1-i]()
	}
}

func start(ctx context.Context, tools string, customers int) (*surroundings, error) {
	dir, err := os.MkdirTemp("", "drover-bench-")
	if err != nil {
		return nil, err
	}
	s := &surroundings{dir: dir, tokens: map[int64]int64{}, closers: []func(){func() { _ = os.RemoveAll(dir) }}}
	if err := errors.Join(os.Chmod(dir, 0o755),
		s.databases(ctx, tools, customers)); err != nil { //nolint:gosec // the servers run as another user
		s.close()
		return nil, err
	}
	if err := s.worker(ctx, tools); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *surroundings) databases(ctx context.Context, tools string, customers int) error {
	_ = os.Setenv(setup.BinEnv, filepath.Join(tools, "pg", "bin"))
	var sides []*engine.Server
	for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
		x, err := pg.Start(ctx, pg.Options{Tools: tools, Dir: s.dir, Name: string(side),
			Settings: map[string]string{"max_connections": "300"}})
		if err != nil {
			return err
		}
		s.closers = append(s.closers, func() { _ = x.Close() })
		s.servers = append(s.servers, x)
		if err := x.CreateDatabase(ctx, database); err != nil {
			return err
		}
		a, err := engine.ParseDSN(x.DSN(database))
		if err != nil {
			return err
		}
		conn, err := engine.Connect(ctx, side, a, a, nil)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, conn.Close)
		sides = append(sides, conn)
	}
	// As many rows a customer as in the lab.
	if err := s.servers[0].Exec(ctx, database, fmt.Sprintf(`%s; INSERT INTO acct SELECT g, 0 FROM generate_series(1, %[2]d) g;
		INSERT INTO orders (tenant_id, token, amount) SELECT 1 + g %% %[2]d, gen_random_uuid(), 1 FROM generate_series(1, 500 * %[2]d) g`, pg.Schema, customers)); err != nil {
		return err
	}
	s.pair = engine.NewPair("bench", migration.Dataset{Name: database, Postgres: &migration.Postgres{
		Column: "tenant_id", Tables: []migration.Table{{Name: "ref_currency", Reference: migration.OnPrem}},
	}}, sides[0], sides[1])
	all := make([]int64, customers)
	for i := range all {
		all[i] = int64(i + 1)
	}
	if err := setup.Prepare(ctx, s.pair, all, nil); err != nil {
		return err
	}
	return s.pair.AwaitSync(ctx, func(string) {})
}

// Open gives the activities their pair.
func (s *surroundings) Open(context.Context, string, migration.Dataset, migration.Target) (*engine.Pair, error) {
	return s.pair, nil
}

// Half says that both sides answer.
func (*surroundings) Half(context.Context, string, migration.Dataset, migration.Target) (*engine.Pair, error) {
	return nil, engine.ErrBothAnswer
}

// doctor finds nothing wrong: machines are not measured.
type doctor struct{}

// FindMachines answers the Move's check.
func (*doctor) FindMachines(context.Context, health.DestinationRequest) ([]any, error) {
	return nil, nil
}

func (s *surroundings) worker(ctx context.Context, tools string) error {
	t, err := temporal.Start(ctx, temporal.Options{Tools: tools, Dir: s.dir})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, t.Close)
	s.client, err = temporalclient.DialContext(ctx, temporalclient.Options{HostPort: t.Address(), Logger: hclog.NewNullLogger()})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, s.client.Close)
	if err := client.New(s.client).EnsureSearchAttributes(ctx, "default"); err != nil {
		return err
	}
	for _, q := range []string{migration.QueueFreeze, migration.SiteFreezeQueue(site)} {
		w := worker.New(s.client, q, worker.Options{MaxConcurrentActivityTaskPollers: 16, MaxConcurrentWorkflowTaskPollers: 16,
			DisableWorkflowWorker: q != migration.QueueFreeze})
		if q == migration.QueueFreeze {
			workflows.Register(w)
		}
		w.RegisterActivity(freeze.New(s, nil, nil, nil))
		w.RegisterActivity(postgres.New(s))
		w.RegisterActivity(&doctor{})
		if err := w.Start(); err != nil {
			return err
		}
		s.closers = append(s.closers, w.Stop)
	}
	return nil
}

func (s *surroundings) next(tenant int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[tenant] += 2 // a Move may use the next one too
	return s.tokens[tenant]
}

// measured has n customers move there and back at once, rounds times.
func measured(ctx context.Context, n, rounds int,
	move func(ctx context.Context, tenant int64, from migration.Side) (one, error)) (map[migration.Side][]one, error) {
	var mu sync.Mutex
	found := map[migration.Side][]one{}
	g, gctx := errgroup.WithContext(ctx)
	for i := range n {
		g.Go(func() error {
			for range rounds {
				for _, from := range []migration.Side{migration.OnPrem, migration.AWS} {
					x, err := move(gctx, int64(i+1), from)
					if err != nil {
						return fmt.Errorf("customer %d from %s: %w", i+1, from, err)
					}
					mu.Lock()
					found[from] = append(found[from], x)
					mu.Unlock()
				}
			}
			return nil
		})
	}
	return found, g.Wait()
}

// whole has Moves run through Temporal.
func (s *surroundings) whole(ctx context.Context, n, rounds int) (map[migration.Side][]one, error) {
	return measured(ctx, n, rounds, func(ctx context.Context, tenant int64, from migration.Side) (one, error) {
		token := s.next(tenant)
		in := move.Input{From: from, To: from.Other(), Token: token, Slice: migration.CustomerSlice{
			Customer:  migration.Customer{ID: fmt.Sprintf("c%d", tenant), Tenant: tenant},
			Databases: []migration.Dataset{{Name: database, Postgres: &migration.Postgres{Site: site}}},
			Policy:    migration.Policy{FreezeBudget: migration.Duration(budget), MaxLag: migration.Duration(budget)},
		}}
		var r migration.MoveResult
		w, err := s.client.ExecuteWorkflow(ctx, temporalclient.StartWorkflowOptions{ID: migration.MoveID("bench", in.Slice.Customer.ID,
			token), TaskQueue: migration.QueueFreeze}, move.Move, in)
		if err == nil {
			err = w.Get(ctx, &r)
		}
		if err == nil && r.Outcome != migration.MoveDone {
			err = fmt.Errorf("%s: %s", r.Outcome, r.Reason)
		}
		return one{r.Freeze.D(), r.Took}, err
	})
}

// bare calls the same functions with nothing around them, on two connections a customer that have
// done so before.
func (s *surroundings) bare(ctx context.Context, n, rounds int) (map[migration.Side][]one, error) {
	conns := make([][2]*pgx.Conn, n)
	for i := range conns {
		for side, x := range s.servers {
			c, err := pgx.Connect(ctx, x.DSN(database))
			if err != nil {
				return nil, err
			}
			defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
			conns[i][side] = c
		}
	}
	warm := func(ctx context.Context, tenant int64, from migration.Side) (one, error) {
		return s.bareMove(ctx, conns[tenant-1], tenant, from)
	}
	if _, err := measured(ctx, n, 1, warm); err != nil {
		return nil, err
	}
	return measured(ctx, n, rounds, warm)
}

func (s *surroundings) bareMove(ctx context.Context, on [2]*pgx.Conn, tenant int64, from migration.Side) (one, error) {
	f := s.pair.FreezeOn(engine.Attempt{From: from, Tenant: tenant, Try: migration.Try{Token: s.next(tenant), Owner: uuid.NewString()},
		Lease: budget}, on[0], on[1])
	fenced, err := until(ctx, migration.WordFenced, f.Fence)
	if err != nil {
		return one{}, err
	}
	d, err := f.Drain(ctx, budget)
	if err == nil && (d.Word != migration.WordFenced || len(d.Differences) > 0) {
		err = fmt.Errorf("drain: %s %v", d.Word, d.Differences)
	}
	if err == nil {
		_, err = until(ctx, migration.WordSealed, f.Seal)
	}
	if err != nil {
		return one{}, err
	}
	opened, err := until(ctx, migration.WordOpen, f.Open)
	return one{freeze: opened.At.Sub(fenced.At)}, err
}

// until asks again while somebody is in the way.
func until(ctx context.Context, want migration.Word, step func(context.Context) (engine.Step, error)) (engine.Step, error) {
	for {
		r, err := step(ctx)
		switch {
		case err != nil || r.Word == want:
			return r, err
		case r.Word != migration.WordBusy && r.Word != migration.WordBehind:
			return r, fmt.Errorf("want %s: %s", want, r.Word)
		}
	}
}
