package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// nameWorld is a customer without a database that is found by a name.
type nameWorld struct {
	prepared int
	ready    func() (traffic.Prepared, error)
	settled  int
}

func (w *nameWorld) PrepareRoutes(context.Context, traffic.PrepareRoutesRequest) (traffic.Prepared, error) {
	w.prepared++
	return w.ready()
}

func (w *nameWorld) SettleRoutes(context.Context, traffic.SettleRoutesRequest) error {
	w.settled++
	return nil
}

func byName(t *testing.T) (*bucketStage, *nameWorld) {
	t.Helper()
	b := newBucketWorld()
	b.slice.Routes = []migration.Route{{Name: "names", DNS: &migration.DNS{}}}
	s, n := onBucket(t, b), &nameWorld{ready: func() (traffic.Prepared, error) { return traffic.Prepared{}, nil }}
	s.env.RegisterActivity(n)
	return s, n
}

func TestNobodySetsOutWhileItsOldTTLIsRemembered(t *testing.T) {
	s, n := byName(t)
	ready := s.env.Now().Add(10 * time.Minute)
	n.ready = func() (traffic.Prepared, error) { return traffic.Prepared{Ready: ready}, nil }
	s.env.RegisterDelayedCallback(func() {
		c := s.says()
		require.Equal(t, migration.CustomerMoving, c.Phase)
		require.Equal(t, migration.WaitAWS, c.WaitingFor)
		require.Contains(t, c.Reason, "resolvers may remember the old TTL of its records until ")
		require.Empty(t, s.steps)
	}, 9*time.Minute)
	c := s.play()
	require.Equal(t, migration.CustomerSoaking, c.Phase)
	require.Equal(t, []int{5, 25, 100}, s.shares)
	require.Equal(t, 2, n.prepared)
	require.Zero(t, n.settled, "while it may go back soon")
}

func TestACustomerThatWaitsForItsOldTTLStillObeys(t *testing.T) {
	s, n := byName(t)
	ready := s.env.Now().Add(24 * time.Hour)
	n.ready = func() (traffic.Prepared, error) { return traffic.Prepared{Ready: ready}, nil }
	s.command(5*time.Minute, migration.UpdateHold)
	c := s.play()
	require.Equal(t, migration.CustomerHeld, c.Phase)
	require.Equal(t, migration.OnPrem, c.Home)
	require.Empty(t, s.steps)
}

func TestACustomerIsHeldWhoseRecordsAreNotAsThePlanSays(t *testing.T) {
	s, n := byName(t)
	n.ready = func() (traffic.Prepared, error) {
		return traffic.Prepared{}, temporal.NewNonRetryableApplicationError("somebody else has changed acme.example.com",
			"ForeignRecord", nil)
	}
	c := s.play()
	require.Equal(t, migration.CustomerHeld, c.Phase)
	require.Contains(t, c.Reason, "its route could not be made ready: somebody else has changed acme.example.com")
	require.Empty(t, s.steps)
}

func TestAFinishedCustomerGetsItsTTLBack(t *testing.T) {
	s, n := byName(t)
	s.env.RegisterDelayedCallback(func() {
		c := s.says()
		require.Equal(t, migration.CustomerSoaking, c.Phase)
		s.env.SignalWorkflow(mail.SignalSeen, mail.Seen{Until: c.Until, Over: true, Noted: true})
	}, 20*time.Minute)
	s.play()
	require.Equal(t, migration.CustomerFinished, s.says().Phase)
	require.Equal(t, 1, n.settled)
}
