package migration

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Names under which the workflows are started from outside.
const (
	WorkflowMigration = "Migration"
	WorkflowCheck     = "Check"
	WorkflowDoctor    = "Doctor"
	WorkflowPreview   = "Preview"
	WorkflowEvidence  = "Evidence"
	WorkflowAmendment = "Amendment"
	WorkflowReadPlan  = "ReadPlan" // SpecRef -> Spec
	// WorkflowObservation answers Spec with ObservationReport.
	WorkflowObservation = "Observation"
)

// MigrationInput starts a Migration.
type MigrationInput struct {
	Spec *Spec  `json:"spec,omitempty"`
	By   string `json:"by"` // who submitted it
	// Continues says that workflows of this plan are at work still: the newest revision holds that
	// the state bucket has, whatever Spec is.
	Continues bool `json:"continues,omitempty"`
	// Former is what holds on from the migration before, where that did not come to its own end.
	Former *Former `json:"former,omitempty"`
}

// Former is what people, or the plan's own limits, wanted of a migration that somebody terminated.
// It holds on when the plan is submitted again: nothing of it stands in the data of a customer.
type Former struct {
	Paused string                `json:"paused,omitempty"` // why nobody was to go to AWS; "": everybody might
	Back   map[string]string     `json:"back,omitempty"`   // batches that were taken back, or were being, and why
	Ends   map[string]*Finalised `json:"ends,omitempty"`   // batches whose way back had ended, or was to end
}

// AmendmentInput asks what a new content of a running plan would change.
type AmendmentInput struct {
	Spec *Spec   `json:"spec"`
	Base SpecRef `json:"base"` // the revision that holds
}

// AmendmentReport says what a new content would change, and what stands in its way. Its spec is in
// the state bucket.
type AmendmentReport struct {
	Base       SpecRef    `json:"base"`
	Spec       SpecRef    `json:"spec"`
	Difference Difference `json:"difference"`
	Findings   []Finding  `json:"findings,omitempty"`
}

// Kinds of a Check, by which their workflows are named.
const (
	CheckInventory = "inventory" // answers InventoryReport
	CheckPreflight = "preflight"
)

// CheckInput starts a Check.
type CheckInput struct {
	Kind string `json:"kind"`
	Spec *Spec  `json:"spec,omitempty"`
}

// DoctorInput starts a Doctor.
type DoctorInput struct {
	Spec   *Spec          `json:"spec"`
	Agree  *AgreeToServer `json:"agree,omitempty"`  // carried out before it looks
	Repair *Repair        `json:"repair,omitempty"` // so is this, after it
	// Awaits is the name of the update that carries a command, which is carried out first; empty:
	// there is none. It comes by an update so that who gives it can be proved.
	Awaits string `json:"awaits,omitempty"`
	// Copying says that copies of disks are under way: their snapshots are in use.
	Copying bool `json:"copying,omitempty"`
}

// EvidenceInput starts an Evidence, which answers EvidenceBundle.
type EvidenceInput struct {
	Spec  *Spec  `json:"spec"`
	Batch string `json:"batch"`
}

// EvidenceBundle is the signed evidence of a batch.
type EvidenceBundle struct {
	Text string `json:"text"`           // lines of JSON, the last of which is the signature
	Kept string `json:"kept,omitempty"` // s3://BUCKET/KEY, where the batch has ended; empty: it was made for this question
}

// InventoryReport is what the plan's sites hold of what the plan names.
type InventoryReport struct {
	Sites []SiteInventory `json:"sites"`
}

// SiteInventory is one site's machines, with what stands in the way of each.
type SiteInventory struct {
	Site string `json:"site"`
	VMs  []VM   `json:"vms"`
}

// Digest is the SHA-256 of the spec's canonical form, hex: the name by which the spec is known.
func (s *Spec) Digest() (string, error) {
	b, err := s.Encode()
	if err != nil {
		return "", fmt.Errorf("encode spec of plan %q: %w", s.Plan, err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}
