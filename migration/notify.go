package migration

import (
	"fmt"
	"slices"
	"time"
)

// NoticeKind is what a message tells of. The set is closed: plans name its members.
type NoticeKind string

// What can be told. The first three come by the clock, before the window of the customer's batch
// opens; the others when they happen.
const (
	NoticeTwoWeeks   NoticeKind = "two-weeks"   // customer: its window opens in 14 days
	NoticeTwoDays    NoticeKind = "two-days"    // customer: in 2 days
	NoticeEvening    NoticeKind = "evening"     // customer: it is EveningHour on the day before
	NoticeStarted    NoticeKind = "started"     // customer: its Move has begun
	NoticeMoved      NoticeKind = "moved"       // customer: homed on AWS, and watched
	NoticeDone       NoticeKind = "done"        // customer: its bake is over and all is well
	NoticeBack       NoticeKind = "back"        // customer: homed on premises again
	NoticeHook       NoticeKind = "hook"        // customer: a hook after its Move does not answer
	NoticeHeld       NoticeKind = "held"        // customer: waits for an operator
	NoticeBatchWaits NoticeKind = "batch-waits" // batch: waits for approvals or for an operator
	NoticeBatchOpen  NoticeKind = "batch-open"  // batch: its customers are told to go
	NoticeBatchDone  NoticeKind = "batch-done"  // batch: all its customers are through
	NoticePaused     NoticeKind = "paused"      // migration: nobody moves until somebody resumes it
	NoticeEnded      NoticeKind = "ended"       // migration: done, failed or aborted
)

// EveningHour is the hour of the evening before, by the customer's clock.
const EveningHour = 18

// NoticeKinds are all kinds, in the order of a migration's life.
var NoticeKinds = []NoticeKind{
	NoticeTwoWeeks, NoticeTwoDays, NoticeEvening, NoticeStarted, NoticeMoved, NoticeDone, NoticeBack, NoticeHook,
	NoticeHeld, NoticeBatchWaits, NoticeBatchOpen, NoticeBatchDone, NoticePaused, NoticeEnded,
}

// Scheduled says whether the clock brings it.
func (k NoticeKind) Scheduled() bool {
	return k == NoticeTwoWeeks || k == NoticeTwoDays || k == NoticeEvening
}

// OfCustomer says whether it tells of one customer.
func (k NoticeKind) OfCustomer() bool {
	return slices.Index(NoticeKinds, k) <= slices.Index(NoticeKinds, NoticeHeld)
}

// OfMigration says whether it tells of the migration as a whole.
func (k NoticeKind) OfMigration() bool { return k == NoticePaused || k == NoticeEnded }

// Asks says whether somebody has to do something: it waits to be acknowledged, and passes the quiet
// hours of those who hold back news only.
func (k NoticeKind) Asks() bool {
	return k == NoticeHook || k == NoticeHeld || k == NoticeBatchWaits || k == NoticePaused
}

// Audience is whom a message is written for.
type Audience string

// The audiences.
const (
	ForCustomers       Audience = "customers"
	ForCustomerSuccess Audience = "customer-success"
	ForOperators       Audience = "operators"
)

// Hears says whether messages of a kind are written for an audience.
func (a Audience) Hears(k NoticeKind) bool {
	switch a {
	case ForOperators:
		return true
	case ForCustomerSuccess:
		return !k.OfMigration() && k != NoticeBatchWaits
	default:
		return k.Scheduled() || k == NoticeDone || k == NoticeBack
	}
}

// Notify says who is told of what.
type Notify struct {
	Zone     string       `json:"zone"` // IANA name, for whoever has none of their own
	Channels []Channel    `json:"channels"`
	Contacts []Contact    `json:"contacts"`
	Rules    []NotifyRule `json:"rules"`
}

// Channel is a way for messages. Exactly one of its kinds is set.
type Channel struct {
	Name    string          `json:"name"`
	Webhook *WebhookChannel `json:"webhook,omitempty"`
	Slack   *SlackChannel   `json:"slack,omitempty"`
	Email   *EmailChannel   `json:"email,omitempty"`
	SNS     *SNSChannel     `json:"sns,omitempty"`
}

// WebhookChannel posts JSON, signed with a secret (https://www.standardwebhooks.com).
type WebhookChannel struct {
	URL    string    `json:"url"`
	Secret SecretRef `json:"secret"`
}

// SlackChannel posts to an incoming webhook, whose address is the secret.
type SlackChannel struct {
	URL SecretRef `json:"url"`
}

// EmailChannel hands messages to an SMTP server.
type EmailChannel struct {
	Server      string    `json:"server"` // host:port
	TLS         string    `json:"tls"`    // starttls | implicit
	From        string    `json:"from"`
	Credentials SecretRef `json:"credentials,omitempty"` // JSON {"username": .., "password": ..}
	CAFile      string    `json:"caFile,omitempty"`      // PEM file on the main worker
}

// SNSChannel publishes to a topic.
type SNSChannel struct {
	Target string `json:"target"`
	Topic  string `json:"topic"` // ARN
}

// CustomersContact is the address of a contact that stands for each customer's own.
const CustomersContact = "{contact}"

// Contact is somebody who is told.
type Contact struct {
	Name    string   `json:"name"`
	Channel string   `json:"channel"`
	Address string   `json:"address,omitempty"` // e-mail only; CustomersContact: the customer's own
	Zone    string   `json:"zone,omitempty"`    // IANA name
	Quiet   *Quiet   `json:"quiet,omitempty"`
	Digest  Duration `json:"digest,omitempty"` // news of so long come together; 0: each by itself
}

// Quiet is when a contact is left alone.
type Quiet struct {
	From Clock `json:"from"`
	To   Clock `json:"to"`            // the next day, where it is before From
	All  bool  `json:"all,omitempty"` // what asks for somebody is held back, too
}

// Clock is a time of the day, in minutes since midnight. It reads as text ("22:00").
type Clock int

func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", int(c)/60, int(c)%60) }

// MarshalText writes "22:00".
func (c Clock) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads "22:00".
func (c *Clock) UnmarshalText(b []byte) error {
	t, err := time.Parse("15:04", string(b))
	*c = Clock(60*t.Hour() + t.Minute())
	return err
}

// NotifyRule says who is told of which events.
type NotifyRule struct {
	Audience Audience          `json:"audience"`
	Events   []NoticeKind      `json:"events"`
	Batches  []string          `json:"batches,omitempty"` // empty: all
	Labels   map[string]string `json:"labels,omitempty"`  // that the customer has, all of them
	To       []string          `json:"to"`                // contacts
	Escalate []Escalation      `json:"escalate,omitempty"`
}

// Escalation is who is told next of what nobody has acknowledged.
type Escalation struct {
	After Duration `json:"after"` // the step before
	To    []string `json:"to"`
}

// Covers says whether a rule is about a batch and a customer; nil: none, the event is not a
// customer's. The batch "" is the migration as a whole.
func (r NotifyRule) Covers(k NoticeKind, batch string, c *Customer) bool {
	if !slices.Contains(r.Events, k) || len(r.Batches) > 0 && !slices.Contains(r.Batches, batch) {
		return false
	}
	for key, want := range r.Labels {
		if c == nil || c.Labels[key] != want {
			return false
		}
	}
	return true
}

// Tells are the kinds that some rule names, in the order of a migration's life. A plan without
// messages tells of none.
func (n *Notify) Tells() (out []NoticeKind) {
	if n == nil {
		return nil
	}
	for _, k := range NoticeKinds {
		if slices.ContainsFunc(n.Rules, func(r NotifyRule) bool { return slices.Contains(r.Events, k) }) {
			out = append(out, k)
		}
	}
	return out
}

// Channel finds a channel by name.
func (n *Notify) Channel(name string) (Channel, bool) {
	return find(n.Channels, func(c Channel) bool { return c.Name == name })
}

// Contact finds a contact by name.
func (n *Notify) Contact(name string) (Contact, bool) {
	return find(n.Contacts, func(c Contact) bool { return c.Name == name })
}

// Notice is something that happened, or that the clock brings, which somebody may have to be told.
type Notice struct {
	ID       string     `json:"id"` // the same however often it is told
	Kind     NoticeKind `json:"kind"`
	Batch    string     `json:"batch,omitempty"`
	Customer string     `json:"customer,omitempty"`
	At       time.Time  `json:"at,omitzero"`
	Reason   string     `json:"reason,omitempty"`
	Freeze   Duration   `json:"freeze,omitempty"` // of the Move that the notice tells of
	Until    time.Time  `json:"until,omitzero"`   // of the bake or soak that follows
}

// Message is a notice in words for one contact.
type Message struct {
	Key      string    `json:"key"` // idempotency key: never another for the same message
	Plan     string    `json:"plan"`
	Notice   Notice    `json:"notice"`
	Audience Audience  `json:"audience"`
	Contact  string    `json:"contact"`
	Channel  string    `json:"channel"`
	Address  string    `json:"address,omitempty"`
	Subject  string    `json:"subject"` // one line
	Text     string    `json:"text"`
	Due      time.Time `json:"due,omitzero"`     // not before
	Step     int       `json:"step,omitempty"`   // of the escalation; 0: at once
	After    Duration  `json:"after,omitempty"`  // the notice, of a later step
	Digest   bool      `json:"digest,omitempty"` // news that go together with others of its Due
}
