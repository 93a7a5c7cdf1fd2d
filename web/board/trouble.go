package board

import (
	"errors"
	"time"

	"github.com/drover-migration/drover/client"
)

// Trouble is why a migration cannot be read now.
type Trouble struct {
	Temporal bool      // Temporal itself does not answer; else its workers do not
	Since    time.Time // of the first reading that failed
	Why      string
	Next     string // what to do about it; may be empty
}

// Words says it to whoever looks at the page.
func (t *Trouble) Words() string {
	if t.Temporal {
		return "Temporal does not answer, so nothing is known of what happens now."
	}
	return "Temporal answers, but no worker of Drover does, so the migration stands still."
}

// trouble tells a server that is silent from workers that are: a server answers Execution without
// a worker.
func trouble(err error, server bool, now time.Time, before *Trouble) *Trouble {
	out := &Trouble{Temporal: !server, Since: now, Why: err.Error()}
	var p *client.Problem
	if errors.As(err, &p) {
		out.Why, out.Next = p.Why, p.Next
	}
	if before != nil && before.Temporal == out.Temporal {
		out.Since = before.Since
	}
	return out
}
