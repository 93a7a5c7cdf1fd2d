package notify

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// HeaderKey is the header of a message's key, for receivers that know no webhook-id. It makes Go's
// transport send the request again by itself where a connection that it kept open has broken.
const HeaderKey = "Idempotency-Key"

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

// webhook posts a message, signed by HMAC-SHA256 over id, time and body
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
func (s *Sender) webhook(ctx context.Context, c migration.WebhookChannel, m migration.Message) (string, error) {
	body, err := json.Marshal(envelope(m))
	if err != nil {
		return "", err
	}
	secret, err := s.Secrets.Resolve(ctx, c.Secret)
	if err != nil {
		return "", err
	}
	signer, err := signerOf(secret)
	if err != nil {
		return "", permanent.New("BadSecret", nil, "the secret %s: %v", c.Secret, err)
	}
	at := s.clock()
	signature, err := signer.Sign(m.Key, at, body)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return "", permanent.New("BadAddress", nil, "the channel's address is none")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "drover")
	req.Header.Set(webhooks.HeaderWebhookID, m.Key)
	req.Header.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(webhooks.HeaderWebhookSignature, signature)
	req.Header.Set(HeaderKey, m.Key)
	return "", post(req)
}

// shortestSecret is what Standard Webhooks wants at least, in bytes.
const shortestSecret = 24

func signerOf(secret string) (*webhooks.Webhook, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) < shortestSecret {
		return nil, errors.New("is not whsec_ and base64 of at least 24 bytes; make one: echo whsec_$(openssl rand -base64 32)")
	}
	return webhooks.NewWebhookRaw(key)
}
