package lab

import (
	"context"
	"os"
	"path/filepath"

	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/lab/inbox"
)

// startInbox opens the inbox of whoever the plan tells, and makes the key that its evidence is
// signed with.
func (l *Lab) startInbox(context.Context) (err error) {
	if !l.Shape.Tells {
		return nil
	}
	if l.Inbox, err = inbox.Open(l.net.control(), l.opts.Dir); err != nil {
		return err
	}
	l.later(l.Inbox.Close)
	l.EvidenceKey, l.EvidencePublic = filepath.Join(l.opts.Dir, "evidence.pem"), filepath.Join(l.opts.Dir, "evidence-public.pem")
	key, err := identity.WriteKey(l.EvidenceKey)
	if err != nil {
		return err
	}
	public, err := identity.PublicPEM(key)
	if err != nil {
		return err
	}
	return os.WriteFile(l.EvidencePublic, public, 0o644) //nolint:gosec // it is for everybody
}
