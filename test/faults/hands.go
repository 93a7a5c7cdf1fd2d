package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/lab/gate"
	"github.com/drover-migration/drover/lab/temporal"
	"github.com/drover-migration/drover/migration"
)

// hand-made faults: what an operator can do in the Temporal UI, or with a command, while a Move is
// at a point.
type deed struct {
	name  string
	alone bool
	only  migration.Side                             // the direction in which it means something; empty: both
	do    func(*play, context.Context, string) error // with the Move's workflow id
	mend  func(*play) error
	stays bool // the customer ends where it began
}

var deeds = []deed{
	{name: "terminate the Move", do: func(p *play, ctx context.Context, move string) error { return p.terminate(ctx, move) }},
	{name: "terminate the Customer", do: func(p *play, ctx context.Context, _ string) error {
		return p.terminate(ctx, migration.CustomerID(p.Shape.Name, p.customer.ID))
	}},
	{name: "terminate all of the batch", alone: true, do: func(p *play, ctx context.Context, _ string) error {
		return p.terminateAll(ctx, fmt.Sprintf("%s = '%s'", migration.AttrBatch, p.Shape.Batches[0].Name))
	}},
	{name: "terminate all of the plan", alone: true, do: func(p *play, ctx context.Context, _ string) error {
		return p.terminateAll(ctx, fmt.Sprintf("%s = '%s'", migration.AttrPlan, p.Shape.Name))
	}, mend: func(p *play) error {
		_, err := p.submit(p.ctx, p.Plan)
		return err
	}},
	{name: "reset the Move", do: func(p *play, ctx context.Context, move string) error { return p.reset(ctx, move) }},
	{name: "reset the Customer", do: func(p *play, ctx context.Context, _ string) error {
		return p.reset(ctx, migration.CustomerID(p.Shape.Name, p.customer.ID))
	}},
	{name: "cancel the Move", do: func(p *play, ctx context.Context, move string) error {
		return ended(p.server.CancelWorkflow(ctx, move, ""))
	}},
	{name: "cancel the Customer", do: func(p *play, ctx context.Context, _ string) error {
		return p.server.CancelWorkflow(ctx, migration.CustomerID(p.Shape.Name, p.customer.ID), "")
	}},
	{name: "hold", do: func(p *play, ctx context.Context, _ string) error {
		_, err := p.client.Hold(ctx, p.Shape.Name, p.customer.ID, byMatrix)
		return err
	}},
	{name: "pause", do: func(p *play, ctx context.Context, _ string) error {
		_, err := p.client.Pause(ctx, p.Shape.Name, byMatrix)
		return refused(err)
	}, mend: func(p *play) error {
		_, err := p.client.Resume(p.ctx, p.Shape.Name, byMatrix)
		return refused(err)
	}, alone: true},
	{name: "rollback", only: migration.AWS, stays: true, do: func(p *play, ctx context.Context, _ string) error {
		_, err := p.client.Rollback(ctx, client.Aim{Plan: p.Shape.Name, Customer: p.customer.ID}, byMatrix)
		return err
	}},
}

var byMatrix = migration.Command{By: "operator", Reason: "the matrix"}

// refused takes a refusal for an answer: another cell has said the same.
func refused(err error) error {
	if errors.Is(err, client.ErrRefused) {
		return nil
	}
	return err
}

// ended takes a workflow that has ended for an answer.
func ended(err error) error {
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return nil
	}
	return err
}

// byHand makes a cell of every activity of a Move and every deed.
func byHand(at []point) (out []cell) {
	for _, x := range at {
		if x.Kind != "move" {
			continue
		}
		for _, d := range deeds {
			if d.only != "" && d.only != x.To {
				continue
			}
			out = append(out, cell{
				name: fmt.Sprintf("hand/%s/%s/%s", x.To, x.Name, d.name), from: x.To.Other(), alone: d.alone,
				play: func(p *play) error { return p.deed(x, d) },
			})
		}
	}
	return out
}

// deed is done while the activity has had its effect and has not said so.
func (p *play) deed(at point, d deed) error {
	var failed error
	t := &trap{
		activity: func(e gate.Event) bool {
			kind, customer := kindOf(e.WorkflowID)
			return e.When == gate.Completion && kind == "move" && customer == p.customer.ID && e.Activity == at.Activity
		},
	}
	var move string
	inner := t.activity
	t.activity = func(e gate.Event) bool {
		if !inner(e) {
			return false
		}
		move = e.WorkflowID
		return true
	}
	t.do = func(*hand) bool {
		ctx, cancel := context.WithTimeout(p.ctx, 20*time.Second)
		defer cancel()
		failed = d.do(p, ctx, move)
		return true
	}
	if err := p.sent(p.set(t)); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("%s: %w", d.name, failed)
	}
	if d.mend != nil {
		if err := d.mend(p); err != nil {
			return fmt.Errorf("after %s: %w", d.name, err)
		}
	}
	to := p.from.Other()
	if d.stays {
		to = p.from
	}
	return p.settle(to)
}

func (p *play) terminate(ctx context.Context, id string) error {
	return ended(p.server.TerminateWorkflow(ctx, id, "", "the matrix"))
}

// terminateAll terminates everything that a list of the Temporal UI shows.
func (p *play) terminateAll(ctx context.Context, query string) error {
	req := &workflowservice.ListWorkflowExecutionsRequest{Query: query + " AND ExecutionStatus = 'Running'", PageSize: 1000}
	page, err := p.server.ListWorkflow(ctx, req)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range page.GetExecutions() {
		errs = append(errs, p.terminate(ctx, e.GetExecution().GetWorkflowId()))
	}
	return errors.Join(errs...)
}

// reset starts a workflow over from its first completed task, as the UI offers it.
func (p *play) reset(ctx context.Context, id string) error {
	return temporal.Reset(ctx, p.server, "default", id, "the matrix")
}
