package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// sendWithin bounds one attempt to deliver a message, connection and answer included. The longest
// of them is SMTP's: a server may think about a message for a while (RFC 5321, 4.5.3.2.6, allows
// it ten minutes; none that sends alarms does).
const sendWithin = 30 * time.Second

// Secrets resolves the secrets of channels.
type Secrets interface {
	Resolve(ctx context.Context, ref migration.SecretRef) (string, error)
}

// SNS is what a Sender uses of *sns.Client.
type SNS interface {
	Publish(ctx context.Context, in *sns.PublishInput, opts ...func(*sns.Options)) (*sns.PublishOutput, error)
}

// Sender delivers messages. It is safe for concurrent use.
type Sender struct {
	Secrets Secrets
	SNS     func(ctx context.Context, t migration.Target) (SNS, error)

	now func() time.Time // of tests; nil: time.Now
}

// Send delivers a message by its channel, once, and says what the receiver called it. It has an
// answer when the receiver has acknowledged: sent again after a lost one, the message has the same
// key. Errors: permanent ones (internal/permanent), which trying again does not cure; all others
// may be tried again. None holds a secret or an address that is one.
func (s *Sender) Send(ctx context.Context, spec *migration.Spec, m migration.Message) (receipt string, err error) {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	c, ok := spec.Notify.Channel(m.Channel)
	if !ok {
		return "", permanent.New("NoChannel", nil, "send to contact %q: plan %s has no channel %q any more", m.Contact, spec.Plan,
			m.Channel)
	}
	switch {
	case c.Webhook != nil:
		receipt, err = s.webhook(ctx, *c.Webhook, m)
	case c.Slack != nil:
		receipt, err = s.slack(ctx, *c.Slack, m)
	case c.Email != nil:
		receipt, err = s.email(ctx, *c.Email, m)
	case c.SNS != nil:
		receipt, err = s.sns(ctx, *c.SNS, spec, m)
	}
	if err != nil {
		return "", fmt.Errorf("send %q to contact %q by channel %q: %w", m.Subject, m.Contact, m.Channel, err)
	}
	return receipt, nil
}

func (s *Sender) clock() time.Time {
	if s.now != nil {
		return s.now()
	}
	return time.Now()
}
