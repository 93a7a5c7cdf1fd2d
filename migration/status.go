package migration

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// Waiting is what a workflow waits for. The set is closed: it is a search attribute.
type Waiting string

// What can be waited for.
const (
	WaitNothing  Waiting = "nothing"
	WaitBatch    Waiting = "batch" // the customer's batch has not told it to go
	WaitTurn     Waiting = "turn"  // an earlier batch or customer
	WaitWindow   Waiting = "window"
	WaitApproval Waiting = "approval"
	WaitResume   Waiting = "resume"   // the migration is paused
	WaitOperator Waiting = "operator" // held: retry or rollback
	WaitBlackout Waiting = "blackout" // of the customers that have not gone
	WaitLag      Waiting = "lag"
	WaitHealth   Waiting = "health"  // bake or soak
	WaitData     Waiting = "data"    // replication
	WaitAWS      Waiting = "aws"     // instances, services, images
	WaitObserve  Waiting = "observe" // who writes is observed, or what was found of writers is not resolved
)

// Outcome of a verdict.
type Outcome string

// The verdicts. Inconclusive neither promotes nor rolls back: it holds and asks a human.
const (
	Pass         Outcome = "pass"
	Fail         Outcome = "fail"
	Inconclusive Outcome = "inconclusive"
)

// Verdict is what health analysis says, with its evidence.
type Verdict struct {
	Outcome Outcome   `json:"outcome"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at,omitzero"`

	// Blind says why the worker that watched reaches nothing: the verdict is inconclusive then, and
	// says nothing about the customer.
	Blind string `json:"blind,omitempty"`

	Probe        string  `json:"probe,omitempty"` // the probe that decided
	Samples      int     `json:"samples"`         // of all probes
	Errors       int     `json:"errors"`          // of all probes
	LastAnswer   string  `json:"lastAnswer,omitempty"`
	P95          float64 `json:"p95"`               // seconds, of the http samples at the destination, good or not
	BaselineP95  float64 `json:"baselineP95"`       // seconds, the same at the origin before the fence
	ErrorRate    float64 `json:"errorRate"`         // fraction of the http samples at the destination; not Errors by Samples
	BaselineRate float64 `json:"baselineErrorRate"` // fraction of the http samples at the origin before the fence

	Asked []Asked `json:"asked,omitempty"` // by probe, in the plan's order; a look at many has them where somebody is unwell
}

// Asked is what one probe has answered.
type Asked struct {
	Probe  string `json:"probe"`
	Good   int    `json:"good"`   // samples
	Failed int    `json:"failed"` // samples
	Last   string `json:"last,omitempty"`
}

// Event is one line of a timeline.
type Event struct {
	At   time.Time `json:"at,omitzero"`
	What string    `json:"what"`
	By   string    `json:"by,omitempty"` // who asked for it; empty: Drover itself
	Why  string    `json:"why,omitempty"`

	Command *Command `json:"command,omitempty"` // of an approval: as it was given, with its proof
}

// Command is an operator's wish, as updates carry it.
type Command struct {
	RequestID string `json:"requestId"`        // repeats of one id are one command
	By        string `json:"by"`               // who, as they say of themselves
	From      string `json:"from,omitempty"`   // the user and machine that it was sent from, USER@HOST
	Reason    string `json:"reason,omitempty"` // why
	Token     int64  `json:"token,omitempty"`  // rollback, retry: the try it means; 0: whichever is the last

	Ticket    string    `json:"ticket,omitempty"`    // note: where more of it stands, an address or a number
	NotBefore time.Time `json:"notBefore,omitzero"`  // defer: the customer is not to move before
	Accept    bool      `json:"accept,omitempty"`    // decide: the deferral is accepted; false: refused, or ended
	Slots     []Window  `json:"slots,omitempty"`     // offer: times of which the customer takes one; take: that one
	SignUps   bool      `json:"signUps,omitempty"`   // finalise: tenants that the plan does not know come along
	Batch     string    `json:"batch,omitempty"`     // finalise: only this batch's way back ends; empty: the whole plan's
	Amend     *SpecRef  `json:"amend,omitempty"`     // amend: the new content, in the state bucket; its revision is that it was made against
	Customers []string  `json:"customers,omitempty"` // accept-loss, carry-over: whose
	// schema: what both sides of a database are given
	Schema  *SchemaChange `json:"schema,omitempty"`
	Message string        `json:"message,omitempty"` // ack: the id of what waits, or the key of a message that tells of it
	Finding string        `json:"finding,omitempty"` // resolve: the id of what was found of a writer

	// Until is when the one who asked stops waiting, by the clock of the machine that asked:
	// whoever takes the command later refuses it. Zero: it is good whenever it is taken.
	Until time.Time `json:"until,omitzero"`

	// Proof says that By gave the command. Workers with identity keys refuse a command without.
	Proof *Proof `json:"proof,omitempty"`
}

// LongestText is how long a text of a person may be, in characters: a reason, a note, a ticket. It
// is kept in the state of workflows and told from one to the other, and Temporal ends a workflow
// that says more than 2 MiB.
const LongestText = 1000

// longestWord is the same of names and ids.
const longestWord = 400

// Fits refuses a command whose texts are longer than is kept; nil: they are not.
func (c Command) Fits() error {
	for _, t := range []struct {
		what, is string
		most     int
	}{
		{"reason", c.Reason, LongestText}, {"ticket", c.Ticket, LongestText}, {"name of who asks", c.By, longestWord},
		{"place that it comes from", c.From, longestWord}, {"request id", c.RequestID, longestWord},
		{"name of a message", c.Message, longestWord}, {"name of a finding", c.Finding, longestWord},
		{"name of a batch", c.Batch, longestWord},
	} {
		if n := utf8.RuneCountInString(t.is); n > t.most {
			return fmt.Errorf("the %s has %d characters, and at most %d are kept: shorten it", t.what, n, t.most)
		}
	}
	return nil
}

// SchemaChange is a file of DDL for both sides of a database.
type SchemaChange struct {
	Dataset string `json:"dataset"`
	File    string `json:"file,omitempty"`   // its name
	Text    string `json:"text,omitempty"`   // empty: what was made there by hand is taken in
	Digest  string `json:"digest,omitempty"` // SHA-256 of the text, hex: a change is made once
}

// Late refuses a command that is taken after its Until; nil: it is in time. Now is the workflow's
// time.
func (c Command) Late(now time.Time) error {
	if c.Until.IsZero() || !now.After(c.Until) {
		return nil
	}
	return fmt.Errorf("the command came too late and was withdrawn: it was good until %s by the clock of who asked, and was taken at %s"+
		" by the server's; see that the two clocks agree, and ask again if it is still wanted",
		c.Until.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
}

// Deferral is a wish that a customer does not move before a time.
type Deferral struct {
	NotBefore time.Time `json:"notBefore,omitzero"`
	Asked     Event     `json:"asked"`
	Decided   *Event    `json:"decided,omitempty"` // nil: no lead has yet
	Accepted  bool      `json:"accepted,omitempty"`
}

// Slots are times that a lead has offered to a customer, of which it takes one. One that is taken
// is a deferral until it opens, and the customer does not begin to move after it has closed.
type Slots struct {
	Offered []Window `json:"offered"`
	By      Event    `json:"by"`
	Taken   *Window  `json:"taken,omitempty"`  // nil: none
	Choice  *Event   `json:"choice,omitempty"` // who took it
}

// Offers says whether a time is one of those that were offered.
func (s *Slots) Offers(w Window) bool {
	return s != nil && slices.ContainsFunc(s.Offered, w.Equal)
}

// Chosen is the slot that the customer has taken; nil: none.
func (s *Slots) Chosen() *Window {
	if s == nil {
		return nil
	}
	return s.Taken
}

// Remark is what somebody wrote down about a customer.
type Remark struct {
	At     time.Time `json:"at,omitzero"`
	By     string    `json:"by"`
	Text   string    `json:"text,omitempty"`
	Ticket string    `json:"ticket,omitempty"`
}

// Accepted answers an update: the command is recorded and will be carried out.
type Accepted struct {
	Message string `json:"message"`
}

// Progress of a copy.
type Progress struct {
	Done      int64    `json:"done"`  // bytes
	Total     int64    `json:"total"` // bytes; 0: not known
	Rate      float64  `json:"rate"`  // bytes a second; 0 while Measuring
	ETA       Duration `json:"eta"`
	Measuring bool     `json:"measuring"` // too early to name a rate
}

// MoveOutcome is how one try of a Move ended.
type MoveOutcome string

// How a try can end.
const (
	MoveDone       MoveOutcome = "done"        // homed at the destination, routed
	MoveNotStarted MoveOutcome = "not-started" // the check refused: nothing happened
	MoveGaveUp     MoveOutcome = "gave-up"     // before the seal: open at the origin
	MoveReversed   MoveOutcome = "reversed"    // after the seal: poisoned and reopened at the origin
	MoveSuperseded MoveOutcome = "superseded"  // a newer try owns the customer

	// MoveRepaired is no answer of a Move: it did not say how it ended, its Customer settled it.
	MoveRepaired MoveOutcome = "repaired"
)

// MoveOutcomes are all ways in which a try can end.
var MoveOutcomes = []MoveOutcome{MoveDone, MoveNotStarted, MoveGaveUp, MoveReversed, MoveSuperseded, MoveRepaired}

// MoveResult is what a Move answers its Customer.
type MoveResult struct {
	Outcome   MoveOutcome `json:"outcome"`
	Try       Try         `json:"try"` // with the highest token the Move used
	From      Side        `json:"from"`
	To        Side        `json:"to"`
	Home      Side        `json:"home"`
	Reason    string      `json:"reason,omitempty"`
	Unrouted  string      `json:"unrouted,omitempty"` // of a Move that is done: why its route does not follow
	Step      MoveStep    `json:"step,omitempty"`     // where it gave up
	Fenced    time.Time   `json:"fenced,omitzero"`    // commit of the fence, by the origin's clock
	Opened    time.Time   `json:"opened,omitzero"`    // commit of the open, by the destination's clock
	Routed    time.Time   `json:"routed,omitzero"`    // its route was set, by Temporal's clock
	Freeze    Duration    `json:"freeze,omitempty"`
	Predicted Duration    `json:"predicted,omitempty"` // the freeze as it was predicted before the fence
	Weight    int         `json:"weight,omitempty"`    // percentage of its requests with which a customer without a database began on AWS
	Rows      int64       `json:"rows,omitempty"`      // compared by the verification
	Objects   int64       `json:"objects,omitempty"`   // compared by the last file pass
	Took      FreezeTook  `json:"took,omitzero"`       // where the time of the freeze went
	Verified  time.Time   `json:"verified,omitzero"`   // both sides had been compared, by the worker's clock
	Sealed    time.Time   `json:"sealed,omitzero"`     // the origin was sealed, by the worker's clock
	Checked   []Checked   `json:"checked,omitempty"`   // what was compared, by dataset
	Drover    string      `json:"drover,omitempty"`    // version of the worker that froze it
	Hold      string      `json:"hold,omitempty"`      // a hook's answer before the commit point: no further try before somebody says so
	Missed    []string    `json:"missed,omitempty"`    // hooks that failed or held, and kept nobody from going home
	Verdict   *Verdict    `json:"verdict,omitempty"`   // on what it led to, once the customer has set out again; until then: CustomerStatus
	Requests  *Requests   `json:"requests,omitempty"`  // of its users meanwhile; nil: the plan names no query for them
}

// RequestMargin is how much longer before a fence, and after the route was set, requests count as
// those of a Move.
const RequestMargin = time.Minute

// Requests are those of a customer's users around a Move, as others have counted them, from
// RequestMargin before its fence (or its open, where it has none) until as much after its route was
// set (or the Move had ended, where the route did not follow).
type Requests struct {
	From    time.Time `json:"from,omitzero"` // zero: not known, like To
	To      time.Time `json:"to,omitzero"`
	Failed  *Count    `json:"failed,omitempty"` // nil: the plan names no query for it
	Retried *Count    `json:"retried,omitempty"`
	Tries   int       `json:"tries,omitempty"` // questions in vain
	Next    time.Time `json:"next,omitzero"`   // when they are asked for; zero: that is over
}

// FailedCount is what is known of those that failed; nil: the plan names no query for it.
func (r *Requests) FailedCount() *Count {
	if r == nil {
		return nil
	}
	return r.Failed
}

// RetriedCount is what is known of those that were retried; nil: the plan names no query for it.
func (r *Requests) RetriedCount() *Count {
	if r == nil {
		return nil
	}
	return r.Retried
}

// Count is a number that others have counted, or why there is none.
type Count struct {
	N       int64  `json:"n"`
	Pending bool   `json:"pending,omitempty"` // it is not known yet: Why is what the last question found
	Why     string `json:"why,omitempty"`     // there is no number
}

// MarshalJSON leaves a 0 out where there is no number: nobody is to read it as one.
func (c Count) MarshalJSON() ([]byte, error) {
	out := struct {
		N       *int64 `json:"n,omitempty"`
		Pending bool   `json:"pending,omitempty"`
		Why     string `json:"why,omitempty"`
	}{Pending: c.Pending, Why: c.Why}
	if c.Known() || c.N != 0 {
		out.N = &c.N
	}
	return json.Marshal(out)
}

// Known says whether there is a number.
func (c *Count) Known() bool { return c != nil && !c.Pending && c.Why == "" }

// Stall is how long a request may have waited for an answer: from the fence until the route
// followed, by two clocks. 0: not known.
func (r MoveResult) Stall() time.Duration {
	if r.Fenced.IsZero() || r.Routed.IsZero() {
		return 0
	}
	return max(0, r.Routed.Sub(r.Fenced))
}

// Checked is what was compared of a customer's part of a dataset while nobody wrote it: both sides
// were alike.
type Checked struct {
	Dataset string `json:"dataset"`
	Tables  int    `json:"tables,omitempty"`
	Rows    int64  `json:"rows,omitempty"`
	Objects int64  `json:"objects,omitempty"`
	// Sum is a SHA-256, hex, over the tables in order with count and hash of their rows: the same
	// rows have the same sum.
	Sum    string `json:"sum,omitempty"`
	OnPrem string `json:"onprem,omitempty"` // version of the database's server there
	AWS    string `json:"aws,omitempty"`
}

// FreezeTook says where the time of a freeze went, by the worker's clock, in the order in which it
// went.
type FreezeTook struct {
	Warm     Duration `json:"warm,omitempty"`     // warm file passes; like the next two before the fence
	Turn     Duration `json:"turn,omitempty"`     // waiting for other customers' freezes in this process
	Rehearse Duration `json:"rehearse,omitempty"` // preparing the connections
	Fence    Duration `json:"fence,omitempty"`    // from its end on the customer cannot write
	Drain    Duration `json:"drain,omitempty"`    // all of the next two, and the rows of both sides
	Mark     Duration `json:"mark,omitempty"`     // the fence's mark, by replication; beside it the origin's rows are read
	Files    Duration `json:"files,omitempty"`    // the longest of the last file passes
	Hooks    Duration `json:"hooks,omitempty"`    // what the plan has called inside the freeze
	Seal     Duration `json:"seal,omitempty"`
	Open     Duration `json:"open,omitempty"`
}

// Add is both together.
func (t FreezeTook) Add(o FreezeTook) FreezeTook {
	return FreezeTook{
		Warm: t.Warm + o.Warm, Turn: t.Turn + o.Turn, Rehearse: t.Rehearse + o.Rehearse, Fence: t.Fence + o.Fence, Drain: t.Drain + o.Drain,
		Mark: t.Mark + o.Mark, Files: t.Files + o.Files, Hooks: t.Hooks + o.Hooks, Seal: t.Seal + o.Seal,
		Open: t.Open + o.Open,
	}
}

// Trying is work that was tried in vain and is tried again, or that no worker takes. Temporal knows
// of it, and not the workflow that waits for it: a client adds it to a status.
type Trying struct {
	What   string    `json:"what"`             // as the UI names the work
	Hook   HookEvent `json:"hook,omitempty"`   // of a hook after a Move, which its customer calls until it is answered
	Times  int       `json:"times"`            // attempts that failed; 0: no worker takes it
	Last   string    `json:"last"`             // why the last of them failed
	At     time.Time `json:"at,omitzero"`      // when it did
	Since  time.Time `json:"since,omitzero"`   // when the work was asked for
	Next   time.Time `json:"next,omitzero"`    // when it is tried again; zero: it is being tried
	Worker string    `json:"worker,omitempty"` // that tried it last
}

// CustomerStatus is what anyone may know of a customer.
type CustomerStatus struct {
	ID         string        `json:"id"`
	Name       string        `json:"name,omitempty"`
	Batch      string        `json:"batch"`
	Home       Side          `json:"home"`
	Weight     int           `json:"weight,omitempty"` // percentage of its requests that go to AWS while it is shifted there; 0: it is not
	Phase      CustomerPhase `json:"phase"`
	WaitingFor Waiting       `json:"waitingFor"`
	Since      time.Time     `json:"since,omitzero"` // of the phase
	Until      time.Time     `json:"until,omitzero"` // of the bake or the soak under way
	Token      int64         `json:"token"`
	Tries      int           `json:"tries"` // of the Move under way, or of the last
	Reason     string        `json:"reason,omitempty"`
	Cause      Cause         `json:"cause,omitempty"` // why it goes back or rests
	MayDo      []string      `json:"mayDo,omitempty"` // names of updates that would be accepted now
	Verdict    *Verdict      `json:"verdict,omitempty"`
	Moves      []MoveResult  `json:"moves,omitempty"`      // that changed the home, oldest first
	RollbackMS []int64       `json:"rollbackMs,omitempty"` // verdict or request to homed and routed at the origin
	Deferral   *Deferral     `json:"deferral,omitempty"`
	Slots      *Slots        `json:"slots,omitempty"`
	Notes      []Remark      `json:"notes,omitempty"` // like the timeline in the customer's own status only, oldest first
	Timeline   []Event       `json:"timeline,omitempty"`
	Trying     []Trying      `json:"trying,omitempty"`
	// Messages are those of the customer; nil: its plan sends none. A client adds them.
	Messages *MessagesStatus `json:"messages,omitempty"`
}

// Deferred says whether the customer is held because a lead has accepted that it does not move
// before a time.
func (s CustomerStatus) Deferred() bool {
	return s.Phase == CustomerHeld && s.Cause == ByDeferral && s.Deferral != nil
}

// AsksDeferral says whether a lead has to decide about a deferral.
func (s CustomerStatus) AsksDeferral() bool {
	return s.Deferral != nil && s.Deferral.Decided == nil && s.Phase == CustomerWaiting
}

// Counts of customers by where they stand.
type Counts struct {
	Customers  int `json:"customers"`
	Waiting    int `json:"waiting"`
	Moving     int `json:"moving"`
	Baking     int `json:"baking"`
	OnAWS      int `json:"onAws"` // baked
	RolledBack int `json:"rolledBack"`
	Held       int `json:"held"`
	Skipped    int `json:"skipped,omitempty"` // stay on premises, by a person's word
	Away       int `json:"away"`              // not for certain at home, whatever they are doing
	// Finished are those of Away that have ended their soak on AWS: they do nothing by themselves
	// any more.
	Finished int `json:"finished,omitempty"`
}

// Summary says in words where those stand who have been told to go.
func (n Counts) Summary() string {
	words := fmt.Sprintf("%d on AWS, %d rolled back, %d held", n.OnAWS+n.Baking, n.RolledBack, n.Held)
	if n.Skipped > 0 {
		words += fmt.Sprintf(", %d skipped", n.Skipped)
	}
	return words
}

// BatchStatus is a batch and a page of its customers.
type BatchStatus struct {
	Name       string           `json:"name"`
	Phase      BatchPhase       `json:"phase"`
	WaitingFor Waiting          `json:"waitingFor"`
	Reason     string           `json:"reason,omitempty"`
	Asks       bool             `json:"asks,omitempty"` // it waits for WaitObserve, and it is somebody's turn
	Since      time.Time        `json:"since,omitzero"`
	Approvals  []Event          `json:"approvals,omitempty"`
	Needs      int              `json:"needs"` // approvals
	Window     *Window          `json:"window,omitempty"`
	Ticket     string           `json:"ticket,omitempty"`
	Counts     Counts           `json:"counts"`
	MayDo      []string         `json:"mayDo,omitempty"`
	Customers  []CustomerStatus `json:"customers,omitempty"` // a page, without timelines
	Next       int              `json:"next,omitempty"`      // offset of the next page; 0: none
	Trying     []Trying         `json:"trying,omitempty"`
	Workflow   string           `json:"workflow,omitempty"`  // what Temporal says of it: Running, Terminated, ...
	Finalised  *Finalised       `json:"finalised,omitempty"` // nil: its way back stands
	MayEnd     bool             `json:"mayEnd,omitempty"`    // its way back may be ended now; like Finalised, the migration's to say
	Evidence   string           `json:"evidence,omitempty"`  // where the signed evidence of a batch that has ended is kept: s3://BUCKET/KEY
}

// Finalised is the end of a batch's way back: its customers stay on AWS.
type Finalised struct {
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Asked  time.Time `json:"asked,omitzero"`
	Cut    time.Time `json:"cut,omitzero"`    // nobody of it goes back from here on
	Done   time.Time `json:"done,omitzero"`   // the machines that only it used are off, or Kept
	Waits  string    `json:"waits,omitempty"` // what keeps it from going on
	VMs    []string  `json:"vms,omitempty"`   // that were shut down
	Kept   string    `json:"kept,omitempty"`  // why machines that only it used were left on
}

// MigrationStatus is a running plan.
type MigrationStatus struct {
	Plan       string         `json:"plan"`
	Revision   int            `json:"revision"`
	Digest     string         `json:"digest"`
	Phase      MigrationPhase `json:"phase"`
	WaitingFor Waiting        `json:"waitingFor"`
	Reason     string         `json:"reason,omitempty"`
	Since      time.Time      `json:"since,omitzero"`
	Paused     bool           `json:"paused"`
	Batches    []BatchStatus  `json:"batches"` // without customers
	Workloads  []PieceStatus  `json:"workloads,omitempty"`
	Datasets   []PieceStatus  `json:"datasets,omitempty"`
	MayDo      []string       `json:"mayDo,omitempty"`
	Timeline   []Event        `json:"timeline,omitempty"`
	Trying     []Trying       `json:"trying,omitempty"`
	// Messages are those of the whole plan; nil: it sends none. A client adds them.
	Messages *MessagesStatus `json:"messages,omitempty"`
}

// PieceStatus is a workload or a dataset on its way.
type PieceStatus struct {
	Name     string     `json:"name"`
	Phase    PiecePhase `json:"phase"`
	Detail   string     `json:"detail,omitempty"`
	Progress Progress   `json:"progress,omitzero"`
	Trying   []Trying   `json:"trying,omitempty"`
	Workflow string     `json:"workflow,omitempty"` // what Temporal says of it: Running, Terminated, ...
	Copied   []Copied   `json:"copied,omitempty"`   // disks that this run copied and read back

	// AsOf is the last consistent point that is known, by Temporal's clock. All that was written to
	// a dataset before it had arrived on the other side, but for files of customers that were
	// moving: a Move brings its own along. Zero: not known. Of a workload Copied says it.
	AsOf time.Time `json:"asOf,omitzero"`

	NoWayBack *NoWayBack `json:"noWayBack,omitempty"` // nil: as far as is known, who is on AWS can go back
}

// NoWayBack is why nobody goes back from AWS without loss, as the last audit of a dataset found, or
// why that is not known.
type NoWayBack struct {
	Why  string `json:"why"`
	Lost bool   `json:"lost,omitempty"` // for good; false: until it is put right
	// Unknown: the audit itself failed, and Why says why. Whether the way back stands nobody knows.
	Unknown bool `json:"unknown,omitempty"`
}

// Disks are the disks that were copied, of all its VMs: how many, their blocks, which were written
// and read back, and when the oldest of them was as it was copied; zero: not known.
func (p PieceStatus) Disks() (n int, blocks int64, asOf time.Time) {
	known := true
	for _, c := range p.Copied {
		for _, d := range c.Disks {
			n, blocks = n+1, blocks+d.Blocks
			if known = known && !d.AsOf.IsZero(); asOf.IsZero() || d.AsOf.Before(asOf) {
				asOf = d.AsOf
			}
		}
	}
	if !known {
		asOf = time.Time{}
	}
	return n, blocks, asOf
}

// Copied are the disks of a VM as they stand in EBS.
type Copied struct {
	VM    string      `json:"vm"`
	UUID  string      `json:"uuid"` // instance UUID
	Disks []DiskImage `json:"disks"`
}

// Page asks a status query for customers from Offset on.
type Page struct {
	Offset int `json:"offset"`
	Limit  int `json:"limit"` // 0: none
}

// Finding is one thing a check found.
type Finding struct {
	Severity Severity `json:"severity"`
	Check    string   `json:"check"`   // short stable name: "disk-raw-device-mapping"
	Subject  string   `json:"subject"` // what it is about: "vm web-01", "table orders.audit"
	Reason   string   `json:"reason"`
	Remedy   string   `json:"remedy"`
}

// Severity of a finding.
type Severity string

// A blocker stops a migration before anything is touched.
const (
	Blocker Severity = "blocker"
	Warning Severity = "warning"
)

// Blockers are the findings that stop a migration.
func Blockers(in []Finding) (out []Finding) {
	for _, f := range in {
		if f.Severity == Blocker {
			out = append(out, f)
		}
	}
	return out
}
