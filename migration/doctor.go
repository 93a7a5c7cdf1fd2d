package migration

import "fmt"

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
	Datasets []DatasetHealth `json:"datasets"`
}

// DatasetHealth is one database of a plan.
type DatasetHealth struct {
	Dataset   string           `json:"dataset"`
	Error     string           `json:"error,omitempty"` // it could not be examined
	Servers   []ServerState    `json:"servers,omitempty"`
	Customers []CustomerHealth `json:"customers,omitempty"` // those that are not open on exactly one side
	Whole     int              `json:"whole"`               // customers that are
}

// CustomerHealth is a customer that is not open on exactly one side.
type CustomerHealth struct {
	ID     string     `json:"id"`
	Record HomeRecord `json:"record"`
	Why    string     `json:"why"`
}

// AgreeToServer says, by name and with a reason, that a server with a new identity may be believed.
type AgreeToServer struct {
	Dataset string         `json:"dataset"`
	Side    Side           `json:"side"`
	Seen    ServerIdentity `json:"seen"`
	By      string         `json:"by"`
	Reason  string         `json:"reason"`
}
