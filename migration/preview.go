package migration

// Words of a preview for what a step would find.
const (
	WillBeMade = "will be made"
	WillBeDone = "will be done"
	Exists     = "exists"
)

// PreviewReport is what a plan would do, in the order in which it would, and what stands in its
// way.
type PreviewReport struct {
	Steps     []PreviewStep     `json:"steps"`
	Sizes     []PreviewSize     `json:"sizes,omitempty"`
	Sizings   []Sizing          `json:"sizings,omitempty"`
	Customers []PreviewCustomer `json:"customers,omitempty"`
	Findings  []Finding         `json:"findings,omitempty"` // of preflight, as the migration itself would have them
	Things    []Thing           `json:"things,omitempty"`   // what Drover has made already
	// LeftOut are the checks of execution that a preview does not make, and why.
	LeftOut []string `json:"leftOut,omitempty"`
	Unseen  []string `json:"unseen,omitempty"` // places that did not answer, each with the reason
}

// PreviewStep is something that the migration would do to something.
type PreviewStep struct {
	Do    string `json:"do"`
	To    string `json:"to"`
	State string `json:"state"`           // WillBeMade, WillBeDone or Exists
	Found string `json:"found,omitempty"` // the id of what exists
}

// PreviewSize is a disk or a dataset that would be copied.
type PreviewSize struct {
	What  string `json:"what"`
	Bytes int64  `json:"bytes"`
}

// PreviewCustomer is what a customer's freeze would be, by its rows on premises as they are read
// now. What replication lags behind comes on top: nothing replicates before the plan is submitted.
type PreviewCustomer struct {
	ID      string   `json:"id"`
	Batch   string   `json:"batch"`
	Rows    int64    `json:"rows"`
	Freeze  Duration `json:"freeze"`            // from fence to open
	Stall   Duration `json:"stall"`             // that a write waits; 0: writes are refused meanwhile
	Refused bool     `json:"refused,omitempty"` // the freeze is longer than the plan lets writes wait
	Over    bool     `json:"over,omitempty"`    // the freeze is longer than its budget
	// Late is how much longer clients may go on to ask the side that is closed, where names lead
	// the customer's requests: until the change is at all name servers and resolvers have
	// forgotten.
	Late Duration `json:"late,omitempty"`
	Why  string   `json:"why,omitempty"` // it was not measured
}

// PreviewInput starts a Preview.
type PreviewInput struct {
	Spec *Spec `json:"spec"`
	// Copying says that copies of disks are under way.
	Copying bool `json:"copying,omitempty"`
}
