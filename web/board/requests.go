package board

import (
	"fmt"
	"strconv"

	"github.com/drover-migration/drover/migration"
)

// NoQuery is said where nobody counts the requests of users.
const NoQuery = "not measured: the plan names no query"

// Counted is how many requests of users others have counted around some Moves.
type Counted struct {
	N       int64
	Moves   int // of which there is a number
	Pending int // of which there may be one
	Asked   int // for which the plan names a query
}

func (c *Counted) add(n *migration.Count) {
	switch {
	case n == nil:
		return
	case n.Known():
		c.N, c.Moves = c.N+n.N, c.Moves+1
	case n.Pending:
		c.Pending++
	}
	c.Asked++
}

// Words says of how many Moves the number is, and where there is none, why; "": it is of all of
// them.
func (c Counted) Words(moves int) string {
	switch {
	case c.Asked == 0:
		return NoQuery
	case c.Moves == 0 && c.Pending > 0:
		return "not counted yet"
	case c.Moves == 0:
		return "not measured: no query has answered"
	case c.Moves < moves:
		return fmt.Sprintf("counted in %d of %d Moves", c.Moves, moves)
	default:
		return ""
	}
}

// CountWords is a number of requests, or why there is none. Brief leaves out why: it may name
// machines.
func CountWords(n *migration.Count, brief bool) string {
	switch {
	case n.Known():
		return strconv.FormatInt(n.N, 10)
	case n != nil && n.Pending:
		return "not counted yet"
	case brief:
		return "not measured"
	case n == nil:
		return NoQuery
	default:
		return "not measured: " + n.Why
	}
}

// Requests says in a sentence what is known of the requests of users around a Move. Brief leaves
// out why there is no number.
func Requests(m migration.MoveResult, k Clock, brief bool) string {
	r := m.Requests
	if r == nil {
		return "Failed and retried requests of its users: " + NoQuery + "."
	}
	when := ""
	if !r.From.IsZero() {
		when = fmt.Sprintf(" from %s to %s", k.Second(r.From), r.To.In(k.Zone).Format("15:04:05"))
	}
	return fmt.Sprintf("Requests of its users%s: failed %s; retried %s.", when, CountWords(r.Failed, brief), CountWords(r.Retried, brief))
}
