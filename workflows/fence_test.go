package workflows

import (
	"fmt"
	"slices"
	"time"

	"github.com/drover-migration/drover/migration"
)

// half is what one side keeps of the customer in one database: its row in drover.fence, the mark of its last fence, and its rows.
type half struct {
	migration.SideRecord
	lease  time.Time
	sends  bool          // its changes go to the other side
	mark   migration.Try // of the last fence here, on its way to the other side
	marked int           // rows that were here at the mark, and are on the other side once it has arrived
	rows   int
}

// database is move.sql on the two servers of one dataset, for one tenant. Its methods are the functions of that file, word for word;
// side is the server that is asked.
type database struct {
	name   string
	now    func() time.Time
	sides  map[migration.Side]*half
	behind int // how many times open still finds that the mark has not arrived
	wrong  []string
}

func newDatabase(name string, home migration.Side, now func() time.Time) *database {
	d := &database{name: name, now: now, sides: map[migration.Side]*half{home: {sends: true}, home.Other(): {}}}
	d.sides[home].State, d.sides[home.Other()].State = migration.Open, migration.Sealed
	return d
}

// record is the home record as ReadHome finds it.
func (d *database) record() migration.HomeRecord {
	one := func(s migration.Side) migration.SideRecord {
		r := d.sides[s].SideRecord
		r.Expired = r.State == migration.Fenced && !d.sides[s].lease.After(d.now())
		return r
	}
	return migration.HomeRecord{OnPrem: one(migration.OnPrem), AWS: one(migration.AWS)}
}

func (d *database) accepts(s migration.Side) bool { return d.record().Side(s).Accepts() }

func (h *half) newer(try migration.Try) bool {
	return h.Token > try.Token || h.Token == try.Token && h.Owner != try.Owner
}

func (h *half) take(state migration.FenceState, try migration.Try) {
	h.State, h.Token, h.Owner = state, try.Token, try.Owner
}

const wordGo migration.Word = "go"

func (d *database) fenceWord(side migration.Side, try migration.Try, seal bool) migration.Word {
	h := d.sides[side]
	switch {
	case h.newer(try):
		return migration.WordSuperseded
	case h.Token < try.Token && seal:
		return migration.WordNotFenced
	case h.Token < try.Token && h.State == migration.Sealed:
		return migration.WordSealed
	case h.Token < try.Token:
		return wordGo
	case h.State == migration.Sealed && h.SealedToken == try.Token:
		return migration.WordSealed
	case h.State == migration.Sealed:
		return migration.WordSuperseded
	case d.accepts(side):
		return migration.WordExpired
	case seal:
		return wordGo
	default:
		return migration.WordFenced
	}
}

func (d *database) fence(side migration.Side, try migration.Try, lease time.Duration) migration.Word {
	if w := d.fenceWord(side, try, false); w != wordGo {
		return w
	}
	h := d.sides[side]
	h.take(migration.Fenced, try)
	h.mark, h.marked, h.lease = try, h.rows, d.now().Add(lease)
	return migration.WordFenced
}

func (d *database) arrived(side migration.Side, try migration.Try) bool {
	return d.sides[side.Other()].mark == try
}

func (d *database) seal(side migration.Side, try migration.Try) migration.Word {
	if w := d.fenceWord(side, try, true); w != wordGo {
		return w
	}
	h := d.sides[side]
	h.take(migration.Sealed, try)
	h.SealedToken, h.sends = try.Token, false
	return migration.WordSealed
}

func (d *database) open(side migration.Side, try migration.Try) migration.Word {
	h, from := d.sides[side], d.sides[side.Other()]
	switch {
	case h.newer(try):
		return migration.WordSuperseded
	case h.Token == try.Token && h.State == migration.Open:
		return migration.WordOpen
	case h.Token == try.Token:
		return migration.WordSuperseded
	case h.State != migration.Sealed:
		return migration.WordNotSealed
	case !d.arrived(side, try):
		return migration.WordBehind
	case d.behind > 0:
		d.behind--
		return migration.WordBehind
	}
	if from.State != migration.Sealed || from.rows != from.marked {
		d.wrong = append(d.wrong, fmt.Sprintf("%s opened on %s with %d rows of %d, the other side being %s", d.name, side, from.marked, from.rows, from.State))
	}
	h.take(migration.Open, try)
	h.sends, h.rows = true, from.marked
	return migration.WordOpen
}

func (d *database) poison(side migration.Side, try migration.Try) migration.Word {
	h := d.sides[side]
	switch {
	case h.newer(try):
		return migration.WordSuperseded
	case h.State != migration.Sealed:
		return migration.WordOpened
	}
	h.Token, h.Owner = try.Token, try.Owner
	return migration.WordPoisoned
}

func (d *database) reopen(side migration.Side, try migration.Try) migration.Word {
	h := d.sides[side]
	switch {
	case h.newer(try), h.State == migration.Sealed && h.Token == try.Token:
		return migration.WordSuperseded
	case h.State == migration.Sealed:
		h.take(migration.Open, try)
		h.sends = true
	case h.State == migration.Open && h.Token < try.Token:
		h.Token, h.Owner = try.Token, try.Owner
	}
	return migration.Word(h.State)
}

// claim is also unfence.
func (d *database) claim(side migration.Side, try migration.Try) migration.Word {
	h := d.sides[side]
	switch {
	case h.newer(try):
		return migration.WordSuperseded
	case h.State == migration.Sealed:
		return migration.WordSealed
	}
	h.take(migration.Open, try)
	return migration.WordOpen
}

// write is the application: one row wherever it is let. The first write past a lease writes down that the fence is over.
func (d *database) write() {
	for s, h := range d.sides {
		if d.accepts(s) {
			h.State = migration.Open
			h.rows++
		}
	}
}

// unsound says which of the invariants (design, section 6) do not hold in a customer's databases now.
func unsound(dbs []*database) (wrong []string) {
	open := map[migration.Side][]string{}
	for _, d := range dbs {
		wrong = append(wrong, d.wrong...)
		for s := range d.sides {
			if d.accepts(s) {
				open[s] = append(open[s], d.name)
			}
		}
		if d.sides[migration.OnPrem].sends && d.sides[migration.AWS].sends {
			wrong = append(wrong, d.name+" is replicated both ways")
		}
	}
	if len(open) > 1 {
		wrong = append(wrong, fmt.Sprintf("open on premises: %v, open on AWS: %v", open[migration.OnPrem], open[migration.AWS]))
	}
	return wrong
}

// settledOn says on which side all of a customer's databases are open, and sealed on the other; "" if that is not so.
func settledOn(dbs []*database) migration.Side {
	for _, s := range []migration.Side{migration.OnPrem, migration.AWS} {
		if !slices.ContainsFunc(dbs, func(d *database) bool { return !d.accepts(s) || d.sides[s.Other()].State != migration.Sealed }) {
			return s
		}
	}
	return ""
}
