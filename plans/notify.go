package plans

import (
	"errors"
	"net/mail"
	"strings"

	"github.com/drover-migration/drover/migration"
)

// Notify says who is told of what, and how.
type Notify struct {
	Zone     Zone             `json:"zone,omitempty" jsonschema:"default=UTC" jsonschema_description:"Time zone of contacts and customers that have none of their own."`
	Channels map[Name]Channel `json:"channels" jsonschema:"required,minItems=1" jsonschema_description:"Ways for messages, by name: exactly one of webhook, slack, email and sns."`
	Contacts map[Name]Contact `json:"contacts" jsonschema:"required,minItems=1" jsonschema_description:"Who is told, by name."`
	Rules    []NotifyRule     `json:"rules" jsonschema:"required,minItems=1" jsonschema_description:"Who is told of what. Each rule that covers an event counts; a contact hears of one event once."`
}

// Channel is a way for messages.
type Channel struct {
	Webhook *Webhook `json:"webhook,omitempty" jsonschema_description:"Signed JSON, posted to an address of yours (docs/messages.md has the schema)."`
	Slack   *Slack   `json:"slack,omitempty" jsonschema_description:"An incoming webhook of Slack's, or of what speaks its format."`
	Email   *Email   `json:"email,omitempty" jsonschema_description:"An SMTP server, always with TLS."`
	SNS     *SNS     `json:"sns,omitempty" jsonschema_description:"A topic of Amazon SNS."`
}

// Webhook is a signed POST.
type Webhook struct {
	URL    HTTPSURL            `json:"url" jsonschema:"required" jsonschema_description:"Where messages are posted."`
	Secret migration.SecretRef `json:"secret" jsonschema:"required" jsonschema_description:"Secret that signs them: whsec_ and base64 of 24 to 64 bytes, as Standard Webhooks has it."`
}

// Slack is an incoming webhook.
type Slack struct {
	URL migration.SecretRef `json:"url" jsonschema:"required" jsonschema_description:"Secret with the webhook's address: whoever knows it can post."`
}

// Email is an SMTP server.
type Email struct {
	Server      HostPort            `json:"server" jsonschema:"required" jsonschema_description:"The server."`
	TLS         Choice              `json:"tls,omitempty" jsonschema:"enum=starttls,enum=implicit,default=starttls" jsonschema_description:"How TLS begins: after STARTTLS (port 587), or at once (465). A server without it gets no message."`
	From        MailAddress         `json:"from" jsonschema:"required" jsonschema_description:"Sender. Its domain is that of the messages' ids, too."`
	Credentials migration.SecretRef `json:"credentials,omitempty" jsonschema_description:"Secret with the JSON {\"username\": .., \"password\": ..}. Without it nobody signs in."`
	CAFile      AbsolutePath        `json:"caFile,omitempty" jsonschema_description:"PEM file, on the main worker, of the authority that signed the server's certificate."`
}

// SNS is a topic.
type SNS struct {
	Target Name     `json:"target" jsonschema:"required" jsonschema_description:"Target by whose role messages are published."`
	Topic  TopicARN `json:"topic" jsonschema:"required" jsonschema_description:"The topic, in the target's region."`
}

// Contact is somebody who is told.
type Contact struct {
	Channel Name               `json:"channel" jsonschema:"required" jsonschema_description:"Channel."`
	Address MailTo             `json:"address,omitempty" jsonschema_description:"Whom an e-mail goes to; {contact}: the contact of the customer that it is about. Required with email, and refused with the others, whose address is the channel's."`
	Zone    Zone               `json:"zone,omitempty" jsonschema_description:"Time zone of quiet hours and of the times in messages. Default: the customer's, with {contact}; else notify.zone."`
	Quiet   *Quiet             `json:"quiet,omitempty" jsonschema_description:"Hours in which messages wait for their end."`
	Digest  migration.Duration `json:"digest,omitempty" jsonschema:"default=0s" bounds:"0s..24h" jsonschema_description:"News of so long come as one message; 0s: each by itself. What asks for somebody never waits for a digest."`
}

// Quiet is when a contact is left alone.
type Quiet struct {
	From  migration.Clock `json:"from" jsonschema:"required" jsonschema_description:"Begin, in the contact's zone."`
	To    migration.Clock `json:"to" jsonschema:"required" jsonschema_description:"End; on the next day, where it is before from."`
	Holds Choice          `json:"holds,omitempty" jsonschema:"enum=news,enum=all,default=news" jsonschema_description:"What waits: news, or all, that is also what asks for somebody (hook, held, batch-waits, paused), which then reaches whom the rule escalates to."`
}

// NotifyRule says who is told of what.
type NotifyRule struct {
	Audience Choice            `json:"audience" jsonschema:"required,enum=customers,enum=customer-success,enum=operators" jsonschema_description:"For whom the messages are written."`
	Events   []EventName       `json:"events" jsonschema:"required,minItems=1" jsonschema_description:"Events. By the clock, before the window of the customer's batch: two-weeks, two-days, evening (18:00 on the day before, in the customer's zone). Of a customer: started, moved, done (its bake is over), back, hook (one that is called after its Move does not answer), held. Of a batch: batch-waits (for approvals or an operator), batch-open, batch-done. Of the migration: paused, ended."`
	Batches  []Name            `json:"batches,omitempty" jsonschema:"minItems=1" jsonschema_description:"Only of these batches. Without any: of all, and of the migration."`
	Labels   map[Name]LabelVal `json:"labels,omitempty" jsonschema_description:"Only of customers that have all of these labels."`
	To       []Name            `json:"to" jsonschema:"required,minItems=1" jsonschema_description:"Contacts that are told at once."`
	Escalate []Escalation      `json:"escalate,omitempty" jsonschema:"minItems=1,maxItems=10" jsonschema_description:"Who is told next, step after step, of what nobody acknowledges: hook, held, batch-waits and paused."`
}

// Escalation is one step.
type Escalation struct {
	After migration.Duration `json:"after" jsonschema:"required" bounds:"1m..168h" jsonschema_description:"Time after the step before without an acknowledgement."`
	To    []Name             `json:"to" jsonschema:"required,minItems=1" jsonschema_description:"Contacts."`
}

func eventNames(sep string) string { return strings.Join(strs(migration.NoticeKinds), sep) }

func checkMail(s string) error {
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s || len(s) > 254 {
		return errForm
	}
	return nil
}

func checkMailTo(s string) error {
	if s == migration.CustomersContact {
		return nil
	}
	if strings.ContainsAny(s, "{}") {
		return errors.New("braces only around contact, as the whole address")
	}
	return checkMail(s)
}

func (n *Notify) compile() *migration.Notify {
	out := &migration.Notify{Zone: string(n.Zone), Channels: each(n.Channels, Channel.compile), Contacts: each(n.Contacts, Contact.compile)}
	for _, r := range n.Rules {
		c := migration.NotifyRule{
			Audience: migration.Audience(r.Audience), Batches: list(r.Batches), Labels: texts(r.Labels), To: list(r.To),
		}
		for _, e := range r.Events {
			c.Events = append(c.Events, migration.NoticeKind(e))
		}
		for _, e := range r.Escalate {
			c.Escalate = append(c.Escalate, migration.Escalation{After: e.After, To: list(e.To)})
		}
		out.Rules = append(out.Rules, c)
	}
	return out
}

func (c Channel) compile(name string) migration.Channel {
	out := migration.Channel{Name: name}
	switch {
	case c.Webhook != nil:
		out.Webhook = &migration.WebhookChannel{URL: string(c.Webhook.URL), Secret: c.Webhook.Secret}
	case c.Slack != nil:
		out.Slack = &migration.SlackChannel{URL: c.Slack.URL}
	case c.Email != nil:
		e := c.Email
		out.Email = &migration.EmailChannel{
			Server: string(e.Server), TLS: string(e.TLS), From: string(e.From), Credentials: e.Credentials, CAFile: string(e.CAFile),
		}
	default:
		out.SNS = &migration.SNSChannel{Target: string(c.SNS.Target), Topic: string(c.SNS.Topic)}
	}
	return out
}

func (c Contact) compile(name string) migration.Contact {
	out := migration.Contact{Name: name, Channel: string(c.Channel), Address: string(c.Address), Zone: string(c.Zone), Digest: c.Digest}
	if q := c.Quiet; q != nil {
		out.Quiet = &migration.Quiet{From: q.From, To: q.To, All: q.Holds == "all"}
	}
	return out
}
