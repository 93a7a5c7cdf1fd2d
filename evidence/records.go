package evidence

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/drover-migration/drover/migration"
)

// format is the version of the lines. It changes when a line no longer means what it meant.
const format = 1

// Kind says what a line is about.
type Kind string

// The kinds of lines. docs/evidence.md says what each holds.
const (
	KindBatch    Kind = "batch"    // the first line, once
	KindSoftware Kind = "software" // what wrote the bundle, and what it talked to
	KindEvent    Kind = "event"    // a line of a timeline
	KindApproval Kind = "approval"
	KindCopy     Kind = "copy"     // a disk
	KindCustomer Kind = "customer" // each has its events, Moves and verdicts after it
	KindMove     Kind = "move"     // that changed a home
	KindVerdict  Kind = "verdict"
	KindMissing  Kind = "missing" // what could not be read when the bundle was made
)

// Head is the first line: what the bundle is about. Times are RFC 3339 in UTC.
type Head struct {
	Kind      Kind      `json:"kind"`
	Format    int       `json:"format"`
	Plan      string    `json:"plan"`
	Revision  int       `json:"revision"`
	Digest    string    `json:"digest"` // SHA-256 of the compiled plan, hex
	Batch     string    `json:"batch"`
	Run       string    `json:"run,omitempty"` // of the batch's workflow: its first, if it went on as new; empty: it has not ended
	Namespace string    `json:"namespace"`     // of Temporal: a signed approval is good in this one
	Made      time.Time `json:"made"`          // when the bundle was asked for
	Names     bool      `json:"names"`         // customers have their names and contacts

	// How the batch stood then.
	Phase  migration.BatchPhase `json:"phase"`
	Reason string               `json:"reason,omitempty"`
	Ticket string               `json:"ticket,omitempty"`
	Window *migration.Window    `json:"window,omitempty"`
	Needs  int                  `json:"needs"` // approvals
	Counts migration.Counts     `json:"counts"`
}

// Software is one program.
type Software struct {
	Of      string // drover, temporal
	Version string
}

// Facts are what is known of a batch, for its bundle.
type Facts struct {
	Ref       migration.SpecRef
	Spec      *migration.Spec
	Batch     string
	Run       string
	Namespace string
	Made      time.Time
	Software  []Software

	Plan      migration.MigrationStatus
	Status    migration.BatchStatus               // with all its customers
	Customers map[string]migration.CustomerStatus // in full, by id: those that could be read
	Missing   []Missing
}

// Missing is something that could not be read.
type Missing struct {
	Of  string
	Why string
}

type softwareLine struct {
	Kind    Kind   `json:"kind"`
	Of      string `json:"of"`
	Version string `json:"version"`
}

type missingLine struct {
	Kind Kind   `json:"kind"`
	Of   string `json:"of"`
	Why  string `json:"why"`
}

type eventLine struct {
	Kind     Kind      `json:"kind"`
	Of       string    `json:"of"` // plan, customer
	Customer string    `json:"customer,omitempty"`
	At       time.Time `json:"at"`
	What     string    `json:"what"`
	By       string    `json:"by,omitempty"`
	Why      string    `json:"why,omitempty"`
}

type approvalLine struct {
	Kind    Kind               `json:"kind"`
	At      time.Time          `json:"at"`
	By      string             `json:"by"`
	Why     string             `json:"why,omitempty"`
	Command *migration.Command `json:"command,omitempty"`
}

type copyLine struct {
	Kind     Kind   `json:"kind"`
	Workload string `json:"workload"`
	VM       string `json:"vm"`
	UUID     string `json:"uuid"`
	migration.DiskImage
}

type customerLine struct {
	Kind       Kind                    `json:"kind"`
	ID         string                  `json:"id"`
	Name       string                  `json:"name,omitempty"`
	Contact    string                  `json:"contact,omitempty"`
	Home       migration.Side          `json:"home"`
	Phase      migration.CustomerPhase `json:"phase"`
	Cause      migration.Cause         `json:"cause,omitempty"`
	Reason     string                  `json:"reason,omitempty"`
	Token      int64                   `json:"token"`
	Tries      int                     `json:"tries"` // of the last Move
	RollbackMS []int64                 `json:"rollbackMs,omitempty"`
}

type moveLine struct {
	Kind        Kind                  `json:"kind"`
	Customer    string                `json:"customer"`
	Token       int64                 `json:"token"`
	Owner       string                `json:"owner,omitempty"`
	From        migration.Side        `json:"from"`
	To          migration.Side        `json:"to"`
	Outcome     migration.MoveOutcome `json:"outcome"`
	Reason      string                `json:"reason,omitempty"`
	Steps       []step                `json:"steps,omitempty"`
	FreezeMS    float64               `json:"freezeMs,omitempty"`
	PredictedMS float64               `json:"predictedMs,omitempty"`
	Rows        int64                 `json:"rows,omitempty"`    // compared
	Objects     int64                 `json:"objects,omitempty"` // compared
	Checked     []migration.Checked   `json:"checked,omitempty"`
	Unrouted    string                `json:"unrouted,omitempty"` // why its route did not follow at once
	Requests    *migration.Requests   `json:"requests,omitempty"` // of users, as others have counted them; left out: the plan names no query
	Drover      string                `json:"drover,omitempty"`
}

// step is an effect of a Move. Each carried the Move's token.
type step struct {
	Step string    `json:"step"`
	At   time.Time `json:"at"`
	By   string    `json:"by"` // whose clock
}

type verdictLine struct {
	Kind     Kind   `json:"kind"`
	Customer string `json:"customer"`
	Token    int64  `json:"token"` // of the Move that led to what was judged; 0: none has
	migration.Verdict
}

// Lines writes the facts down, in an order that depends on nothing else: the batch, what belongs to
// all its customers, then each customer in the plan's order.
func (f Facts) Lines() ([][]byte, error) {
	w := &lines{names: f.Spec.Evidence != nil && f.Spec.Evidence.Names}
	s := f.Status
	w.add(Head{Kind: KindBatch, Format: format, Plan: f.Ref.Plan, Revision: f.Ref.Revision, Digest: f.Ref.Digest, Batch: f.Batch,
		Run:       f.Run,
		Namespace: f.Namespace, Made: f.Made.UTC(), Names: w.names, Phase: s.Phase, Reason: s.Reason, Ticket: s.Ticket, Window: s.Window,
		Needs: s.Needs, Counts: s.Counts})
	for _, p := range f.Software {
		w.add(softwareLine{KindSoftware, p.Of, p.Version})
	}
	for _, m := range f.Missing {
		w.add(missingLine{KindMissing, m.Of, m.Why})
	}
	w.events("plan", "", f.Plan.Timeline)
	for _, e := range s.Approvals {
		w.add(approvalLine{KindApproval, e.At.UTC(), e.By, e.Why, e.Command})
	}
	for _, p := range f.Plan.Workloads {
		for _, c := range p.Copied {
			for _, d := range c.Disks {
				w.add(copyLine{KindCopy, p.Name, c.VM, c.UUID, d})
			}
		}
	}
	for _, c := range s.Customers {
		if full, ok := f.Customers[c.ID]; ok {
			c = full
		}
		planned, _ := f.Spec.Customer(c.ID)
		w.customer(c, planned)
	}
	return w.all, w.err
}

type lines struct {
	names bool
	all   [][]byte
	err   error // the first
}

func (w *lines) add(record any) {
	line, err := json.Marshal(record)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("write a line of evidence: %w", err)
	}
	w.all = append(w.all, line)
}

// events are a timeline. A note is somebody's free text about the customer: that it was written is
// a fact, and what it says is not in the bundle.
func (w *lines) events(of, customer string, timeline []migration.Event) {
	for _, e := range timeline {
		if e.What == migration.UpdateNote {
			e.Why = ""
		}
		w.add(eventLine{KindEvent, of, customer, e.At.UTC(), e.What, e.By, e.Why})
	}
}

func (w *lines) customer(c migration.CustomerStatus, planned migration.Customer) {
	line := customerLine{Kind: KindCustomer, ID: c.ID, Home: c.Home, Phase: c.Phase, Cause: c.Cause, Reason: c.Reason, Token: c.Token,
		Tries: c.Tries, RollbackMS: c.RollbackMS}
	if w.names {
		line.Name, line.Contact = planned.Name, planned.Contact
	}
	w.add(line)
	w.events("customer", c.ID, c.Timeline)
	last := int64(0) // token of the last Move to AWS
	for _, m := range c.Moves {
		w.move(c.ID, m)
		if m.To == migration.AWS {
			last = m.Try.Token
		}
	}
	if c.Verdict != nil {
		w.verdict(c.ID, last, *c.Verdict)
	}
}

func (w *lines) move(customer string, m migration.MoveResult) {
	line := moveLine{Kind: KindMove, Customer: customer, Token: m.Try.Token, Owner: m.Try.Owner, From: m.From, To: m.To, Outcome: m.Outcome,
		Reason: m.Reason, FreezeMS: inMillis(m.Freeze), PredictedMS: inMillis(m.Predicted), Rows: m.Rows, Objects: m.Objects,
		Checked: m.Checked, Unrouted: m.Unrouted, Requests: inUTC(m.Requests), Drover: m.Drover}
	for _, s := range []step{
		{"fenced", m.Fenced, string(m.From)}, {"verified", m.Verified, "worker"}, {"sealed", m.Sealed, "worker"},
		{"opened", m.Opened, string(m.To)}, {"routed", m.Routed, "temporal"},
	} {
		if !s.At.IsZero() {
			s.At = s.At.UTC()
			line.Steps = append(line.Steps, s)
		}
	}
	w.add(line)
	if m.Verdict != nil {
		w.verdict(customer, m.Try.Token, *m.Verdict)
	}
}

func (w *lines) verdict(customer string, token int64, v migration.Verdict) {
	v.At = v.At.UTC()
	w.add(verdictLine{KindVerdict, customer, token, v})
}

func inUTC(r *migration.Requests) *migration.Requests {
	if r == nil {
		return nil
	}
	out := *r
	out.From, out.To, out.Next = r.From.UTC(), r.To.UTC(), r.Next.UTC()
	return &out
}

func inMillis(d migration.Duration) float64 { return float64(d.D().Microseconds()) / 1000 }
