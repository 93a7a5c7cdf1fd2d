package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/internal/spelling"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/notify"
)

func (a *app) notifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "notify", Short: "Look at the messages of a plan", Args: asInput(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.notifyPreviewCommand())
	return cmd
}

// chosen is what a preview is confined to; "" is all.
type chosen struct{ customer, batch, audience, contact string }

func (a *app) notifyPreviewCommand() *cobra.Command {
	var output string
	var only chosen
	cmd := &cobra.Command{
		Use:   "preview PLAN.yaml",
		Short: "Print every message that a plan would send",
		Long: `Prints every message that a plan would send, with its words, to whom it goes and
by which channel, and when. Nothing is sent, and no secret is resolved. What is
known only when it happens (times, reasons, freezes) is left out.`,
		Example: `  drover notify preview plan.yaml
  drover notify preview plan.yaml --customer acme
  drover notify preview plan.yaml --audience customers -o csv`,
		Args: asInput(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			format, err := parseOutput(output)
			if err != nil {
				return err
			}
			spec, warnings, err := loadPlan(args[0])
			if err != nil {
				return err
			}
			if err := only.check(spec); err != nil {
				return err
			}
			a.warn(warnings)
			all, err := notify.Preview(spec)
			if err != nil {
				return err
			}
			return a.printMessages(format, spec, slices.DeleteFunc(all, only.leavesOut), time.Now())
		},
	}
	f := cmd.Flags()
	f.StringVar(&only.customer, "customer", "", "only messages of this customer")
	f.StringVar(&only.batch, "batch", "", "only messages of this batch and its customers")
	f.StringVar(&only.audience, "audience", "", "only messages for customers, customer-success or operators")
	f.StringVar(&only.contact, "contact", "", "only messages to this contact")
	outputFlag(cmd, &output)
	return cmd
}

func (c chosen) leavesOut(m migration.Message) bool {
	differs := func(want, is string) bool { return want != "" && want != is }
	return differs(c.customer, m.Notice.Customer) || differs(c.batch, m.Notice.Batch) || differs(c.audience, string(m.Audience)) ||
		differs(c.contact, m.Contact)
}

var audiences = []string{string(migration.ForCustomers), string(migration.ForCustomerSuccess), string(migration.ForOperators)}

// check refuses what the plan does not have: an empty list would look as if nobody was told.
func (c chosen) check(s *migration.Spec) error {
	if s.Notify == nil {
		return inputError("add notify: to the plan; docs/messages.md says how", "plan %s sends no messages", s.Plan)
	}
	var contacts, customers, batches []string
	for _, x := range s.Notify.Contacts {
		contacts = append(contacts, x.Name)
	}
	for _, x := range s.Customers {
		customers = append(customers, x.ID)
	}
	for _, x := range s.Batches {
		batches = append(batches, x.Name)
	}
	for _, x := range []struct {
		kind, name string
		of         []string
	}{
		{"customer", c.customer, customers}, {"batch", c.batch, batches}, {"contact", c.contact, contacts},
		{"audience", c.audience, audiences},
	} {
		if x.name == "" || slices.Contains(x.of, x.name) {
			continue
		}
		next := fmt.Sprintf("name a %s that the plan has", x.kind)
		if near := spelling.Nearest(x.name, x.of); near != "" {
			next = fmt.Sprintf("did you mean %q?", near)
		}
		return inputError(next, "plan %s has no %s %q", s.Plan, x.kind, x.name)
	}
	return nil
}

// messageData is a message for programs.
type messageData struct {
	Key      string `json:"key"`
	Kind     string `json:"kind"`
	Batch    string `json:"batch,omitempty"`
	Customer string `json:"customer,omitempty"`
	Audience string `json:"audience"`
	Contact  string `json:"contact"`
	Channel  string `json:"channel"`
	By       string `json:"by"` // webhook, slack, email or sns
	Address  string `json:"address,omitempty"`
	Step     int    `json:"step"`
	Due      string `json:"due,omitempty"` // left out: when it happens
	Past     bool   `json:"past,omitempty"`
	Subject  string `json:"subject"`
	Text     string `json:"text"`
}

func (a *app) printMessages(format printer.Format, s *migration.Spec, all []migration.Message, now time.Time) error {
	if format == printer.AsTable {
		return a.readMessages(s, all, now)
	}
	data := []messageData{}
	t := &printer.Table{Columns: []printer.Column{
		{Name: "kind"}, {Name: "batch"}, {Name: "customer"}, {Name: "audience"}, {Name: "contact"}, {Name: "by"}, {Name: "address"},
		{Name: "step"}, {Name: "due"}, {Name: "subject"}, {Name: "text"},
	}}
	for _, m := range all {
		n := m.Notice
		d := messageData{Key: m.Key, Kind: string(n.Kind), Batch: n.Batch, Customer: n.Customer, Audience: string(m.Audience),
			Contact: m.Contact, Channel: m.Channel, By: way(s, m.Channel), Address: m.Address, Step: m.Step,
			Past: past(m, now), Subject: m.Subject, Text: m.Text}
		if !m.Due.IsZero() {
			d.Due = rfc3339(m.Due)
		}
		data = append(data, d)
		t.Add(d.Kind, d.Batch, d.Customer, d.Audience, d.Contact, d.By, d.Address, d.Step, d.Due, d.Subject, d.Text)
	}
	return printer.Print(a.out, format, data, t)
}

// readMessages prints messages as their readers get them.
func (a *app) readMessages(s *migration.Spec, all []migration.Message, now time.Time) error {
	var b strings.Builder
	for _, m := range all {
		what := cmp.Or(m.Notice.Customer, m.Notice.Batch, s.Plan)
		fmt.Fprintf(&b, "== %s of %s, for %s\n", m.Notice.Kind, what, m.Audience)
		fmt.Fprintf(&b, "To:      %s, by %s%s\n", m.Contact, way(s, m.Channel), prefixed(" to ", m.Address))
		fmt.Fprintf(&b, "When:    %s\n", whenSent(s, m, now))
		fmt.Fprintf(&b, "Subject: %s\n\n%s\n\n", m.Subject, m.Text)
	}
	fmt.Fprintf(&b, "%s of plan %s; none was sent\n", count(len(all), "message"), s.Plan)
	_, err := fmt.Fprint(a.out, printer.Plain(b.String()))
	return err
}

func prefixed(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

// past says whether a message of the clock's is too late to be sent any more.
func past(m migration.Message, now time.Time) bool { return !m.Due.IsZero() && m.Due.Before(now) }

func whenSent(s *migration.Spec, m migration.Message, now time.Time) string {
	due := m.Due.Local().Format(migration.TimeLayout)
	switch c, _ := s.Notify.Contact(m.Contact); {
	case past(m, now):
		return due + ", which is past: not sent"
	case !m.Due.IsZero():
		return due
	case m.Step > 0:
		return printer.Duration(m.After.D()) + " after it happens, when nobody has acknowledged it"
	case m.Digest:
		return "when it happens, with others of " + printer.Duration(c.Digest.D())
	default:
		return "when it happens"
	}
}

// way is the kind of a channel.
func way(s *migration.Spec, channel string) string {
	switch c, _ := s.Notify.Channel(channel); {
	case c.Webhook != nil:
		return "webhook"
	case c.Slack != nil:
		return "slack"
	case c.Email != nil:
		return "email"
	default:
		return "sns"
	}
}
