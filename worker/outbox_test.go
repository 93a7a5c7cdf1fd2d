package worker_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	temporalclient "go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/notify"
	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/internal/webhook"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/notify"
	"github.com/drover-migration/drover/notify/notifytest"
	"github.com/drover-migration/drover/worker"
	"github.com/drover-migration/drover/workflows/mail"
	"github.com/drover-migration/drover/workflows/outbox"
)

// told is a plan that tells a webhook, and its secret.
type told struct{ spec *migration.Spec }

func (p told) Spec(context.Context, migration.SpecRef) (*migration.Spec, error) { return p.spec, nil }

func (told) Resolve(context.Context, migration.SecretRef) (string, error) {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte("a secret of more than 24 bytes")), nil
}

// inform is a workflow that tells an outbox news.
func inform(ctx workflow.Context, to string, n mail.News) error {
	return workflow.SignalExternalWorkflow(ctx, to, "", mail.SignalNews, n).Get(ctx, nil)
}

// TestAMessageReachesItsReceiverAndIsAcknowledgedByWhoSignedIn goes the whole way, against
// Temporal's dev server: from the news of the plan's migration to a receiver that fails once, and
// back.
func TestAMessageReachesItsReceiverAndIsAcknowledgedByWhoSignedIn(t *testing.T) {
	s := startTrust(t)
	hook := notifytest.NewReceiver(t, http.StatusServiceUnavailable, http.StatusOK)
	plan := told{&migration.Spec{Plan: "shop", Customers: []migration.Customer{{ID: "acme"}},
		Batches: []migration.Batch{{Name: "wave", Customers: []string{"acme"}}},
		Notify: &migration.Notify{
			Channels: []migration.Channel{{Name: "hook", Webhook: &migration.WebhookChannel{URL: hook.URL, Secret: "env://HOOK"}}},
			Contacts: []migration.Contact{{Name: "room", Channel: "hook"}},
			Rules: []migration.NotifyRule{{Audience: migration.ForOperators, Events: []migration.NoticeKind{migration.NoticeHeld},
				To: []string{"room"}, Escalate: []migration.Escalation{{After: migration.Duration(time.Hour), To: []string{"room"}}}}},
		}}}
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	authority := identity.NewAuthority(key)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- worker.Serve(ctx, worker.Options{Client: s.options, Main: true, Identities: identity.NewKeys(public),
			Log: hclog.NewNullLogger()}, func(temporalclient.Client, worker.Telemetry) worker.Activities {
			return worker.Activities{Main: []any{notify.New(plan, &engine.Sender{Secrets: plan})}, Close: func() {}}
		})
	}()
	defer func() { cancel(); require.NoError(t, <-done) }()
	w := sdkworker.New(s.temporal, "informs", sdkworker.Options{})
	w.RegisterWorkflow(inform)
	require.NoError(t, w.Start())
	defer w.Stop()
	start := func(id, queue string, wf any, args ...any) temporalclient.WorkflowRun {
		run, err := s.temporal.ExecuteWorkflow(t.Context(), temporalclient.StartWorkflowOptions{ID: id, TaskQueue: queue}, wf, args...)
		require.NoError(t, err)
		return run
	}

	box := migration.OutboxID("shop")
	start(box, migration.QueueMain, outbox.Outbox, outbox.Input{Spec: migration.SpecRef{Plan: "shop", Digest: "1"}, From: time.Now()})
	held := migration.Notice{ID: "held/acme/1", Kind: migration.NoticeHeld, Batch: "wave", Customer: "acme", At: time.Now()}
	invented := held
	invented.ID = "held/acme/0"
	require.NoError(t, s.temporal.SignalWorkflow(t.Context(), box, "", mail.SignalNews,
		mail.News{Order: mail.Order{N: 1}, Notices: []migration.Notice{invented}}))
	require.NoError(t, start(migration.MigrationID("shop"), "informs", inform, box,
		mail.News{Order: mail.Order{N: 2}, Notices: []migration.Notice{held}}).Get(t.Context(), nil))

	c := client.New(s.temporal)
	var says migration.MessagesStatus
	require.Eventually(t, func() bool {
		says, err = c.Messages(t.Context(), "shop", "acme")
		return err == nil && len(says.Past) == 1
	}, 40*time.Second, 100*time.Millisecond, "%v", err)
	require.Equal(t, migration.DeliveryDelivered, says.Past[0].State)
	require.Equal(t, 1, says.Past[0].Tries, "it failed once")
	require.Len(t, hook.Body, 2)
	require.Equal(t, hook.Header[0].Get(webhook.HeaderKey), hook.Header[1].Get(webhook.HeaderKey))
	require.Contains(t, hook.Body[1], "drover ack shop held/acme/1")
	require.Len(t, says.Asks, 1, "what nobody of the plan said was not heard")
	require.Equal(t, []string{"room"}, says.Asks[0].Told)
	require.Equal(t, 1, says.Waiting, "the next step")

	_, err = c.Ack(t.Context(), "shop", "held/acme/1", migration.Command{By: "ann"})
	require.ErrorContains(t, err, "it is not proved that ann gave this command: it is not signed")
	as := func(name string, rank migration.Rank) error {
		_, err := c.As("default", holder(t, authority, name, rank)).Ack(t.Context(), "shop", "held/acme/1", migration.Command{By: name})
		return err
	}
	require.ErrorContains(t, as("sue", migration.Success), "sue is a success, who may not do this")
	require.NoError(t, as("ann", migration.Operator))
	require.ErrorContains(t, as("bob", migration.Operator), "ann looks after held/acme/1 since")
	says, err = c.Messages(t.Context(), "shop", "acme")
	require.NoError(t, err)
	require.Equal(t, "ann", says.Asks[0].Taken.By)
	require.Zero(t, says.Waiting, "nobody else is told")
	_, err = c.Messages(t.Context(), "other", "")
	require.ErrorIs(t, err, client.ErrNotFound)
}
