package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
)

// What people read: every line at most printer.Width characters. Times are ages against now, so
// that a view can be compared in tests.

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

// migrationView is a plan with everything in it.
func migrationView(plan string, s migration.MigrationStatus, now time.Time) string {
	var b strings.Builder
	b.WriteString(migrationHead(plan, s, now))
	b.WriteString("\n" + batchTable(s.Batches).String())
	if len(s.Workloads)+len(s.Datasets) > 0 {
		b.WriteString("\n" + pieceTable(s).String())
	}
	b.WriteString(inVain(s, now))
	b.WriteString(messagesView(plan, s.Messages, now))
	b.WriteString(customerList(customersOf(s), now))
	if n := len(s.Timeline); n > 0 {
		b.WriteString("\n" + timeline(s.Timeline[max(0, n-recent):]))
	}
	return b.String()
}

// migrationHead says in a line or two what the plan does and what may be done about it.
func migrationHead(plan string, s migration.MigrationStatus, now time.Time) string {
	paused := ""
	if s.Paused {
		paused = " PAUSED"
	}
	head := fmt.Sprintf("plan %s, revision %d: %s%s%s%s", plan, s.Revision, s.Phase, paused, waits(s.WaitingFor), lasting(s.Since, now))
	return printer.Wrap("", head) + reasonLine(s.Reason) + mayDo(s.MayDo)
}

func reasonLine(reason string) string {
	if reason == "" {
		return ""
	}
	return printer.Wrap("  ", reason)
}

func mayDo(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return printer.Wrap("  ", "may be done now: "+strings.Join(names, ", "))
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

func batchTable(batches []migration.BatchStatus) *printer.Table {
	t := &printer.Table{Columns: []printer.Column{
		{Name: "BATCH", Give: true, Least: 8}, {Name: "PHASE", Give: true, Least: 8}, {Name: "WAITS FOR"}, {Name: "ALL", Right: true},
		{Name: "WAIT", Right: true},
		{Name: "MOVE", Right: true}, {Name: "BAKE", Right: true}, {Name: "AWS", Right: true}, {Name: "BACK", Right: true},
		{Name: "HELD", Right: true},
	}}
	for _, b := range batches {
		n := b.Counts
		if !goesOn(cmp.Or(b.Workflow, client.Running)) {
			b.Phase = migration.BatchPhase(strings.ToUpper(b.Workflow))
		}
		t.Add(b.Name, b.Phase, waitsCell(b), n.Customers, n.Waiting, n.Moving, n.Baking, n.OnAWS, n.RolledBack, n.Held)
	}
	return t
}

func waitsCell(b migration.BatchStatus) string {
	switch b.WaitingFor {
	case "", migration.WaitNothing:
		return "-"
	case migration.WaitApproval:
		return fmt.Sprintf("approval %d/%d", len(b.Approvals), b.Needs)
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

// inVain says in full what pieces say of themselves, and what is tried again and again.
func inVain(s migration.MigrationStatus, now time.Time) string {
	var b strings.Builder
	b.WriteString(trying("plan "+s.Plan, s.Trying, now))
	for _, x := range s.Batches {
		b.WriteString(trying("batch "+x.Name, x.Trying, now))
	}
	for _, x := range s.Workloads {
		b.WriteString(whole("workload "+x.Name, x.Detail) + trying("workload "+x.Name, x.Trying, now))
	}
	for _, x := range s.Datasets {
		b.WriteString(whole("dataset "+x.Name, x.Detail) + trying("dataset "+x.Name, x.Trying, now))
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
			text += "; tried again in " + short(t.Next.Sub(now))
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
			left = short(g.ETA.D())
		}
	}
	if !goesOn(cmp.Or(p.Workflow, client.Running)) {
		p.Phase = migration.PiecePhase(strings.ToUpper(p.Workflow))
	}
	t.Add(name, p.Phase, copied, left, p.Detail)
}

func customerTable(customers []migration.CustomerStatus, now time.Time) *printer.Table {
	t := &printer.Table{Columns: []printer.Column{
		{Name: "CUSTOMER", Give: true, Least: 10}, {Name: "BATCH", Give: true, Least: 6}, {Name: "HOME"}, {Name: "PHASE"},
		{Name: "WAITS FOR"}, {Name: "FOR", Right: true},
		{Name: "TRY", Right: true},
	}}
	for _, c := range customers {
		t.Add(c.ID, c.Batch, c.Home, c.Phase, waitingCell(c.WaitingFor), age(c.Since, now), c.Tries)
	}
	return t
}

// customerList is the table of customers, and below it why those that need somebody are where they
// are, in full.
func customerList(customers []migration.CustomerStatus, now time.Time) string {
	if len(customers) == 0 {
		return ""
	}
	return "\n" + customerTable(customers, now).String() + reasons(customers)
}

// mostReasons is how many reasons stand below a table: the rest are read customer by customer.
const mostReasons = 10

func reasons(customers []migration.CustomerStatus) string {
	var b strings.Builder
	n := 0
	for _, c := range customers {
		if c.Reason == "" || c.Phase != migration.CustomerHeld && c.Phase != migration.CustomerRolledBack {
			continue
		}
		if n++; n <= mostReasons {
			b.WriteString(printer.Wrap("", fmt.Sprintf("%s is %s: %s", c.ID, c.Phase, c.Reason)))
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

// customerRows are for programs; of a batch that is known, with its window and ticket.
func customerRows(batches ...migration.BatchStatus) *printer.Table {
	t := &printer.Table{Columns: []printer.Column{
		{Name: "customer"}, {Name: "name"}, {Name: "batch"}, {Name: "home"}, {Name: "phase"}, {Name: "waiting_for"}, {Name: "since"},
		{Name: "until"}, {Name: "token"}, {Name: "tries"},
		{Name: "freeze_ms"}, {Name: "verdict"}, {Name: "window_opens"}, {Name: "window_closes"}, {Name: "ticket"}, {Name: "reason"},
	}}
	for _, b := range batches {
		opens, closes := "", ""
		if b.Window != nil {
			opens, closes = rfc3339(b.Window.Opens), rfc3339(b.Window.Closes())
		}
		for _, c := range b.Customers {
			freeze, verdict := "", ""
			if n := len(c.Moves); n > 0 {
				freeze = fmt.Sprint(inMillis(c.Moves[n-1].Freeze))
			}
			if c.Verdict != nil {
				verdict = string(c.Verdict.Outcome)
			}
			t.Add(c.ID, c.Name, c.Batch, c.Home, c.Phase, c.WaitingFor, when(c.Since, time.Time{}, printer.AsCSV), when(c.Until,
				time.Time{}, printer.AsCSV), c.Token, c.Tries,
				freeze, verdict, opens, closes, b.Ticket, c.Reason)
		}
	}
	return t
}

// batchView is one batch with its gate and its customers.
func batchView(s migration.BatchStatus, now time.Time) string {
	var b strings.Builder
	b.WriteString(printer.Wrap("", fmt.Sprintf("batch %s: %s%s%s", s.Name, s.Phase, waits(s.WaitingFor), lasting(s.Since, now))))
	b.WriteString(reasonLine(s.Reason) + mayDo(s.MayDo))
	if s.Needs > 0 {
		var by []string
		for _, e := range s.Approvals {
			by = append(by, e.By)
		}
		b.WriteString(printer.Wrap("  ", strings.TrimSpace(fmt.Sprintf("approvals: %d of %d %s", len(s.Approvals), s.Needs,
			strings.Join(by, ", ")))))
	}
	if s.Window != nil {
		b.WriteString(printer.Wrap("  ", "window: "+window(*s.Window)))
	}
	if s.Ticket != "" {
		b.WriteString(printer.Wrap("  ", "ticket: "+s.Ticket))
	}
	b.WriteString("\n" + batchTable([]migration.BatchStatus{s}).String())
	b.WriteString(trying("batch "+s.Name, s.Trying, now))
	b.WriteString(customerList(s.Customers, now))
	return b.String()
}

// window is shown in its own zone, where that is known here.
func window(w migration.Window) string {
	zone, err := time.LoadLocation(w.Zone)
	if err != nil {
		zone = time.UTC
	}
	return w.Opens.In(zone).Format("2006-01-02 15:04 MST") + " to " + w.Closes().In(zone).Format("2006-01-02 15:04 MST")
}

// customerView is one customer with its verdict, Moves, messages and timeline.
func customerView(plan string, s migration.CustomerStatus, now time.Time) string {
	var b strings.Builder
	name := ""
	if s.Name != "" {
		name = " (" + s.Name + ")"
	}
	b.WriteString(printer.Wrap("", fmt.Sprintf("customer %s%s of batch %s: %s%s%s", s.ID, name, s.Batch, s.Phase, waits(s.WaitingFor),
		lasting(s.Since, now))))
	b.WriteString(reasonLine(s.Reason))
	b.WriteString(printer.Wrap("  ", fmt.Sprintf("homed on %s, token %d, %s", s.Home, s.Token, tries(s.Tries))))
	b.WriteString(ends(s))
	b.WriteString(deferral(s.Deferral))
	b.WriteString(mayDo(s.MayDo))
	b.WriteString(trying("customer "+s.ID, s.Trying, now))
	if v := s.Verdict; v != nil {
		b.WriteString(verdict(*v))
	}
	if len(s.Moves) > 0 {
		b.WriteString("\n" + moveTable(s.Moves).String())
	}
	for _, n := range s.Notes {
		b.WriteString(printer.Wrap("  ", strings.Join(strings.Fields("note of "+n.By+", "+stamp(n.At)+": "+n.Text+" "+n.Ticket), " ")))
	}
	b.WriteString(messagesView(plan, s.Messages, now) + toldView(s.Messages))
	if len(s.Timeline) > 0 {
		b.WriteString("\n" + timeline(s.Timeline))
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

// ends says when what is under way ends.
func ends(s migration.CustomerStatus) string {
	switch {
	case s.Until.IsZero():
		return ""
	case s.Phase == migration.CustomerSoaking:
		return printer.Wrap("  ", "the soak ends "+stamp(s.Until)+"; until then it can go back without loss")
	case s.Phase == migration.CustomerBaking:
		return printer.Wrap("  ", "the bake ends "+stamp(s.Until))
	default:
		return ""
	}
}

func tries(n int) string {
	if n == 1 {
		return "1 try"
	}
	return fmt.Sprintf("%d tries", n)
}

func verdict(v migration.Verdict) string {
	evidence := fmt.Sprintf("%d samples, %d errors, p95 %s", v.Samples, v.Errors, millis(v.P95))
	if v.BaselineP95 > 0 { // it was compared
		evidence += fmt.Sprintf(" (before, on premises: %s)", millis(v.BaselineP95))
	}
	if v.Probe != "" {
		evidence = "probe " + v.Probe + ": " + evidence
	}
	if v.LastAnswer != "" {
		evidence += ", last answer: " + v.LastAnswer
	}
	return printer.Wrap("  ", fmt.Sprintf("health on AWS at %s: %s. %s", stamp(v.At), v.Outcome, v.Reason)) + printer.Wrap("    ", evidence)
}

// millis is a number of seconds in milliseconds, with a digit more where they are few.
func millis(seconds float64) string {
	ms := seconds * 1000
	if ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

func moveTable(moves []migration.MoveResult) *printer.Table {
	t := &printer.Table{Columns: []printer.Column{
		{Name: "TOKEN", Right: true}, {Name: "FROM"}, {Name: "TO"}, {Name: "OUTCOME"}, {Name: "FREEZE", Right: true},
		{Name: "ROWS", Right: true},
		{Name: "OBJECTS", Right: true}, {Name: "WHY", Give: true},
	}}
	for _, m := range moves {
		t.Add(m.Try.Token, m.From, m.To, m.Outcome, m.Freeze.D().Round(time.Millisecond), m.Rows, m.Objects, m.Reason)
	}
	return t
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
	return short(now.Sub(t))
}

// short is a duration in its two largest units: "3d4h", "2m10s".
func short(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}
