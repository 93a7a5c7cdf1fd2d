package awstest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/notify"
)

// A subscriber is told of a message again where its sender has lost the answer, and knows the
// repeat by the key among its attributes. Moto hands attributes to filters, and to no subscriber
// over HTTP.
func TestAMessageComesToTheSubscribersOfItsTopic(t *testing.T) {
	target, cfg := newTarget(t)
	topics := sns.NewFromConfig(cfg)
	came := make(chan []byte, 10)
	subscriber := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		came <- body
	}))
	defer subscriber.Close()
	topic, err := topics.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: sdk.String("drover")})
	require.NoError(t, err)
	key := notify.Key("shop", "held/acme/7", "oncall", "0")
	_, err = topics.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: sdk.String("http"),
		Endpoint: &subscriber.URL, Attributes: map[string]string{"FilterPolicy": `{"key": ["` + key + `"], "kind": ["held"]}`}})
	require.NoError(t, err)

	s := &notify.Sender{SNS: func(context.Context, migration.Target) (notify.SNS, error) { return topics, nil }}
	spec := &migration.Spec{Plan: "shop", Targets: []migration.Target{target}, Notify: &migration.Notify{
		Channels: []migration.Channel{{Name: "pager", SNS: &migration.SNSChannel{Target: target.Name, Topic: *topic.TopicArn}}},
	}}
	m := migration.Message{Key: key, Plan: "shop", Audience: migration.ForOperators,
		Contact: "oncall", Channel: "pager", Subject: "acme is held and waits for you", Text: "Why: the security group",
		Notice: migration.Notice{ID: "held/acme/7", Kind: migration.NoticeHeld, Customer: "acme", At: time.Now()}}
	other := m
	other.Key, other.Subject = notify.Key("another"), "what no filter lets through"
	_, err = s.Send(t.Context(), spec, other)
	require.NoError(t, err)
	for range 2 {
		receipt, err := s.Send(t.Context(), spec, m)
		require.NoError(t, err)
		require.NotEmpty(t, receipt)
		got := heard(t, came)
		require.Equal(t, m.Subject, got.Subject)
		require.Equal(t, m.Text, got.Message)
	}

	spec.Notify.Channels[0].SNS.Topic += "-gone"
	_, err = s.Send(t.Context(), spec, m)
	require.Equal(t, "NotFound", permanent.Kind(err), "%v", err)
}

type notification struct {
	Type, Subject, Message string
}

// heard is the next notification; the confirmation of the subscription is none.
func heard(t *testing.T, came <-chan []byte) notification {
	t.Helper()
	for {
		select {
		case body := <-came:
			var n notification
			require.NoError(t, json.Unmarshal(body, &n))
			if n.Type == "Notification" {
				return n
			}
		case <-time.After(20 * time.Second):
			require.FailNow(t, "nothing came to the subscriber")
		}
	}
}
