package after

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	temporalclient "go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	activities "github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/worker"
)

func TestMain(m *testing.M) { os.Exit(pairtest.Run(m)) }

// temporal is a server of its own for a test.
func temporal(t *testing.T) temporalclient.Options {
	t.Helper()
	o := temporalclient.Options{Namespace: temporalclient.DefaultNamespace, DataConverter: codec.DataConverter(),
		FailureConverter: codec.FailureConverter(),
		Logger:           sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))}
	dev, err := testsuite.StartDevServer(t.Context(), testsuite.DevServerOptions{
		ExistingPath: filepath.Join(tooltest.Dir(t, "bin/temporal"), "bin", "temporal"), LogLevel: "error", ClientOptions: &o})
	require.NoError(t, err, "run `make setup`")
	t.Cleanup(func() { _ = dev.Stop() })
	o.HostPort = dev.FrontendHostPort()
	return o
}

// onePair is the only pair there is.
type onePair struct{ *postgres.Pair }

func (p onePair) Open(context.Context, string, migration.Dataset, migration.Target) (*postgres.Pair, error) {
	return p.Pair, nil
}

// Half says that both sides answer.
func (p onePair) Half(context.Context, string, migration.Dataset, migration.Target) (*postgres.Pair, error) {
	return nil, postgres.ErrBothAnswer
}

// serve runs a worker over a rig's databases, and only that: on a queue of its own where one is
// given.
func serve(t *testing.T, o worker.Options, r *pairtest.Rig, more ...any) {
	t.Helper()
	serveOver(t, o, onePair{r.Pair}, more...)
}

// serveOver is serve over whatever databases are opened.
func serveOver(t *testing.T, o worker.Options, pairs activities.Pairs, more ...any) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	o.Log, o.Identity = hclog.NewNullLogger(), "test"
	ended := make(chan error, 1)
	go func() {
		ended <- worker.Serve(ctx, o, func(temporalclient.Client, worker.Telemetry) worker.Activities {
			return worker.Activities{Main: more, Site: []any{activities.New(pairs)}, Close: func() {}}
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

// spec is a plan whose n customers are the tenants 1 to n of a rig's database.
func spec(r *pairtest.Rig, n int) *migration.Spec {
	d := pairtest.Orders
	s := &migration.Spec{Plan: r.DB, Revision: 1, State: migration.StateStore{Target: "prod", Bucket: "state"},
		Sites: []migration.Site{{Name: "dc1"}}, Targets: []migration.Target{{Name: "prod"}},
		Datasets: []migration.Dataset{{Name: "orders", Postgres: &d}}}
	b := migration.Batch{Name: "wave"}
	for i := range n {
		id := string(rune('a' + i))
		s.Customers = append(s.Customers, migration.Customer{ID: id, Tenant: int64(i + 1), Datasets: []string{"orders"}})
		b.Customers = append(b.Customers, id)
	}
	s.Batches = []migration.Batch{b}
	return s
}

// dial is a client of a server.
func dial(t *testing.T, o temporalclient.Options) *client.Client {
	t.Helper()
	c, err := temporalclient.Dial(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.NoError(t, client.New(c).EnsureSearchAttributes(t.Context(), "default"))
	return client.New(c).Under(o)
}

// patience is how long a test waits for what must happen.
const patience = time.Minute
