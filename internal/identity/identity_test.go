package identity_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/migration"
)

// keys makes an authority and the keys of a worker that trusts it.
func keys(t *testing.T) (*identity.Authority, *identity.Keys) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return identity.NewAuthority(key), identity.NewKeys(public)
}

func who(name string, rank migration.Rank) identity.Who {
	return identity.Who{Name: name, Role: rank, How: "token", Expires: time.Now().Add(time.Hour).Truncate(time.Second)}
}

// approval is a command that Ann, an operator, gives.
func approval() identity.Said {
	return identity.Said{Namespace: "moves", Workflow: "batch/shop/canary", Update: migration.UpdateApprove,
		Command: migration.Command{RequestID: "r1", By: "ann", From: "ann@desk", Reason: "CHG-1", Token: 3,
			Until: time.Now().Add(8 * time.Second).Round(0).UTC()}}
}

func TestACommandIsTakenFromWhoGaveIt(t *testing.T) {
	authority, trusted := keys(t)
	ann, err := authority.Hold(who("ann", migration.Operator))
	require.NoError(t, err)
	s := approval()
	s.Command.Proof, err = ann.Sign(s)
	require.NoError(t, err)
	got, err := trusted.Check(s, time.Now())
	require.NoError(t, err)
	require.True(t, ann.Who().Expires.Equal(got.Expires))
	require.Equal(t, "ann", got.Name)
	require.Equal(t, migration.Operator, got.Role)
}

// A shell hands over whatever bytes a person has; a worker reads them as JSON.
func TestAReasonThatIsNoTextIsSignedAsItIsRead(t *testing.T) {
	authority, trusted := keys(t)
	ann, err := authority.Hold(who("ann", migration.Operator))
	require.NoError(t, err)
	s := approval()
	s.Command.Reason = "caf\xe9 \x00 <b>"
	s.Command.Proof, err = ann.Sign(s)
	require.NoError(t, err)
	sent, err := json.Marshal(s.Command)
	require.NoError(t, err)
	s.Command = migration.Command{}
	require.NoError(t, json.Unmarshal(sent, &s.Command))
	_, err = trusted.Check(s, time.Now())
	require.NoError(t, err)
}

func TestACommandThatIsNotProvedIsRefused(t *testing.T) {
	authority, trusted := keys(t)
	hold := func(a *identity.Authority, w identity.Who) *identity.Holder {
		h, err := a.Hold(w)
		require.NoError(t, err)
		return h
	}
	ann := hold(authority, who("ann", migration.Operator))
	stranger, _ := keys(t)
	until := func(d time.Duration) func(*identity.Said) {
		return func(s *identity.Said) { s.Command.Until = time.Now().Add(d).Round(0).UTC() }
	}
	for name, c := range map[string]struct {
		by     *identity.Holder // nil: Ann
		before func(*identity.Said)
		after  func(*identity.Said)
		now    time.Duration
		why    string
	}{
		"no signature":              {after: func(s *identity.Said) { s.Command.Proof = nil }, why: "it is not signed"},
		"under another name":        {before: func(s *identity.Said) { s.Command.By = "bob" }, why: `"bob" asks, and is signed by "ann"`},
		"the name changed after":    {after: func(s *identity.Said) { s.Command.By = "bob" }, why: "for another command"},
		"to another batch":          {after: func(s *identity.Said) { s.Workflow = "batch/shop/week-2" }, why: "for another command"},
		"another command":           {after: func(s *identity.Said) { s.Update = migration.UpdateRollback }, why: "for another command"},
		"in another namespace":      {after: func(s *identity.Said) { s.Namespace = "test" }, why: "for another command"},
		"sent again as a new one":   {after: func(s *identity.Said) { s.Command.RequestID = "r2" }, why: "for another command"},
		"kept for a later day":      {after: until(30 * time.Minute), why: "for another command"},
		"another reason":            {after: func(s *identity.Said) { s.Command.Reason = "" }, why: "for another command"},
		"good for ever":             {before: func(s *identity.Said) { s.Command.Until = time.Time{} }, why: "needs a request id and"},
		"good for a day":            {before: until(24 * time.Hour), why: "needs a request id and a time"},
		"without a request id":      {before: func(s *identity.Said) { s.Command.RequestID = "" }, why: "needs a request id"},
		"a sign-in that has ended":  {now: 2 * time.Hour, before: until(3 * time.Hour), why: "the sign-in of ann has run out"},
		"a viewer":                  {by: hold(authority, who("ann", migration.Viewer)), why: "ann is a viewer, who may not do this"},
		"a rank that there is not":  {by: hold(authority, who("ann", "root")), why: "ann is a root, who may not do this"},
		"an authority of their own": {by: hold(stranger, who("ann", migration.Operator)), why: "signed by nobody whom this worker trusts"},
		"somebody else's pass": {after: func(s *identity.Said) {
			bob := hold(authority, who("bob", migration.Operator))
			p, err := bob.Sign(*s)
			require.NoError(t, err)
			s.Command.Proof.Signed = p.Signed // Ann's pass is no secret
		}, why: "not that of the pass's holder"},
		"a pass for a command": {after: func(s *identity.Said) { s.Command.Proof.Signed = s.Command.Proof.Pass }, why: "cannot be read"},
		"a command for a pass": {after: func(s *identity.Said) { s.Command.Proof.Pass = s.Command.Proof.Signed }, why: "cannot be read"},
		"no algorithm":         {after: func(s *identity.Said) { s.Command.Proof.Pass = "eyJhbGciOiJub25lIn0.e30." }, why: "cannot be"},
		"a pass that was changed": {after: func(s *identity.Said) {
			parts := strings.Split(s.Command.Proof.Pass, ".")
			other := strings.Split(func() string {
				p, err := hold(stranger, who("ann", migration.Lead)).Sign(*s)
				require.NoError(t, err)
				return p.Pass
			}(), ".")
			s.Command.Proof.Pass = parts[0] + "." + other[1] + "." + parts[2]
		}, why: "is not signed by whom it says"},
	} {
		t.Run(name, func(t *testing.T) {
			s, by := approval(), c.by
			if by == nil {
				by = ann
			}
			if c.before != nil {
				c.before(&s)
			}
			var err error
			s.Command.Proof, err = by.Sign(s)
			require.NoError(t, err)
			if c.after != nil {
				c.after(&s)
			}
			_, err = trusted.Check(s, time.Now().Add(c.now))
			require.ErrorContains(t, err, c.why)
		})
	}
}

// Whoever has a link to a customer may take a slot for it, and give no other command.
func TestALinkProvesThatASlotIsTakenAndNothingElse(t *testing.T) {
	authority, trusted := keys(t)
	guest, err := authority.Hold(who("the customer, by its link", migration.Guest))
	require.NoError(t, err)
	for update, may := range map[string]bool{migration.UpdateTake: true, migration.UpdateOffer: false, migration.UpdateNote: false,
		migration.UpdateDefer: false, migration.UpdateApprove: false, migration.UpdateRollback: false} {
		s := approval()
		s.Workflow, s.Update, s.Command.By = "customer/shop/acme", update, "the customer, by its link"
		s.Command.Slots = []migration.Window{{Opens: time.Date(2026, 12, 9, 20, 0, 0, 0, time.UTC), For: migration.Duration(time.Hour)}}
		s.Command.Proof, err = guest.Sign(s)
		require.NoError(t, err)
		_, err = trusted.Check(s, time.Now())
		require.Equal(t, may, err == nil, "%s: %v", update, err)
		if may {
			s.Command.Slots[0].For++
			_, err = trusted.Check(s, time.Now())
			require.ErrorContains(t, err, "for another command", "the slot is signed too")
		}
	}
}

func TestAPassIsOnlyForTheKeyThatItNames(t *testing.T) {
	authority, _ := keys(t)
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	pass, err := authority.Issue(who("ann", migration.Lead), public)
	require.NoError(t, err)
	h, err := identity.NewHolder(pass, key)
	require.NoError(t, err)
	require.Equal(t, "ann", h.Who().Name)
	_, other, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	_, err = identity.NewHolder(pass, other)
	require.ErrorContains(t, err, "another key")
	_, err = identity.NewHolder("x", key)
	require.ErrorContains(t, err, "read the pass")
}

func TestKeysAreReadFromPEM(t *testing.T) {
	at := filepath.Join(t.TempDir(), "identity.pem")
	made, err := identity.WriteAuthority(at)
	require.NoError(t, err)
	_, err = identity.WriteAuthority(at)
	require.ErrorIs(t, err, os.ErrExist, "a key is never written over")
	read, err := identity.ReadAuthority(at)
	require.NoError(t, err)
	public, err := made.Public()
	require.NoError(t, err)
	_, another := filepath.Join(t.TempDir(), "x"), filepath.Join(t.TempDir(), "keys.pem")
	older, err := identity.WriteAuthority(filepath.Join(t.TempDir(), "old.pem"))
	require.NoError(t, err)
	before, err := older.Public()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(another, append(before, public...), 0o600))
	trusted, err := identity.ReadKeys(another)
	require.NoError(t, err)
	for _, a := range []*identity.Authority{read, older} {
		h, err := a.Hold(who("ann", migration.Operator))
		require.NoError(t, err)
		s := approval()
		s.Command.Proof, err = h.Sign(s)
		require.NoError(t, err)
		_, err = trusted.Check(s, time.Now())
		require.NoError(t, err)
	}

	_, err = identity.ReadKeys(at)
	require.ErrorContains(t, err, "a private one does not belong there")
	_, err = identity.ReadAuthority(another)
	require.ErrorContains(t, err, "no PEM block PRIVATE KEY")
	require.NoError(t, os.Chmod(at, 0o640)) //nolint:gosec // that is the case
	_, err = identity.ReadAuthority(at)
	require.ErrorContains(t, err, "chmod go-rwx")
}
