package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/notify"
	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// begins is a Wednesday afternoon.
var begins = time.Date(2026, 12, 2, 14, 0, 0, 0, time.UTC)

func minutes(n int) migration.Duration { return migration.Duration(time.Duration(n) * time.Minute) }

// plan has two customers, whose batch opens its window sixteen days on, and contacts of every kind.
func plan() *migration.Spec {
	return &migration.Spec{
		Plan: "shop",
		Customers: []migration.Customer{
			{ID: "acme", Name: "Acme Corp", Labels: map[string]string{"tier": "gold"}, Contact: "it@acme.example"},
			{ID: "globex", Contact: "it@globex.example"},
		},
		Batches: []migration.Batch{{Name: "wave", Customers: []string{"acme", "globex"}, Bake: minutes(10),
			Window: &migration.Window{Opens: begins.AddDate(0, 0, 16), For: minutes(240), Zone: "UTC"}}},
		Notify: &migration.Notify{
			Channels: []migration.Channel{{Name: "chat"}, {Name: "mail"}, {Name: "pager"}},
			Contacts: []migration.Contact{
				{Name: "cs", Channel: "mail", Address: "cs@example.com", Digest: minutes(60)},
				{Name: "customer", Channel: "mail", Address: migration.CustomersContact},
				{Name: "lead", Channel: "mail", Address: "lead@example.com"},
				{Name: "oncall", Channel: "pager"},
				{Name: "room", Channel: "chat", Quiet: &migration.Quiet{From: 22 * 60, To: 7 * 60}},
			},
			Rules: []migration.NotifyRule{
				{Audience: migration.ForCustomers, Events: []migration.NoticeKind{"two-weeks", "two-days", "evening"},
					To: []string{"customer"}},
				{Audience: migration.ForOperators, Events: []migration.NoticeKind{"done", "ended"}, To: []string{"room"}},
				{Audience: migration.ForCustomerSuccess, Events: []migration.NoticeKind{"moved"}, To: []string{"cs"}},
				{Audience: migration.ForOperators, Events: []migration.NoticeKind{"held", "paused"}, To: []string{"room"},
					Escalate: []migration.Escalation{{After: minutes(10), To: []string{"oncall", "room"}},
						{After: minutes(20), To: []string{"lead"}}}},
			},
		},
	}
}

// office is the plan, and the receivers of its messages.
type office struct {
	now   func() time.Time
	plan  *migration.Spec
	mu    sync.Mutex
	sent  []migration.Message
	at    []time.Time
	fails map[string][]error // by contact, one after the other
}

func (o *office) Spec(context.Context, migration.SpecRef) (*migration.Spec, error) {
	return o.plan, nil
}

func (o *office) Send(_ context.Context, _ *migration.Spec, m migration.Message) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent, o.at = append(o.sent, m), append(o.at, o.now())
	if next := o.fails[m.Contact]; len(next) > 0 {
		o.fails[m.Contact] = next[1:]
		return "", next[0]
	}
	return "receipt of " + m.Key, nil
}

// lines are what was tried to be sent: when after the begin, to whom, of what, at which step.
func (o *office) lines() (out []string) {
	for i, m := range o.sent {
		out = append(out, fmt.Sprintf("%s %s %s/%d", o.at[i].Sub(begins), m.Contact, m.Notice.ID, m.Step))
	}
	slices.Sort(out)
	return out
}

func (o *office) keys() (out []string) {
	for _, m := range o.sent {
		out = append(out, m.Key)
	}
	return slices.Compact(out)
}

// stage is an Outbox in a Temporal of its own, whose time is virtual.
type stage struct {
	*testing.T
	*office
	env *testsuite.TestWorkflowEnvironment
	in  Input
	n   int
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{T: t, office: &office{plan: plan(), fails: map[string][]error{}},
		in: Input{Spec: migration.SpecRef{Plan: "shop", Digest: "1"}, From: begins}}
	s.again(begins)
	return s
}

// again is a new Temporal over the same office.
func (s *stage) again(from time.Time) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	s.env = suite.NewTestWorkflowEnvironment()
	s.env.SetStartTime(from)
	s.env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	s.env.RegisterWorkflow(Outbox)
	s.env.RegisterActivity(notify.New(s.office, s.office))
	s.now = s.env.Now
}

func (s *stage) after(d time.Duration, do func()) { s.env.RegisterDelayedCallback(do, d) }

// tell is news of the batch after a time.
func (s *stage) tell(d time.Duration, n mail.News) {
	s.n++
	n.From, n.Order = "wave", mail.Order{At: begins.Add(d).UnixNano(), N: s.n}
	s.after(d, func() { s.env.SignalWorkflow(mail.SignalNews, n) })
}

func (s *stage) happens(d time.Duration, kind migration.NoticeKind, customer string) {
	s.tell(d, mail.News{Notices: []migration.Notice{about(kind, customer, begins.Add(d))}})
}

func about(kind migration.NoticeKind, customer string, at time.Time) migration.Notice {
	return migration.Notice{ID: string(kind) + "/" + customer, Kind: kind, Batch: "wave", Customer: customer, At: at}
}

func (s *stage) says(customer string) (out migration.MessagesStatus) {
	s.Helper()
	v, err := s.env.QueryWorkflow(migration.QueryStatus, migration.MessagesOf{Customer: customer})
	require.NoError(s, err)
	require.NoError(s, v.Get(&out))
	return out
}

// ack acknowledges; refused is why it must not be accepted, empty where it must.
func (s *stage) ack(message, by, refused string) {
	s.Helper()
	s.env.UpdateWorkflow(migration.UpdateAck, "", &testsuite.TestUpdateCallback{
		OnAccept:   func() { require.Empty(s, refused, "it was accepted") },
		OnReject:   func(err error) { require.NotEmpty(s, refused, "%v", err); require.ErrorContains(s, err, refused) },
		OnComplete: func(_ any, err error) { require.NoError(s, err) },
	}, migration.Command{By: by, Message: message})
}

// ends is a migration that has ended after a time.
func (s *stage) ends(d time.Duration, phase migration.MigrationPhase) {
	s.after(d, func() {
		s.env.SignalWorkflow(mail.SignalNews, mail.News{Order: mail.Order{At: begins.Add(d).UnixNano(), N: 1}, End: phase})
	})
}

func (s *stage) run() {
	s.Helper()
	s.env.ExecuteWorkflow(Outbox, s.in)
	require.True(s, s.env.IsWorkflowCompleted())
	require.NoError(s, s.env.GetWorkflowError())
}

func TestAMessageIsSentUntilItsReceiverHasItUnderOneKeyAndNeverAgain(t *testing.T) {
	s := newStage(t)
	down := errors.New("connection refused")
	s.fails["room"] = []error{down, down, down}
	s.happens(time.Second, "done", "acme")
	s.after(2*time.Second, func() { // the batch does not know whether it was heard
		s.env.SignalWorkflow(mail.SignalNews, mail.News{From: "wave", Order: mail.Order{At: begins.Add(time.Second).UnixNano(), N: 1},
			Notices: []migration.Notice{about("done", "acme", begins)}})
	})
	s.after(20*time.Second, func() {
		got := s.says("acme")
		require.Equal(t, 1, got.Fails)
		d := got.Pending[0]
		require.Equal(t, []any{migration.DeliveryTrying, 2, "connection refused", begins.Add(time.Second), begins.Add(11 * time.Second),
			begins.Add(31 * time.Second)}, []any{d.State, d.Tries, d.Failure, d.Since.UTC(), d.FailedAt.UTC(), d.Next.UTC()})
		require.Empty(t, s.says("globex").Pending)
	})
	s.after(time.Hour, func() {
		got := s.says("acme")
		require.Empty(t, got.Pending)
		require.Equal(t, []migration.Delivery{{Kind: "done", Customer: "acme", Contact: "room", State: migration.DeliveryDelivered,
			At: begins.Add(71 * time.Second), Tries: 3}}, got.Past)
		require.Equal(t, 1, len(s.says("").Past))
		require.Empty(t, s.says("globex").Past)
	})
	s.ends(40*time.Hour, migration.MigrationDone)
	s.run()
	require.Equal(t, []string{"11s room done/acme/0", "1m11s room done/acme/0", "1s room done/acme/0", "31s room done/acme/0"}, s.lines())
	require.Len(t, s.keys(), 1)
}

func TestAChannelThatFailsKeepsNoOtherWaiting(t *testing.T) {
	s := newStage(t)
	for range 1000 {
		s.fails["room"] = append(s.fails["room"], errors.New("503"))
	}
	s.happens(time.Second, "held", "acme")
	s.tell(30*time.Minute, mail.News{Settled: []string{"held/acme"}})
	s.happens(time.Hour, "done", "acme")
	s.ends(2*time.Hour, migration.MigrationDone)
	s.after(40*time.Minute, func() {
		require.Empty(t, s.says("").Pending, "nobody has to hear any more what is settled")
		require.Empty(t, s.says("").Asks)
	})
	s.run()
	require.Contains(t, s.lines(), "10m1s oncall held/acme/1", "the next contact is told, whoever does not answer")
	require.NotContains(t, strings.Join(s.lines(), "\n"), "lead")
	require.WithinDuration(t, begins.Add(time.Hour+newsPatience), s.env.Now(), time.Hour, "the end waits for it, and not for ever")
	v, err := s.env.QueryWorkflow(migration.QueryStatus, migration.MessagesOf{})
	require.NoError(t, err)
	var got migration.MessagesStatus
	require.NoError(t, v.Get(&got))
	last := got.Past[len(got.Past)-1]
	require.Equal(t, migration.DeliveryGivenUp, last.State)
	require.Contains(t, last.Failure, "in 48h")
	require.Contains(t, last.Failure, "503")
	require.Equal(t, migration.OutboxDone, got.Phase)
}

func TestANoticeThatNobodyAcknowledgesGoesToTheNextContact(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(s *stage)
		want []string
	}{
		"nobody does": {func(*stage) {}, []string{"10m1s oncall held/acme/1", "10m1s room held/acme/1", "1s room held/acme/0",
			"30m1s lead held/acme/2"}},
		"somebody does in time": {func(s *stage) {
			s.after(5*time.Minute, func() {
				a := s.says("acme").Asks[0]
				require.Equal(s, []string{"room"}, a.Told)
				require.Equal(s, []string{"oncall", "room"}, a.Next)
				require.Equal(s, begins.Add(10*time.Minute+time.Second), a.NextAt.UTC())
				s.ack("held/globex", "ann", "nothing of the name")
				s.ack("", "ann", "names what waits")
				s.ack("held/acme", "ann", "")
			})
			s.after(6*time.Minute, func() {
				a := s.says("acme").Asks[0]
				require.Equal(s, "ann", a.Taken.By)
				require.Empty(s, a.Next)
				s.ack("held/acme", "bob", "ann looks after held/acme since")
			})
		}, []string{"1s room held/acme/0"}},
		"somebody does by the key of a message": {func(s *stage) {
			s.after(15*time.Minute, func() { s.ack(s.sent[0].Key[:10], "ann", "") })
		}, []string{"10m1s oncall held/acme/1", "10m1s room held/acme/1", "1s room held/acme/0"}},
		"it goes on by itself": {func(s *stage) {
			s.tell(15*time.Minute, mail.News{Settled: []string{"held/acme"}})
			s.after(16*time.Minute, func() { s.ack("held/acme", "ann", "it is settled") })
		}, []string{"10m1s oncall held/acme/1", "10m1s room held/acme/1", "1s room held/acme/0"}},
		"the migration is aborted": {func(s *stage) { s.ends(5*time.Minute, migration.MigrationAborted) },
			[]string{"1s room held/acme/0"}},
		"the migration fails, and its customers stay": {func(s *stage) { s.ends(5*time.Minute, migration.MigrationFailed) },
			[]string{"10m1s oncall held/acme/1", "10m1s room held/acme/1", "1s room held/acme/0", "30m1s lead held/acme/2"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.happens(time.Second, "held", "acme")
			c.do(s)
			s.ends(2*time.Hour, migration.MigrationDone)
			s.run()
			require.Equal(t, c.want, s.lines())
		})
	}
}

func TestNewsWaitForTheEndOfQuietHoursAndAlarmsDoNot(t *testing.T) {
	s := newStage(t)
	s.happens(9*time.Hour, "done", "acme") // 23:00
	s.happens(9*time.Hour+time.Minute, "held", "globex")
	s.after(9*time.Hour+2*time.Minute, func() {
		got := s.says("")
		require.Equal(t, 1, len(got.Past))
		require.Equal(t, migration.DeliveryDue, got.Pending[len(got.Pending)-1].State)
		s.ack("held/globex", "ann", "")
	})
	s.ends(20*time.Hour, migration.MigrationDone)
	s.run()
	require.Equal(t, []string{"17h0m0s room done/acme/0", "9h1m0s room held/globex/0"}, s.lines())
}

func TestADigestKeepsItsKeyAndItsPartsHoweverOftenItIsSent(t *testing.T) {
	s := newStage(t)
	s.fails["cs"] = []error{errors.New("greylisted")}
	s.happens(10*time.Minute, "moved", "acme")
	s.happens(20*time.Minute, "moved", "globex")
	s.tell(time.Hour+5*time.Second, mail.News{Notices: []migration.Notice{{ID: "moved/acme/2", Kind: "moved", Batch: "wave",
		Customer: "acme", At: begins.Add(time.Hour)}}})
	s.ends(3*time.Hour, migration.MigrationDone)
	s.after(time.Hour+8*time.Second, func() {
		got := s.says("acme")
		require.Equal(t, 2, got.Waiting)
		require.Equal(t, 1, got.Fails)
	})
	s.run()
	require.Len(t, s.sent, 3)
	require.Equal(t, []time.Duration{time.Hour, time.Hour + 10*time.Second, 2 * time.Hour},
		[]time.Duration{s.at[0].Sub(begins), s.at[1].Sub(begins), s.at[2].Sub(begins)})
	require.Equal(t, "shop: 2 news", s.sent[0].Subject)
	require.Equal(t, s.sent[0].Key, s.sent[1].Key)
	require.Equal(t, s.sent[0].Text, s.sent[1].Text)
	require.NotEqual(t, s.sent[0].Key, s.sent[2].Key)
	require.NotContains(t, s.sent[2].Text, "globex")
}

func TestTheClockTellsThoseWhoMoveInTheirWindow(t *testing.T) {
	s := newStage(t)
	s.tell(14*24*time.Hour-time.Hour, mail.News{Untimely: []string{"globex"}})
	s.ends(15*24*time.Hour+8*time.Hour, migration.MigrationDone)
	s.run()
	require.Equal(t, []string{
		"336h0m0s customer two-days/acme/%/0",
		"364h0m0s customer evening/acme/%/0",
		"48h0m0s customer two-weeks/acme/%/0",
		"48h0m0s customer two-weeks/globex/%/0",
	}, withoutWindow(s.lines()), "globex has gone before its window")
	require.Equal(t, "it@acme.example", s.sent[len(s.sent)-1].Address)

	late := newStage(t)
	late.in.From = begins.AddDate(0, 0, 3) // submitted after the first were due
	late.again(late.in.From)
	late.ends(time.Hour, migration.MigrationDone)
	late.run()
	require.Empty(t, late.lines())
}

func withoutWindow(lines []string) (out []string) {
	opens := fmt.Sprint(begins.AddDate(0, 0, 16).Unix())
	for _, l := range lines {
		out = append(out, strings.Replace(l, opens, "%", 1))
	}
	return out
}

func TestAMessageOfTheClockAboutADeferredCustomerIsDroppedAlsoWhereItFails(t *testing.T) {
	s := newStage(t)
	for range 100 {
		s.fails["customer"] = append(s.fails["customer"], errors.New("503"))
	}
	s.tell(49*time.Hour, mail.News{Untimely: []string{"acme", "globex"}})
	s.after(50*time.Hour, func() { require.Zero(t, s.says("").Waiting) })
	s.ends(51*time.Hour, migration.MigrationDone)
	s.run()
}

func TestAMessageThatAReceiverRefusesIsGivenUpAndTheNextContactIsTold(t *testing.T) {
	s := newStage(t)
	s.fails["room"] = []error{permanent.New("Refused", nil, "the receiver answered 404 Not Found")}
	s.happens(time.Second, "held", "acme")
	s.after(time.Minute, func() {
		d := s.says("acme").Past[0]
		require.Equal(t, migration.DeliveryGivenUp, d.State)
		require.Equal(t, "the receiver answered 404 Not Found", d.Failure)
		require.Empty(t, s.says("acme").Asks[0].Told)
	})
	s.after(12*time.Minute, func() { s.ack("held/acme", "ann", "") })
	s.ends(time.Hour, migration.MigrationDone)
	s.run()
	require.Equal(t, []string{"10m1s oncall held/acme/1", "10m1s room held/acme/1", "1s room held/acme/0"}, s.lines())
}

func TestANewHistoryGoesOnWithWhatWasOnItsWay(t *testing.T) {
	s := newStage(t)
	s.fails["room"] = []error{errors.New("503"), errors.New("503")}
	s.happens(time.Second, "held", "acme")
	s.happens(2*time.Second, "moved", "acme")
	s.after(5*time.Second, func() { s.env.SetContinueAsNewSuggested(true) })
	s.env.ExecuteWorkflow(Outbox, s.in)
	require.True(t, s.env.IsWorkflowCompleted())
	var renewed *workflow.ContinueAsNewError
	require.ErrorAs(t, s.env.GetWorkflowError(), &renewed)
	ended := s.env.Now()
	require.Equal(t, begins.Add(5*time.Second), ended.UTC())

	s.in = Input{}
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(renewed.Input, &s.in))
	s.again(ended)
	before := ended.Sub(begins)
	s.after(5*time.Minute-before, func() { s.ack("held/acme", "ann", "") })
	s.after(2*time.Hour-before, func() {
		require.Len(t, s.says("").Past, 2)
		s.env.SignalWorkflow(mail.SignalNews, mail.News{Order: mail.Order{At: 1}, End: migration.MigrationDone})
	})
	s.run()
	require.Equal(t, []string{"11s room held/acme/0", "1h0m0s cs moved/acme/0", "1s room held/acme/0", "31s room held/acme/0"},
		s.lines())
	held := map[string]bool{}
	for _, m := range s.sent {
		if m.Notice.Kind == "held" {
			held[m.Key] = true
		}
	}
	require.Len(t, held, 1)
}

// A plan of ten thousand customers, five messages each, fits in what a new history begins with.
func TestTheRecordOfFiftyThousandMessagesFitsInAPayload(t *testing.T) {
	o := newOutbox(Input{})
	at := begins.Unix()
	for i := range mostPast + 1000 {
		at += int64(i*i) % 31
		o.keep(past{Kind: migration.NoticeKinds[i%8], Customer: fmt.Sprintf("cust-%05d", i/5),
			Contact: []string{"cs", "customer"}[i%2], At: at})
	}
	require.Equal(t, 1000, o.Forgotten)
	p, err := codec.DataConverter().ToPayloads(Input{State: &o.State})
	require.NoError(t, err)
	require.Less(t, len(p.GetPayloads()[0].GetData()), 1<<20, "half of what Temporal takes")
	require.Len(t, o.status(migration.MessagesOf{Customer: "cust-05000"}).Past, 5)
}
