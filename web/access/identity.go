package access

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/drover-migration/drover/migration"
)

// Role is what somebody may do. The set is closed.
type Role = migration.Rank

// The roles. Guest is who opened a link.
const (
	Guest    = migration.Guest
	Viewer   = migration.Viewer
	Success  = migration.Success
	Operator = migration.Operator
	Lead     = migration.Lead
)

// ParseRole reads a role that a person can be given; Guest is none.
func ParseRole(s string) (Role, error) {
	if r := Role(s); slices.Contains(migration.Ranks, r) {
		return r, nil
	}
	return "", fmt.Errorf("role %q is none of viewer, success, operator, lead", s)
}

// higher is the one of two roles that may do more.
func higher(a, b Role) Role {
	if slices.Index(migration.Ranks, a) >= slices.Index(migration.Ranks, b) {
		return a
	}
	return b
}

// Identity is who looks, as a session carries it.
type Identity struct {
	Name     string    `json:"name"` // what Updates and the audit record
	Role     Role      `json:"role"`
	How      string    `json:"how"`                // HowToken, HowOIDC, HowLink
	Token    string    `json:"token,omitempty"`    // HowToken: the hash by which the file knows it
	Plan     string    `json:"plan,omitempty"`     // Guest: the only plan it sees
	Customer string    `json:"customer,omitempty"` // Guest: the only customer it sees
	Session  string    `json:"session"`            // differs with every sign-in
	Expires  time.Time `json:"expires"`
}

// How somebody was recognised.
const (
	HowToken = "token"
	HowOIDC  = "oidc"
	HowLink  = "link"
)

// String names the identity in an audit line.
func (i Identity) String() string {
	if i.Role == Guest {
		return fmt.Sprintf("link to customer %s of plan %s", i.Customer, i.Plan)
	}
	return i.Name
}

// safeName keeps what a name shows in a timeline to one line of plain characters.
func safeName(s string) string {
	name := []rune(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, s))
	return strings.TrimSpace(string(name[:min(len(name), 200)]))
}
