package board_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/board"
	"github.com/drover-migration/drover/web/webtest"
)

const every = 20 * time.Millisecond

func follow(t *testing.T, w board.Source) *board.Follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	hub := board.NewHub(ctx, w, every)
	t.Cleanup(func() { cancel(); hub.Wait() })
	f, err := hub.Follow(ctx, "shop")
	require.NoError(t, err)
	return f
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, 20*time.Second, every, what)
}

func TestManyWhoLookCauseOneReading(t *testing.T) {
	w := webtest.New("shop", 100, 4)
	ctx, cancel := context.WithCancel(context.Background())
	hub := board.NewHub(ctx, w, time.Hour)
	defer func() { cancel(); hub.Wait() }()
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			f, err := hub.Follow(ctx, "shop")
			if err == nil {
				_, stop := f.Watch()
				_ = f.Snapshot(ctx)
				stop()
			}
		})
	}
	all.Wait()
	require.Equal(t, int64(1+1+1+1+4), w.Asked.Load(), "the execution, the status, its copies, the plan and four batches")
}

func TestEveryCustomerIsThereBeforeItsBatchBegins(t *testing.T) {
	snap := follow(t, webtest.New("shop", 100, 4)).Snapshot(t.Context())
	require.Len(t, snap.Customers, 100)
	c, ok := snap.Customer("cust-00099")
	require.True(t, ok)
	require.Equal(t, board.Waiting, c.State())
	require.Equal(t, "wave-04", c.Status.Batch)
	b, _ := snap.Batch("wave-04")
	require.Equal(t, 25, b.Counts.Customers)
	require.NotNil(t, b.Window, "from the plan")
}

func TestWithoutThePlanWhatTheBatchesSayIsShown(t *testing.T) {
	w := webtest.New("shop", 100, 4)
	w.SetBatch(0, func(b *migration.BatchStatus) { b.Phase = migration.BatchGate })
	w.Unplanned()
	snap := follow(t, w).Snapshot(t.Context())
	require.Nil(t, snap.Spec)
	require.Len(t, snap.Customers, 25)
}

func TestAChangeIsTold(t *testing.T) {
	w := webtest.New("shop", 100, 4)
	w.SetBatch(0, func(b *migration.BatchStatus) { b.Phase = migration.BatchCuttingOver })
	f := follow(t, w)
	before := f.Snapshot(t.Context()).Version
	changed, stop := f.Watch()
	defer stop()
	w.SetCustomer("cust-00007", func(c *migration.CustomerStatus) { c.Phase, c.Home = migration.CustomerSoaking, migration.AWS })
	select {
	case <-changed:
	case <-time.After(20 * time.Second):
		require.Fail(t, "nothing was told")
	}
	snap := f.Snapshot(t.Context())
	require.Greater(t, snap.Version, before)
	c, _ := snap.Customer("cust-00007")
	require.Equal(t, board.CanGoBack, c.State())
}

func TestNothingIsToldWhereNothingChanges(t *testing.T) {
	w := webtest.New("shop", 100, 4)
	f := follow(t, w)
	first := f.Snapshot(t.Context())
	eventually(t, "it is read anew", func() bool { return f.Snapshot(t.Context()).At.After(first.At) })
	require.Equal(t, first.Version, f.Snapshot(t.Context()).Version)
}

func TestWithTemporalDownTheLastKnownStateStays(t *testing.T) {
	w := webtest.New("shop", 100, 4)
	f := follow(t, w)
	w.Down(&client.Problem{Kind: client.ErrUnreachable, Doing: "connect", Why: "connection refused", Next: "start it"})
	eventually(t, "the trouble shows", func() bool { return f.Snapshot(t.Context()).Trouble != nil })
	snap := f.Snapshot(t.Context())
	require.True(t, snap.Trouble.Temporal)
	require.Equal(t, "start it", snap.Trouble.Next)
	require.Len(t, snap.Customers, 100)
	require.WithinDuration(t, time.Now(), snap.Trouble.Since, time.Minute)

	version := snap.Version
	w.Down(nil)
	eventually(t, "the trouble is over", func() bool { return f.Snapshot(t.Context()).Trouble == nil })
	require.Greater(t, f.Snapshot(t.Context()).Version, version, "those who watch are told")
}

func TestSilentWorkersAreNotTakenForASilentServer(t *testing.T) {
	w := webtest.New("shop", 100, 4)
	f := follow(t, w)
	w.Mute(true)
	eventually(t, "the trouble shows", func() bool { return f.Snapshot(t.Context()).Trouble != nil })
	require.False(t, f.Snapshot(t.Context()).Trouble.Temporal)
}

func TestATerminatedMigrationOffersNothing(t *testing.T) {
	w := webtest.New("shop", 100, 4)
	f := follow(t, w)
	w.Terminated()
	eventually(t, "it shows", func() bool { return !f.Snapshot(t.Context()).GoesOn() })
	require.Empty(t, f.Snapshot(t.Context()).Status.MayDo)
	story, turn := f.Snapshot(t.Context()).Story()
	require.Contains(t, story, "was ended in Temporal (Terminated)")
	require.Equal(t, board.TurnPerson, turn)
}

func TestAPlanThatDoesNotExistLeavesNothingBehind(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	hub := board.NewHub(ctx, webtest.New("shop", 1, 1), every)
	defer func() { cancel(); hub.Wait() }()
	_, err := hub.Follow(ctx, "nope")
	require.ErrorIs(t, err, client.ErrNotFound)
}

func TestOneCustomersDetailsAreReadOnceForAll(t *testing.T) {
	w := webtest.New("shop", 10, 1)
	ctx, cancel := context.WithCancel(context.Background())
	hub := board.NewHub(ctx, w, time.Hour)
	defer func() { cancel(); hub.Wait() }()
	f, err := hub.Follow(ctx, "shop")
	require.NoError(t, err)
	c, _ := f.Snapshot(ctx).Customer("cust-00003")
	before := w.Asked.Load()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { _, _, _ = f.Customer(ctx, c) })
	}
	all.Wait()
	require.Equal(t, before+1, w.Asked.Load())
}

func TestACustomerThatCannotBeReadIsNotAskedForByEverybody(t *testing.T) {
	w := webtest.New("shop", 10, 1)
	f := follow(t, w)
	c, _ := f.Snapshot(t.Context()).Customer("cust-00003")
	w.Mute(true)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			_, _, err := f.Customer(t.Context(), c)
			if err == nil {
				t.Error("it answered")
			}
		})
	}
	all.Wait()
	require.Less(t, w.Asked.Load(), int64(2000))
}

// slow is a source in which one plan does not answer before it is let go, and others have one
// answer.
type slow struct {
	*webtest.World
	stuck string
	go_   chan struct{}
	asked atomic.Int64 // for the plan that is stuck, and for the list
}

func (s *slow) Execution(ctx context.Context, at client.Aim) (string, error) {
	if at.Plan != s.stuck {
		return s.World.Execution(ctx, at)
	}
	s.asked.Add(1)
	return "", s.wait(ctx)
}

func (s *slow) List(ctx context.Context) ([]client.PlanSummary, error) {
	s.asked.Add(1)
	return nil, s.wait(ctx)
}

func (s *slow) wait(ctx context.Context) error {
	select {
	case <-s.go_:
		return &client.Problem{Kind: client.ErrUnreachable, Doing: "read the status", Why: "no worker answered in time"}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// After a restart of the board everybody comes at once, and Temporal may be down, or one plan's
// workers.
func TestAPlanThatDoesNotAnswerKeepsNobodyElseWaitingAndIsAskedForOnce(t *testing.T) {
	w := &slow{World: webtest.New("shop", 10, 1), stuck: "stuck", go_: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	hub := board.NewHub(ctx, w, every)
	defer func() { cancel(); hub.Wait() }()
	left, leave := context.WithCancel(ctx)
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			_, err := hub.Follow(ctx, "stuck")
			_, _, listing := hub.Plans(ctx)
			if !errors.Is(err, client.ErrUnreachable) || !errors.Is(listing, client.ErrUnreachable) {
				t.Errorf("%v; %v", err, listing)
			}
		})
	}
	gone := make(chan error)
	go func() { _, err := hub.Follow(left, "stuck"); gone <- err }()
	eventually(t, "somebody asks", func() bool { return w.asked.Load() > 0 })
	_, err := hub.Follow(ctx, "shop")
	require.NoError(t, err, "another plan is there meanwhile")
	require.Equal(t, int64(1), w.asked.Load(), "one asks for all")
	leave()
	require.ErrorIs(t, <-gone, context.Canceled, "who leaves does not wait")
	close(w.go_)
	all.Wait()
}

// A reader who hangs up, again and again, must not be what all others of this customer read.
func TestAReaderWhoLeavesSpoilsNothingForOthers(t *testing.T) {
	w := webtest.New("shop", 10, 1)
	f := follow(t, &leaving{World: w})
	c, _ := f.Snapshot(t.Context()).Customer("cust-00003")
	gone, leave := context.WithCancel(t.Context())
	leave()
	for range 20 { // of two things that are ready Go takes either
		_, _, _ = f.Customer(gone, c)
	}
	got, _, err := f.Customer(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, "cust-00003", got.ID)
}

// leaving answers nobody who has left.
type leaving struct{ *webtest.World }

func (l *leaving) Customer(ctx context.Context, plan, id string) (migration.CustomerStatus, error) {
	if ctx.Err() != nil {
		return migration.CustomerStatus{}, ctx.Err()
	}
	return l.World.Customer(ctx, plan, id)
}

func TestCustomersAreFound(t *testing.T) {
	w := webtest.New("shop", 1000, 4)
	w.SetBatch(0, func(b *migration.BatchStatus) { b.Phase = migration.BatchCuttingOver })
	w.SetCustomer("cust-00007", func(c *migration.CustomerStatus) { c.Phase, c.Reason = migration.CustomerHeld, "no answer" })
	snap := follow(t, w).Snapshot(t.Context())
	for query, want := range map[string]int{
		"": 1000, "q=cust-00042": 1, "q=CUSTOMER+42": 20, "q=cust-00042.app.example": 1, "state=held": 1, "state=nonsense": 1000,
		"batch=wave-02": 250, "label=tier:gold": 334, "owner=cs-1@example.com": 250, "q=no+answer": 1, "q=nobody+at+all": 0,
		"label=tier:gold&batch=wave-01&q=cust": 84,
	} {
		q, err := url.ParseQuery(query)
		require.NoError(t, err)
		require.Equal(t, want, snap.Find(board.ReadFilter(q)).Found, query)
	}
}

// Each word is looked for in every customer: of a search of 60 kB only so much counts as a person
// types.
func TestASearchIsAsLongAsAPersonTypes(t *testing.T) {
	f := board.ReadFilter(url.Values{"q": {strings.Repeat("ц ", 30_000)}})
	require.Len(t, strings.Fields(f.Text), 100)
}

func TestAllPagesTogetherAreAllCustomers(t *testing.T) {
	snap := follow(t, webtest.New("shop", 1000, 4)).Snapshot(t.Context())
	seen := map[string]bool{}
	for no := 1; ; no++ {
		p := snap.Find(board.Filter{PageNo: no})
		for _, c := range p.Customers {
			require.False(t, seen[c.Status.ID])
			seen[c.Status.ID] = true
		}
		if no == p.Of {
			break
		}
	}
	require.Len(t, seen, 1000)
	require.Equal(t, 5, snap.Find(board.Filter{PageNo: 99}).No, "a page past the end is the last")
}

func TestAFilterIsItsAddress(t *testing.T) {
	f := board.Filter{Text: "a b&c", State: board.Held, Batch: "wave-01", Label: "tier:gold", Owner: "x@example.com", PageNo: 3}
	q, err := url.ParseQuery(f.Query()[1:])
	require.NoError(t, err)
	require.Equal(t, f, board.ReadFilter(q))
	require.Empty(t, board.Filter{PageNo: 1}.Query())
}

func TestWhoseTurnItIs(t *testing.T) {
	clock := board.NewClock("Europe/Oslo")
	for name, c := range map[string]struct {
		set  func(*migration.BatchStatus)
		says string
		turn board.Turn
	}{
		"approval": {func(b *migration.BatchStatus) { b.Phase, b.WaitingFor = migration.BatchGate, migration.WaitApproval },
			"Waits for approval: 0 of 1 given.", board.TurnPerson},
		"window": {func(b *migration.BatchStatus) { b.Phase, b.WaitingFor = migration.BatchGate, migration.WaitWindow },
			"Waits for its window: Wed 2 Dec 2026 21:00 to Thu 3 Dec 01:00 CET.", board.TurnClock},
		"writers are observed": {func(b *migration.BatchStatus) {
			b.WaitingFor, b.Reason = migration.WaitObserve, "the site's unresolved name is no finding"
		}, "The site's unresolved name is no finding.", board.TurnClock},
		"somebody has to look at writers": {func(b *migration.BatchStatus) {
			b.WaitingFor, b.Asks, b.Reason = migration.WaitObserve, true, "who writes orders cannot be observed: refused"
		}, "Who writes orders cannot be observed: refused.", board.TurnPerson},
		"its turn": {func(b *migration.BatchStatus) { b.Phase, b.WaitingFor = migration.BatchWaiting, migration.WaitTurn },
			"Waits until AWS stands and the first copy of the data is there.", board.TurnDrover},
		"a closed window": {func(b *migration.BatchStatus) {
			b.Phase, b.WaitingFor = migration.BatchGate, migration.WaitWindow
			b.Window = &migration.Window{Opens: time.Date(2026, 10, 7, 19, 0, 0, 0, time.UTC), For: migration.Duration(4 * time.Hour)}
		}, "Its window has closed: Wed 7 Oct 2026 21:00 to Thu 8 Oct 01:00 CEST. A retry goes on outside it.", board.TurnPerson},
		"resume": {func(b *migration.BatchStatus) { b.Phase, b.WaitingFor = migration.BatchGate, migration.WaitResume },
			"Waits until the paused migration is resumed.", board.TurnPerson},
		"operator": {func(b *migration.BatchStatus) { b.Phase, b.WaitingFor = migration.BatchGate, migration.WaitOperator },
			"Waits for a person to decide about held customers.", board.TurnPerson},
		"blackout": {func(b *migration.BatchStatus) {
			b.Phase, b.WaitingFor = migration.BatchCuttingOver, migration.WaitBlackout
		},
			"Waits for blackouts of its customers to end.", board.TurnClock},
		"health": {func(b *migration.BatchStatus) {
			b.Phase, b.WaitingFor = migration.BatchCuttingOver, migration.WaitHealth
		},
			"Waits for the health of customers that have moved.", board.TurnDrover},
		"data": {func(b *migration.BatchStatus) { b.Phase, b.WaitingFor = migration.BatchGate, migration.WaitData },
			"Waits for the first copy of its data.", board.TurnDrover},
		"machines": {func(b *migration.BatchStatus) { b.Phase, b.WaitingFor = migration.BatchGate, migration.WaitAWS },
			"Waits for machines on AWS.", board.TurnDrover},
		"taking back": {func(b *migration.BatchStatus) { b.Phase = migration.BatchTakingBack },
			"Its customers are taken back on premises.", board.TurnDrover},
		"finalised": {func(b *migration.BatchStatus) {
			b.Phase, b.Finalised = migration.BatchDone, &migration.Finalised{By: "lea", Cut: webtest.Start}
		}, "Everybody has moved. Its way back ended on Wed 2 Dec 2026 21:00 CET, by lea.", board.TurnNobody},
		"being finalised": {func(b *migration.BatchStatus) {
			b.Phase, b.Finalised = migration.BatchDone, &migration.Finalised{By: "lea", Waits: "web-01 still runs"}
		}, "Everybody has moved. lea has asked to end its way back. That waits: web-01 still runs.", board.TurnPerson},
		"lag": {func(b *migration.BatchStatus) { b.Phase, b.WaitingFor = migration.BatchGate, migration.WaitLag },
			"Waits until replication has caught up.", board.TurnDrover},
		"moving": {func(b *migration.BatchStatus) {
			b.Phase, b.WaitingFor = migration.BatchCuttingOver, migration.WaitNothing
		},
			"Its customers move now, 1 at a time.", board.TurnDrover},
		"moving, as many as may": {func(b *migration.BatchStatus) {
			b.Phase, b.WaitingFor = migration.BatchCuttingOver, migration.WaitTurn
		}, "Its customers move now, 1 at a time.", board.TurnDrover},
		"taken back": {func(b *migration.BatchStatus) { b.Phase = migration.BatchTakenBack },
			"Everybody is back on premises. A retry starts it anew.", board.TurnPerson},
	} {
		t.Run(name, func(t *testing.T) {
			w := webtest.New("shop", 10, 2)
			w.SetBatch(0, c.set)
			snap := follow(t, w).Snapshot(t.Context())
			says, turn := snap.Gate(snap.Batches[0], clock)
			require.Equal(t, c.says, says)
			require.Equal(t, c.turn, turn)
		})
	}
}

func TestAMigrationThatObservesWritersSaysWhoseTurnItIs(t *testing.T) {
	for asks, want := range map[bool]board.Turn{false: board.TurnClock, true: board.TurnPerson} {
		w := webtest.New("shop", 10, 2)
		w.SetPlan(func(s *migration.MigrationStatus) {
			s.Phase, s.WaitingFor = migration.MigrationProvisioning, migration.WaitObserve
		})
		w.SetBatch(0, func(b *migration.BatchStatus) {
			b.Phase, b.WaitingFor, b.Asks = migration.BatchWaiting, migration.WaitObserve, asks
		})
		w.SetBatch(1, func(b *migration.BatchStatus) { b.Phase, b.WaitingFor = migration.BatchWaiting, migration.WaitTurn })
		story, turn := follow(t, w).Snapshot(t.Context()).Story()
		require.Contains(t, story, "Who writes the databases is observed")
		require.Equal(t, want, turn)
	}
}

// TestStatesAreToldApartWithoutTheirColours: each has a shape and words of its own.
func TestStatesAreToldApartWithoutTheirColours(t *testing.T) {
	signs, words := map[string]board.State{}, map[string]board.State{}
	for _, s := range board.States {
		require.Empty(t, signs[s.Sign()], "%s looks like another", s)
		require.Empty(t, words[s.Words()], "%s is called like another", s)
		signs[s.Sign()], words[s.Words()] = s, s
	}
}

// TestEverythingThatWaitsForAPersonIsListed: of whatever makes it a person's turn, and of each kind
// of message that asks for somebody.
func TestEverythingThatWaitsForAPersonIsListed(t *testing.T) {
	past := &migration.Window{Opens: time.Date(2026, 10, 7, 19, 0, 0, 0, time.UTC), For: migration.Duration(4 * time.Hour)}
	batch := func(set func(*migration.BatchStatus)) func(*webtest.World) {
		return func(w *webtest.World) { w.SetBatch(0, set) }
	}
	plan := func(set func(*migration.MigrationStatus)) func(*webtest.World) {
		return func(w *webtest.World) { w.SetPlan(set) }
	}
	for want, set := range map[string]func(*webtest.World){
		"Batch wave-01: waits for approval: 0 of 1 given.": batch(func(b *migration.BatchStatus) {
			b.Phase, b.WaitingFor = migration.BatchGate, migration.WaitApproval
		}),
		"Batch wave-01: everybody is back on premises. A retry starts it anew.": batch(func(b *migration.BatchStatus) {
			b.Phase = migration.BatchTakenBack
		}),
		"Batch wave-01: its window has closed: Wed 7 Oct 2026 19:00 to 23:00 UTC. A retry goes on outside it.": batch(
			func(b *migration.BatchStatus) {
				b.Phase, b.WaitingFor, b.Window = migration.BatchGate, migration.WaitWindow, past
			}),
		"Batch wave-01: 1 writer of orders is unresolved.": batch(func(b *migration.BatchStatus) {
			b.WaitingFor, b.Asks, b.Reason = migration.WaitObserve, true, "1 writer of orders is unresolved"
		}),
		"Batch wave-01: everybody has moved. lea has asked to end its way back. That waits: web-01 still runs.": batch(
			func(b *migration.BatchStatus) {
				b.Phase, b.Finalised = migration.BatchDone, &migration.Finalised{By: "lea", Waits: "web-01 still runs"}
			}),
		"The migration is paused: the slot is gone.": plan(func(m *migration.MigrationStatus) {
			m.Paused, m.Reason = true, "the slot is gone"
		}),
		"It has failed: no room on AWS.": plan(func(m *migration.MigrationStatus) {
			m.Phase, m.Reason = migration.MigrationFailed, "no room on AWS"
		}),
		"The way back is being ended, and waits: machines still run.": plan(func(m *migration.MigrationStatus) {
			m.Phase, m.WaitingFor, m.Reason = migration.MigrationFinalising, migration.WaitOperator, "machines still run"
		}),
		"Every soak is over. A lead ends the way back for good, or leaves it standing.": plan(func(m *migration.MigrationStatus) {
			m.Phase, m.WaitingFor = migration.MigrationSoak, migration.WaitOperator
		}),
	} {
		w := webtest.New("shop", 10, 2)
		set(w)
		waits := follow(t, w).Snapshot(t.Context()).Waits(board.NewClock(""))
		require.Len(t, waits, 1, want)
		require.Equal(t, want, waits[0].Text)
	}
	for _, kind := range migration.NoticeKinds {
		if !kind.Asks() {
			continue
		}
		w := webtest.New("shop", 10, 2)
		w.Notify(migration.Contact{Name: "room"})
		a := migration.Ask{ID: string(kind) + "/1", Kind: kind, Batch: "wave-01", Reason: "it does not answer"}
		if kind.OfCustomer() {
			a.Customer = "cust-00003"
		}
		if kind.OfMigration() {
			a.Batch = ""
		}
		w.SetMessages(a.Customer, migration.MessagesStatus{Asks: []migration.Ask{a}})
		snap := follow(t, w).Snapshot(t.Context())
		waits := snap.Waits(board.NewClock(""))
		require.Len(t, waits, 1, kind)
		require.Equal(t, a.ID, waits[0].Ask, kind)
		require.Contains(t, waits[0].Text, "it does not answer. Nobody has the message yet.")
		require.Equal(t, a, snap.Ask(a.Batch, a.Customer), kind)
	}
}

// onAWS is a customer that soaks.
func onAWS(c *migration.CustomerStatus) {
	c.Phase, c.Home, c.Until = migration.CustomerSoaking, migration.AWS, webtest.Start.Add(72*time.Hour)
}

// TestWhatWaitsIsNotHiddenByOthersThatAreHeld: that customers are held says nothing of a batch that
// was taken back, or whose end of the way back waits.
func TestWhatWaitsIsNotHiddenByOthersThatAreHeld(t *testing.T) {
	held := func(c *migration.CustomerStatus) { c.Phase, c.Home = migration.CustomerHeld, migration.OnPrem }
	for want, set := range map[string]func(*migration.BatchStatus){
		"Batch wave-01: everybody is back on premises. A retry starts it anew.": func(b *migration.BatchStatus) {
			b.Phase, b.WaitingFor = migration.BatchTakenBack, migration.WaitOperator
		},
		"That waits: web-01 still runs.": func(b *migration.BatchStatus) {
			b.Phase, b.Finalised = migration.BatchDone, &migration.Finalised{By: "lea", Waits: "web-01 still runs"}
		},
	} {
		w := webtest.New("shop", 10, 2)
		w.SetCustomer("cust-00000", held)
		w.SetBatch(0, set)
		waits := follow(t, w).Snapshot(t.Context()).Waits(board.NewClock(""))
		require.Len(t, waits, 2, want)
		require.Equal(t, "1 held: a person decides.", waits[0].Text)
		require.Contains(t, waits[1].Text, want)
	}
	w := webtest.New("shop", 10, 2)
	w.SetCustomer("cust-00000", held)
	w.SetBatch(0, func(b *migration.BatchStatus) { b.Phase = migration.BatchDone })
	require.Len(t, follow(t, w).Snapshot(t.Context()).Waits(board.NewClock("")), 1, "it is counted once")
}

func TestADeferralMakesADoneBatchNobodysTurn(t *testing.T) {
	w := webtest.New("shop", 10, 2)
	w.SetCustomer("cust-00000", func(c *migration.CustomerStatus) {
		c.Phase, c.Home, c.Cause = migration.CustomerHeld, migration.OnPrem, migration.ByDeferral
		c.Deferral = &migration.Deferral{NotBefore: webtest.Start.AddDate(0, 1, 0), Accepted: true,
			Decided: &migration.Event{By: "lea"}}
	})
	w.SetBatch(0, func(b *migration.BatchStatus) { b.Phase = migration.BatchDone })
	snap := follow(t, w).Snapshot(t.Context())
	_, turn := snap.Gate(snap.Batches[0], board.NewClock(""))
	require.Equal(t, board.TurnNobody, turn)
	require.Empty(t, snap.Waits(board.NewClock("")))
}

func TestWaysBackThatDoNotStandWaitForAPerson(t *testing.T) {
	w := webtest.New("shop", 10, 2)
	w.Uses("orders")
	for _, id := range []string{"cust-00000", "cust-00001"} {
		w.SetCustomer(id, onAWS)
	}
	w.SetBatch(0, func(b *migration.BatchStatus) { b.Phase = migration.BatchDone })
	set := func(n *migration.NoWayBack) {
		w.SetPlan(func(m *migration.MigrationStatus) {
			m.Phase, m.WaitingFor = migration.MigrationSoak, migration.WaitHealth
			m.Datasets = []migration.PieceStatus{{Name: "orders", NoWayBack: n}}
		})
	}
	f := follow(t, w)
	for want, n := range map[string]*migration.NoWayBack{
		"2 customers on AWS cannot go back without loss: a person decides what becomes of the way back. " +
			"Dataset orders: the slot is gone.": {
			Why: "the slot is gone", Lost: true},
		"2 customers on AWS cannot go back at this moment: a person has to put the way back right. " +
			"Dataset orders: it is disabled.": {
			Why: "it is disabled"},
	} {
		set(n)
		eventually(t, want, func() bool {
			waits := f.Snapshot(t.Context()).Waits(board.NewClock(""))
			return len(waits) == 1 && waits[0].Text == want
		})
		story, _ := f.Snapshot(t.Context()).Story()
		require.Equal(t, "Every batch is through.", story)
	}
	set(nil)
	eventually(t, "nothing waits", func() bool { return len(f.Snapshot(t.Context()).Waits(board.NewClock(""))) == 0 })
	story, _ := f.Snapshot(t.Context()).Story()
	require.Equal(t, "Every batch is through. Going back still loses nothing.", story)
}
