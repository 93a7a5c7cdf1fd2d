package notify_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/activities/notify"
	"github.com/drover-migration/drover/internal/webhook"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/notify"
	"github.com/drover-migration/drover/notify/notifytest"
	"github.com/drover-migration/drover/workflows/measured"
)

// library has one plan.
type library struct{ spec *migration.Spec }

func (l library) Spec(context.Context, migration.SpecRef) (*migration.Spec, error) {
	return l.spec, nil
}

// kept are secrets by their reference.
type kept map[migration.SecretRef]string

func (k kept) Resolve(_ context.Context, ref migration.SecretRef) (string, error) {
	if v, ok := k[ref]; ok {
		return v, nil
	}
	return "", errors.New("no such secret")
}

// plan tells a room and a lead of three customers, by real channels.
func plan(hook string, office *notifytest.PostOffice) *migration.Spec {
	post := office.Channel("starttls")
	post.Name = "mail"
	s := &migration.Spec{
		Plan: "shop", Customers: []migration.Customer{{ID: "acme"}, {ID: "birch"}, {ID: "cedar"}},
		Batches: []migration.Batch{{Name: "wave", Customers: []string{"acme", "birch", "cedar"},
			Window: &migration.Window{Opens: time.Date(2026, 12, 16, 20, 0, 0, 0, time.UTC), For: migration.Duration(time.Hour)}}},
		Notify: &migration.Notify{
			Channels: []migration.Channel{{Name: "hook", Webhook: &migration.WebhookChannel{URL: hook, Secret: "env://HOOK"}},
				post},
			Contacts: []migration.Contact{{Name: "room", Channel: "hook"},
				{Name: "lead", Channel: "mail", Address: "lead@example.com"}},
			Rules: []migration.NotifyRule{
				{Audience: migration.ForOperators, Events: []migration.NoticeKind{"done", "held", "two-days"},
					To: []string{"room", "lead"}},
			},
		},
	}
	return s
}

var secrets = kept{"env://SMTP": `{"username": "drover", "password": "hunter2"}`,
	"env://HOOK": "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of more than 24 bytes"))}

func about(kind migration.NoticeKind, customer string) migration.Notice {
	return migration.Notice{ID: string(kind) + "/" + customer, Kind: kind, Batch: "wave", Customer: customer,
		At: time.Date(2026, 12, 2, 20, 0, 0, 0, time.UTC)}
}

func letter(contact, customer string) notify.Letter {
	return notify.Letter{Contact: contact, Parts: []notify.Part{{Notice: about("done", customer)}}}
}

func environment(s *migration.Spec) (*testsuite.TestActivityEnvironment, *notify.Activities) {
	return measuring(s, measured.New())
}

// measuring is the environment of activities that are measured.
func measuring(s *migration.Spec, m *measured.Metrics) (*testsuite.TestActivityEnvironment, *notify.Activities) {
	var suite testsuite.WorkflowTestSuite
	suite.SetMetricsHandler(m.Handler)
	env := suite.NewTestActivityEnvironment()
	a := notify.New(library{s}, &engine.Sender{Secrets: secrets})
	env.RegisterActivity(a)
	return env, a
}

func send(t *testing.T, env *testsuite.TestActivityEnvironment, a *notify.Activities, letters ...notify.Letter) []notify.Answer {
	t.Helper()
	v, err := env.ExecuteActivity(a.SendMessages, notify.SendMessagesRequest{Letters: letters})
	require.NoError(t, err)
	var out notify.SendMessagesResult
	require.NoError(t, v.Get(&out))
	require.Len(t, out.Answers, len(letters))
	return out.Answers
}

func TestALetterThatFailsKeepsNoOtherAndGoesAgainUnderItsKey(t *testing.T) {
	hook := notifytest.NewReceiver(t, 0, http.StatusServiceUnavailable, http.StatusOK)
	office := (&notifytest.PostOffice{Refuse: []error{&smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1},
		Message: "greylisted, come again"}}}).Open(t, "starttls")
	m := measured.New()
	env, a := measuring(plan(hook.URL, office), m)
	first := send(t, env, a, letter("room", "acme"), letter("lead", "acme"))
	require.NotEmpty(t, first[0].Failure, "it took it, and its answer was lost")
	require.Contains(t, first[1].Failure, "greylisted")
	require.False(t, first[0].Final || first[1].Final)
	second := send(t, env, a, letter("room", "acme"), letter("lead", "acme"))
	require.Contains(t, second[0].Failure, "503")
	require.Equal(t, notify.Answer{Key: first[1].Key, Receipt: first[1].Key + "@example.com"}, second[1])
	third := send(t, env, a, letter("room", "acme"))
	require.Equal(t, notify.Answer{Key: first[0].Key}, third[0])
	require.NotEqual(t, first[0].Key, first[1].Key)
	require.Len(t, hook.Body, 3)
	for _, h := range hook.Header {
		require.Equal(t, first[0].Key, h.Get(webhook.HeaderKey))
	}
	require.Len(t, office.Letters, 1)
	for _, want := range []struct {
		channel, result string
		n               int64
	}{{"hook", migration.MessageFailed, 2}, {"hook", migration.MessageDelivered, 1}, {"mail", migration.MessageFailed, 1},
		{"mail", migration.MessageDelivered, 1}} {
		n, _ := m.Of(t, migration.MetricMessages, "plan", "shop", "channel", want.channel, "result", want.result)
		require.Equal(t, want.n, n, "%s %s", want.channel, want.result)
	}
}

// A worker has died in the middle, and another goes on.
func TestALetterThatWasAcknowledgedIsNotSentByTheNextAttempt(t *testing.T) {
	hook := notifytest.NewReceiver(t, http.StatusOK)
	env, a := environment(plan(hook.URL, (&notifytest.PostOffice{}).Open(t, "starttls")))
	env.SetHeartbeatDetails(map[int]notify.Answer{0: {Key: "of-acme"}, 2: {Key: "of-cedar"}})
	got := send(t, env, a, letter("room", "acme"), letter("room", "birch"), letter("room", "cedar"))
	require.Equal(t, "of-acme", got[0].Key)
	require.Equal(t, "of-cedar", got[2].Key)
	require.Len(t, hook.Body, 1)
	require.Contains(t, hook.Body[0], `"customer":"birch"`)
}

func TestWhatTryingAgainDoesNotHelpIsFinalAndTellsNoSecret(t *testing.T) {
	hook := notifytest.NewReceiver(t, http.StatusNotFound)
	office := (&notifytest.PostOffice{Refuse: []error{&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1},
		Message: "no such mailbox"}}}).Open(t, "starttls")
	m := measured.New()
	env, a := measuring(plan(hook.URL+"?token=hunter2", office), m)
	got := send(t, env, a, letter("room", "acme"), letter("lead", "acme"), letter("nobody", "acme"), letter("room", "dogwood"))
	for i, want := range []string{"404", "no such mailbox", `contact "nobody" of notice done/acme any more`, "notice done/dogwood"} {
		require.True(t, got[i].Final, want)
		require.Contains(t, got[i].Failure, want)
		require.NotContains(t, got[i].Failure, "hunter2")
	}
	refused, _ := m.Of(t, migration.MetricMessages, "result", migration.MessageRefused)
	require.EqualValues(t, 2, refused, "who is not told is no try")
}

func TestADigestGoesUnderOneKey(t *testing.T) {
	hook := notifytest.NewReceiver(t, http.StatusServiceUnavailable, http.StatusOK)
	env, a := environment(plan(hook.URL, (&notifytest.PostOffice{}).Open(t, "starttls")))
	digest := notify.Letter{Contact: "room", Due: time.Date(2026, 12, 2, 21, 0, 0, 0, time.UTC),
		Parts: []notify.Part{{Notice: about("done", "acme")}, {Notice: about("done", "birch")}}}
	require.NotEmpty(t, send(t, env, a, digest)[0].Failure)
	require.Empty(t, send(t, env, a, digest)[0].Failure)
	require.Equal(t, hook.Body[0], hook.Body[1])
	require.Equal(t, hook.Header[0].Get(webhook.HeaderKey), hook.Header[1].Get(webhook.HeaderKey))
	require.Contains(t, hook.Body[0], "shop: 2 news")
}

func TestWhoIsToldOfWhatThePlanDoesNotHaveIsNobody(t *testing.T) {
	env, a := environment(plan("https://hooks.example", &notifytest.PostOffice{}))
	heard := time.Date(2026, 12, 2, 20, 5, 0, 0, time.UTC)
	v, err := env.ExecuteActivity(a.PlanMessages, notify.PlanMessagesRequest{Heard: heard,
		Notices: []migration.Notice{about("done", "dogwood"), about("done", "acme"), about("moved", "acme")}})
	require.NoError(t, err)
	var got notify.PlanMessagesResult
	require.NoError(t, v.Get(&got))
	require.Equal(t, []notify.Planned{
		{Notice: "done/acme", Key: engine.Key("shop", "done/acme", "room", "0"), Contact: "room", Channel: "hook", Due: heard},
		{Notice: "done/acme", Key: engine.Key("shop", "done/acme", "lead", "0"), Contact: "lead", Channel: "mail",
			Address: "lead@example.com", Due: heard},
	}, got.Messages)
}

func TestTheClockIsReadPageByPage(t *testing.T) {
	env, a := environment(plan("https://hooks.example", &notifytest.PostOffice{}))
	opens := time.Date(2026, 12, 16, 20, 0, 0, 0, time.UTC)
	read := func(after notify.Mark, until time.Time) (out notify.ReadClockResult) {
		v, err := env.ExecuteActivity(a.ReadClock, notify.ReadClockRequest{After: after, Until: until, Most: 2})
		require.NoError(t, err)
		require.NoError(t, v.Get(&out))
		return out
	}
	due := opens.AddDate(0, 0, -2)
	early := read(notify.Mark{At: due.Add(-time.Hour)}, due.Add(-time.Minute))
	require.Empty(t, early.Notices)
	require.Equal(t, due, early.Next)
	first := read(notify.Mark{At: due.Add(-time.Hour)}, due)
	require.Equal(t, []string{"acme", "birch"}, []string{first.Notices[0].Customer, first.Notices[1].Customer})
	require.Equal(t, due, first.Next, "there are more")
	last := first.Notices[1]
	second := read(notify.Mark{At: last.At, ID: last.ID}, due)
	require.Len(t, second.Notices, 1)
	require.Equal(t, "cedar", second.Notices[0].Customer)
	require.Zero(t, second.Next, "no rule tells of another")
	require.Empty(t, read(notify.Mark{At: due.Add(time.Second)}, opens).Notices, "what was past when the plan was submitted is not told")
}
