package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/board"
)

// What people read: every line at most printer.Width characters. Times are those of the reader's
// zone, with day and zone, and ages against now.

// recent is how many events of a plan's timeline a status shows; -o json has all that the workflow
// keeps.
const recent = 10

func planList(plans []client.PlanSummary, now time.Time, format printer.Format) *printer.Table {
	t := &printer.Table{Columns: []printer.Column{{Name: "PLAN", Give: true, Least: 12}, {Name: "PHASE"}, {Name: "WORKFLOW"},
		{Name: "STARTED"}, {Name: "ENDED"}}}
	for _, p := range plans {
		t.Add(p.Plan, dash(string(p.Phase)), p.Execution, when(p.Started, now, format), when(p.Closed, now, format))
	}
	return t
}

// glance is what one look at a plan is seen from.
type glance struct {
	plan string
	by   string // under whose name commands are given; empty: under that of who has signed in
	now  time.Time
	spec *migration.Spec // of a look at a batch or a customer; nil: not known

	whole *migration.MigrationStatus // of a look at a customer on AWS; nil: not known
}

// migration is a plan with everything in it.
func (g glance) migration(s migration.MigrationStatus) string {
	var b strings.Builder
	b.WriteString(g.head(s))
	b.WriteString("\n" + batchTable(s.Batches, true).String())
	b.WriteString(g.batchLines(s.Batches))
	if len(s.Workloads)+len(s.Datasets) > 0 {
		b.WriteString("\n" + pieceTable(s).String())
	}
	b.WriteString(inVain(s, g.now))
	b.WriteString(messagesView(g.plan, s.Messages, g.now))
	b.WriteString(g.customerList(customersOf(s), true))
	if n := len(s.Timeline); n > 0 {
		b.WriteString("\n" + timeline(s.Timeline[max(0, n-recent):]))
	}
	return b.String()
}

// head says in a line or two what the plan does and what may be done about it.
func (g glance) head(s migration.MigrationStatus) string {
	paused := ""
	if s.Paused {
		paused = " PAUSED"
	}
	head := fmt.Sprintf("plan %s, revision %d: %s%s%s%s", g.plan, s.Revision, s.Phase, paused, waits(s.WaitingFor), lasting(s.Since, g.now))
	commands := offered(client.Aim{Plan: g.plan}, s.MayDo)
	for _, b := range s.Batches {
		if goesOn(cmp.Or(b.Workflow, client.Running)) {
			commands = append(commands, offered(client.Aim{Plan: g.plan, Batch: b.Name}, forPlan(b, g.now))...)
		}
	}
	return printer.Wrap("", head) + reasonLine(board.Why(s)) + g.mayDo("  ", commands)
}

// forPlan are those commands to a batch that belong before the eyes of whoever looks at the whole
// plan: those without which the batch does not go on.
func forPlan(b migration.BatchStatus, now time.Time) (out []string) {
	closed := b.WaitingFor == migration.WaitWindow && b.Window != nil && !now.Before(b.Window.Closes())
	for _, name := range b.MayDo {
		if name == migration.UpdateApprove || name == migration.UpdateRetry && (closed || b.Phase == migration.BatchTakenBack) {
			out = append(out, name)
		}
	}
	return out
}

// batchLines say of batches that are not through when their window is, and why they wait, in full.
func (g glance) batchLines(batches []migration.BatchStatus) string {
	var b strings.Builder
	n := 0
	for _, x := range batches {
		if x.Phase == migration.BatchDone || x.Phase == migration.BatchAborted {
			continue
		}
		var words []string
		if x.Window != nil {
			words = append(words, g.window(*x.Window))
		}
		if x.Reason != "" && x.WaitingFor != migration.WaitApproval && x.WaitingFor != migration.WaitResume {
			words = append(words, x.Reason)
		}
		if len(words) == 0 {
			continue
		}
		if n++; n <= mostReasons {
			b.WriteString(printer.Wrap("", "batch "+x.Name+": "+strings.Join(words, "; ")))
		}
	}
	if n > mostReasons {
		fmt.Fprintf(&b, "and %d batches more: see --batch NAME\n", n-mostReasons)
	}
	if n == 0 {
		return ""
	}
	return "\n" + b.String()
}

func reasonLine(reason string) string {
	if reason == "" {
		return ""
	}
	return printer.Wrap("  ", reason)
}

// stopped tells of a migration that somebody ended in Temporal: its last status would look alive
// for ever.
func stopped(plan string, s migration.MigrationStatus, execution string) string {
	if execution == client.Running || over(s.Phase) {
		return ""
	}
	return printer.Wrap("", fmt.Sprintf("WORKFLOW %s: the migration's workflow has ended before the plan did. What follows is the last "+
		"that was known of %s; "+
		"customers keep the home they have. Submit the plan again to go on.", strings.ToUpper(execution), plan)) + "\n"
}

// endedEarly tells the same of a batch or a customer.
func endedEarly(what, execution string) string {
	return printer.Wrap("", fmt.Sprintf("WORKFLOW %s: what follows is the last that was known of this %s, and nobody watches it now. "+
		"It is started again within half a minute, from what its data says, while the migration runs.", strings.ToUpper(execution),
		what)) + "\n"
}

// batchTable is a line a batch. first says that the first of them is the plan's first.
func batchTable(batches []migration.BatchStatus, first bool) *printer.Table {
	t := &printer.Table{Columns: []printer.Column{
		{Name: "BATCH", Give: true, Least: 8}, {Name: "PHASE", Give: true, Least: 8}, {Name: "WAITS FOR"}, {Name: "ALL", Right: true},
		{Name: "WAIT", Right: true},
		{Name: "MOVE", Right: true}, {Name: "BAKE", Right: true}, {Name: "AWS", Right: true}, {Name: "BACK", Right: true},
		{Name: "HELD", Right: true},
	}}
	for i, b := range batches {
		n := b.Counts
		if !goesOn(cmp.Or(b.Workflow, client.Running)) {
			b.Phase = migration.BatchPhase(strings.ToUpper(b.Workflow))
		}
		t.Add(b.Name, b.Phase, waitsCell(b, first && i == 0), n.Customers, n.Waiting, n.Moving, n.Baking, n.OnAWS, n.RolledBack, n.Held)
	}
	return t
}

// waitsCell is what a batch waits for. The plan's first has no batch before it: until it has its
// turn, AWS is brought up and the data is copied.
func waitsCell(b migration.BatchStatus, first bool) string {
	switch b.WaitingFor {
	case migration.WaitTurn:
		if first && b.Phase == migration.BatchWaiting {
			return "first copy"
		}
		return string(b.WaitingFor)
	case "", migration.WaitNothing:
		return "-"
	case migration.WaitApproval:
		return fmt.Sprintf("approval %d/%d", len(b.Approvals), b.Needs)
	case migration.WaitObserve:
		if b.Asks {
			return "observe: operator"
		}
		return string(b.WaitingFor)
	default:
		return string(b.WaitingFor)
	}
}

func pieceTable(s migration.MigrationStatus) *printer.Table {
	t := &printer.Table{Columns: []printer.Column{{Name: "PIECE", Give: true, Least: 12}, {Name: "PHASE"}, {Name: "COPIED"}, {Name: "LEFT"},
		{Name: "DETAIL", Give: true}}}
	for _, w := range s.Workloads {
		addPiece(t, "workload "+w.Name, w)
	}
	for _, d := range s.Datasets {
		addPiece(t, "dataset "+d.Name, d)
	}
	return t
}

// consistent says what a piece has on its other side for certain.
func consistent(of string, p migration.PieceStatus) string {
	if words := board.Consistent(p, stamp); words != "" {
		return printer.Wrap("", of+": "+words)
	}
	return ""
}

// inVain says in full what pieces say of themselves, up to when they are consistent, and what is
// tried again and again.
func inVain(s migration.MigrationStatus, now time.Time) string {
	var b strings.Builder
	b.WriteString(trying("plan "+s.Plan, s.Trying, now))
	for _, x := range s.Batches {
		b.WriteString(trying("batch "+x.Name, x.Trying, now))
	}
	for _, x := range s.Workloads {
		b.WriteString(whole("workload "+x.Name, x.Detail) + consistent("workload "+x.Name, x) + trying("workload "+x.Name, x.Trying, now))
	}
	for _, x := range s.Datasets {
		b.WriteString(whole("dataset "+x.Name, x.Detail) + consistent("dataset "+x.Name, x) + trying("dataset "+x.Name, x.Trying, now))
	}
	if b.Len() == 0 {
		return ""
	}
	return "\n" + b.String()
}

// cut is about as much of a detail as its table shows.
const cut = 16

// whole is a detail that its table cuts.
func whole(of, detail string) string {
	if len(detail) <= cut {
		return ""
	}
	return printer.Wrap("", of+": "+detail)
}

// trying is a paragraph for each work that was tried in vain.
func trying(of string, works []migration.Trying, now time.Time) string {
	var b strings.Builder
	for _, t := range works {
		text := fmt.Sprintf("%s: %s: %s, for %s", of, t.What, t.Last, age(t.Since, now))
		if t.Times > 0 {
			text = fmt.Sprintf("%s: %s failed %s in %s, last %s ago: %s", of, t.What, count(t.Times, "time"), age(t.Since, now),
				age(t.At, now), t.Last)
		}
		if !t.Next.IsZero() {
			text += "; tried again in " + printer.Duration(t.Next.Sub(now))
		}
		b.WriteString(printer.Wrap("", text))
	}
	return b.String()
}

func addPiece(t *printer.Table, name string, p migration.PieceStatus) {
	copied, left := "-", "-"
	if g := p.Progress; g.Done > 0 || g.Total > 0 || g.Measuring {
		copied = printer.Bytes(g.Done)
		if g.Total > 0 {
			copied += " of " + printer.Bytes(g.Total)
		}
		switch {
		case g.Measuring:
			left = "measuring"
		case g.Total > 0 && g.Done < g.Total:
			left = printer.Duration(g.ETA.D())
		}
	}
	if !goesOn(cmp.Or(p.Workflow, client.Running)) {
		p.Phase = migration.PiecePhase(strings.ToUpper(p.Workflow))
	}
	t.Add(name, p.Phase, copied, left, p.Detail)
}

func (g glance) customerTable(customers []migration.CustomerStatus, batch bool) *printer.Table {
	t := &printer.Table{Columns: []printer.Column{{Name: "CUSTOMER", Give: true, Least: 10}}}
	if batch {
		t.Columns = append(t.Columns, printer.Column{Name: "BATCH", Give: true, Least: 6})
	}
	t.Columns = append(t.Columns, printer.Column{Name: "HOME"}, printer.Column{Name: "PHASE", Give: true, Least: 8},
		printer.Column{Name: "WAITS FOR"}, printer.Column{Name: "FOR", Right: true}, printer.Column{Name: "UNTIL"})
	for _, c := range customers {
		row := []any{c.ID}
		if batch {
			row = append(row, c.Batch)
		}
		t.Add(append(row, c.Home, c.Phase, waitingCell(c.WaitingFor), age(c.Since, g.now), untilCell(c))...)
	}
	return t
}

// untilCell is when what a customer does, or waits for, ends by itself.
func untilCell(c migration.CustomerStatus) string {
	until := c.Until
	if c.Deferred() {
		until = c.Deferral.NotBefore
	}
	if until.IsZero() {
		return "-"
	}
	return until.Local().Format("2006-01-02 15:04 MST")
}

// customerList is the table of customers, and below it why those that need somebody are where they
// are, in full.
func (g glance) customerList(customers []migration.CustomerStatus, batch bool) string {
	if len(customers) == 0 {
		return ""
	}
	return "\n" + g.customerTable(customers, batch).String() + g.reasons(customers)
}

// mostReasons is how many reasons stand below a table: the rest are read one by one.
const mostReasons = 10

// reasons says why customers are where they are that do not simply wait or soak, and what a person
// may do about it.
func (g glance) reasons(customers []migration.CustomerStatus) string {
	var b strings.Builder
	n := 0
	for _, c := range customers {
		words := c.Reason
		if c.AsksDeferral() {
			words = fmt.Sprintf("%s asks that it does not move before %s: %s", c.Deferral.Asked.By, stamp(c.Deferral.NotBefore),
				c.Deferral.Asked.Why)
		} else if c.Phase == migration.CustomerSoaking && c.WaitingFor == migration.WaitHealth {
			continue
		}
		if words == "" {
			continue
		}
		if n++; n <= mostReasons {
			b.WriteString(printer.Wrap("", fmt.Sprintf("%s is %s: %s", c.ID, c.Phase, words)))
			b.WriteString(g.mayDo("  ", g.ofCustomer(c, migration.UpdateRetry, migration.UpdateRollback, migration.UpdateDecide)))
		}
	}
	if n > mostReasons {
		fmt.Fprintf(&b, "and %d more: see --customer ID\n", n-mostReasons)
	}
	if n == 0 {
		return ""
	}
	return "\n" + b.String()
}

// batch is one batch with its gate and its customers.
func (g glance) batch(s migration.BatchStatus) string {
	var b strings.Builder
	b.WriteString(printer.Wrap("", fmt.Sprintf("batch %s: %s%s%s", s.Name, s.Phase, waits(s.WaitingFor), lasting(s.Since, g.now))))
	b.WriteString(reasonLine(s.Reason))
	if s.Needs > 0 {
		var by []string
		for _, e := range s.Approvals {
			by = append(by, e.By)
		}
		b.WriteString(printer.Wrap("  ", strings.TrimSpace(fmt.Sprintf("approvals: %d of %d %s", len(s.Approvals), s.Needs,
			strings.Join(by, ", ")))))
	}
	if s.Window != nil {
		b.WriteString(printer.Wrap("  ", g.window(*s.Window)))
	}
	if s.Ticket != "" {
		b.WriteString(printer.Wrap("  ", "ticket: "+s.Ticket))
	}
	b.WriteString(finalisedOf(s.Finalised))
	if s.Finalised == nil { // else going back has ended for all
		b.WriteString(soakOf(s.Customers))
	}
	b.WriteString(g.mayDo("  ", offered(client.Aim{Plan: g.plan, Batch: s.Name}, s.MayDo)))
	b.WriteString("\n" + batchTable([]migration.BatchStatus{s}, false).String())
	b.WriteString(trying("batch "+s.Name, s.Trying, g.now))
	b.WriteString(g.customerList(s.Customers, false))
	return b.String()
}

// endsOf is a batch with what only its migration knows: whether its way back has ended, or may.
func endsOf(b migration.BatchStatus, whole migration.MigrationStatus) migration.BatchStatus {
	for _, x := range whole.Batches {
		if x.Name != b.Name {
			continue
		}
		if b.Finalised, b.MayEnd = x.Finalised, x.MayEnd; x.MayEnd {
			b.MayDo = append(slices.Clone(b.MayDo), migration.UpdateFinalise)
		}
	}
	return b
}

// finalisedOf says whether a batch's way back has ended; "": it stands.
func finalisedOf(f *migration.Finalised) string {
	if f == nil {
		return ""
	}
	words := "finalised for " + f.By + ": its way back ends"
	if !f.Cut.IsZero() {
		words = fmt.Sprintf("finalised for %s: nobody of it goes back since %s", f.By, stamp(f.Cut))
	}
	if len(f.VMs) > 0 && !f.Done.IsZero() {
		words += "; off on premises: " + strings.Join(f.VMs, ", ")
	}
	if f.Kept != "" {
		words += "; " + f.Kept
	}
	if f.Waits != "" {
		words += "; " + f.Waits
	}
	return printer.Wrap("  ", words)
}

// soakOf says how many customers soak, and until when.
func soakOf(customers []migration.CustomerStatus) string {
	var first, last time.Time
	n := 0
	for _, c := range customers {
		if c.Phase != migration.CustomerSoaking {
			continue
		}
		n++
		if first.IsZero() || c.Until.Before(first) {
			first = c.Until
		}
		if c.Until.After(last) {
			last = c.Until
		}
	}
	switch {
	case n == 0 || last.IsZero():
		return ""
	case first.Equal(last):
		return printer.Wrap("  ", fmt.Sprintf("soak: %s, until %s", count(n, "customer"), stamp(last)))
	default:
		return printer.Wrap("  ", fmt.Sprintf("soak: %s, the first until %s, the last until %s", count(n, "customer"), stamp(first),
			stamp(last)))
	}
}

// window is when a window is, in the reader's zone and its own, and how far off that is.
func (g glance) window(w migration.Window) string {
	return "window " + g.far(w)
}

// far is how far off a time is, and when it is.
func (g glance) far(w migration.Window) string {
	var far string
	switch {
	case g.now.Before(w.Opens):
		far = "opens in " + printer.Duration(w.Opens.Sub(g.now))
	case g.now.Before(w.Closes()):
		far = "open for " + printer.Duration(w.Closes().Sub(g.now)) + " more"
	default:
		far = "closed " + age(w.Closes(), g.now) + " ago"
	}
	return far + ": " + spanOf(w, w.Zone)
}

// spanOf is when a window is in the reader's zone, and on the clocks of another where they show
// something else.
func spanOf(w migration.Window, zone string) string {
	out := board.Clock{Zone: time.Local}.Span(w)
	at, err := time.LoadLocation(zone)
	if err != nil || zone == "" || sameClock(at, time.Local, w.Opens) {
		return out
	}
	return fmt.Sprintf("%s (in %s: %s)", out, zone, board.Clock{Zone: at}.Span(w))
}

func sameClock(a, b *time.Location, t time.Time) bool {
	_, x := t.In(a).Zone()
	_, y := t.In(b).Zone()
	return x == y
}

// customer is one customer with its verdict, Moves, messages and timeline.
func (g glance) customer(s migration.CustomerStatus) string {
	var b strings.Builder
	name := ""
	if s.Name != "" {
		name = " (" + s.Name + ")"
	}
	b.WriteString(printer.Wrap("", fmt.Sprintf("customer %s%s of batch %s: %s%s%s", s.ID, name, s.Batch, s.Phase, waits(s.WaitingFor),
		lasting(s.Since, g.now))))
	b.WriteString(reasonLine(s.Reason))
	b.WriteString(printer.Wrap("  ", fmt.Sprintf("homed on %s, token %d, %s", s.Home, s.Token, tries(s.Tries))))
	b.WriteString(g.planned(s))
	b.WriteString(g.ends(s))
	b.WriteString(deferral(s.Deferral))
	b.WriteString(g.slots(s.Slots))
	b.WriteString(g.mayDo("  ", g.ofCustomer(s, s.MayDo...)))
	b.WriteString(trying("customer "+s.ID, s.Trying, g.now))
	if v := s.Verdict; v != nil {
		b.WriteString(verdict(*v))
	}
	if len(s.Moves) > 0 {
		b.WriteString("\n" + moveTable(s.Moves).String() + requestsOf(s.Moves) + reasonsOf(s.Moves))
	}
	for _, n := range s.Notes {
		b.WriteString(printer.Wrap("  ", strings.Join(strings.Fields("note of "+n.By+", "+stamp(n.At)+": "+n.Text+" "+n.Ticket), " ")))
	}
	b.WriteString(messagesView(g.plan, s.Messages, g.now) + toldView(s.Messages))
	if len(s.Timeline) > 0 {
		b.WriteString("\n" + timeline(s.Timeline))
	}
	return b.String()
}

// planned is what the plan says of a customer: its window, on the customer's clocks too, and whom
// it concerns.
func (g glance) planned(s migration.CustomerStatus) string {
	if g.spec == nil {
		return ""
	}
	c, _ := g.spec.Customer(s.ID)
	batch, _ := g.spec.Batch(s.Batch)
	var b strings.Builder
	if w := batch.Window; w != nil {
		b.WriteString(printer.Wrap("  ", g.window(migration.Window{Opens: w.Opens, For: w.For, Zone: cmp.Or(c.Zone, w.Zone)})))
	}
	for _, x := range c.Blackouts {
		b.WriteString(printer.Wrap("  ", "blackout: "+stamp(x.From)+" to "+stamp(x.To)))
	}
	var words []string
	for _, x := range []struct{ what, is string }{
		{"zone", c.Zone}, {"contact", c.Contact}, {"hosts", strings.Join(c.Hosts, " ")}, {"ticket", batch.Ticket},
	} {
		if x.is != "" {
			words = append(words, x.what+" "+x.is)
		}
	}
	if len(words) > 0 {
		b.WriteString(printer.Wrap("  ", strings.Join(words, ", ")))
	}
	return b.String()
}

// deferral says what was asked for, and what a lead has decided.
func deferral(d *migration.Deferral) string {
	if d == nil {
		return ""
	}
	s := fmt.Sprintf("deferral until %s, asked for by %s: %s; ", stamp(d.NotBefore), d.Asked.By, d.Asked.Why)
	if d.Decided == nil {
		return printer.Wrap("  ", s+"a lead has to decide (drover decide)")
	}
	s += d.Decided.What + " by " + d.Decided.By
	if d.Decided.Why != "" {
		s += ": " + d.Decided.Why
	}
	return printer.Wrap("  ", s)
}

// slots says what was offered, and what was taken.
func (g glance) slots(s *migration.Slots) string {
	if s == nil {
		return ""
	}
	if w := s.Taken; w != nil {
		return printer.Wrap("  ", fmt.Sprintf("slot taken by %s on %s: %s", s.Choice.By, stamp(s.Choice.At), g.far(*w)))
	}
	var b strings.Builder
	b.WriteString(printer.Wrap("  ", fmt.Sprintf("slots offered by %s on %s, none taken:", s.By.By, stamp(s.By.At))))
	for _, w := range s.Offered {
		b.WriteString(printer.Wrap("    ", spanOf(w, w.Zone)))
	}
	return b.String()
}

// ends says when what is under way ends, and whether the customer can still go back.
func (g glance) ends(s migration.CustomerStatus) string {
	back := g.wayBack(s)
	out := ""
	switch {
	case s.Until.IsZero():
	case s.Phase == migration.CustomerSoaking && back.Way == board.BackOpen:
		return printer.Wrap("  ", "the soak ends "+stamp(s.Until)+"; until then it can go back without loss")
	case s.Phase == migration.CustomerSoaking:
		out = printer.Wrap("  ", "the soak ends "+stamp(s.Until))
	case s.Phase == migration.CustomerBaking:
		out = printer.Wrap("  ", "the bake ends "+stamp(s.Until))
	}
	k := board.Clock{Zone: time.Local}
	switch back.Way {
	case board.BackHalted, board.BackLost:
		out += printer.Wrap("  ", "can it go back? "+back.Answer(k)+" "+back.Stands()+" "+back.Why)
	case board.BackEnding, board.BackEnded:
		out += printer.Wrap("  ", strings.TrimSpace("can it go back? "+back.Answer(k)+" "+back.Ended()))
	case board.BackUnknown:
		switch {
		case s.Home == migration.AWS && g.whole == nil:
			out += printer.Wrap("  ", "whether it can still go back is not known: the plan's own status cannot be read")
		case back.Why != "":
			out += printer.Wrap("  ", "can it go back? "+back.Answer(k)+" "+back.Why)
		}
	default:
	}
	return out
}

// wayBack is whether a customer can still go back; unknown where the plan's own status is.
func (g glance) wayBack(s migration.CustomerStatus) board.Back {
	if g.whole == nil {
		return board.Back{}
	}
	var planned *migration.Customer
	if g.spec != nil {
		if c, ok := g.spec.Customer(s.ID); ok {
			planned = &c
		}
	}
	var finalised *migration.Finalised
	for _, b := range g.whole.Batches {
		if b.Name == s.Batch {
			finalised = b.Finalised
		}
	}
	return board.WayBackOf(s, g.whole, planned, finalised)
}

func tries(n int) string {
	if n == 1 {
		return "1 try"
	}
	return fmt.Sprintf("%d tries", n)
}

func verdict(v migration.Verdict) string {
	evidence := fmt.Sprintf("%d samples, %d errors, p95 %s", v.Samples, v.Errors, printer.Seconds(v.P95))
	if v.BaselineP95 > 0 { // it was compared
		evidence += fmt.Sprintf(" (before, on premises: %s)", printer.Seconds(v.BaselineP95))
	}
	if v.Probe != "" {
		evidence = "probe " + v.Probe + ": " + evidence
	}
	if v.LastAnswer != "" {
		evidence += ", last answer: " + v.LastAnswer
	}
	return printer.Wrap("  ", fmt.Sprintf("health on AWS at %s: %s. %s", stamp(v.At), v.Outcome, v.Reason)) + printer.Wrap("    ", evidence)
}

func moveTable(moves []migration.MoveResult) *printer.Table {
	t := &printer.Table{Columns: []printer.Column{
		{Name: "TOKEN", Right: true}, {Name: "FROM"}, {Name: "TO"}, {Name: "OUTCOME"}, {Name: "FREEZE", Right: true},
		{Name: "STALL", Right: true}, {Name: "ROWS", Right: true}, {Name: "OBJECTS", Right: true},
	}}
	for _, m := range moves {
		stall := "-"
		if s := m.Stall(); s > 0 {
			stall = printer.Duration(s)
		}
		t.Add(m.Try.Token, m.From, m.To, m.Outcome, printer.Duration(m.Freeze.D()), stall, m.Rows, m.Objects)
	}
	return t
}

// requestsOf says how many requests of users failed and were retried around each Move.
func requestsOf(moves []migration.MoveResult) string {
	var b strings.Builder
	for _, m := range moves {
		if m.Requests != nil {
			b.WriteString(printer.Wrap("", fmt.Sprintf("%d to %s: %s", m.Try.Token, m.To,
				board.Requests(m, board.Clock{Zone: time.Local}, false))))
		}
	}
	if b.Len() == 0 {
		return "requests of its users, failed and retried: " + board.NoQuery + "\n"
	}
	return b.String()
}

// reasonsOf says in full why Moves were made.
func reasonsOf(moves []migration.MoveResult) string {
	var b strings.Builder
	for _, m := range moves {
		if m.Reason != "" {
			b.WriteString(printer.Wrap("", fmt.Sprintf("%d to %s: %s", m.Try.Token, m.To, m.Reason)))
		}
	}
	return b.String()
}

// timeline is one event after the other, whole: a reason that is cut short is none.
func timeline(events []migration.Event) string {
	stamps, width := make([]string, len(events)), 0
	for i, e := range events {
		stamps[i] = stamp(e.At)
		width = max(width, len(stamps[i])+2)
	}
	indent := strings.Repeat(" ", width)
	var b strings.Builder
	for i, e := range events {
		what := e.What
		if e.By != "" {
			what += ", by " + e.By
		}
		if e.Why != "" {
			what += ": " + e.Why
		}
		b.WriteString(strings.Replace(printer.Wrap(indent, what), indent, fmt.Sprintf("%-*s", width, stamps[i]), 1))
	}
	return b.String()
}

// stamp is a time as its reader's clock and calendar show it.
func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// waits is the part of a sentence that says what is waited for.
func waits(w migration.Waiting) string {
	if w == "" || w == migration.WaitNothing {
		return ""
	}
	return ", waits for " + string(w)
}

func waitingCell(w migration.Waiting) string {
	if w == migration.WaitNothing {
		return "-"
	}
	return dash(string(w))
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// when is an age for people and a time for programs.
func when(t, now time.Time, format printer.Format) string {
	switch {
	case format == printer.AsCSV && t.IsZero():
		return ""
	case format == printer.AsCSV:
		return rfc3339(t)
	case t.IsZero():
		return "-"
	default:
		return age(t, now) + " ago"
	}
}

// rfc3339 is a time for programs.
func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// lasting is the part of a sentence that says for how long.
func lasting(since, now time.Time) string {
	if since.IsZero() {
		return ""
	}
	return " (" + age(since, now) + ")"
}

func age(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return printer.Duration(now.Sub(t))
}
