package batch

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/status"
)

func (b *batch) status() migration.BatchStatus {
	return migration.BatchStatus{
		Name: b.in.Batch.Name, Phase: cmp.Or(b.Phase, migration.BatchWaiting), WaitingFor: b.Waiting, Reason: b.Reason, Since: b.Since,
		Approvals: b.Approvals, Needs: b.in.Batch.Approvals, Window: b.in.Batch.Window, Ticket: b.in.Batch.Ticket, Counts: b.counts(),
		MayDo: b.mayDo(), Evidence: b.Kept, Asks: b.Waiting == migration.WaitObserve && b.Observing.Person,
	}
}

// counts are what the batch knows. While it asks its customers where they stand, what an earlier
// run had last reported holds, and after a reset whoever has not answered may be away.
func (b *batch) counts() migration.Counts {
	n := b.tally().Counts
	switch {
	case b.Begun:
	case b.Was != nil:
		return b.Was.Counts
	case b.Reset:
		for _, m := range b.Members {
			if !m.heard() {
				n.Away++
			}
		}
	}
	return n
}

// page is the batch with some of its customers, in the plan's order.
func (b *batch) page(p migration.Page) (migration.BatchStatus, error) {
	if p.Offset < 0 || p.Limit < 0 {
		return migration.BatchStatus{}, fmt.Errorf("status: offset %d and limit %d must not be negative", p.Offset, p.Limit)
	}
	s := b.status()
	end := min(p.Offset+p.Limit, len(b.Members))
	for i := p.Offset; i < end; i++ {
		s.Customers = append(s.Customers, b.Members[i].Status)
	}
	if end < len(b.Members) {
		s.Next = end
	}
	return s, nil
}

func (b *batch) mayDo() []string {
	return status.MayDo(func(name string) error { return b.allowed(name, migration.Command{}) }, migration.UpdateApprove,
		migration.UpdateRetry, migration.UpdateRollback)
}

// allowed refuses a command that would do nothing or mean something else than the operator thinks.
func (b *batch) allowed(name string, cmd migration.Command) error {
	if b.ended {
		return fmt.Errorf("batch %s has ended: %s does not apply", b.in.Batch.Name, name)
	}
	switch name {
	case migration.UpdateApprove:
		if len(b.Approvals) >= b.in.Batch.Approvals {
			return fmt.Errorf("batch %s needs no more approvals (%d given, %d needed)", b.in.Batch.Name, len(b.Approvals),
				b.in.Batch.Approvals)
		}
		if slices.ContainsFunc(b.Approvals, func(e migration.Event) bool { return e.By == cmd.By }) {
			return fmt.Errorf("%s has approved batch %s already: another person must", cmd.By, b.in.Batch.Name)
		}
		return nil
	case migration.UpdateRetry:
		applies := b.Phase == migration.BatchTakenBack || b.Phase == migration.BatchDone && b.tally().atHome > 0 ||
			b.Phase == migration.BatchGate && b.Waiting == migration.WaitWindow
		if applies && b.TakeBack == nil {
			return nil
		}
	case migration.UpdateRollback:
		gone := b.tally().gone > 0 || !b.Begun && b.counts().Away > 0
		if b.Phase == migration.BatchCuttingOver || gone &&
			(b.Phase == migration.BatchWaiting || b.Phase == migration.BatchGate || b.Phase == migration.BatchDone) {
			return nil
		}
	}
	return fmt.Errorf("batch %s is %s: %s does not apply", b.in.Batch.Name, b.Phase, name)
}

func (b *batch) describe() string {
	n := b.tally()
	return fmt.Sprintf("Batch **%s**. Customers %d: waiting %d, moving %d, baking %d, on AWS %d, rolled back %d, held %d.\n",
		b.in.Batch.Name, n.Customers, n.Waiting, n.Moving, n.Baking, n.OnAWS, n.RolledBack, n.Held)
}
