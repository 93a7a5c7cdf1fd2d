package migration

import (
	"fmt"
	"time"
)

// Side is a place a customer can be homed.
type Side string

// The two sides. Every customer is homed on exactly one of them.
const (
	OnPrem Side = "onprem"
	AWS    Side = "aws"
)

// NoHome is the third answer to where a customer is homed: the data does not say.
const NoHome Side = ""

// Other is the opposite side.
func (s Side) Other() Side {
	if s == OnPrem {
		return AWS
	}
	return OnPrem
}

// Valid says whether s is one of the two sides.
func (s Side) Valid() bool { return s == OnPrem || s == AWS }

// Try names one try of a Move. Every effect of the try carries it, and an effect of an older token
// never overrides one of a newer.
type Try struct {
	Token int64  `json:"token"` // grows by every try of a customer, repairs included
	Owner string `json:"owner"` // a UUID, new for every try: two tries that were given the same token by mistake still differ
}

// Next is the token with which the same owner resolves this try's unknown outcome (poison, reopen).
func (t Try) Next() Try { return Try{Token: t.Token + 1, Owner: t.Owner} }

func (t Try) String() string { return fmt.Sprintf("%d/%.8s", t.Token, t.Owner) }

// FenceState is what one side says of a customer's writes.
type FenceState string

// The states of a side. A fence whose lease has run out counts as open.
const (
	Open   FenceState = "open"
	Fenced FenceState = "fenced"
	Sealed FenceState = "sealed"
)

// SideRecord is one side's row for a customer.
type SideRecord struct {
	State       FenceState `json:"state"`
	Token       int64      `json:"token"`
	Owner       string     `json:"owner,omitempty"`
	Expired     bool       `json:"expired,omitempty"` // fenced, and the lease has run out by that side's own clock
	SealedToken int64      `json:"sealedToken"`       // token of the last seal here: of two sealed sides the higher was home last
	Note        Note       `json:"note,omitzero"`     // as it stands there; HomeRecord.Note says whether it counts
}

// Note is what Drover remembers of a customer beside its fence: words of the Customer workflow.
type Note struct {
	Stay  int64  `json:"stay"` // of the customer on that side: the other side's SealedToken, which every Move to this side raises
	N     int64  `json:"n"`    // of the notes of the stay; 0: there is none
	Words string `json:"words,omitempty"`
}

// Accepts says whether the side takes the customer's writes.
func (r SideRecord) Accepts() bool { return r.State == Open || r.State == Fenced && r.Expired }

// HomeRecord says where a customer is homed, as the data itself says it.
type HomeRecord struct {
	OnPrem SideRecord `json:"onprem"`
	AWS    SideRecord `json:"aws"`
	// Doubt says why the record cannot be believed: one of the servers is not the one that Drover
	// knew. Empty: both are.
	Doubt string `json:"doubt,omitempty"`
	// Weight is the percentage of the customer's requests that go to AWS while it is homed there, 0
	// is all of them. Only customers without a database are shifted by weights.
	Weight int `json:"weight,omitempty"`
	// Loss says that somebody gave up the side that is not its home; nil: nobody has.
	Loss *Loss `json:"loss,omitempty"`
}

// Loss says that a customer goes on without a side, and without what that side had not sent.
type Loss struct {
	Side  Side      `json:"side"`  // that was given up
	Token int64     `json:"token"` // under which the other side goes on
	By    string    `json:"by"`
	Why   string    `json:"why"`
	At    time.Time `json:"at,omitzero"`
	// Heard is up to when all that was written on the lost side is at home, by that side's clock.
	// Zero: nothing had ever come from there.
	Heard time.Time `json:"heard,omitzero"`
}

func (l Loss) String() string {
	lost, home := "premises were", "AWS"
	if l.Side == AWS {
		lost, home = "AWS was", "premises"
	}
	until := "Nothing had ever come from there"
	if !l.Heard.IsZero() {
		until = "What was written there after " + l.Heard.UTC().Format("2006-01-02 15:04:05 MST") + " may be lost"
	}
	return fmt.Sprintf("%s given up by %s at %s (%s): the customer goes on with %s alone, under token %d. %s", lost, l.By,
		l.At.UTC().Format("2006-01-02 15:04:05 MST"), l.Why, home, l.Token, until)
}

// Side returns one side's record.
func (h HomeRecord) Side(s Side) SideRecord {
	if s == AWS {
		return h.AWS
	}
	return h.OnPrem
}

// Stay numbers the customer's present or last stay on a side.
func (h HomeRecord) Stay(s Side) int64 { return h.Side(s.Other()).SealedToken }

// Note is what was remembered of the customer's present or last stay on a side; zero: nothing.
func (h HomeRecord) Note(s Side) Note {
	if n := h.Side(s).Note; n.Stay == h.Stay(s) {
		return n
	}
	return Note{}
}

// Undecided says why the data names no home; "" where it names one. Two cases have none: both sides
// take the customer's writes, or a server is not the one that Drover knew. Whoever hears it changes
// nothing: no route, no Move, no claim.
func (h HomeRecord) Undecided() string {
	switch {
	case h.Doubt != "":
		return h.Doubt
	case h.OnPrem.State != Sealed && h.AWS.State != Sealed:
		return fmt.Sprintf("both sides take its writes: premises are %s at token %d, AWS is %s at token %d; drover doctor shows who "+
			"wrote what",
			h.OnPrem.State, h.OnPrem.Token, h.AWS.State, h.AWS.Token)
	default:
		return ""
	}
}

// Home is the side whose writes count: the one that is not sealed, or of two sealed ones the one
// that was sealed last. An unfinished Move therefore counts for its origin until the destination
// opened. It is NoHome where the data does not say (see Undecided).
func (h HomeRecord) Home() Side {
	switch {
	case h.Undecided() != "":
		return NoHome
	case h.OnPrem.State != Sealed:
		return OnPrem
	case h.AWS.State != Sealed:
		return AWS
	case h.AWS.SealedToken > h.OnPrem.SealedToken:
		return AWS
	default:
		return OnPrem
	}
}

// Settled says whether no try is under way: one side open, the other sealed.
func (h HomeRecord) Settled() bool {
	if h.Undecided() != "" {
		return false
	}
	return h.OnPrem.State == Open && h.AWS.State == Sealed || h.AWS.State == Open && h.OnPrem.State == Sealed
}

// Token is the highest token either side has stored: the next try must take a greater one.
func (h HomeRecord) Token() int64 { return max(h.OnPrem.Token, h.AWS.Token) }

// Homed is what a home record says, in short.
type Homed struct {
	Side   Side  `json:"side,omitempty"`   // NoHome: the data does not say
	Token  int64 `json:"token"`            // the higher is newer
	Weight int   `json:"weight,omitempty"` // as HomeRecord's
}

// Homed is the record in short.
func (h HomeRecord) Homed() Homed { return Homed{Side: h.Home(), Token: h.Token(), Weight: h.Weight} }

// Word is what a step of a Move answers. A step never fails silently: whoever hears Superseded
// stops.
type Word string

// The words of the steps (design, section 6).
const (
	WordFenced     Word = "fenced"
	WordExpired    Word = "expired" // the lease ran out: the origin is open again
	WordSealed     Word = "sealed"
	WordOpen       Word = "open"
	WordBehind     Word = "behind" // the mark has not arrived: not everything is here
	WordNotFenced  Word = "not_fenced"
	WordNotSealed  Word = "not_sealed"
	WordPoisoned   Word = "poisoned"   // a late open is impossible now
	WordOpened     Word = "opened"     // the doubtful open had happened: go forward
	WordSuperseded Word = "superseded" // a newer try owns the customer
	WordMixed      Word = "mixed"      // the customers of one call do not agree; nothing was changed
	WordFinal      Word = "final"      // the way back has ended
	WordNotHome    Word = "not_home"   // it is not at home on AWS; nothing was changed
	WordNoted      Word = "noted"      // what is remembered of a customer is stored
	WordBusy       Word = "busy"       // writers or catalog locks were in the way for longer than the step may wait; nothing was changed
)
