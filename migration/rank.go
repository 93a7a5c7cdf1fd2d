package migration

import "slices"

// Rank is what somebody may do. The set is closed.
type Rank string

// The ranks. Each may do what those above it in this list may.
const (
	Viewer   Rank = "viewer"   // looks
	Success  Rank = "success"  // customer-success: writes notes, asks for deferrals
	Operator Rank = "operator" // gives every command but those of a lead
	Lead     Rank = "lead"     // decides about deferrals and the point of no return, and offers slots too
)

// Guest is who opened a link to one customer. It is none of the ranks: it sees that customer alone,
// and may take one of the slots that were offered to it.
const Guest Rank = "guest"

// Ranks are all of them, from the one that may do least.
var Ranks = []Rank{Viewer, Success, Operator, Lead}

// least is the rank that a command needs at least, where it is not Operator.
var least = map[string]Rank{UpdateNote: Success, UpdateDefer: Success, UpdateDecide: Lead, UpdateFinalise: Lead, UpdateOffer: Lead,
	UpdateTake: Success, UpdateAmend: Lead, UpdateAcceptLoss: Lead, UpdateSchema: Lead}

// Gives says whether the rank may give a command, by the name of its update.
func (r Rank) Gives(update string) bool {
	if r == Guest {
		return update == UpdateTake
	}
	need, ok := least[update]
	if !ok {
		need = Operator
	}
	return slices.Contains(Ranks, r) && slices.Index(Ranks, r) >= slices.Index(Ranks, need)
}

// Sees says whether the rank sees every plan and customer.
func (r Rank) Sees() bool { return slices.Contains(Ranks, r) }

// Proof says that the one who is named in a Command gave it.
type Proof struct {
	Pass   string `json:"pass"`   // who it is, signed by the authority that workers trust (JWT)
	Signed string `json:"signed"` // the command, signed by the key that the pass names (JWT)
}
