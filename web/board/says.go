package board

import (
	"fmt"
	"slices"
	"strings"

	"github.com/drover-migration/drover/migration"
)

// Turn says who has to do something next.
type Turn string

// Whose turn it can be.
const (
	TurnPerson Turn = "an operator or a lead"
	TurnClock  Turn = "the clock"
	TurnDrover Turn = "Drover"
	TurnNobody Turn = "nobody"
)

// Gate says what a batch does or waits for, and whose turn it is.
func (s *Snapshot) Gate(b Batch, k Clock) (string, Turn) {
	switch b.Phase {
	case migration.BatchDone:
		return batchDone(b) + ended(b.Finalised, k), turnOver(b)
	case migration.BatchTakenBack:
		return "Everybody is back on premises. A retry starts it anew.", TurnPerson
	case migration.BatchTakingBack:
		return "Its customers are taken back on premises.", TurnDrover
	case migration.BatchAborting, migration.BatchAborted:
		return "It was aborted.", TurnNobody
	}
	switch b.WaitingFor {
	case migration.WaitApproval:
		return fmt.Sprintf("Waits for approval: %d of %d given.", len(b.Approvals), b.Needs), TurnPerson
	case migration.WaitResume:
		return "Waits until the paused migration is resumed.", TurnPerson
	case migration.WaitOperator:
		return "Waits for a person to decide about held customers.", TurnPerson
	case migration.WaitWindow:
		if b.Window == nil {
			return "Waits for its window.", TurnClock
		}
		if !s.At.Before(b.Window.Closes()) {
			return "Its window has closed: " + k.Span(*b.Window) + ". A retry goes on outside it.", TurnPerson
		}
		return "Waits for its window: " + k.Span(*b.Window) + ".", TurnClock
	case migration.WaitTurn, migration.WaitBatch:
		switch {
		case b.Phase == migration.BatchCuttingOver: // as many as may be are on their way
			return b.moves(), TurnDrover
		case b.Phase == migration.BatchWaiting && b.Place == 1:
			return "Waits until AWS stands and the first copy of the data is there.", TurnDrover
		case b.Phase == migration.BatchWaiting:
			return "Waits for the batches before it.", TurnDrover
		}
	case migration.WaitObserve:
		if b.Asks {
			return observed(b), TurnPerson
		}
		return observed(b), TurnClock
	case migration.WaitBlackout:
		return "Waits for blackouts of its customers to end.", TurnClock
	case migration.WaitLag:
		return "Waits until replication has caught up.", TurnDrover
	case migration.WaitHealth:
		return "Waits for the health of customers that have moved.", TurnDrover
	case migration.WaitData:
		return "Waits for the first copy of its data.", TurnDrover
	case migration.WaitAWS:
		return "Waits for machines on AWS.", TurnDrover
	}
	switch {
	case b.Phase == migration.BatchCuttingOver:
		return b.moves(), TurnDrover
	case !b.Started && b.Place > 1:
		return "Waits for the batches before it.", TurnDrover
	case !b.Started:
		return "Waits until AWS stands and the first copy of the data is there.", TurnDrover
	default:
		return "Is getting ready.", TurnDrover
	}
}

// moves says that the batch's customers move, and how many at a time.
func (b Batch) moves() string {
	if b.AtOnce == 0 {
		return "Its customers move now."
	}
	return fmt.Sprintf("Its customers move now, %d at a time.", b.AtOnce)
}

// observed says what is missing until who writes the databases has been observed.
func observed(b Batch) string {
	if b.Reason == "" {
		return "Who writes the databases is observed first."
	}
	return strings.ToUpper(b.Reason[:1]) + b.Reason[1:] + "."
}

func batchDone(b Batch) string {
	n := b.Counts
	if n.Held+n.RolledBack+n.Skipped == 0 {
		return "Everybody has moved."
	}
	words := fmt.Sprintf("It is through: %d on AWS, %d back on premises, %d held", n.OnAWS+n.Baking, n.RolledBack, n.Held)
	if n.Skipped > 0 {
		words += fmt.Sprintf(", %d left on premises", n.Skipped)
	}
	return words + "."
}

// ended says whether the way back of a batch that is through has ended; "": it stands.
func ended(f *migration.Finalised, k Clock) string {
	switch {
	case f == nil:
		return ""
	case f.Waits != "":
		return " " + f.By + " has asked to end its way back. That waits: " + strings.TrimRight(f.Waits, ". ") + "."
	case f.Cut.IsZero():
		return " Its way back is being ended for " + f.By + "."
	default:
		return " Its way back ended on " + k.At(f.Cut) + ", by " + f.By + "."
	}
}

// heldNow is how many of the batch's customers wait for a person to decide.
func (b Batch) heldNow() int { return b.Counts.Held - b.Deferred }

func turnOver(b Batch) Turn {
	if b.heldNow() > 0 || b.Finalised != nil && b.Finalised.Waits != "" {
		return TurnPerson
	}
	return TurnNobody
}

// Now says in a sentence where a customer stands.
func (s *Snapshot) Now(c Customer, k Clock) string {
	at := Place(c.Status.Home)
	switch c.State() {
	case Waiting:
		return "It runs on premises and has not moved yet."
	case Moving:
		return "It is moving to AWS now. Its writes wait for a moment, or are tried again."
	case Checking:
		words := runs(c) + ", and its health is watched closely until " + k.At(c.Status.Until) + "."
		if c.Back.Way != BackOpen {
			words += " It " + c.Back.clause(k) + "."
		}
		return words
	case CanGoBack, Stranded:
		return "It runs on AWS, and " + c.Back.clause(k) + "."
	case Finished:
		if c.Back.Way == BackEnding || c.Back.Way == BackEnded {
			return "It runs on AWS, and " + c.Back.clause(k) + "."
		}
		return "It runs " + at + ", and its migration is finished."
	case GoingBack:
		return "It is moving back on premises now. Its writes wait for a moment, or are tried again."
	case WentBack:
		return "It runs " + at + " again: it was moved back."
	case Held:
		if c.Status.Deferred() {
			return runs(c) + ", and does not move before " + k.At(c.Status.Deferral.NotBefore) + "."
		}
		if c.Status.Weight > 0 {
			return runs(c) + ", until a person decides."
		}
		return runs(c) + ", and stays there until a person decides."
	case Skipped:
		return "It runs " + at + ", and stays there: the migration goes on without it."
	case Ended:
		return "It runs " + at + ". The migration was aborted."
	case LookedUp:
		return "Its data is being asked where it runs."
	default:
		return "Where it stands is not known."
	}
}

// runs is where a customer runs, without a full stop. One that is shifted runs on both sides.
func runs(c Customer) string {
	if n := c.Status.Weight; n > 0 {
		return fmt.Sprintf("%d of 100 of its requests go to AWS, the others to premises", n)
	}
	return "It runs " + Place(c.Status.Home)
}

// Next says in a sentence what happens to a customer next, and whose turn it is.
func (s *Snapshot) Next(c Customer, k Clock) (string, Turn) {
	switch c.State() {
	case Waiting:
		return s.whenItMoves(c, k)
	case Moving, GoingBack, LookedUp:
		return "It ends within minutes, on one side or the other.", TurnDrover
	case Checking:
		if c.Back.Stands() != "" {
			return "If it stays healthy it is left there. If not, it waits until a person has looked at its way back.", TurnDrover
		}
		return "If it stays healthy it is left there. If not, Drover moves it back by itself.", TurnDrover
	case Stranded:
		return "Drover watches it. A person has to decide what becomes of its way back.", TurnPerson
	case CanGoBack:
		switch c.Back.Way {
		case BackHalted:
			return "Drover watches it. A person has to put its way back right.", TurnPerson
		case BackOpen:
			return "Drover watches it until then. A person may move it back at any time.", TurnDrover
		default:
			return "Drover watches it until its soak ends.", TurnDrover
		}
	case WentBack, Held:
		if c.Status.Deferred() {
			return "It waits until its deferral ends, " + k.At(c.Status.Deferral.NotBefore) + ". Then it goes as the others of its batch " +
				"did, if the window lets it.", TurnClock
		}
		return "Nothing happens until a person lets it try again.", TurnPerson
	default:
		return "Nothing more.", TurnNobody
	}
}

// whenItMoves says what stands between a customer and its Move.
func (s *Snapshot) whenItMoves(c Customer, k Clock) (string, Turn) {
	b, ok := s.Batch(c.Status.Batch)
	switch {
	case !ok:
		return "When it moves is not known.", TurnNobody
	case !s.GoesOn():
		return "Nothing: the migration's workflow was ended. A lead has to submit the plan again.", TurnPerson
	case s.Status.Paused:
		return "Nobody moves until somebody resumes the paused migration.", TurnPerson
	}
	what, turn := s.Gate(b, k)
	words := []string{fmt.Sprintf("It moves with batch %s, number %d of %d.", b.Name, b.Place, len(s.Batches)), "The batch: " +
		strings.ToLower(what[:1]) + what[1:]}
	if n := s.Ahead(c); n > 0 {
		words = append(words, fmt.Sprintf("%s before it.", plural(n, "customer stands", "customers stand")))
	}
	return strings.Join(words, " "), turn
}

// Trying says what work fails and is tried again, or waits for a worker, a sentence each.
func Trying(works []migration.Trying, k Clock) (out []string) {
	for _, t := range works {
		text := fmt.Sprintf("%s: %s, since %s.", t.What, t.Last, k.Second(t.Since))
		if t.Times > 0 {
			text = fmt.Sprintf("%s failed %s since %s, last at %s: %s.", t.What, plural(t.Times, "time", "times"), k.Second(t.Since),
				k.Second(t.At), strings.TrimRight(t.Last, ". "))
			if !t.Next.IsZero() {
				text += " It is tried again at " + k.Second(t.Next) + "."
			}
		}
		out = append(out, text)
	}
	return out
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Story says in a sentence where the migration stands, and whose turn it is.
func (s *Snapshot) Story() (string, Turn) {
	m := s.Status
	switch {
	case !s.GoesOn():
		return "Its workflow was ended in Temporal (" + s.Execution + "). Below is the last that was known. Customers keep the home " +
			"they have; submitting the plan again goes on.", TurnPerson
	case m.Paused:
		return "It is paused: nobody moves to AWS until it is resumed.", TurnPerson
	}
	switch m.Phase {
	case migration.MigrationAccepted:
		return "The plan was accepted.", TurnDrover
	case migration.MigrationPreflight:
		return "Everything is looked at before anything is touched.", TurnDrover
	case migration.MigrationProvisioning:
		if m.WaitingFor == migration.WaitObserve {
			turn := s.turnOfBatches()
			if turn != TurnPerson {
				turn = TurnClock
			}
			return "Who writes the databases is observed before anything is brought up.", turn
		}
		return "AWS is brought up beside what runs, and the data is copied.", TurnDrover
	case migration.MigrationReleasing:
		return "Batches move one after the other.", s.turnOfBatches()
	case migration.MigrationSoak:
		if s.soaked() {
			return "Every soak is over. A lead ends the way back for good, or leaves it standing.", TurnPerson
		}
		if s.allGoBack() {
			return "Every batch is through. Going back still loses nothing.", s.turnOfBatches()
		}
		return "Every batch is through.", s.turnOfBatches()
	case migration.MigrationFinalising:
		if why := strings.TrimRight(m.Reason, ". "); m.WaitingFor == migration.WaitOperator {
			return "The way back is being ended, and waits: " + why + ".", TurnPerson
		}
		return "The way back is ended: machines on premises are shut down, then replication goes.", TurnDrover
	case migration.MigrationDone:
		return "It is done.", TurnNobody
	case migration.MigrationFailed:
		if why := strings.TrimRight(m.Reason, ". "); why != "" {
			return "It has failed: " + why + ".", TurnPerson
		}
		return "It has failed.", TurnPerson
	case migration.MigrationAborting:
		return "It is being aborted: what it made is removed.", TurnDrover
	case migration.MigrationAborted:
		return "It was aborted.", TurnNobody
	default:
		return "Where it stands is not known.", TurnNobody
	}
}

// Why is why a migration is where it is, in its own words. In the soak those promise that going
// back loses nothing, which only the audits of its data know: Story says it where they do.
func Why(m migration.MigrationStatus) string {
	if m.Phase == migration.MigrationSoak && m.WaitingFor == migration.WaitHealth {
		return ""
	}
	return m.Reason
}

// stands says whether the migration itself has come to where only a person helps: it has failed, or
// the end of its way back waits.
func (s *Snapshot) stands() bool {
	m := s.Status
	return s.GoesOn() && (m.Phase == migration.MigrationFailed ||
		m.Phase == migration.MigrationFinalising && m.WaitingFor == migration.WaitOperator)
}

// soaked says whether every soak is over, and nothing is left but to end the way back.
func (s *Snapshot) soaked() bool {
	m := s.Status
	return s.GoesOn() && !m.Paused && m.Phase == migration.MigrationSoak && m.WaitingFor == migration.WaitOperator
}

// allGoBack says whether everybody on AWS is known to go back without loss, or has ended the soak.
func (s *Snapshot) allGoBack() bool {
	return !slices.ContainsFunc(s.Customers, func(c Customer) bool {
		return c.Status.Home == migration.AWS && c.Back.Way != BackOpen && c.Back.Way != BackOver
	})
}

// turnOfBatches is a person's turn where any batch waits for one.
func (s *Snapshot) turnOfBatches() Turn {
	for _, b := range s.Batches {
		if _, turn := s.Gate(b, NewClock("")); turn == TurnPerson {
			return TurnPerson
		}
	}
	return TurnDrover
}
