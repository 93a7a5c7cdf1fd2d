package notify

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/internal/webhook"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/notify/notifytest"
)

// kept are secrets by their reference.
type kept map[migration.SecretRef]string

func (k kept) Resolve(_ context.Context, ref migration.SecretRef) (string, error) {
	if v, ok := k[ref]; ok {
		return v, nil
	}
	return "", errors.New("no such secret")
}

var whole = "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of more than 24 bytes"))

func through(c migration.Channel) *migration.Spec {
	c.Name = "way"
	return &migration.Spec{Plan: "shop", Notify: &migration.Notify{Channels: []migration.Channel{c}}}
}

func message() migration.Message {
	return migration.Message{
		Key: Key("shop", "held/acme/7", "room", "0"), Plan: "shop", Audience: migration.ForOperators, Contact: "room", Channel: "way",
		Subject: "acme is held & waits", Text: "Why: 3 < 5\nПривіт",
		Notice: migration.Notice{ID: "held/acme/7", Kind: migration.NoticeHeld, Batch: "canary", Customer: "acme", Reason: "3 < 5",
			At: time.Date(2026, 10, 26, 21, 5, 0, 0, time.UTC)},
	}
}

func TestAWebhookIsSignedAndItsRepeatsHaveOneKey(t *testing.T) {
	r := notifytest.NewReceiver(t, 0, http.StatusServiceUnavailable, http.StatusOK)
	s := &Sender{Secrets: kept{"env://SECRET": whole}}
	plan := through(migration.Channel{Webhook: &migration.WebhookChannel{URL: r.URL + "/hook?token=hunter2", Secret: "env://SECRET"}})
	for i := range 2 {
		_, err := s.Send(t.Context(), plan, message())
		require.Error(t, err)
		require.Empty(t, permanent.Kind(err), "try %d: the receiver may take it next time: %v", i, err)
		require.NotContains(t, err.Error(), "hunter2")
		require.ErrorContains(t, err, `send "acme is held & waits" to contact "room" by channel "way"`)
	}
	_, err := s.Send(t.Context(), plan, message())
	require.NoError(t, err)
	require.Len(t, r.Body, 3)
	theirs, err := webhooks.NewWebhook(whole)
	require.NoError(t, err)
	for i, h := range r.Header {
		require.NoError(t, theirs.Verify([]byte(r.Body[i]), h), "by the receiver's own library")
		require.Equal(t, message().Key, h.Get(webhook.HeaderKey))
		require.Equal(t, message().Key, h.Get(webhooks.HeaderWebhookID))
		require.Equal(t, r.Body[0], r.Body[i])
	}
	require.Error(t, theirs.Verify([]byte(strings.Replace(r.Body[0], "acme", "evil", 1)), r.Header[0]))
	var got Envelope
	require.NoError(t, json.Unmarshal([]byte(r.Body[0]), &got))
	require.Equal(t, "drover.held", got.Type)
	require.Equal(t, Data{Key: message().Key, Plan: "shop", Batch: "canary", Customer: "acme", Audience: "operators", Contact: "room",
		Subject: "acme is held & waits", Text: "Why: 3 < 5\nПривіт", Reason: "3 < 5", Asks: true}, got.Data)
}

func TestAnAnswerSaysWhetherTryingAgainCanHelp(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		kind   string
	}{
		{"it is down", http.StatusBadGateway, ""},
		{"it is busy", http.StatusTooManyRequests, ""},
		{"it is at the same key already", http.StatusConflict, ""},
		{"it does not know us", http.StatusUnauthorized, "Refused"},
		{"it is no more", http.StatusGone, "Refused"},
		{"it sends us elsewhere, where no secret goes", http.StatusFound, "Redirected"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := notifytest.NewReceiver(t, tt.status)
			s := &Sender{Secrets: kept{"env://SECRET": whole, "env://CHAT": r.URL + "/T0/hunter2"}}
			for _, c := range []migration.Channel{
				{Webhook: &migration.WebhookChannel{URL: r.URL, Secret: "env://SECRET"}},
				{Slack: &migration.SlackChannel{URL: "env://CHAT"}},
			} {
				_, err := s.Send(t.Context(), through(c), message())
				require.Error(t, err)
				require.Equal(t, tt.kind, permanent.Kind(err), "%v", err)
				require.NotContains(t, err.Error(), "hunter2")
			}
			require.Len(t, r.Body, 2, "each was sent once, and nowhere else")
		})
	}
}

func TestNobodyThereIsTriedAgainAndItsAddressIsNotTold(t *testing.T) {
	r := notifytest.NewReceiver(t, http.StatusOK)
	r.Close()
	s := &Sender{Secrets: kept{"env://CHAT": r.URL + "/T0/hunter2"}}
	_, err := s.Send(t.Context(), through(migration.Channel{Slack: &migration.SlackChannel{URL: "env://CHAT"}}), message())
	require.ErrorContains(t, err, "connection refused")
	require.Empty(t, permanent.Kind(err))
	require.NotContains(t, err.Error(), "hunter2")
}

func TestSecretsThatAreNoneArePermanentAndNotShown(t *testing.T) {
	s := &Sender{Secrets: kept{"env://SHORT": "hunter2", "env://NOT": "hunter2 is no address\x7f", "env://MAIL": "hunter2"}}
	for kind, c := range map[string]migration.Channel{
		"BadSecret":  {Webhook: &migration.WebhookChannel{URL: "https://hooks.example.com", Secret: "env://SHORT"}},
		"BadAddress": {Slack: &migration.SlackChannel{URL: "env://NOT"}},
	} {
		_, err := s.Send(t.Context(), through(c), message())
		require.Equal(t, kind, permanent.Kind(err), "%v", err)
		require.NotContains(t, err.Error(), "hunter2")
	}
	_, err := s.Send(t.Context(), through(migration.Channel{Slack: &migration.SlackChannel{URL: "env://MISSING"}}), message())
	require.Empty(t, permanent.Kind(err), "somebody sets it on the worker, and the next try finds it")
	m := message()
	m.Channel = "gone"
	_, err = s.Send(t.Context(), through(migration.Channel{}), m)
	require.Equal(t, "NoChannel", permanent.Kind(err))
}

func TestSlackGetsTextThatItShowsAsItIs(t *testing.T) {
	r := notifytest.NewReceiver(t, http.StatusOK)
	s := &Sender{Secrets: kept{"env://CHAT": r.URL}}
	plan := through(migration.Channel{Slack: &migration.SlackChannel{URL: "env://CHAT"}})
	_, err := s.Send(t.Context(), plan, message())
	require.NoError(t, err)
	long := message()
	long.Text = strings.Repeat("я", 50_000)
	_, err = s.Send(t.Context(), plan, long)
	require.NoError(t, err)
	var got struct{ Text string }
	require.NoError(t, json.Unmarshal([]byte(r.Body[0]), &got))
	require.Equal(t, "*acme is held &amp; waits*\nWhy: 3 &lt; 5\nПривіт\n_"+message().Key+"_", got.Text)
	require.NoError(t, json.Unmarshal([]byte(r.Body[1]), &got))
	require.Len(t, []rune(got.Text), slackMost)
	require.True(t, strings.HasSuffix(got.Text, message().Key+"_"))
}

// The address of a Slack webhook is all that it takes to post there.
func TestASlackAddressDoesNotGoOverTheNetworkInClear(t *testing.T) {
	s := &Sender{Secrets: kept{"env://CHAT": "http://hooks.slack.example/services/hunter2"}}
	_, err := s.Send(t.Context(), through(migration.Channel{Slack: &migration.SlackChannel{URL: "env://CHAT"}}), message())
	require.ErrorContains(t, err, "without TLS")
	require.NotContains(t, err.Error(), "hunter2")
	require.Equal(t, "BadAddress", permanent.Kind(err))
}
