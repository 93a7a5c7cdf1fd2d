package migration

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/replication"
	"github.com/drover-migration/drover/workflows/workload"
)

// lookout is a database whose writers are observed from the first look on.
type lookout struct {
	s          *shop
	since      time.Time
	unresolved int
	over       bool
	fails      bool
	unseen     bool // vCenter does not answer
	looks      int
	routed     []string
	resolved   []postgres.ResolveRequest
	copied     int // times that replication began
}

func (l *lookout) ObserveWriters(_ context.Context, req postgres.ObserveRequest) (postgres.ObserveResult, error) {
	l.looks++
	l.routed = req.Routed
	switch {
	case l.fails:
		return postgres.ObserveResult{}, errors.New("the connection was lost")
	case l.over:
		return postgres.ObserveResult{Over: true, Unresolved: l.unresolved}, nil
	case l.since.IsZero():
		l.since = l.s.env.Now()
	}
	return postgres.ObserveResult{Since: l.since, Age: migration.Duration(l.s.env.Now().Sub(l.since)), Unresolved: l.unresolved}, nil
}

func (l *lookout) ResolveObserved(_ context.Context, req postgres.ResolveRequest) (postgres.ResolveResult, error) {
	if req.Finding != "f1" {
		return postgres.ResolveResult{}, nil
	}
	l.resolved = append(l.resolved, req)
	l.unresolved = 0
	return postgres.ResolveResult{Found: true}, nil
}

func (l *lookout) ListAddresses(_ context.Context, req vsphere.ListAddressesRequest) (vsphere.ListAddressesResult, error) {
	if l.unseen {
		return vsphere.ListAddressesResult{}, temporal.NewNonRetryableApplicationError("it does not answer", "Down", nil)
	}
	if len(req.Selectors) != 1 {
		return vsphere.ListAddressesResult{}, errors.New("one workload has machines there")
	}
	return vsphere.ListAddressesResult{Addresses: []string{"10.0.0.7"}}, nil
}

// observed is a shop whose first batch requires that writers are observed for two hours.
func observed(t *testing.T) (*shop, *lookout) {
	t.Helper()
	l := &lookout{}
	s := newShop(t, func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterActivity(l)
		env.RegisterWorkflowWithOptions(func(ctx workflow.Context, _ replication.Input) error {
			l.copied++
			return workflow.Sleep(ctx, 10*time.Hour)
		}, workflow.RegisterOptions{Name: "Replication"})
		env.RegisterWorkflowWithOptions(func(workflow.Context, workload.Input) error { return nil },
			workflow.RegisterOptions{Name: "Workload"})
	})
	l.s = s
	for name, p := range s.b.plans {
		p.Sites = []migration.Site{{Name: "dc1", VSphere: &migration.VSphere{}}}
		p.Workloads = []migration.Workload{{Name: "web", Site: "dc1", VMs: migration.VMSelector{Names: []string{"web-01"}}},
			{Name: "portal", Origin: "arn"}}
		if name != "fourth" {
			p.Batches[0].Requires = &migration.Requires{Observe: &migration.Observe{For: migration.Duration(2 * time.Hour)}}
		}
		s.b.plans[name] = p
	}
	return s, l
}

// provision goes on from where the data is brought up. After four hours all is ready, and after
// five the history is long enough.
func (s *shop) provision() {
	st := newMigration(Input{}).State
	st.Spec = migration.SpecRef{Plan: "shop", Revision: 1, Digest: "first"}
	st.Names, st.Resume, st.Phase = []string{"wave"}, migration.MigrationProvisioning, migration.MigrationProvisioning
	st.Batches["wave"] = migration.BatchStatus{Name: "wave", Phase: migration.BatchWaiting,
		Counts: migration.Counts{Customers: 1, Waiting: 1}}
	for _, name := range []string{"web", "portal"} {
		st.Pieces[name] = migration.PieceStatus{Name: name, Phase: migration.PieceReady}
	}
	s.at(4*time.Hour, func() {
		s.env.SignalWorkflow(mail.SignalPiece, mail.PieceReport{Order: mail.Order{At: 9e18, N: 1},
			Piece: migration.PieceStatus{Name: "orders", Phase: migration.PieceReady}})
		for _, b := range s.says().Batches {
			s.env.SignalWorkflow(mail.SignalBatch, mail.BatchReport{Order: mail.Order{At: 9e18, N: 2}, Closed: true,
				Status: migration.BatchStatus{Name: b.Name, Phase: migration.BatchDone}})
		}
	})
	s.at(5*time.Hour, func() { s.env.SetContinueAsNewSuggested(true) })
	// Replication outlives the run. While the environment waited for it, timers of what has gone
	// would fire: a race.
	s.env.SetDetachedChildWait(false)
	s.env.ExecuteWorkflow(Migration, Input{State: &st})
	require.True(s, s.env.IsWorkflowCompleted())
	var anew *workflow.ContinueAsNewError
	require.ErrorAs(s, s.env.GetWorkflowError(), &anew)
}

func (s *shop) resolve(finding, reason string) *answer {
	a := &answer{}
	s.env.UpdateWorkflow(migration.UpdateResolve, uuid.NewString(), &testsuite.TestUpdateCallback{
		OnReject: func(err error) { a.err = err }, OnAccept: func() {},
		OnComplete: func(v any, err error) {
			a.said, _ = v.(migration.Accepted)
			a.err = err
		},
	}, migration.Command{RequestID: uuid.NewString(), By: "ann", Reason: reason, Finding: finding})
	return a
}

// observing is what the batch was last told of the observation.
func (s *shop) observing() mail.Observing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.words["batch/shop/wave"].Observing
}

func TestNothingIsReplicatedBeforeWritersWereObservedAndWhatWasFoundIsResolved(t *testing.T) {
	s, l := observed(t)
	l.unresolved = 1
	var unknown, unsaid, done *answer
	s.at(time.Minute, func() {
		now := s.says()
		require.Equal(t, migration.MigrationProvisioning, now.Phase)
		require.Equal(t, migration.WaitObserve, now.WaitingFor)
		until := l.since.Add(2 * time.Hour).UTC().Format(migration.TimeLayout)
		require.Equal(t, "who writes is observed until "+until+", and 1 finding is unresolved where 0 may be: "+
			"`drover observe report shop`", now.Reason)
		require.Equal(t, mail.Observing{Words: now.Reason, Person: true}, s.observing(), "the batch says so too")
		require.Equal(t, []string{"10.0.0.7"}, l.routed)
	})
	s.at(2*time.Hour+time.Minute, func() {
		require.Equal(t, "who writes has been observed for 2h, and 1 finding is unresolved where 0 may be: "+
			"`drover observe report shop`", s.says().Reason)
		require.True(t, s.observing().Over, "somebody has to look")
		require.Zero(t, l.copied)
		require.Less(t, l.looks, 40, "every five minutes, and at the end")
		unknown, unsaid = s.resolve("f9", "x"), s.resolve("f1", " ")
		l.fails = true
	})
	s.at(2*time.Hour+10*time.Minute, func() {
		require.ErrorContains(t, unknown.err, "no finding is called f9")
		require.ErrorContains(t, unsaid.err, "say why")
		require.ErrorContains(t, errors.New(s.says().Reason), "who writes orders cannot be observed: ")
		require.Zero(t, l.copied)
		l.fails = false
		done = s.resolve("f1", "the job is moved with the first batch")
	})
	s.at(2*time.Hour+11*time.Minute, func() {
		require.NoError(t, done.err)
		require.Equal(t, "finding f1 of orders is resolved", done.said.Message)
		require.Equal(t, "ann", l.resolved[0].By)
		require.Equal(t, "the job is moved with the first batch", l.resolved[0].Reason)
		require.Equal(t, 1, l.copied, "it looks again at once")
		require.Empty(t, s.observing())
		now := s.says()
		require.Equal(t, migration.WaitData, now.WaitingFor)
		require.Equal(t, "who writes the databases has been observed for 2h", now.Timeline[len(now.Timeline)-1].What)
	})
	s.at(4*time.Hour+time.Minute, func() { require.Equal(t, migration.MigrationSoak, s.says().Phase) })
	s.provision()
}

func TestAnAmendmentThatRequiresNothingEndsAnObservation(t *testing.T) {
	s, l := observed(t)
	var a *answer
	s.at(time.Minute, func() { a = s.amend("a", "ann", "fourth", 1) })
	s.at(2*time.Minute, func() {
		require.NoError(t, a.err)
		require.Equal(t, 1, l.copied)
		require.Equal(t, migration.WaitData, s.says().WaitingFor)
	})
	s.provision()
}

func TestWritersAreNotObservedOnceMoreWhereReplicationIsSetUp(t *testing.T) {
	s, l := observed(t)
	l.over, l.unresolved = true, 3
	s.at(time.Minute, func() {
		require.Equal(t, 1, l.copied)
		require.Equal(t, 1, l.looks)
	})
	s.provision()
}

func TestAnObservationGoesOnInANewHistory(t *testing.T) {
	s, l := observed(t)
	s.at(30*time.Minute, func() { s.env.SetContinueAsNewSuggested(true) })
	s.provision()
	require.Less(t, s.env.Now().Sub(l.since), time.Hour)
	require.Zero(t, l.copied)
}

func TestAnObservationThatCannotBeginCallsSomebody(t *testing.T) {
	s, l := observed(t)
	l.fails = true
	var first mail.Observing
	s.at(time.Second, func() { first = s.observing() })
	s.at(10*time.Minute, func() {
		now := s.observing()
		require.True(t, now.Person, "it is an operator's turn: %+v", now)
		require.True(t, now.Over, "who is told of it")
		require.Contains(t, now.Words, "who writes orders cannot be observed: ")
		require.Contains(t, s.says().Reason, "who writes orders cannot be observed: ")
		require.Zero(t, l.copied)
		l.fails = false
	})
	s.at(20*time.Minute, func() {
		require.False(t, first.Person, "what fails once is no news: %+v", first)
		require.False(t, s.observing().Person, "it goes on by itself")
		require.False(t, s.observing().Over)
	})
	s.provision()
}

func TestASiteThatDoesNotAnswerIsAskedAtTheNextLookWhichMachinesAreRouted(t *testing.T) {
	s, l := observed(t)
	l.unseen = true
	s.at(time.Minute, func() {
		require.NotZero(t, l.looks)
		require.Empty(t, l.routed)
		l.unseen = false
	})
	s.at(11*time.Minute, func() { require.Equal(t, []string{"10.0.0.7"}, l.routed) })
	s.at(70*time.Minute, func() { l.unseen = true })
	s.at(80*time.Minute, func() {
		require.Equal(t, []string{"10.0.0.7"}, l.routed, "what it had said holds until it says something else")
	})
	s.provision()
}
