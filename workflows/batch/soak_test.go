package batch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/customer"
	"github.com/drover-migration/drover/workflows/measured"
	"github.com/drover-migration/drover/workflows/roll"
)

// soakers is a batch whose customers all soak from the start.
func soakers(t *testing.T, customers int) *herd {
	t.Helper()
	h := newHerd(t, customers)
	for _, id := range h.batch.Customers {
		h.aws[id] = true
	}
	return h
}

func TestOneLookAMinuteIsForAllThatSoak(t *testing.T) {
	h := soakers(t, 7)
	h.at(30*time.Minute+time.Second, func() {
		require.InDelta(t, 30, len(h.looks), 2)
		for _, l := range h.looks[1:] {
			require.Len(t, l, 7)
		}
		require.Equal(t, migration.AWS, h.looks[1][0].Side)
		require.EqualValues(t, 7, h.looks[1][0].Token)
		require.Zero(t, h.told, "nothing was news to anybody")
	})
	h.run()
	require.Less(t, len(h.looks), 66)
	require.Equal(t, 7, h.finalSays.Counts.OnAWS)
	for _, c := range h.finalSays.Customers {
		require.Equal(t, migration.CustomerFinished, c.Phase)
	}
}

func TestTheVerdictsOfALookAreCounted(t *testing.T) {
	m := measured.New()
	var suite testsuite.WorkflowTestSuite
	suite.SetMetricsHandler(m.Handler)
	h := herdIn(t, &suite, 4)
	for _, id := range h.batch.Customers {
		h.aws[id] = true
	}
	h.soak = 10 * time.Minute
	h.at(5*time.Minute, func() { h.illLate["c0"] = true })
	h.run()
	failed, _ := m.Of(t, migration.MetricVerdicts, "during", "soak", "outcome", "fail")
	require.Positive(t, failed)
	passed, _ := m.Of(t, migration.MetricVerdicts, "during", "soak", "outcome", "pass")
	asked := 0
	for _, l := range h.looks {
		asked += len(l)
	}
	require.EqualValues(t, asked, failed+passed)
}

func TestALargeBatchIsLookedAtInShards(t *testing.T) {
	h := soakers(t, soakShard+1)
	h.soak = 2 * time.Minute
	h.run()
	sizes := map[int]bool{}
	for _, l := range h.looks {
		require.LessOrEqual(t, len(l), soakShard)
		sizes[len(l)] = true
	}
	require.True(t, sizes[soakShard] && sizes[1], "%v", sizes)
	require.Equal(t, soakShard+1, h.finalSays.Counts.OnAWS)
}

func TestNotesOfALargeBatchWithoutADatabaseAreWrittenInShards(t *testing.T) {
	h := soakers(t, soakShard+1)
	h.stateless = true
	h.soak = 2 * time.Minute
	h.run()
	require.Contains(t, h.shards, soakShard)
	for _, n := range h.shards {
		require.LessOrEqual(t, n, soakShard)
	}
	require.Equal(t, soakShard+1, h.finalSays.Counts.OnAWS)
}

func TestACustomerThatIsUnwellInTheSoakGoesHomeInTheSlotsOfTheWayBack(t *testing.T) {
	h := soakers(t, 9)
	h.batch.Concurrency = 1
	h.at(10*time.Minute, func() {
		for _, id := range h.batch.Customers[:8] {
			h.illLate[id] = true
		}
	})
	h.at(40*time.Minute, func() {
		require.Equal(t, 8, h.says().Counts.RolledBack)
		require.Equal(t, 1, h.says().Counts.OnAWS)
	})
	h.run()
	require.Equal(t, 2, h.most.back, "twice as many as go")
}

// A worker that reaches nothing is no reason to move anybody, and none to let a soak end.
func TestABlindLookCountsAgainstNobody(t *testing.T) {
	h := soakers(t, 3)
	h.batch.Customers = append(h.batch.Customers, "c3") // is to go
	h.batch.Approvals = 1
	h.at(10*time.Minute, func() { h.blind = "this worker reaches nothing" })
	h.at(12*time.Minute, func() {
		h.command(migration.UpdateApprove, "ann", "")
	})
	h.at(80*time.Minute, func() {
		s := h.says()
		require.Equal(t, migration.WaitHealth, s.WaitingFor)
		require.Contains(t, s.Reason, "this worker reaches nothing")
		require.Empty(t, h.went, "nobody else goes meanwhile")
		require.Zero(t, h.told)
		require.Equal(t, 3, s.Counts.OnAWS)
		require.Equal(t, migration.CustomerSoaking, s.Customers[0].Phase, "its soak was over twenty minutes ago")
		h.blind = ""
	})
	h.at(85*time.Minute, func() {
		require.Equal(t, migration.CustomerFinished, h.says().Customers[0].Phase)
		require.Equal(t, []string{"c3"}, h.went)
	})
	h.run()
	require.Zero(t, h.most.back)
}

// Nor is it one while a customer bakes: the batch waits, says so, and goes on by itself.
func TestABatchSendsNobodyOutWhileOneThatBakesCannotBeJudged(t *testing.T) {
	h := newHerd(t, 3)
	h.batch.Concurrency = 1
	h.unseen = map[string]time.Duration{"c0": 30 * time.Minute}
	h.at(20*time.Minute, func() {
		s := h.says()
		require.Equal(t, []string{"c0"}, h.went, "nobody else goes meanwhile")
		require.Equal(t, migration.BatchCuttingOver, s.Phase)
		require.Equal(t, migration.WaitHealth, s.WaitingFor)
		require.Contains(t, s.Reason, "c0 bakes and cannot be judged: this worker reaches nothing")
	})
	h.at(40*time.Minute, func() {
		require.Equal(t, []string{"c0", "c1", "c2"}, h.went)
		require.NotContains(t, h.says().Reason, "cannot be judged")
	})
	h.run()
	require.Zero(t, h.most.back)
	require.Zero(t, h.reports[len(h.reports)-1].Incidents, "it counts against nobody")
}

func TestACustomerIsToldOnceWhatIsWrongWithItsRouteAndOnceThatItIsRight(t *testing.T) {
	h := soakers(t, 2)
	h.at(10*time.Minute, func() { h.unrouted["c0"] = "it is sent to onprem" })
	h.at(20*time.Minute, func() {
		require.Equal(t, "its route is left as it is: it is sent to onprem", h.says().Customers[0].Reason)
		require.Equal(t, 1, h.told)
		delete(h.unrouted, "c0")
	})
	h.at(30*time.Minute, func() { require.Equal(t, 2, h.told) })
	h.run()
}

func TestACustomerWhoseDataSaysThatItIsElsewhereIsToldSo(t *testing.T) {
	h := soakers(t, 2)
	h.at(10*time.Minute, func() { h.stands["c1"] = migration.OnPrem })
	h.at(20*time.Minute, func() {
		require.Equal(t, migration.CustomerRolledBack, h.says().Customers[1].Phase)
		require.Equal(t, migration.CustomerSoaking, h.says().Customers[0].Phase)
	})
	h.run()
}

// Both sides open is no home: the audit says so, and the soak does not end.
func TestTheSoakOfWhoHasNoHomeDoesNotEnd(t *testing.T) {
	h := soakers(t, 1)
	h.at(10*time.Minute, func() { h.stands["c0"] = "nowhere" })
	h.at(90*time.Minute, func() {
		require.Equal(t, migration.CustomerSoaking, h.says().Customers[0].Phase)
		require.Contains(t, h.says().Customers[0].Reason, "the soak is over")
		delete(h.stands, "c0")
	})
	h.run()
	require.Equal(t, migration.CustomerFinished, h.finalSays.Customers[0].Phase)
}

// A batch that was terminated has another one in its place, and its customers' soak goes on.
func TestTheSoakGoesOnWithTheNextBatch(t *testing.T) {
	h := soakers(t, 3)
	h.was = &migration.BatchStatus{Name: "wave", Phase: migration.BatchDone, Counts: migration.Counts{Customers: 3, OnAWS: 3, Away: 3}}
	h.at(10*time.Minute, func() { h.illLate["c1"] = true })
	h.run()
	require.Equal(t, migration.CustomerRolledBack, h.finalSays.Customers[1].Phase)
	require.Equal(t, migration.CustomerFinished, h.finalSays.Customers[0].Phase)
}

func TestEndsOfManySoaksDoNotMakeALookEach(t *testing.T) {
	b := newBatch(Input{Batch: migration.Batch{Name: "wave", Customers: []string{"a", "b"}}})
	start := time.Date(2026, 12, 2, 20, 0, 0, 0, time.UTC)
	b.Looked = start
	_, reason := customer.Soaks("")
	for i, m := range b.Members {
		m.Status = migration.CustomerStatus{ID: m.Status.ID, Phase: migration.CustomerSoaking, Reason: reason,
			Until: start.Add(time.Duration(20*i+20) * time.Second)}
	}
	require.Equal(t, start.Add(20*time.Second), b.nextLook(), "when the first ends")
	b.Members[0].Status.Until = start.Add(time.Millisecond)
	require.Equal(t, start.Add(time.Second), b.nextLook(), "not at once")
	b.Members[0].Status.Until, b.Members[1].Status.Until = start.Add(-time.Hour), start.Add(time.Hour)
	require.Equal(t, start.Add(time.Minute), b.nextLook(), "whose soak is over and was not told to end is looked at with the others")
}

func TestTheRollOfThoseThatSoakIsOneQuestion(t *testing.T) {
	h := soakers(t, 7)
	h.at(10*time.Minute, func() {
		require.InDelta(t, 20, h.rolls, 2)
		require.Empty(t, h.asked)
		h.missing["c3"] = true
	})
	h.at(12*time.Minute, func() {
		require.Subset(t, []string{"c3"}, h.asked)
		require.NotEmpty(t, h.asked, "whoever is missing is asked, and started again where it does not run")
		delete(h.missing, "c3")
	})
	h.run()
}

// One that was terminated after the seal is open nowhere until it is started again.
func TestACustomerThatMovesIsCalledEveryFewSeconds(t *testing.T) {
	h := newHerd(t, 1)
	h.at(moveTime-time.Second, func() {
		require.Equal(t, migration.CustomerMoving, h.says().Customers[0].Phase)
		require.InDelta(t, moveTime/roll.Moving, len(h.asked), 3)
	})
	h.at(moveTime+bakeTime-time.Second, func() {
		require.Equal(t, migration.CustomerBaking, h.says().Customers[0].Phase)
		require.Less(t, len(h.asked), 40, "who bakes is called with the others")
	})
	h.run()
}

func TestACustomerThatStandsStillInAMoveIsCalledWithTheOthers(t *testing.T) {
	h := newHerd(t, 1)
	h.ill["c0"], h.slow["c0"] = true, 30*time.Minute
	h.at(20*time.Minute, func() {
		require.Equal(t, migration.CustomerMovingBack, h.says().Customers[0].Phase)
		h.asked = nil
	})
	h.at(25*time.Minute, func() {
		require.InDelta(t, 5*time.Minute/roll.Often, len(h.asked), 2)
	})
	h.run()
}
