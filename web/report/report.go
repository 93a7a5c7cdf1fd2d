package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/board"
)

//go:embed report.html
var files embed.FS

var page = template.Must(template.New("report.html").Funcs(template.FuncMap{
	"short": short, "bytes": printer.Bytes, "number": number,
}).ParseFS(files, "report.html"))

// Options say what a report is about.
type Options struct {
	Batch string      // only this batch; empty: all of the migration
	Clock board.Clock // of the times on the page
}

// view is what the page shows.
type view struct {
	Plan, Digest string
	Revision     int
	Batch        string // empty: all of them
	Story        string
	Turn         string
	Trouble      string
	Read         string
	Total        scoreView
	Batches      []batchView
	Back         []backView
	Pieces       []pieceView
	Bytes        int64 // of all copies
	Blocks       int64 // of disks, that were written and read back
	Customers    []customerView
	Approvals    []eventView
	Timeline     []eventView
	Histogram    chart
	ByBatch      rangeChart
}

type scoreView struct {
	board.Measures
	Predicted string // "2 of 3 Moves"
	From, To  string

	Lost, LostOf       string // requests of users that failed, and of how many Moves that is known
	Retried, RetriedOf string
}

type batchView struct {
	Name, State, Ticket string
	Window, Kept        string
	Score               scoreView
}

type backView struct{ Customer, Name, Batch, At, Why, Asked, Freeze string }

type pieceView struct {
	Kind, Name, Phase, Detail string
	Copied, Left, Consistent  string
}

type customerView struct {
	ID, Name, Batch, Home, State, Sign string
	Moved, Freeze, Predicted, Stall    string
	Failed, Retried                    string // requests of users
	Rows, Objects                      int64
	Tries                              int
	Health, Reason                     string
}

type eventView struct{ At, What, By, Why string }

// Write makes the page of what was read. ErrNotFound: there is no such batch.
func Write(w io.Writer, s *board.Snapshot, o Options) error {
	k := o.Clock
	batches, customers := s.Batches, s.Customers
	if o.Batch != "" {
		b, ok := s.Batch(o.Batch)
		if !ok {
			return &client.Problem{Kind: client.ErrNotFound, Doing: "report on batch " + o.Batch + " of plan " + s.Status.Plan,
				Why: "the plan has no such batch", Next: "list the batches with `drover status " + s.Status.Plan + "`"}
		}
		batches, customers = []board.Batch{b}, s.Of(b)
	}
	story, turn := s.Story()
	v := view{Plan: s.Status.Plan, Digest: fmt.Sprintf("%.12s", s.Status.Digest), Revision: s.Status.Revision, Batch: o.Batch, Story: story,
		Turn: string(turn), Read: k.Second(s.At), Total: viewScore(customers, k)}
	if s.Trouble != nil {
		v.Trouble = s.Trouble.Words()
	}
	for _, b := range batches {
		v.Batches = append(v.Batches, viewBatch(s, b, k))
		for _, e := range b.Approvals {
			v.Approvals = append(v.Approvals, eventView{At: k.Second(e.At), What: "batch " + b.Name + " approved", By: e.By, Why: e.Why})
		}
	}
	for _, b := range v.Total.Back {
		v.Back = append(v.Back, viewBack(b, k))
	}
	for _, c := range customers {
		v.Customers = append(v.Customers, viewCustomer(c, k))
	}
	v.Pieces, v.Bytes = viewPieces(s.Status, k)
	for _, p := range s.Status.Workloads {
		_, blocks, _ := p.Disks()
		v.Blocks += blocks
	}
	for _, e := range s.Status.Timeline {
		if o.Batch != "" {
			break // it is about all batches
		}
		v.Timeline = append(v.Timeline, eventView{At: k.Second(e.At), What: e.What, By: e.By, Why: e.Why})
	}
	var budget time.Duration
	if s.Spec != nil {
		budget = s.Spec.Policy.FreezeBudget.D()
	}
	v.Histogram = histogram(v.Total.Measures, budget)
	v.ByBatch = ranges(v.Batches, budget)
	return page.Execute(w, v)
}

func viewScore(customers []board.Customer, k board.Clock) scoreView {
	v := scoreView{Measures: board.Measure(customers)}
	if v.Of > 0 {
		v.Predicted = fmt.Sprintf("%d of %d", v.Kept, v.Of)
	}
	v.Lost, v.LostOf = viewCounted(v.RequestsFailed), v.RequestsFailed.Words(v.Moves)
	v.Retried, v.RetriedOf = viewCounted(v.RequestsRetried), v.RequestsRetried.Words(v.Moves)
	if !v.First.IsZero() {
		v.From, v.To = k.Second(v.First), k.Second(v.Last)
	}
	return v
}

// viewCounted is a number of requests; those that nobody has counted are none.
func viewCounted(c board.Counted) string {
	if c.Moves == 0 {
		return "–"
	}
	return number(c.N)
}

func viewBatch(s *board.Snapshot, b board.Batch, k board.Clock) batchView {
	gate, _ := s.Gate(b, k)
	v := batchView{Name: b.Name, State: gate, Ticket: b.Ticket, Score: viewScore(s.Of(b), k)}
	if b.Window != nil {
		v.Window = k.Span(*b.Window)
	}
	switch last, kept, known := s.Window(b); {
	case known && kept:
		v.Kept = "kept: its last Move to AWS ended at " + k.Second(last)
	case known:
		v.Kept = "missed: its last Move to AWS ended at " + k.Second(last)
	}
	return v
}

// asked says who wanted a way back.
var asked = map[migration.Cause]string{
	migration.ByVerdict: "its own health", migration.ByRoute: "its route could not be set", migration.ByBatch: "another customer's health",
	migration.ByOrder: "a person, for its batch or all", migration.ByHand: "a person, for this customer",
	migration.ByAudit: "the audit of its fences",
}

func viewBack(b board.WayBack, k board.Clock) backView {
	return backView{Customer: b.Customer, Name: b.Name, Batch: b.Batch, At: k.Second(b.At), Why: b.Why, Asked: asked[b.Cause],
		Freeze: printer.Duration(b.Freeze)}
}

func viewPieces(s migration.MigrationStatus, k board.Clock) (out []pieceView, bytes int64) {
	add := func(kind string, p migration.PieceStatus) {
		v := pieceView{Kind: kind, Name: p.Name, Phase: string(p.Phase), Detail: p.Detail, Consistent: board.Consistent(p, k.At)}
		if g := p.Progress; g.Done > 0 || g.Total > 0 {
			v.Copied = printer.Bytes(g.Done)
			if g.Total > 0 {
				v.Copied += " of " + printer.Bytes(g.Total)
			}
			switch {
			case g.Measuring:
				v.Left = "measuring"
			case g.Total > 0 && g.Done < g.Total:
				v.Left = printer.Duration(g.ETA.D())
			}
		}
		bytes += p.Progress.Done
		out = append(out, v)
	}
	for _, p := range s.Workloads {
		add("workload", p)
	}
	for _, p := range s.Datasets {
		add("dataset", p)
	}
	return out, bytes
}

func viewCustomer(c board.Customer, k board.Clock) customerView {
	st := c.Status
	v := customerView{ID: st.ID, Name: st.Name, Batch: st.Batch, Home: string(st.Home), State: c.Words(), Sign: c.State().Sign(),
		Tries: st.Tries, Reason: st.Reason}
	if c.State() == board.Waiting && !c.Started {
		v.Home = string(migration.OnPrem)
	}
	if n := len(st.Moves); n > 0 {
		last := st.Moves[n-1]
		v.Moved, v.Freeze = k.Second(last.Opened), printer.Duration(last.Freeze.D())
		if s := last.Stall(); s > 0 {
			v.Stall = printer.Duration(s)
		}
		if last.Predicted > 0 {
			v.Predicted = printer.Duration(last.Predicted.D())
		}
	}
	of := board.Measure([]board.Customer{c})
	v.Rows, v.Objects = of.Rows, of.Objects
	v.Failed, v.Retried = viewCounted(of.RequestsFailed), viewCounted(of.RequestsRetried)
	if x := st.Verdict; x != nil {
		v.Health = fmt.Sprintf("%s: %d of %d samples failed", x.Outcome, x.Errors, x.Samples)
	}
	return v
}

// short is a time that was measured; 0 was not.
func short(d time.Duration) string {
	if d <= 0 {
		return "–"
	}
	return printer.Duration(d)
}

// number is a count with its thousands apart.
func number(n any) string {
	s := fmt.Sprint(n)
	var parts []string
	for len(s) > 3 {
		parts = append([]string{s[len(s)-3:]}, parts...)
		s = s[:len(s)-3]
	}
	return strings.Join(append([]string{s}, parts...), "\u202f")
}
