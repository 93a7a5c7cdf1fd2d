package batch

import (
	"cmp"
	"slices"
	"time"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// member is one customer, as its batch knows it.
type member struct {
	Status migration.CustomerStatus `json:"status"` // as it last reported
	Order  mail.Order               `json:"order"`  // of that report; zero: it has not reported yet
	Told   bool                     `json:"told"`   // in this round: to go, or that it is not asked
	Heard  int                      `json:"heard"`  // the round that it has answered
	// Released is set when the customer's deferral has ended, until it is told to go.
	Released bool `json:"released,omitempty"`
	// Recalled is set when the customer has been told to come back with its batch: what it had last
	// reported then.
	Recalled *mail.Order `json:"recalled,omitempty"`
	// Soak are the notes that it wants written beside its fence; Noted says that the first is.
	Soak  *mail.SoakNotes `json:"soak,omitempty"`
	Noted bool            `json:"noted,omitempty"`
	// Unwell is set when the last look found the customer unwell, until it is told.
	Unwell *migration.Verdict `json:"unwell,omitempty"`

	// Joining is set until the databases are known to know it, where the plan was amended.
	Joining bool `json:"joining,omitempty"`

	Asks string `json:"asks,omitempty"` // id of the notice that it waits for an operator; empty: it does not
	// Unanswered are the ids of the notices that its hooks do not answer.
	Unanswered []string `json:"unanswered,omitempty"`

	Untimely bool  `json:"untimely,omitempty"` // the clock's messages before its window do not fit it
	Baked    int64 `json:"baked,omitempty"`    // token of the Move of whose bake's end was told
}

// newMembers has every customer of a batch, in the plan's order. None has a home before it has said
// which.
func newMembers(b migration.Batch) []*member {
	out := make([]*member, len(b.Customers))
	for i, id := range b.Customers {
		out[i] = &member{Status: migration.CustomerStatus{
			ID: id, Batch: b.Name, Phase: migration.CustomerFinding, WaitingFor: migration.WaitData,
		}}
	}
	return out
}

// heard says whether the customer has said where it stands.
func (m *member) heard() bool { return m.Order != mail.Order{} }

// answered says whether the customer has reported since it was told to go: until then it counts as
// under way.
func (m *member) answered(round int) bool { return m.Heard == round }

func (m *member) is(phases ...migration.CustomerPhase) bool {
	return slices.Contains(phases, m.Status.Phase)
}

// starting says that the customer has not begun to move.
func (m *member) starting() bool { return m.is(migration.CustomerFinding, migration.CustomerWaiting) }

// newsAt is when something was last heard of the customer, or told to it.
func (m *member) newsAt() time.Time { return laterOf(time.Unix(0, m.Order.At), m.Status.Since) }

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (m *member) moving() bool { return m.is(migration.CustomerMoving, migration.CustomerMovingBack) }

func (m *member) soaking() bool { return m.is(migration.CustomerSoaking) }

// blind is why the customer, which bakes, cannot be judged; "": it can.
func (m *member) blind() string {
	if v := m.Status.Verdict; m.is(migration.CustomerBaking) && v != nil && v.Blind != "" {
		return m.Status.ID + " bakes and cannot be judged: " + v.Blind
	}
	return ""
}

// over says that the customer will never do anything again.
func (m *member) over() bool {
	return m.is(migration.CustomerFinished, migration.CustomerAborted, migration.CustomerSkipped)
}

// settled says that the customer needs no more of the batch's attention.
func (m *member) settled() bool {
	return m.over() || m.is(migration.CustomerSoaking, migration.CustomerRolledBack, migration.CustomerHeld)
}

// inFlight says that the customer takes one of the batch's slots.
func (m *member) inFlight(round int) bool {
	return m.Told && (!m.answered(round) || m.starting() || m.moving())
}

// unbaked says that the customer has been told to go, and has not come to rest.
func (m *member) unbaked(round int) bool { return m.Told && (!m.answered(round) || !m.settled()) }

// watched says that the customer has gone and has not ended.
func (m *member) watched() bool { return m.Told && !m.over() }

// busy says that the customer moves, or has not answered yet: it is asked by itself whether it
// runs.
func (m *member) busy(round int) bool {
	return m.watched() && (m.inFlight(round) || m.comesBack(round))
}

// mustComeBack says that the customer has gone, or may be going, and has not ended.
func (m *member) mustComeBack(round int) bool {
	return m.watched() && (!m.answered(round) || m.Status.Home != migration.OnPrem || m.moving() || m.is(migration.CustomerWaiting))
}

// comesBack says that the customer takes one of the slots of the way back: it has been told, and is
// neither home nor held on the way.
func (m *member) comesBack(round int) bool {
	switch {
	case m.is(migration.CustomerMovingBack):
		return true
	case m.Recalled == nil:
		return false
	}
	heldSince := m.answered(round) && m.is(migration.CustomerHeld) && m.Order != *m.Recalled
	return m.mustComeBack(round) && !heldSince
}

// strays says that the customer is neither at home nor on its way there, and is not held: while its
// batch is taken back, an operator's retry has sent it out again, or has let it go on from where it
// was held on AWS.
func (m *member) strays(round int) bool {
	return m.Recalled != nil && m.answered(round) && m.mustComeBack(round) && !m.is(migration.CustomerHeld, migration.CustomerMovingBack)
}

// tally is what a batch counts, from one pass over its members.
type tally struct {
	migration.Counts
	next     *member // who goes next; nil: all have been told
	atHome   int
	inFlight int
	unbaked  int
	watched  int
	busy     int
	soaking  int
	coming   int // on their way back, or told to come
	gone     int // must come back when the batch does
	open     int // have not ended
	// blind is why one that bakes cannot be judged; "": all can. Nobody else goes meanwhile.
	blind string
}

func (b *batch) tally() (t tally) {
	count := func(n *int, when bool) {
		if when {
			*n++
		}
	}
	t.Customers = len(b.Members)
	for _, m := range b.Members {
		if t.next == nil && !m.Told {
			t.next = m
		}
		gone := m.mustComeBack(b.Round)
		count(&t.gone, gone)
		count(&t.Away, gone || m.Status.Home == migration.AWS)
		count(&t.atHome, m.Status.Home == migration.OnPrem)
		count(&t.inFlight, m.inFlight(b.Round))
		count(&t.unbaked, m.unbaked(b.Round))
		count(&t.watched, m.watched())
		count(&t.busy, m.busy(b.Round))
		count(&t.soaking, m.soaking())
		count(&t.coming, m.comesBack(b.Round))
		count(&t.Finished, m.is(migration.CustomerFinished) && m.Status.Home == migration.AWS)
		count(&t.open, !m.over())
		switch {
		case m.is(migration.CustomerHeld):
			t.Held++
		case m.is(migration.CustomerRolledBack):
			t.RolledBack++
		case m.is(migration.CustomerSkipped):
			t.Skipped++
		case m.is(migration.CustomerAborted): // it waits for nothing any more
		case m.moving():
			t.Moving++
		case m.is(migration.CustomerBaking):
			t.Baking++
			t.blind = cmp.Or(t.blind, m.blind())
		case m.is(migration.CustomerSoaking, migration.CustomerFinished):
			t.OnAWS++
		default:
			t.Waiting++
		}
	}
	return t
}

// settled says that everybody has been told, and has come to rest.
func (t tally) settled() bool { return t.next == nil && t.unbaked == 0 }

// closed says that no customer of the batch will ever do anything again.
func (t tally) closed() bool { return t.open == 0 }
