package web

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/board"
)

// boardView is the wave board: the batches in order and a page of their customers.
type boardView struct {
	Head     headView
	Counts   []countView
	Bar      []segment
	Todo     []todoView
	Batches  []batchView
	Groups   []groupView
	Filter   board.Filter
	States   []countView
	Choices  board.Choices
	Page     board.Page
	Before   string // address of the page before; empty: there is none
	After    string
	Path     string
	Exports  string // the query that exports what is filtered
	Timeline []eventView
}

// headView is the migration itself.
type headView struct {
	Plan     string
	Path     string
	Revision int
	Digest   string
	Phase    string
	Story    string
	Turn     string
	Reason   string
	Trying   []string
	Since    momentView
	Read     momentView
	Trouble  *troubleView
	Version  uint64
	Unknown  bool // the plan itself could not be read
	Do       []actionView
}

type troubleView struct {
	Words, Why, Next string
	Since            momentView
	Read             momentView
}

// momentView is a moment for people, and for the script that adds how long ago it was.
type momentView struct {
	Text string
	ISO  string // RFC 3339 in UTC; empty: not known
}

type countView struct {
	State board.State
	Words string
	Sign  string
	N     int
	Link  string
	On    bool // it is what the page is filtered by
}

// segment is a part of a bar that is 100 wide.
type segment struct {
	State board.State
	X, W  float64
}

// todoView is something that waits for a person.
type todoView struct {
	Text string
	Link string // where it is looked at
	Do   []actionView
}

// actionView is a command that the person may give now.
type actionView struct {
	Words string
	Link  string
	Grave bool // it moves customers
}

type batchView struct {
	board.Batch
	Gate     string
	Turn     string
	Window   string
	Zone     string // the window in the batch's own zone, where that is another
	Bar      []segment
	Progress string
	Score    string
	Tries    []string // what fails and is tried again
	Link     string
	On       bool
	Do       []actionView
}

type groupView struct {
	Batch     string
	Gate      string
	Customers []tileView
}

type tileView struct {
	ID, Name string
	Title    string // the name, or the id where there is none
	State    board.State
	Words    string
	Sign     string
	More     string
	Link     string
}

type eventView struct {
	At      momentView
	What    string
	By, Why string
}

func moment(k board.Clock, t time.Time) momentView {
	if t.IsZero() {
		return momentView{Text: "not known"}
	}
	return momentView{Text: k.At(t), ISO: t.UTC().Format(time.RFC3339)}
}

// boardPage answers the wave board.
func (s *Server) boardPage(w http.ResponseWriter, r *http.Request, who access.Identity) {
	f, err := s.Hub.Follow(r.Context(), r.PathValue("plan"))
	if err != nil {
		s.failBy(w, r, who, err)
		return
	}
	snap, k, filter := f.Snapshot(r.Context()), clock(r), board.ReadFilter(r.URL.Query())
	key := fmt.Sprintf("board|%s|%s|%s", who.Role, k.Zone, filter.Query())
	plain, zip, err := s.cache.get(snap.Status.Plan, snap.Version, key, func(b *bytes.Buffer) error {
		return pages.ExecuteTemplate(b, "board", viewBoard(snap, filter, k, who.Role))
	})
	if err != nil {
		s.broken(w, r, err)
		return
	}
	if isFragment(r) && strings.HasPrefix(r.Header.Get("HX-Trigger"), "filter") {
		w.Header().Set("HX-Push-Url", planPath(snap.Status.Plan)+filter.Query())
	}
	l := layout{Title: snap.Status.Plan + ": board", Who: who, Plan: snap.Status.Plan, Tab: "board",
		Events: fmt.Sprintf("%s/events?v=%d", planPath(snap.Status.Plan), snap.Version)}
	if !isFragment(r) {
		var above bytes.Buffer
		if err := pages.ExecuteTemplate(&above, "filter", viewFilter(snap, filter)); err != nil {
			s.broken(w, r, err)
			return
		}
		l.Above = template.HTML(above.Bytes()) //nolint:gosec // a template made it
	}
	s.showMade(w, r, http.StatusOK, l, plain, zip)
}

// viewFilter is what the form above the board needs.
func viewFilter(snap *board.Snapshot, f board.Filter) boardView {
	v := boardView{Head: headView{Plan: snap.Status.Plan}, Filter: f, Choices: snap.Choices, Path: planPath(snap.Status.Plan)}
	for _, state := range board.States {
		v.States = append(v.States, countView{State: state, Words: state.Words(), On: f.State == state})
	}
	for _, b := range snap.Batches {
		v.Batches = append(v.Batches, batchView{Batch: b, On: f.Batch == b.Name})
	}
	return v
}

func planPath(plan string) string { return "/m/" + url.PathEscape(plan) }

func customerPath(plan, id string) string { return planPath(plan) + "/c/" + url.PathEscape(id) }

func viewHead(snap *board.Snapshot, k board.Clock, rank access.Role) headView {
	m := snap.Status
	story, turn := snap.Story()
	h := headView{Trying: board.Trying(m.Trying, k),
		Plan: m.Plan, Path: planPath(m.Plan), Revision: m.Revision, Digest: fmt.Sprintf("%.12s", m.Digest),
		Phase: string(m.Phase),
		Story: story, Turn: string(turn), Reason: board.Why(m), Since: moment(k, m.Since), Read: moment(k, snap.At), Version: snap.Version,
		Unknown: snap.Spec == nil}
	if t := snap.Trouble; t != nil {
		h.Trouble = &troubleView{Words: t.Words(), Why: t.Why, Next: t.Next, Since: moment(k, t.Since), Read: moment(k, snap.At)}
	}
	if snap.GoesOn() {
		h.Do = actions(m.Plan, url.Values{}, m.MayDo, rank)
	}
	return h
}

// viewBoard puts a snapshot into the words and numbers of the page.
func viewBoard(snap *board.Snapshot, f board.Filter, k board.Clock, rank access.Role) boardView {
	plan := snap.Status.Plan
	v := boardView{Head: viewHead(snap, k, rank), Filter: f, Page: snap.Find(f), Path: planPath(plan)}
	v.Filter.PageNo = v.Page.No
	count := snap.Count()
	v.Bar = bar(count, len(snap.Customers))
	for _, state := range board.States {
		to := f
		to.State, to.PageNo = state, 1
		if f.State == state {
			to.State = ""
		}
		c := countView{State: state, Words: state.Words(), Sign: state.Sign(), N: count[state], Link: v.Path + to.Query(),
			On: f.State == state}
		if c.N > 0 || c.On {
			v.Counts = append(v.Counts, c)
		}
	}
	for _, b := range snap.Batches {
		v.Batches = append(v.Batches, viewBatch(snap, b, f, k, rank))
	}
	v.Todo = todo(snap, v.Batches, k, v.Head.Do, rank)
	v.Groups = groups(snap, v.Page.Customers, k)
	v.Before, v.After = v.pageLink(-1), v.pageLink(+1)
	all := f
	all.PageNo = 1
	v.Exports = all.Query()
	v.Timeline = events(snap.Status.Timeline, k, 20)
	return v
}

func (v boardView) pageLink(by int) string {
	to := v.Filter
	if to.PageNo += by; to.PageNo < 1 || to.PageNo > v.Page.Of {
		return ""
	}
	return v.Path + to.Query()
}

func viewBatch(snap *board.Snapshot, b board.Batch, f board.Filter, k board.Clock, rank access.Role) batchView {
	gate, turn := snap.Gate(b, k)
	to := board.Filter{Batch: b.Name}
	v := batchView{Batch: b, Gate: gate, Turn: string(turn), Link: planPath(snap.Status.Plan) + to.Query(), On: f.Batch == b.Name}
	if b.Window != nil {
		v.Window = k.Span(*b.Window)
		if own := board.NewClock(b.Window.Zone); own.Zone.String() != k.Zone.String() {
			v.Zone = own.Span(*b.Window)
		}
	}
	customers := snap.Of(b)
	count := board.CountOf(customers)
	v.Bar = bar(count, len(customers))
	v.Progress = board.Progress(count, len(customers))
	if end, moves := snap.End(b); moves {
		v.Progress += "; " + end.Words(k)
	}
	v.Score = scoreWords(b.Score)
	v.Tries = board.Trying(b.Trying, k)
	if snap.GoesOn() {
		v.Do = actions(snap.Status.Plan, url.Values{"batch": {b.Name}}, b.MayDo, rank)
	}
	return v
}

func scoreWords(s board.Score) string {
	if s.Moves == 0 {
		return ""
	}
	words := []string{"longest freeze " + printer.Duration(s.Freeze)}
	if s.Stall > 0 {
		words = append(words, "longest stall "+printer.Duration(s.Stall))
	}
	for _, c := range []struct {
		what string
		of   board.Counted
	}{{"failed", s.RequestsFailed}, {"retried", s.RequestsRetried}} {
		if c.of.Moves > 0 {
			said := fmt.Sprintf("%d requests %s", c.of.N, c.what)
			if of := c.of.Words(s.Moves); of != "" {
				said += " (" + of + ")"
			}
			words = append(words, said)
		}
	}
	if s.WentBack > 0 {
		words = append(words, fmt.Sprintf("%d went back", s.WentBack))
	}
	if s.Unanswered > 0 {
		words = append(words, fmt.Sprintf("%d with an open verdict", s.Unanswered))
	}
	return strings.Join(words, ", ")
}

// bar are the parts of a bar, in the order of the states.
func bar(count map[board.State]int, all int) (out []segment) {
	if all == 0 {
		return nil
	}
	x := 0.0
	for _, s := range board.InBars {
		if n := count[s]; n > 0 {
			w := 100 * float64(n) / float64(all)
			out = append(out, segment{State: s, X: x, W: w})
			x += w
		}
	}
	return out
}

// todo is what waits for a person, the most urgent first.
func todo(snap *board.Snapshot, batches []batchView, k board.Clock, do []actionView, rank access.Role) (out []todoView) {
	path := planPath(snap.Status.Plan)
	for _, w := range snap.Waits(k) {
		v := todoView{Text: w.Text, Link: path}
		switch {
		case w.Paused:
			v.Do = only(do, migration.UpdateResume)
		case w.Final:
			v.Do = only(do, migration.UpdateFinalise)
		case w.Customer != "":
			v.Link = customerPath(snap.Status.Plan, w.Customer)
		case w.State != "":
			v.Link = path + board.Filter{State: w.State}.Query()
		default:
			if i := slices.IndexFunc(batches, func(b batchView) bool { return b.Name == w.Batch }); i >= 0 {
				v.Link, v.Do = batches[i].Link, batches[i].Do
			}
		}
		if w.Ask != "" && snap.GoesOn() {
			v.Do = append(slices.Clone(v.Do), ackActions(snap.Status.Plan, nil, []migration.Ask{{ID: w.Ask}}, rank)...)
		}
		out = append(out, v)
	}
	return out
}

// only are the buttons of one action.
func only(do []actionView, name string) []actionView {
	return slices.DeleteFunc(slices.Clone(do), func(a actionView) bool { return a.Words != actionWords(name) })
}

func orNothing(s, otherwise string) string {
	if s = strings.TrimRight(strings.TrimSpace(s), ". "); s == "" {
		return otherwise
	}
	return s
}

// groups are the customers of a page by batch.
func groups(snap *board.Snapshot, customers []board.Customer, k board.Clock) (out []groupView) {
	for _, c := range customers {
		if len(out) == 0 || out[len(out)-1].Batch != c.Status.Batch {
			b, _ := snap.Batch(c.Status.Batch)
			gate, _ := snap.Gate(b, k)
			out = append(out, groupView{Batch: c.Status.Batch, Gate: gate})
		}
		g := &out[len(out)-1]
		g.Customers = append(g.Customers, tile(snap, c, k))
	}
	return out
}

func tile(snap *board.Snapshot, c board.Customer, k board.Clock) tileView {
	state := c.State()
	v := tileView{ID: c.Status.ID, Name: c.Status.Name, Title: orNothing(c.Status.Name, c.Status.ID), State: state, Words: c.Words(),
		Sign: state.Sign(), Link: customerPath(snap.Status.Plan, c.Status.ID)}
	switch state {
	case board.Checking, board.CanGoBack:
		if !c.Status.Until.IsZero() {
			v.More = "until " + k.Brief(c.Status.Until)
		}
	case board.Held, board.WentBack:
		v.More = c.Status.Reason
	}
	return v
}

// events are the last of a timeline, the newest first.
func events(in []migration.Event, k board.Clock, most int) (out []eventView) {
	for _, e := range slices.Backward(in) {
		if len(out) == most {
			break
		}
		out = append(out, eventView{At: momentView{Text: k.Second(e.At), ISO: e.At.UTC().Format(time.RFC3339)}, What: e.What, By: e.By,
			Why: e.Why})
	}
	return out
}
