package evidence

import (
	"time"

	"github.com/drover-migration/drover/migration"
)

// format is the version of the lines. It changes when a line no longer means what it meant.
const format = 1

// Kind says what a line is about.
type Kind string

// The kinds of lines.
const (
	KindBatch Kind = "batch" // the first line, once
)

// Head is the first line: what the bundle is about. Times are RFC 3339 in UTC.
type Head struct {
	Kind     Kind      `json:"kind"`
	Format   int       `json:"format"`
	Plan     string    `json:"plan"`
	Revision int       `json:"revision"`
	Digest   string    `json:"digest"` // SHA-256 of the compiled plan, hex
	Batch    string    `json:"batch"`
	Run      string    `json:"run"`   // of the batch's workflow: the first, if it went on as new
	Made     time.Time `json:"made"`  // when the bundle was asked for
	Names    bool      `json:"names"` // customers have their names and contacts

	// How the batch stood then.
	Phase     migration.BatchPhase `json:"phase"`
	Reason    string               `json:"reason,omitempty"`
	Ticket    string               `json:"ticket,omitempty"`
	Window    *migration.Window    `json:"window,omitempty"`
	Needs     int                  `json:"needs"` // approvals
	Counts    migration.Counts     `json:"counts"`
	Namespace string               `json:"namespace"` // of Temporal: what a signed approval was given in
}
