// Package model is move.sql in memory: one tenant in the two databases of a dataset, function for
// function and word for word. The tests here walk every interleaving of Moves and repairs over it,
// those of replication/postgres hold it against the file itself on two servers, and those of
// workflows play Customer and Move against it.
package model

import (
	"fmt"
	"time"

	"github.com/drover-migration/drover/migration"
)

// Half is what one side keeps of the tenant.
type Half struct {
	migration.SideRecord // its row in drover.fence; Expired is not kept: Database.Record computes it
	Lease                time.Time
	Sends                bool          // its writes go to the other side
	Mark                 migration.Try // of the last fence here, on its way to the other side
	Marked               int           // how many writes were here at that mark
	Came                 migration.Try // the last mark of the other side that has arrived here
	Has                  int           // of all writes that were ever acknowledged the first so many are here
	Waits                bool          // a write waits here for the end of a fence
}

// Database is both sides of one dataset, and the writes that an application was acknowledged. Its
// methods are the functions of move.sql; side is the server that is asked. A copy of it is a world
// of its own.
type Database struct {
	Name  string
	Now   func() time.Time
	Acked int // writes that were acknowledged

	onprem, aws Half
}

// New has the tenant at home.
func New(name string, home migration.Side, now func() time.Time) *Database {
	d := &Database{Name: name, Now: now}
	d.Half(home).State, d.Half(home).Sends, d.Half(home.Other()).State = migration.Open, true, migration.Sealed
	return d
}

// Half is one side's.
func (d *Database) Half(s migration.Side) *Half {
	if s == migration.AWS {
		return &d.aws
	}
	return &d.onprem
}

// Record is the home record.
func (d *Database) Record() migration.HomeRecord {
	one := func(h Half) migration.SideRecord {
		h.Expired = h.State == migration.Fenced && !h.Lease.After(d.Now())
		return h.SideRecord
	}
	return migration.HomeRecord{OnPrem: one(d.onprem), AWS: one(d.aws)}
}

// Accepts says whether a side takes writes.
func (d *Database) Accepts(s migration.Side) bool { return d.Record().Side(s).Accepts() }

func (h *Half) newer(try migration.Try) bool {
	return h.Token > try.Token || h.Token == try.Token && h.Owner != try.Owner
}

func (h *Half) take(state migration.FenceState, try migration.Try) {
	h.State, h.Token, h.Owner = state, try.Token, try.Owner
}

const wordGo migration.Word = "go"

func (d *Database) fenceWord(side migration.Side, try migration.Try, seal bool) migration.Word {
	h := d.Half(side)
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
	case d.Accepts(side):
		return migration.WordExpired
	case seal:
		return wordGo
	default:
		return migration.WordFenced
	}
}

// Fence closes a side until the lease runs out, and writes the mark.
func (d *Database) Fence(side migration.Side, try migration.Try, lease time.Duration) migration.Word {
	if w := d.fenceWord(side, try, false); w != wordGo {
		return w
	}
	h := d.Half(side)
	h.take(migration.Fenced, try)
	h.Mark, h.Marked, h.Lease = try, h.Has, d.Now().Add(lease)
	return migration.WordFenced
}

// Deliver is replication: the other side gets what this one had at its last mark, and the mark.
// Marks travel whichever way a tenant's rows go, and a row that was written before the mark was
// published when it was written.
func (d *Database) Deliver(from migration.Side) {
	h, to := d.Half(from), d.Half(from.Other())
	to.Came, to.Has = h.Mark, max(to.Has, h.Marked)
}

// Arrived says whether the other side's mark of a try is here.
func (d *Database) Arrived(side migration.Side, try migration.Try) bool {
	return d.Half(side).Came == try
}

// Seal closes a side for good.
func (d *Database) Seal(side migration.Side, try migration.Try) migration.Word {
	if w := d.fenceWord(side, try, true); w != wordGo {
		return w
	}
	h := d.Half(side)
	h.take(migration.Sealed, try)
	h.SealedToken, h.Sends = try.Token, false
	return migration.WordSealed
}

// Open is the commit point.
func (d *Database) Open(side migration.Side, try migration.Try) migration.Word {
	h := d.Half(side)
	switch {
	case h.newer(try):
		return migration.WordSuperseded
	case h.Token == try.Token && h.State == migration.Open:
		return migration.WordOpen
	case h.Token == try.Token:
		return migration.WordSuperseded
	case h.State != migration.Sealed:
		return migration.WordNotSealed
	case !d.Arrived(side, try):
		return migration.WordBehind
	}
	h.take(migration.Open, try)
	h.Sends = true
	return migration.WordOpen
}

// Poison makes a late Open of an older token impossible, or finds that it has happened.
func (d *Database) Poison(side migration.Side, try migration.Try) migration.Word {
	h := d.Half(side)
	switch {
	case h.newer(try):
		return migration.WordSuperseded
	case h.State != migration.Sealed:
		return migration.WordOpened
	}
	h.Token, h.Owner = try.Token, try.Owner
	return migration.WordPoisoned
}

// Reopen opens the origin again, after the destination was poisoned.
func (d *Database) Reopen(side migration.Side, try migration.Try) migration.Word {
	h := d.Half(side)
	switch {
	case h.newer(try), h.State == migration.Sealed && h.Token == try.Token:
		return migration.WordSuperseded
	case h.State == migration.Sealed:
		h.take(migration.Open, try)
		h.Sends = true
	case h.State == migration.Open && h.Token < try.Token:
		h.Token, h.Owner = try.Token, try.Owner
	}
	return migration.Word(h.State)
}

// Claim ends whatever was under way below the token, and opens a fence. It is unfence, too.
func (d *Database) Claim(side migration.Side, try migration.Try) migration.Word {
	h := d.Half(side)
	switch {
	case h.newer(try):
		return migration.WordSuperseded
	case h.State == migration.Sealed:
		return migration.WordSealed
	}
	h.take(migration.Open, try)
	return migration.WordOpen
}

// Write is the application: a side that accepts it has one write more, and the first past a lease
// writes down that the fence is over.
func (d *Database) Write(side migration.Side) {
	if !d.Accepts(side) {
		return
	}
	h := d.Half(side)
	h.State = migration.Open
	d.Acked++
	h.Has = d.Acked
}

// Wait is a write that meets a fence which lets it wait. It keeps nothing of what it has seen, and
// nothing waits for it.
func (d *Database) Wait(side migration.Side) {
	h := d.Half(side)
	h.Waits = h.State == migration.Fenced && !d.Accepts(side)
}

// Look ends the wait: what the side is now decides. It says whether the write was taken; where the
// fence still stands its patience has ended.
func (d *Database) Look(side migration.Side) bool {
	taken := d.Accepts(side)
	d.Write(side)
	d.Half(side).Waits = false
	return taken
}

// Unsound says which of the invariants (docs/design.md, section 6) do not hold now for a customer
// who is in these databases.
func Unsound(all ...*Database) (wrong []string) {
	open := map[migration.Side][]string{}
	for _, d := range all {
		for _, s := range []migration.Side{migration.OnPrem, migration.AWS} {
			if !d.Accepts(s) {
				continue
			}
			open[s] = append(open[s], d.Name)
			if h := d.Half(s); h.Has < d.Acked {
				wrong = append(wrong, fmt.Sprintf("%s is open on %s with %d of %d writes", d.Name, s, h.Has, d.Acked))
			} else if !h.Sends {
				wrong = append(wrong, fmt.Sprintf("%s is open on %s, and does not replicate from there", d.Name, s))
			}
		}
		if d.onprem.Sends && d.aws.Sends {
			wrong = append(wrong, d.Name+" is replicated both ways")
		}
	}
	if len(open) > 1 {
		wrong = append(wrong, fmt.Sprintf("open on premises: %v, open on AWS: %v", open[migration.OnPrem], open[migration.AWS]))
	}
	return wrong
}

// WriteNote keeps what is remembered of the tenant on a side, unless a later note stands.
func (d *Database) WriteNote(side migration.Side, n migration.Note) migration.Word {
	h := d.Half(side)
	if o := h.Note; o != n && (o.Stay > n.Stay || o.Stay == n.Stay && o.N >= n.N) {
		return migration.WordSuperseded
	}
	h.Note = n
	return migration.WordNoted
}
