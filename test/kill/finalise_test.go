package kill

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/gate"
	"github.com/drover-migration/drover/migration"
)

// When every soak is over a lead ends the way back. The worker is killed after each step of that:
// AWS serves all the time, the machines on premises are off, and of replication nothing is left.
func TestAFinalisedMigrationLeavesAWSAlone(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	defer cancel()
	shape := lab.SmallShape(2)
	shape.Soak = "3s"
	b := newBenchIn(ctx, t, lab.Options{Shape: shape, Doors: true})
	asked := recordAWS(b.lab.Doors)
	plan, by := b.lab.Shape.Name, migration.Command{By: "lead", Reason: "two quiet weeks"}
	b.submit(ctx)
	_, err := b.client.Finalise(ctx, plan, by)
	require.ErrorIs(t, err, client.ErrRefused)
	for _, c := range b.lab.Shape.Customers() {
		require.True(t, eventually(func() bool {
			s, err := b.client.Customer(ctx, plan, c.ID)
			return err == nil && s.Phase == migration.CustomerFinished && s.Home == migration.AWS
		}), c.ID)
	}
	require.True(t, eventually(func() bool {
		s, err := b.client.Migration(ctx, plan)
		return err == nil && s.Phase == migration.MigrationSoak && slices.Contains(s.MayDo, migration.UpdateFinalise)
	}), "nobody may end it")
	b.nothingLost(ctx, t)

	var once sync.Map
	b.gate.Set(func(_ context.Context, e gate.Event) bool {
		if e.When != gate.Completion || !slices.Contains([]string{"CheckFinal", "ShutdownVM", "FinalisePostgres"}, e.Activity) {
			return true
		}
		if _, killed := once.LoadOrStore(e.Activity, true); killed {
			return true
		}
		return b.kill(e)
	})
	_, err = b.client.Finalise(ctx, plan, by)
	require.NoError(t, err)
	for done := false; !done; { // as long as the test may take: a killed worker's work is missed after a minute
		b.running(t)
		b.served(ctx, t)
		s, err := b.client.Migration(ctx, plan)
		done = err == nil && s.Phase == migration.MigrationDone
		require.NoError(t, ctx.Err(), s.Reason)
		time.Sleep(time.Second)
	}
	require.Equal(t, 4, b.starts, "the worker was killed three times")
	require.Empty(t, b.lab.PoweredOn())
	left, err := b.lab.Remains(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, left)
	for _, what := range left {
		kind, _, _ := strings.Cut(what, " ")
		require.Contains(t, []string{"instance", "rule"}, kind, "%s is left, and serves nobody", what)
	}
	b.served(ctx, t)
	asked.held(t, b.lab.Plan)
	b.leaksNothing(ctx, t)
}

// served wants every customer answered by AWS.
func (b *bench) served(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, c := range b.lab.Shape.Customers() {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.lab.Edge()+"/healthz", nil)
		require.NoError(t, err)
		r.Host = c.Host
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		_ = res.Body.Close()
		require.Equal(t, http.StatusOK, res.StatusCode, c.ID)
		require.True(t, strings.HasPrefix(res.Header.Get("X-Served-By"), "aws/"), res.Header.Get("X-Served-By"))
	}
}
