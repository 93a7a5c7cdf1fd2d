package notify

import (
	"embed"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/drover-migration/drover/migration"
)

// templates has a file an audience, with KIND.subject and KIND.text for each kind that it hears.
//
//go:embed templates/*.tmpl
var templates embed.FS

var byAudience = map[migration.Audience]*template.Template{}

func init() {
	for _, a := range []migration.Audience{migration.ForCustomers, migration.ForCustomerSuccess, migration.ForOperators} {
		byAudience[a] = template.Must(template.New(string(a)).Option("missingkey=error").
			ParseFS(templates, "templates/"+string(a)+".tmpl"))
	}
}

// facts is what templates may say. Texts that are not known are empty.
type facts struct {
	Plan     string
	Batch    string
	Customer string // its name, or its id where it has none
	ID       string // of the customer
	Hosts    string
	Ticket   string
	Opens    string // of the batch's window, in the reader's zone
	Closes   string
	Budget   string // the longest freeze
	Bake     string
	Soak     string
	Needs    string // "2 approvals"; "": none
	Members  string // of the batch: "12 customers"
	At       string
	Until    string
	Freeze   string
	Reason   string
	Step     int // of the escalation
	// Ask is what an acknowledgement names, of what has happened and waits for somebody.
	Ask string
}

// words are subject and text of the notice.
func (v subject) words(a migration.Audience, zone *time.Location, step int) (title, text string, err error) {
	f := v.facts(zone)
	f.Step = step
	if title, err = v.say(a, "subject", f); err != nil {
		return "", "", err
	}
	if step > 0 {
		title = "Nobody has answered yet: " + title
	}
	text, err = v.say(a, "text", f)
	return strings.Join(strings.Fields(title), " "), text, err
}

func (v subject) say(a migration.Audience, part string, f facts) (string, error) {
	var b strings.Builder
	t, ok := byAudience[a]
	if !ok {
		return "", fmt.Errorf("compose messages of %s: no words for audience %q", v.notice.Kind, a)
	}
	if err := t.ExecuteTemplate(&b, string(v.notice.Kind)+"."+part, f); err != nil {
		return "", fmt.Errorf("compose messages of %s for %s: %w", v.notice.Kind, a, err)
	}
	return strings.TrimSpace(b.String()), nil
}

func (v subject) facts(zone *time.Location) facts {
	s, n := v.spec, v.notice
	f := facts{
		Plan: s.Plan, Budget: s.Policy.FreezeBudget.Brief(), Soak: s.Policy.Soak.Brief(), At: moment(n.At, zone),
		Until: moment(n.Until, zone), Reason: strings.Join(strings.Fields(n.Reason), " "), // no line of it looks like one of ours
	}
	if n.Kind.Asks() && !n.At.IsZero() {
		f.Ask = n.ID
	}
	if n.Freeze > 0 {
		f.Freeze = fmt.Sprintf("%.1f s", n.Freeze.D().Seconds())
	}
	if b := v.batch; b != nil {
		f.Batch, f.Ticket, f.Bake, f.Members = b.Name, b.Ticket, b.Bake.Brief(), several(len(b.Customers), "customer")
		if b.Approvals > 0 {
			f.Needs = several(b.Approvals, "approval")
		}
		if b.Window != nil {
			f.Opens, f.Closes = moment(b.Window.Opens, zone), moment(b.Window.Closes(), zone)
		}
	}
	if c := v.customer; c != nil {
		f.ID, f.Customer, f.Hosts = c.ID, c.Name, strings.Join(c.Hosts, ", ")
		if f.Customer == "" {
			f.Customer = c.ID
		}
	}
	return f
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// moment is a time as people read it, with its day and zone; "" for none.
func moment(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return ""
	}
	return t.In(zone).Format(migration.TimeLayout)
}
