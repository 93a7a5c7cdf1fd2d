package web

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/drover-migration/drover/web/access"
)

// Audit writes a line for each thing that somebody did or was refused: sign-ins, commands, exports,
// links that were opened, pages that were not theirs. Looking at a page that is theirs is none.
type Audit struct {
	log hclog.Logger

	mu sync.Mutex
	to io.Writer
}

// NewAudit writes one JSON object a line to a file or stream. What it cannot write, log is told.
func NewAudit(to io.Writer, log hclog.Logger) *Audit {
	if log == nil {
		log = hclog.NewNullLogger()
	}
	return &Audit{to: to, log: log}
}

// Outcomes of what was tried.
const (
	asked    = "asked" // before a command is sent; a second line has what was answered
	accepted = "accepted"
	refused  = "refused"
	failed   = "failed" // nobody knows whether it was carried out, or it could not be
)

// entry is a line of the audit. It holds no secret: no token, no cookie, no link.
type entry struct {
	Time     time.Time   `json:"time"`
	What     string      `json:"what"`
	Who      string      `json:"who,omitempty"`
	Role     access.Role `json:"role,omitempty"`
	How      string      `json:"how,omitempty"`  // how they signed in
	From     string      `json:"from,omitempty"` // address
	Plan     string      `json:"plan,omitempty"`
	Batch    string      `json:"batch,omitempty"`
	Customer string      `json:"customer,omitempty"`
	At       string      `json:"at,omitempty"` // path
	Reason   string      `json:"reason,omitempty"`
	Request  string      `json:"request,omitempty"` // id of the command: its two lines share it
	Outcome  string      `json:"outcome"`
	Why      string      `json:"why,omitempty"`
}

// write adds a line. The error says that nothing of what follows may be done unseen.
func (a *Audit) write(e entry) error {
	e.Time = time.Now().UTC()
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write the audit: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.to.Write(append(b, '\n')); err != nil {
		a.log.Error("the audit cannot be written", "error", err, "what", e.What, "who", e.Who)
		return fmt.Errorf("write the audit: %w", err)
	}
	return nil
}
