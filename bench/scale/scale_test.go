package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

func TestThePlanIsOneThatValidationTakes(t *testing.T) {
	s := shape{customers: 2500, batches: 2, soak: time.Hour}
	spec, err := s.spec()
	require.NoError(t, err)
	require.Len(t, spec.Customers, 2500)
	require.Len(t, spec.Batches, 2)
	require.Len(t, spec.Batches[1].Customers, 1250)
}

// moves takes a step of a customer's only try away from its home.
func moves(t *testing.T, w *World, step string) migration.Word {
	t.Helper()
	var a Answer
	require.NoError(t, w.Step(StepArgs{
		Step: step, Tenant: 1, From: migration.OnPrem, Try: migration.Try{Token: 1, Owner: "a"}, Lease: time.Minute,
	}, &a))
	return a.Word
}

func TestACustomerIsJudgedByItsDataAndItsRoute(t *testing.T) {
	w, err := startWorld(1)
	require.NoError(t, err)
	t.Cleanup(w.close)
	require.Equal(t, migration.WordFenced, moves(t, w, stepFence))
	status := migration.CustomerStatus{ID: customerID(0), Home: migration.OnPrem}
	require.Contains(t, w.judge(status), "in the middle of a try")
	require.Equal(t, migration.WordFenced, moves(t, w, stepDrain))
	require.Equal(t, migration.WordSealed, moves(t, w, stepSeal))
	require.Equal(t, migration.WordOpen, moves(t, w, stepOpen))
	require.Empty(t, w.violations())
	require.Equal(t, 1, w.away())
	require.False(t, w.firstOpened().IsZero())
	require.Contains(t, w.judge(status), `its status says "onprem", its data "aws"`)
	status.Home = migration.AWS
	require.Contains(t, w.judge(status), "sent to onprem")
	var routed States
	require.NoError(t, w.Route([]routes.Wanted{{Customer: status.ID, Side: migration.AWS, Token: 1}}, &routed))
	require.Empty(t, w.judge(status))
	require.NoError(t, w.Route([]routes.Wanted{{Customer: status.ID, Side: migration.OnPrem, Token: 0}}, &routed))
	require.Empty(t, w.judge(status), "an older token changes nothing")
}

func TestBothSidesOpenIsNoticed(t *testing.T) {
	w, err := startWorld(1)
	require.NoError(t, err)
	t.Cleanup(w.close)
	w.tenants[1].db.Half(migration.AWS).State = migration.Open
	moves(t, w, stepFence)
	require.NotEmpty(t, w.violations())
}

func TestOneMoreCustomerIsCountedFromOneSizeToTheNext(t *testing.T) {
	r := results{Runs: map[string]*measured{}, OneMore: map[string]float64{}}
	for _, m := range []*measured{
		{Customers: 100, Batches: 1, WorkerCPU: 5, ServerCPU: 5}, {Customers: 1000, Batches: 10, WorkerCPU: 20, ServerCPU: 35},
		{Customers: 2500, Batches: 2, WorkerCPU: 500, ServerCPU: 500},
	} {
		r.add(shape{customers: m.Customers, batches: m.Batches, workers: 1}, m)
	}
	require.Equal(t, map[string]float64{"100": 100, "1000": 50}, r.OneMore)
}
