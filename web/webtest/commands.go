package webtest

import (
	"context"
	"slices"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

// take accepts a command that the status offers, and refuses any other, as the workflows do.
func (m *World) take(name string, at client.Aim, cmd migration.Command, may func() []string) (migration.Accepted, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent = append(m.sent, Sent{Name: name, At: at, Command: cmd})
	switch {
	case m.down != nil:
		return migration.Accepted{}, m.down
	case m.mute:
		return migration.Accepted{}, noWorker
	case !slices.Contains(may(), name):
		return migration.Accepted{}, &client.Problem{Kind: client.ErrRefused, Doing: name + " " + at.String(),
			Why:  name + " does not apply",
			Next: "look at its status"}
	}
	return migration.Accepted{Message: name + " accepted"}, nil
}

func (m *World) may(at client.Aim) []string {
	if at.Customer != "" {
		return m.customers[at.Customer].MayDo
	}
	for _, b := range m.status.Batches {
		if b.Name == at.Batch {
			return b.MayDo
		}
	}
	return m.status.MayDo
}

func (m *World) command(name string, at client.Aim, cmd migration.Command) (migration.Accepted, error) {
	return m.take(name, at, cmd, func() []string { return m.may(at) })
}

// Approve implements web.Commands.
func (m *World) Approve(_ context.Context, plan, batch string, cmd migration.Command) (migration.Accepted, error) {
	return m.command(migration.UpdateApprove, client.Aim{Plan: plan, Batch: batch}, cmd)
}

// Pause implements web.Commands.
func (m *World) Pause(_ context.Context, plan string, cmd migration.Command) (migration.Accepted, error) {
	return m.command(migration.UpdatePause, client.Aim{Plan: plan}, cmd)
}

// Resume implements web.Commands.
func (m *World) Resume(_ context.Context, plan string, cmd migration.Command) (migration.Accepted, error) {
	return m.command(migration.UpdateResume, client.Aim{Plan: plan}, cmd)
}

// Finalise implements web.Commands.
func (m *World) Finalise(_ context.Context, plan string, cmd migration.Command) (migration.Accepted, error) {
	return m.take(migration.UpdateFinalise, client.Aim{Plan: plan}, cmd, func() []string {
		for _, b := range m.status.Batches {
			if b.Name == cmd.Batch && b.MayEnd {
				return []string{migration.UpdateFinalise}
			}
		}
		if cmd.Batch != "" {
			return nil
		}
		return m.status.MayDo
	})
}

// Hold implements web.Commands.
func (m *World) Hold(_ context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error) {
	return m.command(migration.UpdateHold, client.Aim{Plan: plan, Customer: customer}, cmd)
}

// Retry implements web.Commands.
func (m *World) Retry(_ context.Context, at client.Aim, cmd migration.Command) (migration.Accepted, error) {
	return m.command(migration.UpdateRetry, at, cmd)
}

// Ack implements web.Commands.
func (m *World) Ack(_ context.Context, plan, message string, cmd migration.Command) (migration.Accepted, error) {
	cmd.Message = message
	return m.take(migration.UpdateAck, client.Aim{Plan: plan, Message: message}, cmd, func() []string {
		for _, s := range m.past {
			for _, a := range s.Asks {
				if a.ID == message && a.Taken == nil {
					return []string{migration.UpdateAck}
				}
			}
		}
		return nil
	})
}

// Note implements web.Commands.
func (m *World) Note(_ context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error) {
	return m.command(migration.UpdateNote, client.Aim{Plan: plan, Customer: customer}, cmd)
}

// Defer implements web.Commands.
func (m *World) Defer(_ context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error) {
	return m.command(migration.UpdateDefer, client.Aim{Plan: plan, Customer: customer}, cmd)
}

// Decide implements web.Commands.
func (m *World) Decide(_ context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error) {
	return m.command(migration.UpdateDecide, client.Aim{Plan: plan, Customer: customer}, cmd)
}

// Offer implements web.Commands.
func (m *World) Offer(_ context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error) {
	return m.command(migration.UpdateOffer, client.Aim{Plan: plan, Customer: customer}, cmd)
}

// Take implements web.Commands.
func (m *World) Take(_ context.Context, plan, customer string, cmd migration.Command) (migration.Accepted, error) {
	return m.command(migration.UpdateTake, client.Aim{Plan: plan, Customer: customer}, cmd)
}

// Rollback implements web.Commands.
func (m *World) Rollback(_ context.Context, at client.Aim, cmd migration.Command) (migration.Accepted, error) {
	return m.command(migration.UpdateRollback, at, cmd)
}
