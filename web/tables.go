package web

import (
	"encoding/json"
	"fmt"
	"io"
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

// table is what is exported: as CSV for spreadsheets, as JSON for programs.
type table struct {
	columns []string
	rows    [][]any
}

// add appends a row. Times are RFC 3339 in UTC, and a time that is not set is an empty cell, or
// null.
func (t *table) add(cells ...any) {
	for i, c := range cells {
		switch v := c.(type) {
		case time.Time:
			if cells[i] = nil; !v.IsZero() {
				cells[i] = v.UTC().Format(time.RFC3339)
			}
		case migration.Duration:
			cells[i] = float64(v.D().Microseconds()) / 1000
		case int, int64, float64, bool, string, nil:
		default:
			cells[i] = fmt.Sprint(v)
		}
	}
	t.rows = append(t.rows, cells)
}

func (t table) csv(w io.Writer) error {
	rows := make([][]string, len(t.rows))
	for i, row := range t.rows {
		rows[i] = make([]string, len(row))
		for j, c := range row {
			if c != nil {
				rows[i][j] = fmt.Sprint(c)
			}
		}
	}
	return printer.CSV(w, t.columns, rows)
}

// json is a list of objects with the columns as keys, in their order.
func (t table) json(w io.Writer) error {
	var b strings.Builder
	b.WriteString("[")
	for i, row := range t.rows {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n  {")
		for j, c := range row {
			v, err := json.Marshal(c)
			if err != nil {
				return err
			}
			if j > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%q: %s", t.columns[j], v)
		}
		b.WriteString("}")
	}
	b.WriteString("\n]\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// export answers one of the tables: NAME.csv or NAME.json.
func (s *Server) export(w http.ResponseWriter, r *http.Request, who access.Identity, plan string, tables map[string]func() table) {
	name, form, _ := strings.Cut(r.PathValue("file"), ".")
	build, ok := tables[name]
	if !ok || form != "csv" && form != "json" {
		s.nothingThere(w, r, who)
		return
	}
	err := s.Audit.write(entry{What: "export of " + name, Who: who.String(), Role: who.Role, How: who.How, From: remote(r), Plan: plan,
		Customer: r.PathValue("customer"), At: r.URL.RequestURI(), Outcome: accepted})
	if err != nil {
		s.fail(w, r, who, http.StatusServiceUnavailable, "Not exported", "The audit cannot be written, so nothing is given out.",
			"Tell whoever "+
				"runs the board.")
		return
	}
	t, file := build(), strings.Trim(plan+"-"+name, "-")+"."+form
	w.Header().Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(file))
	write := t.csv
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	if form == "json" {
		write = t.json
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	if err := write(w); err != nil {
		s.Log.Debug("an export was not taken", "error", err)
	}
}

// boardTable answers a migration's tables; customers are filtered as on the board.
func (s *Server) boardTable(w http.ResponseWriter, r *http.Request, who access.Identity) {
	f, err := s.Hub.Follow(r.Context(), r.PathValue("plan"))
	if err != nil {
		s.failBy(w, r, who, err)
		return
	}
	snap := f.Snapshot(r.Context())
	s.export(w, r, who, snap.Status.Plan, map[string]func() table{
		"customers": func() table { return tableOfCustomers(snap, snap.All(board.ReadFilter(r.URL.Query()))) },
		"batches":   func() table { return tableOfBatches(snap) },
		"data":      func() table { return tableOfData(snap) },
		"timeline":  func() table { return tableOfEvents(snap.Status.Timeline) },
	})
}

// customerTable answers one customer's tables. The timeline has free text, which may name others: a
// guest gets none.
func (s *Server) customerTable(w http.ResponseWriter, r *http.Request, who access.Identity) {
	f, snap, c, ok := s.customer(w, r, who)
	if !ok {
		return
	}
	full, _, err := f.Customer(r.Context(), c)
	if err == nil {
		c.Status = full
	}
	guest := who.Role == access.Guest
	tables := map[string]func() table{"moves": func() table { return tableOfMoves(c, guest) }}
	if !guest {
		tables["timeline"] = func() table { return tableOfEvents(full.Timeline) }
		tables["messages"] = func() table { return tableOfMessages(c.Status.Messages) }
	}
	s.export(w, r, who, snap.Status.Plan+"-"+c.Status.ID, tables)
}

// tableOfMessages has a customer's messages; nil: there are none.
func tableOfMessages(m *migration.MessagesStatus) table {
	t := table{columns: []string{"state", "kind", "contact", "step", "at", "due", "failed", "fails_since", "last_failure", "next", "key"}}
	if m == nil {
		return t
	}
	for _, d := range append(slices.Clone(m.Past), m.Pending...) {
		t.add(d.State, d.Kind, d.Contact, d.Step, d.At, d.Due, d.Tries, d.Since, d.Failure, d.Next, d.Key)
	}
	return t
}

// WriteCustomers writes the table of some customers as CSV.
func WriteCustomers(w io.Writer, snap *board.Snapshot, customers []board.Customer) error {
	return tableOfCustomers(snap, customers).csv(w)
}

func tableOfCustomers(snap *board.Snapshot, customers []board.Customer) table {
	t := table{columns: []string{"customer", "name", "batch", "state", "home", "phase", "waits_for", "since", "until", "window_opens",
		"window_closes", "soak_ends", "deferred_until", "slot_opens", "slot_closes", "hosts", "contact", "zone", "labels", "verdict",
		"freeze_ms", "stall_ms", "failed_requests", "retried_requests", "moved_at", "tries", "token", "ticket", "reason", "weight",
		"way_back"}}
	for _, c := range customers {
		b, _ := snap.Batch(c.Status.Batch)
		var opens, closes, moved, soaks, deferred, slotOpens, slotCloses time.Time
		if b.Window != nil {
			opens, closes = b.Window.Opens, b.Window.Closes()
		}
		var freeze, stall, failed, retried, verdict any
		if m, ok := lastMove(c); ok {
			freeze, stall, moved = m.Freeze, stallOf(m), m.Opened
			failed, retried = requestsOf(m)
		}
		if v := c.Status.Verdict; v != nil {
			verdict = string(v.Outcome)
		}
		st := c.Status
		if st.Phase == migration.CustomerSoaking {
			soaks = st.Until
		}
		if st.Deferred() {
			deferred = st.Deferral.NotBefore
		}
		if w := st.Slots.Chosen(); w != nil {
			slotOpens, slotCloses = w.Opens, w.Closes()
		}
		t.add(st.ID, st.Name, st.Batch, c.State().Words(), string(st.Home), st.Phase, st.WaitingFor, st.Since, st.Until, opens, closes,
			soaks, deferred, slotOpens, slotCloses, strings.Join(c.Spec.Hosts, " "), c.Spec.Contact, c.Spec.Zone,
			strings.Join(viewLabels(c), " "), verdict,
			freeze, stall, failed, retried, moved, st.Tries, st.Token, b.Ticket, st.Reason, st.Weight, c.Back.Answer(board.NewClock("")))
	}
	return t
}

func tableOfBatches(snap *board.Snapshot) table {
	t := table{columns: []string{"place", "batch", "phase", "waits_for", "gate", "whose_turn", "window_opens", "window_closes",
		"window_zone", "approvals", "approvals_needed", "customers", "waiting", "moving", "baking", "on_aws", "rolled_back", "held",
		"longest_freeze_ms", "longest_stall_ms", "failed_requests", "retried_requests", "requests_counted_moves", "moves", "ticket",
		"reason", "way_back_ended", "way_back_ended_by"}}
	for _, b := range snap.Batches {
		gate, turn := snap.Gate(b, board.NewClock(""))
		var opens, closes time.Time
		zone := ""
		if b.Window != nil {
			opens, closes, zone = b.Window.Opens, b.Window.Closes(), b.Window.Zone
		}
		n := b.Counts
		end := migration.Finalised{}
		if b.Finalised != nil {
			end = *b.Finalised
		}
		t.add(b.Place, b.Name, b.Phase, b.WaitingFor, gate, turn, opens, closes, zone, len(b.Approvals), b.Needs, n.Customers, n.Waiting,
			n.Moving,
			n.Baking, n.OnAWS, n.RolledBack, n.Held, migration.Duration(b.Score.Freeze), migration.Duration(b.Score.Stall),
			numberOf(b.Score.RequestsFailed), numberOf(b.Score.RequestsRetried),
			max(b.Score.RequestsFailed.Moves, b.Score.RequestsRetried.Moves), b.Score.Moves,
			b.Ticket, b.Reason, end.Cut, end.By)
	}
	return t
}

func tableOfData(snap *board.Snapshot) table {
	t := table{columns: []string{"kind", "name", "phase", "done_bytes", "total_bytes", "bytes_a_second", "eta_ms", "measuring",
		"consistent_at", "blocks_verified", "detail"}}
	add := func(kind string, p migration.PieceStatus) {
		var done, total, rate, eta, measuring, blocks any
		if g := p.Progress; g != (migration.Progress{}) {
			done, total, rate, eta, measuring = g.Done, g.Total, g.Rate, g.ETA, g.Measuring
		}
		asOf := p.AsOf
		if n, verified, of := p.Disks(); n > 0 {
			blocks, asOf = verified, of
		}
		t.add(kind, p.Name, p.Phase, done, total, rate, eta, measuring, asOf, blocks, p.Detail)
	}
	for _, p := range snap.Status.Datasets {
		add("dataset", p)
	}
	for _, p := range snap.Status.Workloads {
		add("workload", p)
	}
	return t
}

func tableOfEvents(events []migration.Event) table {
	t := table{columns: []string{"at", "what", "by", "why"}}
	for _, e := range events {
		t.add(e.At, e.What, e.By, e.Why)
	}
	return t
}

// stallOf is how long a request may have waited; nil: not known.
func stallOf(m migration.MoveResult) any {
	if s := m.Stall(); s > 0 {
		return migration.Duration(s)
	}
	return nil
}

// requestsOf are the requests of users around a Move, as others have counted them; nil: not known.
func requestsOf(m migration.MoveResult) (failed, retried any) {
	if r := m.Requests; r != nil {
		if r.Failed.Known() {
			failed = r.Failed.N
		}
		if r.Retried.Known() {
			retried = r.Retried.N
		}
	}
	return failed, retried
}

// numberOf is a sum; nil: nothing was counted.
func numberOf(c board.Counted) any {
	if c.Moves == 0 {
		return nil
	}
	return c.N
}

func tableOfMoves(c board.Customer, guest bool) table {
	t := table{columns: []string{"opened", "from", "to", "outcome", "freeze_ms", "predicted_ms", "stall_ms", "failed_requests",
		"retried_requests", "rows", "objects", "token", "reason"}}
	for _, m := range c.Status.Moves {
		why := m.Reason
		if guest {
			why = ""
		}
		failed, retried := requestsOf(m)
		t.add(m.Opened, string(m.From), string(m.To), m.Outcome, m.Freeze, m.Predicted, stallOf(m), failed, retried, m.Rows, m.Objects,
			m.Try.Token, why)
	}
	return t
}
