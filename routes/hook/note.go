package hook

import (
	"time"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// note is what Drover keeps beside a host's weights: which home record they follow, and what stood
// before.
type note struct {
	Plan     string         `json:"plan"`
	Customer string         `json:"customer"`
	Token    int64          `json:"token"`
	Share    int            `json:"share"` // percentage of the requests that goes to AWS
	Was      map[string]int `json:"was"`   // the weights before Drover came
	At       time.Time      `json:"at"`    // when it was written; whole milliseconds, in UTC
}

// valid says whether it is a note of Drover's.
func (n note) valid() bool {
	return n.Plan != "" && n.Customer != "" && n.Token >= 0 && n.Share >= 0 && n.Share <= routes.All && total(n.Was) > 0
}

// side is the home that the weights follow.
func (n note) side() migration.Side {
	if n.Share > 0 {
		return migration.AWS
	}
	return migration.OnPrem
}

// wanted is what the weights were written for.
func (n note) wanted() routes.Wanted {
	return routes.Wanted{Customer: n.Customer, Side: n.side(), Token: n.Token, Weight: n.Share}
}

// follows is the note after what is wanted now. false: the note counts, or says so already.
func (n note) follows(w routes.Wanted, now time.Time) (note, bool) {
	if w.Older(n.wanted()) || w.Token == n.Token && w.Share() == n.Share {
		return n, false
	}
	n.Token, n.Share = w.Token, w.Share()
	if least := n.At.Add(time.Millisecond); now.Before(least) { // another worker's clock may be ahead
		now = least
	}
	n.At = now
	return n, true
}

// overrules says that the note keeps the route from what the data says, and has for longer than
// anybody who was told the older token could be late.
func (n note) overrules(w routes.Wanted, now time.Time) bool {
	return w.Older(n.wanted()) && w.Share() != n.Share && w.Token < n.Token && now.Sub(n.At) > routes.ToldFor
}

// now is the time as notes have it.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// total is the sum of weights.
func total(weights map[string]int) (out int) {
	for _, w := range weights {
		out += w
	}
	return out
}

// alike says whether weights divide requests the same way.
func alike(a, b map[string]int) bool {
	ta, tb := total(a), total(b)
	if ta == 0 || tb == 0 {
		return ta == tb
	}
	for _, of := range []map[string]int{a, b} {
		for name := range of {
			if a[name]*tb != b[name]*ta {
				return false
			}
		}
	}
	return true
}
