package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/drover-migration/drover/lab/inbox"
	"github.com/drover-migration/drover/migration"
)

// evidenceDir is where a demonstration leaves the evidence of its batches.
const evidenceDir = "out/demo-evidence"

// letterLimit is how long messages may be on their way at the end: one that failed is tried again
// after ten seconds, then after twenty.
const letterLimit = 45 * time.Second

// told is what people were told in a demonstration, and what they can prove.
type told struct {
	status   migration.MessagesStatus // as the product has it
	came     []inbox.Message          // as the receivers have it
	acks     int                      // of what waited for somebody: who said that they look after it
	bundles  int                      // of evidence
	verified int                      // of these
}

// lookAfter is the operator who says that they look after the pause, before they do: nobody else is
// told of it then.
func (s *story) lookAfter(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, letterLimit)
	defer cancel()
	for {
		m, err := s.client.Messages(ctx, s.Shape.Name, "")
		if err != nil {
			return err
		}
		for _, a := range m.Asks {
			if a.Kind == migration.NoticePaused && a.Taken == nil {
				s.acks++
				return s.run(ctx, "ack", s.Shape.Name, a.ID, "--by", "operator")
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nobody is told that the migration is paused: %+v", m)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// told waits for the last messages, has the evidence of each batch written, and verifies it as an
// auditor would: with nothing but the bundle and the public key.
func (s *story) told(ctx context.Context) (t told, err error) {
	if t.status, err = s.delivered(ctx); err != nil {
		return t, err
	}
	t.came, t.acks = s.Inbox.Messages(), s.acks
	if err := os.MkdirAll(evidenceDir, 0o755); err != nil {
		return t, err
	}
	if err := s.run(ctx, "evidence", s.Shape.Name, "--dir", evidenceDir); err != nil {
		return t, err
	}
	bundles, err := filepath.Glob(filepath.Join(evidenceDir, "*.jsonl"))
	if err != nil {
		return t, err
	}
	for _, file := range bundles {
		t.bundles++
		verify := exec.CommandContext(ctx, s.drover, "evidence", "verify", file, "--key", s.EvidencePublic)
		verify.Env = []string{"PATH=/nowhere", "HOME=" + evidenceDir} // no lab, no Temporal, no AWS
		out, err := verify.CombinedOutput()
		if err != nil {
			s.say("! drover evidence verify %s: %s", file, strings.TrimSpace(string(out)))
			continue
		}
		t.verified++
	}
	return t, nil
}

// delivered waits until no message is on its way, or for as long as one may be.
func (s *story) delivered(ctx context.Context) (m migration.MessagesStatus, err error) {
	ctx, cancel := context.WithTimeout(ctx, letterLimit)
	defer cancel()
	for {
		now, err := s.client.Messages(ctx, s.Shape.Name, "")
		switch {
		case err == nil:
			if m = now; onTheWay(m, time.Now()) == 0 {
				return m, nil
			}
		case ctx.Err() == nil:
			return m, err
		}
		select {
		case <-ctx.Done():
			return m, nil // what is on its way is counted as that
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// onTheWay are the messages whose time has come, and that nobody has. A step of an escalation whose
// time comes later is none.
func onTheWay(m migration.MessagesStatus, now time.Time) (n int) {
	for _, d := range m.Pending {
		if !d.Due.After(now) {
			n++
		}
	}
	return n
}

// people adds to the score what people were told.
func (b *board) people(t told, now time.Time) {
	for _, m := range t.came {
		if m.Times > 1 {
			b.MessagesTwice++
		}
	}
	missing := onTheWay(t.status, now)
	for _, d := range t.status.Past {
		if d.State == migration.DeliveryGivenUp {
			missing++
		}
	}
	b.MessagesSent, b.MessagesAcknowledged, b.Acknowledgements = len(t.came)+missing, len(t.came), t.acks
	b.EvidenceBundles, b.EvidenceVerified = t.bundles, t.verified
}
