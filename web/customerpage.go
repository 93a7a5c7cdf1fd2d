package web

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/board"
)

// customerView is one customer's page.
type customerView struct {
	Head      headView
	Guest     bool
	ID, Title string
	Name      string
	State     board.State
	Words     string
	Sign      string
	Now, Next string
	Turn      string
	Since     momentView
	Trying    []string
	Blocker   string // why it is where it is, in Drover's words
	Questions []questionView
	Batch     batchView
	Zone      string
	Contact   string
	Hosts     []string
	Labels    []string
	Moves     []moveView
	Verdict   *verdictView
	Data      []pieceView
	Deferral  *deferralView
	Slots     *slotsView
	Blackouts []string
	Notes     []noteView
	Timeline  []eventView
	Messages  []messageView
	Sends     bool   // the plan sends messages
	Asked     string // who was told that it waits for somebody, and who looks after it
	Old       string // why the details are older than the rest; empty: they are not
	Do        []actionView
	Path      string
	Token     int64
}

// questionView is one of the questions that a customer's people ask.
type questionView struct {
	Asked, Answer, More string
}

type moveView struct {
	When                           momentView
	From, To, Outcome, Freeze, Why string
	Predicted, Stall               string
	Failed, Retried                string // requests of users
	Rows, Objects                  int64
	Token                          int64
}

type verdictView struct {
	Outcome, Reason, Evidence string
	At                        momentView
}

// customerPage answers one customer's page. A guest sees what Drover measured and no free text:
// that may name other customers.
func (s *Server) customerPage(w http.ResponseWriter, r *http.Request, who access.Identity) {
	f, snap, c, ok := s.customer(w, r, who)
	if !ok {
		return
	}
	k := clock(r)
	guest := who.Role == access.Guest
	full, _, err := f.Customer(r.Context(), c)
	old := ""
	switch {
	case err == nil:
		c.Status = full
	case full.ID != "":
		c.Status.Timeline, c.Status.Notes, c.Status.Messages = full.Timeline, full.Notes, full.Messages
		old = "Its details cannot be read now; its timeline is older than the rest."
	case !errors.Is(err, client.ErrNotFound):
		old = "Its details cannot be read now."
	}
	v := viewCustomer(snap, c, k, guest)
	v.Old, v.Slots = old, viewSlots(snap, c, k, who)
	if snap.GoesOn() {
		v.Do = actions(snap.Status.Plan, url.Values{"customer": {c.Status.ID}, "token": {fmt.Sprint(c.Status.Token)}}, c.Status.MayDo,
			who.Role)
	}
	if _, open := askedOf(c, k); snap.GoesOn() {
		v.Do = append(ackActions(snap.Status.Plan, url.Values{"customer": {c.Status.ID}}, open, who.Role), v.Do...)
	}
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "customer", v); err != nil {
		s.broken(w, r, err)
		return
	}
	l := layout{Title: v.Title, Who: who, Plan: snap.Status.Plan, Events: fmt.Sprintf("%s/events?v=%d", v.Path, snap.Version)}
	if guest {
		l.Plan = ""
	}
	s.showMade(w, r, http.StatusOK, l, b.Bytes(), nil)
}

// customer finds the customer of a path, or answers why there is none.
func (s *Server) customer(w http.ResponseWriter, r *http.Request, who access.Identity) (*board.Follower, *board.Snapshot, board.Customer,
	bool) {
	f, err := s.Hub.Follow(r.Context(), r.PathValue("plan"))
	if err != nil {
		s.failBy(w, r, who, err)
		return nil, nil, board.Customer{}, false
	}
	snap := f.Snapshot(r.Context())
	c, ok := snap.Customer(r.PathValue("customer"))
	if !ok {
		s.fail(w, r, who, http.StatusNotFound, "Not found", "The plan has no such customer, or its batch has not begun and the plan could "+
			"not be read.", "Search for it on the board.")
	}
	return f, snap, c, ok
}

func viewCustomer(snap *board.Snapshot, c board.Customer, k board.Clock, guest bool) customerView {
	st := c.Status
	batch, _ := snap.Batch(st.Batch)
	next, turn := snap.Next(c, k)
	state := c.State()
	v := customerView{Head: viewHead(snap, k, access.Viewer), Guest: guest, ID: st.ID, Name: st.Name, Title: orNothing(st.Name, st.ID),
		State: state,
		Words: c.Words(), Sign: state.Sign(), Now: snap.Now(c, k), Next: next, Turn: string(turn), Since: moment(k, st.Since),
		Batch: viewBatch(snap, batch, board.Filter{}, k, access.Viewer), Zone: c.Spec.Zone, Path: customerPath(snap.Status.Plan,
			st.ID), Token: st.Token}
	v.Questions = questions(snap, c, v, k)
	for _, m := range slices.Backward(st.Moves) {
		v.Moves = append(v.Moves, viewMove(m, k, guest))
	}
	if guest {
		v.Next, v.Turn = guestNext(snap, c, batch, k)
		if t := v.Head.Trouble; t != nil { // why is for operators, and may name machines
			t.Why, t.Next = "", ""
		}
		return v
	}
	v.Blocker = st.Reason
	v.Trying = board.Trying(st.Trying, k)
	v.Contact, v.Hosts = c.Spec.Contact, c.Spec.Hosts
	v.Labels = viewLabels(c)
	if st.Verdict != nil {
		v.Verdict = viewVerdict(*st.Verdict, k)
	}
	v.Data = usedBy(snap, c, k)
	v.Timeline = events(st.Timeline, k, len(st.Timeline))
	v.Messages, v.Sends = messagesOf(snap, c, k), snap.Spec != nil && snap.Spec.Notify != nil
	v.Asked, _ = askedOf(c, k)
	v.Deferral = viewDeferral(st.Deferral, k)
	for _, b := range c.Spec.Blackouts {
		v.Blackouts = append(v.Blackouts, k.At(b.From)+" to "+k.At(b.To))
	}
	for _, n := range slices.Backward(st.Notes) {
		v.Notes = append(v.Notes, viewNote(n, k))
	}
	return v
}

// deferralView is a deferral, and what a lead has said to it.
type deferralView struct {
	Until, By, Why, Decided string
}

func viewDeferral(d *migration.Deferral, k board.Clock) *deferralView {
	if d == nil {
		return nil
	}
	v := &deferralView{Until: k.At(d.NotBefore), By: d.Asked.By, Why: d.Asked.Why, Decided: "A lead has to decide."}
	if by := d.Decided; by != nil {
		v.Decided = strings.TrimSpace(fmt.Sprintf("It was %s by %s. %s", by.What, by.By, by.Why))
	}
	return v
}

// noteView is what somebody wrote down; its ticket is a link where it is an address.
type noteView struct {
	When             momentView
	By, Text, Ticket string
	Link             string
}

func viewNote(n migration.Remark, k board.Clock) noteView {
	v := noteView{When: moment(k, n.At), By: n.By, Text: n.Text, Ticket: n.Ticket}
	if u, err := url.Parse(n.Ticket); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
		v.Link = n.Ticket
	}
	return v
}

// viewLabels are a customer's labels, sorted.
func viewLabels(c board.Customer) (out []string) {
	for key, value := range c.Spec.Labels {
		out = append(out, key+":"+value)
	}
	slices.Sort(out)
	return out
}

// guestNext says what comes next without a word of others.
func guestNext(snap *board.Snapshot, c board.Customer, b board.Batch, k board.Clock) (string, string) {
	switch state := c.State(); {
	case state == board.Skipped || state == board.Ended:
		return "", ""
	case c.Status.Slots.Chosen() != nil:
		return "It begins to move in the time that was taken for it: " + k.Span(*c.Status.Slots.Taken) + ".", ""
	case state != board.Waiting:
		return "", ""
	case b.Window == nil:
		return "The time of its move is not set in the plan.", ""
	case !snap.At.Before(b.Window.Closes()):
		return "The time of its move is not known at this moment.", ""
	default:
		return "It is planned to move in this window: " + k.Span(*b.Window) + ".", ""
	}
}

// questions are those that a customer's people ask, with the answer or that it is not known.
func questions(snap *board.Snapshot, c board.Customer, v customerView, k board.Clock) []questionView {
	return []questionView{
		hasItMoved(c, k), whenDoesIt(snap, c, v, k), wasItNoticed(c, k, v.Guest), canItGoBack(snap, c, k, v.Guest),
		whoWasTold(snap, c, k, v.Guest),
	}
}

// lastMove is the last Move that changed a home; false: there was none.
func lastMove(c board.Customer) (migration.MoveResult, bool) {
	if n := len(c.Status.Moves); n > 0 {
		return c.Status.Moves[n-1], true
	}
	return migration.MoveResult{}, false
}

func hasItMoved(c board.Customer, k board.Clock) questionView {
	q := questionView{Asked: "Has it moved?"}
	m, moved := lastMove(c)
	switch {
	case c.Status.Weight > 0:
		q.Answer = fmt.Sprintf("In part: %d of 100 of its requests go to AWS.", c.Status.Weight)
		if moved {
			q.More = "Since " + k.Second(m.Opened) + "."
		}
	case c.Status.Home == migration.AWS && moved:
		q.Answer, q.More = "Yes, it is on AWS.", "Since "+k.Second(m.Opened)+"."
	case c.Status.Home == migration.AWS:
		q.Answer = "Yes, it is on AWS."
	case moved && c.Status.Home == migration.OnPrem:
		q.Answer, q.More = "It did, and it is on premises again.", "Since "+k.Second(m.Opened)+"."
	case c.State() == board.Moving:
		q.Answer = "It is moving at this moment."
	case c.Status.Home == migration.OnPrem || c.State() == board.Waiting:
		q.Answer = "No, it is on premises."
	default:
		q.Answer = "Not known at this moment."
	}
	return q
}

func whenDoesIt(snap *board.Snapshot, c board.Customer, v customerView, k board.Clock) questionView {
	q := questionView{Asked: "When does it move?"}
	b, _ := snap.Batch(c.Status.Batch)
	m, moved := lastMove(c)
	window, own := "", ""
	if b.Window != nil {
		if t := ownTime(migration.Window{Opens: b.Window.Opens, For: b.Window.For, Zone: c.Spec.Zone}, k); t != "" {
			own = " In the customer's own zone: " + t + "."
		}
		window = "The window of its batch: " + v.Batch.Window + "." + own
	}
	switch w := c.Status.Slots.Chosen(); {
	case c.State() == board.Moving:
		q.Answer, q.More = "Now.", window
	case c.Status.Home == migration.AWS && moved:
		q.Answer, q.More = "It has moved, at "+k.At(m.Opened)+".", window
	case c.Status.Home == migration.AWS:
		q.Answer, q.More = "It has moved.", window
	case c.State() == board.Skipped:
		q.Answer = "It does not: it stays on premises."
	case c.State() == board.Ended:
		q.Answer = "It does not: the migration was aborted."
	case w != nil:
		q.Answer, q.More = "In the time that it has taken: "+k.Span(*w)+".", ownTime(*w, k)
	case c.Status.Deferred():
		q.Answer, q.More = "Not before "+k.At(c.Status.Deferral.NotBefore)+".", window
		if c.Spec.Zone != "" {
			q.More = "In the customer's own zone: " + board.NewClock(c.Spec.Zone).At(c.Status.Deferral.NotBefore) + ". " + window
		}
	case c.Status.Home != migration.OnPrem && c.State() != board.Waiting:
		q.Answer, q.More = "Not known at this moment.", window
	case c.State() == board.WentBack, c.State() == board.Held && moved:
		q.Answer, q.More = "It was moved back, and moves again when a person lets it.", window
	case c.State() == board.Held:
		q.Answer, q.More = "When a person lets it: it is held.", window
	case c.State() != board.Waiting:
		q.Answer, q.More = "Not known at this moment.", window
	case b.Phase == migration.BatchCuttingOver && b.Window != nil && !snap.At.Before(b.Window.Closes()):
		q.Answer, q.More = "When it is its turn: its batch moves now.", window
	case b.WaitingFor == migration.WaitWindow && b.Window != nil && !snap.At.Before(b.Window.Closes()):
		q.Answer, q.More = "Its window has closed: it moves when a person lets it.", window
	case b.Window != nil && !snap.At.Before(b.Window.Closes()):
		q.Answer, q.More = "Not known at this moment: its window has closed.", window
	case b.Window == nil:
		q.Answer, q.More = "The plan sets no window for it.", "It moves when its batch is released."
	default:
		q.Answer = "In the window " + v.Batch.Window + "."
		q.More = strings.TrimSpace(own)
	}
	return q
}

func wasItNoticed(c board.Customer, k board.Clock, guest bool) questionView {
	q := questionView{Asked: "Did anybody notice?"}
	m, moved := lastMove(c)
	switch at := c.Status.Home; {
	case !moved && (at == migration.OnPrem || c.State() == board.Waiting):
		q.Answer = "It has not moved, so there was nothing to notice."
		return q
	case !moved:
		q.Answer = "Not known at this moment."
		return q
	}
	q.Answer = "Writes waited for " + printer.Duration(m.Freeze.D()) + frozenAt(m, k) + "."
	if m.To == migration.OnPrem {
		q.Answer = "On its way back writes waited for " + printer.Duration(m.Freeze.D()) + frozenAt(m, k) + "."
	}
	if s := m.Stall(); s > 0 {
		q.More = fmt.Sprintf("A request may have waited for up to %s, until the route followed. ", printer.Duration(s))
	}
	if verdict := c.Status.Verdict; verdict != nil && c.Status.Home == migration.AWS {
		q.More += fmt.Sprintf("Health since then: %s; %d of %d probes failed. ", verdict.Outcome, verdict.Errors, verdict.Samples)
	}
	if verdict := c.Status.Verdict; verdict != nil && c.Status.Home == migration.OnPrem && verdict.Outcome == migration.Fail {
		q.More += fmt.Sprintf("On AWS it was not healthy: %d of %d probes failed. ", verdict.Errors, verdict.Samples)
	}
	if n := len(c.Status.Moves); n > 1 {
		longest := slices.MaxFunc(c.Status.Moves, func(a, b migration.MoveResult) int { return cmp.Compare(a.Freeze, b.Freeze) })
		q.More += fmt.Sprintf("The longest wait in its %d Moves was %s. ", n, printer.Duration(longest.Freeze.D()))
	}
	q.More += board.Requests(m, k, guest)
	return q
}

// frozenAt says when nobody could write: from the fence to the open, or the second of both.
func frozenAt(m migration.MoveResult, k board.Clock) string {
	switch {
	case m.Fenced.IsZero() || m.Opened.IsZero():
		return ""
	case k.Second(m.Fenced) == k.Second(m.Opened):
		return ", at " + k.Second(m.Opened)
	default:
		return ", from " + k.Second(m.Fenced) + " to " + m.Opened.In(k.Zone).Format("15:04:05")
	}
}

func canItGoBack(snap *board.Snapshot, c board.Customer, k board.Clock, guest bool) questionView {
	q := questionView{Asked: "Can it still go back?", Answer: c.Back.Answer(k), More: c.Back.Stands()}
	if until := c.Status.Until; c.Back.Way == board.BackOpen && c.State() == board.Checking && !until.IsZero() && snap.Spec != nil {
		// It soaks when it has baked.
		q.Answer = "Yes, without loss until " + k.At(until.Add(snap.Spec.Policy.Soak.D())) + " at least."
	}
	if guest {
		return q
	}
	words := []string{q.More, c.Back.Why}
	switch c.Back.Way {
	case board.BackOpen:
		words = append(words, "Going back waits until every write has arrived: no write is at risk.")
		if t := snap.AsOf(c); !t.IsZero() {
			words = append(words, "All that was written before "+k.At(t)+" is on premises, too.")
		}
		words = append(words, behind(snap, c, k)...)
	case board.BackHalted:
		words = append(words, behind(snap, c, k)...)
	case board.BackEnding, board.BackEnded:
		words = append(words, c.Back.Ended())
	default:
	}
	q.More = strings.TrimSpace(strings.Join(words, " "))
	return q
}

// behind says of each dataset of a customer how it stands, lag included.
func behind(snap *board.Snapshot, c board.Customer, k board.Clock) (out []string) {
	for _, d := range usedBy(snap, c, k) {
		if d.Kind == "dataset" && d.Detail != "" {
			out = append(out, "Dataset "+d.Name+": "+strings.TrimRight(d.Detail, ". ")+".")
		}
	}
	return out
}

func viewMove(m migration.MoveResult, k board.Clock, guest bool) moveView {
	v := moveView{When: momentView{Text: k.Second(m.Opened)}, From: board.Place(m.From), To: board.Place(m.To), Outcome: string(m.Outcome),
		Freeze: printer.Duration(m.Freeze.D()), Rows: m.Rows, Objects: m.Objects, Token: m.Try.Token}
	if !m.Opened.IsZero() {
		v.When.ISO = m.Opened.UTC().Format(time.RFC3339)
	}
	if m.Predicted > 0 {
		v.Predicted = printer.Duration(m.Predicted.D())
	}
	if s := m.Stall(); s > 0 {
		v.Stall = printer.Duration(s)
	}
	v.Failed, v.Retried = board.CountWords(m.Requests.FailedCount(), true), board.CountWords(m.Requests.RetriedCount(), true)
	if !guest {
		v.Why = m.Reason
	}
	return v
}

func viewVerdict(x migration.Verdict, k board.Clock) *verdictView {
	v := &verdictView{Outcome: string(x.Outcome), Reason: x.Reason, At: moment(k, x.At)}
	v.Evidence = fmt.Sprintf("%d samples, %d errors, p95 %s", x.Samples, x.Errors, printer.Seconds(x.P95))
	if x.BaselineP95 > 0 {
		v.Evidence += " (on premises before: " + printer.Seconds(x.BaselineP95) + ")"
	}
	if x.LastAnswer != "" {
		v.Evidence += ", last answer: " + x.LastAnswer
	}
	return v
}
