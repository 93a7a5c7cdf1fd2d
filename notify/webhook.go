package notify

import (
	"context"
	"encoding/json"
	"time"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/internal/webhook"
	"github.com/drover-migration/drover/migration"
)

// Envelope is the body of a webhook, as Standard Webhooks lays it out: type, time and data.
// docs/message.schema.json says so to receivers.
type Envelope struct {
	Type      string    `json:"type"`      // "drover." and the kind of the notice
	Timestamp time.Time `json:"timestamp"` // when it happened, or was due
	Data      Data      `json:"data"`
}

// Data is a message for programs.
type Data struct {
	Key      string     `json:"key"` // the same in every repeat
	Plan     string     `json:"plan"`
	Batch    string     `json:"batch,omitempty"`
	Customer string     `json:"customer,omitempty"` // id
	Audience string     `json:"audience"`
	Contact  string     `json:"contact"`
	Subject  string     `json:"subject"`
	Text     string     `json:"text"`
	Reason   string     `json:"reason,omitempty"`
	FreezeMS int64      `json:"freezeMs,omitempty"`
	Until    *time.Time `json:"until,omitempty"`
	Step     int        `json:"step,omitempty"` // of the escalation
	Asks     bool       `json:"asks,omitempty"` // it waits to be acknowledged by a person
}

func envelope(m migration.Message) Envelope {
	n := m.Notice
	e := Envelope{Type: "drover." + string(n.Kind), Timestamp: n.At.UTC(), Data: Data{
		Key: m.Key, Plan: m.Plan, Batch: n.Batch, Customer: n.Customer, Audience: string(m.Audience), Contact: m.Contact,
		Subject: m.Subject, Text: m.Text, Reason: n.Reason, FreezeMS: n.Freeze.D().Milliseconds(), Step: m.Step, Asks: n.Kind.Asks(),
	}}
	if !n.Until.IsZero() {
		until := n.Until.UTC()
		e.Data.Until = &until
	}
	return e
}

// webhook posts a message, signed.
func (s *Sender) webhook(ctx context.Context, c migration.WebhookChannel, m migration.Message) (string, error) {
	body, err := json.Marshal(envelope(m))
	if err != nil {
		return "", err
	}
	secret, err := s.Secrets.Resolve(ctx, c.Secret)
	if err != nil {
		return "", err
	}
	if err := webhook.CheckSecret(secret); err != nil {
		return "", permanent.New("BadSecret", nil, "the secret %s: %v", c.Secret, err)
	}
	return "", webhook.Tell(ctx, webhook.Post{URL: c.URL, Secret: secret, Key: m.Key, Body: body, At: s.clock()})
}
