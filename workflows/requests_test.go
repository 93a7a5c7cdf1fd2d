package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// bothNamed has a plan that names who counts the requests that failed and those that were retried.
func bothNamed() *migration.RequestQueries {
	return &migration.RequestQueries{Failed: &migration.CountQuery{}, Retried: &migration.CountQuery{}}
}

// counting is a stage whose customer soaks for half an hour.
func counting(t *testing.T) *stage {
	s := newStage(t, 1, migration.OnPrem)
	s.slice.Health.Requests = bothNamed()
	s.slice.Policy.Soak = migration.Duration(30 * time.Minute)
	return s
}

func TestRequestsAreCountedAroundEachMoveThereAndBack(t *testing.T) {
	s := counting(t)
	s.at(10*time.Minute, func() {
		require.Equal(t, migration.CustomerSoaking, s.says().Phase)
		require.Len(t, s.counted, 1)
		require.Equal(t, &migration.Count{N: 2}, s.last.Moves[0].Requests.Failed, "its batch has heard")
		s.command(migration.UpdateRollback)
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerRolledBack, c.Phase)
	require.Len(t, c.Moves, 2)
	require.Len(t, s.counted, 2)
	for i, m := range c.Moves {
		require.Equal(t, &migration.Requests{From: m.Fenced.Add(-time.Minute), To: m.Routed.Add(time.Minute),
			Failed: &migration.Count{N: 2}, Retried: &migration.Count{N: 5}, Tries: 1}, m.Requests)
		require.Equal(t, m.To, s.counted[i].Side)
		require.Equal(t, m.Requests.From, s.counted[i].From)
		require.Equal(t, m.Requests.To, s.counted[i].To)
	}
}

func TestAPlanThatNamesNobodyAsksNobody(t *testing.T) {
	s := newStage(t, 1, migration.OnPrem)
	s.verdict = migration.Fail
	c := s.customer()
	s.sound(c)
	require.Len(t, c.Moves, 2)
	require.Empty(t, s.counted)
	require.Nil(t, c.Moves[0].Requests)
}

// The customer bakes, soaks and goes back meanwhile as if nobody were asked.
func TestACountThatIsNotAnsweredIsAskedForAFewTimesAndHoldsNobody(t *testing.T) {
	s := counting(t)
	s.counts = func(_ health.RequestsRequest, nth int) (health.RequestsResult, error) {
		if nth == 1 {
			return health.RequestsResult{Failed: &migration.Count{N: 7}, Retried: &migration.Count{Why: "it answers 503"}}, nil
		}
		return health.RequestsResult{Failed: &migration.Count{N: 9}, Retried: &migration.Count{Why: "it answers 504"}}, nil
	}
	s.at(270*time.Second, func() {
		r := s.says().Moves[0].Requests
		require.Equal(t, migration.CustomerSoaking, s.says().Phase)
		require.Equal(t, &migration.Count{N: 7}, r.Failed)
		require.Equal(t, &migration.Count{Pending: true, Why: "it answers 504"}, r.Retried)
		require.False(t, r.Next.IsZero())
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerFinished, c.Phase)
	r := c.Moves[0].Requests
	require.Len(t, s.counted, 5)
	require.Equal(t, &migration.Count{N: 7}, r.Failed, "a number that is there stays")
	require.Equal(t, &migration.Count{Why: "it answers 504"}, r.Retried)
	require.True(t, r.Next.IsZero())
	require.Equal(t, r, s.last.Moves[0].Requests)

	s = counting(t)
	s.counts = func(health.RequestsRequest, int) (health.RequestsResult, error) {
		return health.RequestsResult{}, errPermanent
	}
	c = s.customer()
	require.Equal(t, migration.CustomerFinished, c.Phase)
	require.Equal(t, &migration.Count{Why: "permission denied"}, c.Moves[0].Requests.Failed)
}

// A plan's last word comes before its numbers would: they are asked for as far as they go.
func TestACustomerThatEndsBeforeItsTimeIsCountedUpToThen(t *testing.T) {
	s := counting(t)
	s.at(30*time.Second, func() {
		require.Equal(t, migration.CustomerSoaking, s.says().Phase)
		require.Empty(t, s.counted)
		s.env.SignalWorkflow(mail.SignalAbort, mail.Wish{By: "ann"})
	})
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.CustomerAborted, c.Phase)
	require.Len(t, s.counted, 2)
	for _, m := range c.Moves {
		require.Equal(t, &migration.Count{N: 2}, m.Requests.Failed)
		require.False(t, m.Requests.To.After(m.Routed.Add(time.Minute)))
		require.True(t, m.Requests.Next.IsZero())
	}
	require.Equal(t, c.Moves[1].Requests, s.last.Moves[1].Requests, "the last report has them")

	s = counting(t)
	s.counts = func(health.RequestsRequest, int) (health.RequestsResult, error) {
		return health.RequestsResult{}, errNetwork
	}
	s.at(30*time.Second, func() { s.env.SignalWorkflow(mail.SignalAbort, mail.Wish{By: "ann"}) })
	c = s.customer()
	require.Equal(t, migration.CustomerAborted, c.Phase, "it does not wait for ever")
	for _, m := range c.Moves {
		require.NotEmpty(t, m.Requests.Failed.Why)
		require.False(t, m.Requests.Failed.Pending)
	}
}

// A Move that did not live to say when it was has no time to count over.
func TestAMoveThatNobodyTimedIsNotCounted(t *testing.T) {
	s := counting(t)
	s.death = death{step: "OpenTenant", from: migration.OnPrem, took: 1}
	c := s.customer()
	s.sound(c)
	require.Equal(t, migration.AWS, c.Home)
	require.Contains(t, c.Moves[0].Requests.Failed.Why, "nobody knows when it moved")
	require.Empty(t, s.counted)
}
