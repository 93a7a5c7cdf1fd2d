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

// One batch is finalised while another waits for its gate, and the worker is killed after the step.
// What they share runs on; the other goes afterwards as if nothing had been, and is the last.
func TestABatchIsFinalisedBeforeTheOthers(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	defer cancel()
	shape := lab.SmallShape(2)
	shape.Soak = "3s"
	all := shape.Batches[0].Customers
	shape.Batches = []lab.Batch{{Name: "first", Rollback: "customer", Concurrency: 1, Customers: all[:1]},
		{Name: "second", Rollback: "customer", Concurrency: 1, Customers: all[1:], Approvals: 1}}
	b := newBench(ctx, t, shape)
	plan := b.lab.Shape.Name
	by := func(batch string) migration.Command {
		return migration.Command{By: "lead", Reason: "two quiet weeks", Batch: batch}
	}
	finished := func(id string) {
		t.Helper()
		require.True(t, eventually(func() bool {
			s, err := b.client.Customer(ctx, plan, id)
			return err == nil && s.Phase == migration.CustomerFinished && s.Home == migration.AWS
		}), id)
	}
	end := func(batch string) {
		t.Helper()
		require.True(t, eventually(func() bool {
			_, err := b.client.Finalise(ctx, plan, by(batch))
			return err == nil
		}), batch)
		for done := false; !done; { // as long as the test may take: a killed worker's work is missed after a minute
			b.running(t)
			s, err := b.client.Migration(ctx, plan)
			require.NoError(t, ctx.Err(), s.Reason)
			done = err == nil && slices.ContainsFunc(s.Batches, func(x migration.BatchStatus) bool {
				return x.Name == batch && x.Finalised != nil && !x.Finalised.Done.IsZero()
			})
			time.Sleep(500 * time.Millisecond)
		}
	}
	b.submit(ctx)
	finished(all[0].ID)
	var once sync.Once
	b.gate.Set(func(_ context.Context, e gate.Event) bool {
		kill := false
		if e.When == gate.Completion && e.Activity == "EndWayBack" {
			once.Do(func() { kill = true })
		}
		return !kill || b.kill(e)
	})
	_, err := b.client.Finalise(ctx, plan, by("second"))
	require.ErrorIs(t, err, client.ErrRefused)
	running := b.lab.PoweredOn()
	end("first")
	require.Equal(t, running, b.lab.PoweredOn(), "the other batch uses them too")
	_, err = b.client.Abort(ctx, plan, by(""))
	require.ErrorIs(t, err, client.ErrRefused)
	_, err = b.client.Rollback(ctx, client.Aim{Plan: plan, Batch: "first"}, by(""))
	require.Error(t, err)

	_, err = b.client.Approve(ctx, plan, "second", by(""))
	require.NoError(t, err)
	finished(all[1].ID)
	end("second")
	require.Empty(t, b.lab.PoweredOn(), "nobody uses them any more")
	b.served(ctx, t)
	record, err := b.lab.Record(ctx)
	require.NoError(t, err)
	require.True(t, slices.Contains(record, "onprem: schema drover of orders"), "the guards stand until the plan is finalised")
	_, err = b.client.Finalise(ctx, plan, by(""))
	require.NoError(t, err)
	b.phase(ctx, t, migration.MigrationDone)
	b.served(ctx, t)
}
