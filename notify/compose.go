package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drover-migration/drover/migration"
)

// Compose is every message that a notice makes, those of the escalation among them, by rule and
// step. A contact hears of a notice once at each step, however many rules name it, and at the
// earliest time that one of them says. Errors: the notice names what the plan does not have.
func Compose(s *migration.Spec, n migration.Notice) ([]migration.Message, error) {
	if s.Notify == nil {
		return nil, nil
	}
	v, err := about(s, n)
	if err != nil {
		return nil, err
	}
	type mark struct {
		contact string
		step    int
	}
	var out []migration.Message
	told := map[mark]int{} // place in out
	for _, r := range s.Notify.Rules {
		if !r.Covers(n.Kind, n.Batch, v.customer) {
			continue
		}
		steps := []migration.Escalation{{To: r.To}}
		if n.Kind.Asks() {
			steps = append(steps, r.Escalate...)
		}
		after := migration.Duration(0)
		for step, e := range steps {
			after += e.After
			for _, name := range e.To {
				at, known := told[mark{name, step}]
				if known && out[at].After <= after {
					continue
				}
				m, err := v.message(r.Audience, name, step, after)
				if err != nil {
					return nil, err
				}
				if known {
					out[at] = m
					continue
				}
				told[mark{name, step}] = len(out)
				out = append(out, m)
			}
		}
	}
	return out, nil
}

// subject is what a notice is about.
type subject struct {
	spec     *migration.Spec
	notice   migration.Notice
	batch    *migration.Batch
	customer *migration.Customer
}

func about(s *migration.Spec, n migration.Notice) (subject, error) {
	out := subject{spec: s, notice: n}
	if n.Customer != "" {
		c, ok := s.Customer(n.Customer)
		if !ok {
			return out, fmt.Errorf("compose messages of %s: plan %s has no customer %q", n.Kind, s.Plan, n.Customer)
		}
		out.customer = &c
	}
	if n.Batch != "" {
		b, ok := s.Batch(n.Batch)
		if !ok {
			return out, fmt.Errorf("compose messages of %s: plan %s has no batch %q", n.Kind, s.Plan, n.Batch)
		}
		out.batch = &b
	}
	return out, nil
}

// message is the notice for one contact.
func (v subject) message(a migration.Audience, contact string, step int, after migration.Duration) (migration.Message, error) {
	at := v.notice.At
	if !at.IsZero() {
		at = at.Add(after.D())
	}
	c, ok := v.spec.Notify.Contact(contact)
	if !ok {
		return migration.Message{}, fmt.Errorf("compose messages of %s: plan %s has no contact %q", v.notice.Kind, v.spec.Plan, contact)
	}
	zone := v.zone(c)
	m := migration.Message{
		Key: Key(v.spec.Plan, v.notice.ID, contact, strconv.Itoa(step)), Plan: v.spec.Plan, Notice: v.notice, Audience: a,
		Contact: contact, Channel: c.Channel, Address: c.Address, Step: step, After: after, Due: due(c, zone, v.notice.Kind, at),
		Digest: c.Digest > 0 && !v.notice.Kind.Asks(),
	}
	if c.Address == migration.CustomersContact && v.customer != nil {
		m.Address = v.customer.Contact
	}
	var err error
	m.Subject, m.Text, err = v.words(a, zone, step)
	return m, err
}

// zone is where a contact reads its clock.
func (v subject) zone(c migration.Contact) *time.Location {
	return firstZone(c.Zone, v.customersZone(c), v.spec.Notify.Zone)
}

// firstZone is the first of the zones that is named; UTC where none is.
func firstZone(names ...string) *time.Location {
	for _, name := range names {
		if zone, err := time.LoadLocation(name); err == nil && name != "" {
			return zone
		}
	}
	return time.UTC
}

func (v subject) customersZone(c migration.Contact) string {
	if c.Address != migration.CustomersContact || v.customer == nil {
		return ""
	}
	return v.customer.Zone
}

// Key is the idempotency key of what these words name: 32 hex digits of their SHA-256.
func Key(words ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// due is when a contact may hear of what happens at a time: news wait for the end of the time that
// a digest gathers, and then for that of quiet hours. The zero time stays what it is.
func due(c migration.Contact, zone *time.Location, k migration.NoticeKind, at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	if d := c.Digest.D(); d > 0 && !k.Asks() {
		at = at.Truncate(d).Add(d)
	}
	if q := c.Quiet; q != nil && (!k.Asks() || q.All) {
		at = awake(*q, at.In(zone))
	}
	return at.UTC()
}

// awake is the first time from at on that is not in quiet hours.
func awake(q migration.Quiet, at time.Time) time.Time {
	m := migration.Clock(60*at.Hour() + at.Minute())
	night := q.To < q.From
	switch {
	case !night && (m < q.From || m >= q.To), night && m >= q.To && m < q.From:
		return at
	}
	day := at.Day()
	if night && m >= q.From {
		day++
	}
	return time.Date(at.Year(), at.Month(), day, int(q.To)/60, int(q.To)%60, 0, 0, at.Location())
}

// Digest is one message of several that are due together for one contact, in the order of their
// time, under a key of contact and time. It is the message itself where it is the only one.
func Digest(parts []migration.Message) migration.Message {
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b migration.Message) int { return a.Notice.At.Compare(b.Notice.At) })
	if len(parts) == 1 {
		return parts[0]
	}
	out := parts[0]
	out.Key = Key(out.Plan, "digest", out.Contact, out.Address, out.Due.UTC().Format(time.RFC3339))
	out.Subject = fmt.Sprintf("%s: %d news", out.Plan, len(parts))
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteString("\n\n")
		}
		fmt.Fprintf(&b, "%s\n%s\n%s", p.Subject, strings.Repeat("-", min(len([]rune(p.Subject)), 72)), p.Text)
	}
	out.Text = b.String()
	return out
}
