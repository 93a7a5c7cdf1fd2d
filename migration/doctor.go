package migration

import (
	"fmt"
	"time"
)

// ServerIdentity tells a database server from another that took its place.
type ServerIdentity struct {
	SystemID string `json:"systemId"`
	Timeline int    `json:"timeline"`
}

func (i ServerIdentity) String() string { return fmt.Sprintf("%s/%d", i.SystemID, i.Timeline) }

// ServerState is one side's database server beside what both databases remember of it.
type ServerState struct {
	Side     Side           `json:"side"`
	Now      ServerIdentity `json:"now"`
	Known    ServerIdentity `json:"known"`              // as its peer remembers it; zero: nobody has met it yet
	Doubt    string         `json:"doubt,omitempty"`    // why it is not the server that was known
	AgreedBy string         `json:"agreedBy,omitempty"` // who vouched for it; empty: Drover, when it first met it
}

// DoctorReport is what the data itself says of a plan, whatever its workflows remember.
type DoctorReport struct {
	Datasets []DatasetHealth   `json:"datasets"`
	Routes   map[string]string `json:"routes,omitempty"` // customers that are not routed to their home, and why
	Things   []Thing           `json:"things,omitempty"` // what Drover made, wherever it stands
	Mended   []string          `json:"mended,omitempty"` // what a repair has put right before the look
	// Unseen are the places that could not be looked at, each with the reason.
	Unseen []string `json:"unseen,omitempty"`
}

// Broken counts what does not hold: every customer without one home, every route that leads
// elsewhere, everything in a database that breaks a rule, and every place that was not seen.
func (r DoctorReport) Broken() int {
	n := len(r.Routes) + len(r.Unseen)
	for _, d := range r.Datasets {
		if d.Error != "" {
			n++
		}
		for _, s := range d.Servers {
			if s.Doubt != "" {
				n++
			}
		}
		if d.Silent != nil {
			n++
		}
		n += len(d.Customers) + len(d.Broken) + len(d.Apart)
	}
	return n
}

// Left are the things that nobody needs.
func (r DoctorReport) Left() (out []Thing) {
	for _, t := range r.Things {
		if t.Left != "" {
			out = append(out, t)
		}
	}
	return out
}

// DatasetHealth is one database of a plan.
type DatasetHealth struct {
	Dataset   string           `json:"dataset"`
	Error     string           `json:"error,omitempty"` // it could not be examined
	Servers   []ServerState    `json:"servers,omitempty"`
	Customers []CustomerHealth `json:"customers,omitempty"` // those that are not open on exactly one side
	Whole     int              `json:"whole"`               // customers that are
	Joining   []string         `json:"joining,omitempty"`   // came in by an amendment, and are not prepared yet
	Broken    []string         `json:"broken,omitempty"`    // what else does not hold
	Apart     []RowsApart      `json:"apart,omitempty"`     // whose rows are not the same on both sides
	Alone     []GoesAlone      `json:"alone,omitempty"`     // customers that go on without a side
	Silent    *SilentSide      `json:"silent,omitempty"`    // a side that does not answer; nil: both do
}

// RowsApart is a customer whose rows are not the same on both sides, of those for whom a side was
// closed as stale or given up.
type RowsApart struct {
	ID     string    `json:"id"`
	Side   Side      `json:"side"`          // that is not its home
	Left   time.Time `json:"left,omitzero"` // until when all that was written there is at home, by that side's clock
	Tables []string  `json:"tables"`        // what is not the same, a table each
	New    int       `json:"new,omitempty"` // rows that its home never had
	Why    string    `json:"why,omitempty"` // why these may not be carried over; empty: they may
}

// GoesAlone is a customer that goes on without a side.
type GoesAlone struct {
	ID string `json:"id"`
	Loss
}

// SilentSide is a side of a database that does not answer.
type SilentSide struct {
	Side  Side      `json:"side"`
	Why   string    `json:"why"`
	Heard time.Time `json:"heard,omitzero"` // the last beat from there, by its clock
}

// CustomerHealth is a customer that is not open on exactly one side.
type CustomerHealth struct {
	ID     string     `json:"id"`
	Record HomeRecord `json:"record"`
	Why    string     `json:"why"`
}

// Thing is something that Drover made in one of the systems of a plan.
type Thing struct {
	Kind  string `json:"kind"` // instance, image, snapshot, replication slot, ...
	ID    string `json:"id"`
	Of    string `json:"of,omitempty"`    // the VM, workload or dataset
	Where string `json:"where,omitempty"` // target, site or side
	State string `json:"state,omitempty"`
	Type  string `json:"type,omitempty"`  // of an instance; of a service: what a task has
	Count int    `json:"count,omitempty"` // of tasks or objects; 0: one
	Bytes int64  `json:"bytes,omitempty"` // that it stores or holds back; 0: none, or not known
	Left  string `json:"left,omitempty"`  // why nobody needs it; empty: it is in use
	// Monthly is what it costs in 30 days, with the currency; "unknown" where no price is known,
	// and empty where nobody asked or nothing is charged.
	Monthly string `json:"monthly,omitempty"`
}

func (t Thing) String() string { return t.Kind + " " + t.ID }

// AgreeToServer says, by name and with a reason, that a server with a new identity may be believed.
type AgreeToServer struct {
	Dataset string         `json:"dataset"`
	Side    Side           `json:"side"`
	Seen    ServerIdentity `json:"seen"`
	By      string         `json:"by"`
	Reason  string         `json:"reason"`
}

// Repair says, by name and with a reason, that what is broken is to be put right.
type Repair struct {
	By     string `json:"by"`
	Reason string `json:"reason"`
}

func (r Repair) String() string { return r.By + ": " + r.Reason }
