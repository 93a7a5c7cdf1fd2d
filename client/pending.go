package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
)

const (
	// untaken is how long work may lie before it is said that no worker takes it.
	untaken = 15 * time.Second
	// askedAtOnce is how many workflows are asked for at a time.
	askedAtOnce = 8
	// mostEvents is how much of a history is read for the beginning of a work.
	mostEvents = 10_000
)

// pending is what Temporal says of a workflow without asking a worker: whether it goes on, and of
// the work that it waits for what failed and how far it is.
type pending struct {
	execution string
	trying    []migration.Trying
	progress  migration.Progress // of all copies together
	doing     string             // what the work says of itself; "": nothing
	asOf      time.Time          // last consistent point of a dataset; zero: not asked, or no answer
	joins     bool               // it sets the databases up, which is said whatever else goes on
}

// pendingOf looks at a workflow and the children that it waits for. One that is not there says
// nothing.
func (c *Client) pendingOf(ctx context.Context, id string) (pending, error) {
	var p pending
	d, err := c.temporal.DescribeWorkflowExecution(ctx, id, "")
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		return p, nil
	}
	if err != nil {
		return p, problem("look at "+id, err)
	}
	p.execution = executionOf(d.GetWorkflowExecutionInfo().GetStatus())
	for _, a := range d.GetPendingActivities() {
		c.add(ctx, &p, d.GetWorkflowExecutionInfo().GetExecution(), a)
	}
	for _, child := range d.GetPendingChildren() {
		if kind, _, _ := strings.Cut(child.GetWorkflowId(), "/"); kind != "disks" && kind != "move" && kind != "check" {
			continue // it has a status of its own
		}
		of, err := c.pendingOf(ctx, child.GetWorkflowId())
		if err != nil {
			return p, err
		}
		p.trying = append(p.trying, of.trying...)
		p.progress = together(p.progress, of.progress)
	}
	return p, nil
}

// add takes one work that a workflow waits for.
func (c *Client) add(ctx context.Context, p *pending, of *commonpb.WorkflowExecution, a *workflowpb.PendingActivityInfo) {
	var copied migration.Progress
	var words string
	if b := a.GetHeartbeatDetails(); b != nil && len(b.GetPayloads()) > 0 {
		if c.payloads.FromPayload(b.GetPayloads()[0], &words) == nil {
			p.doing, p.joins = words, a.GetActivityType().GetName() == "PreparePostgres"
		} else if c.payloads.FromPayload(b.GetPayloads()[0], &copied) == nil {
			p.progress = together(p.progress, copied)
		}
	}
	t := migration.Trying{What: a.GetActivityType().GetName(), Times: int(a.GetAttempt()) - 1, Worker: a.GetLastWorkerIdentity()}
	switch failure := a.GetLastFailure(); {
	case failure != nil:
		t.Last, t.At = innermost(c.failures.FailureToError(failure)), a.GetLastAttemptCompleteTime().AsTime()
		if n := a.GetNextAttemptScheduleTime(); n != nil {
			t.Next = n.AsTime()
		}
	case a.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED && time.Since(a.GetScheduledTime().AsTime()) > untaken:
		t.Last, t.Worker = noWorker, ""
	default:
		return
	}
	t.Since = a.GetScheduledTime().AsTime()
	c.begun(ctx, of, a.GetActivityId(), &t)
	p.trying = append(p.trying, t)
}

// noWorker is why work lies. The history says on which queue.
const noWorker = "no worker takes it"

// begun reads from the history when a work was asked for, and what for, in the words of the UI, and
// of work that lies where it does. It leaves what it does not find.
func (c *Client) begun(ctx context.Context, of *commonpb.WorkflowExecution, activity string, t *migration.Trying) {
	events := c.temporal.GetWorkflowHistory(ctx, of.GetWorkflowId(), of.GetRunId(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for n := 0; n < mostEvents && events.HasNext(); n++ {
		e, err := events.Next()
		if err != nil {
			return
		}
		if e.GetActivityTaskScheduledEventAttributes().GetActivityId() != activity {
			continue
		}
		t.Since = e.GetEventTime().AsTime()
		if q := e.GetActivityTaskScheduledEventAttributes().GetTaskQueue().GetName(); t.Last == noWorker && q != "" {
			t.Last += " from " + q
			if start := migration.WorkerOf(q); start != "" {
				t.Last += ": start `" + start + "`"
			}
		}
		var summary string
		if s := e.GetUserMetadata().GetSummary(); s != nil && c.payloads.FromPayload(s, &summary) == nil && summary != "" {
			t.What = summary
		}
		return
	}
}

// innermost is an error without Temporal's envelope.
func innermost(err error) string {
	var app *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	switch {
	case errors.As(err, &app):
		return app.Message()
	case errors.As(err, &timeout) && timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_HEARTBEAT:
		return "its worker was lost: no heartbeat came"
	case errors.As(err, &timeout):
		return "no answer in time"
	default:
		return err.Error()
	}
}

// together adds two copies up. The rates of copies that run at once add up too.
func together(a, b migration.Progress) migration.Progress {
	out := migration.Progress{Done: a.Done + b.Done, Total: a.Total + b.Total, Rate: a.Rate + b.Rate, Measuring: a.Measuring || b.Measuring}
	if out.Rate > 0 && out.Total > out.Done {
		out.ETA = migration.Duration(time.Duration(float64(out.Total-out.Done) / out.Rate * float64(time.Second)).Round(time.Second))
	}
	return out
}

// Work is what Temporal says of the workflows of a migration, of its workloads and of its datasets:
// how far copies are, what is tried in vain, and what was ended. The workflows themselves do not
// know it. What changes too often for them to report it, the last consistent point of a dataset, is
// with it. It is by their ids.
type Work map[string]pending

// asOfLimit is how long a dataset's workflow may take to say its last consistent point: the one
// that it reported last is good too, and only older.
const asOfLimit = 2 * time.Second

// Work asks for it. No worker is needed but for the last consistent points. The status says whose.
func (c *Client) Work(ctx context.Context, s migration.MigrationStatus) (Work, error) {
	ids := []string{migration.MigrationID(s.Plan)}
	for _, w := range s.Workloads {
		ids = append(ids, migration.WorkloadID(s.Plan, w.Name))
	}
	for _, d := range s.Datasets {
		ids = append(ids, migration.ReplicationID(s.Plan, d.Name))
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(askedAtOnce)
	each := make([]pending, len(ids))
	for i, id := range ids {
		g.Go(func() (err error) {
			if each[i], err = c.pendingOf(ctx, id); err == nil && i > len(s.Workloads) && each[i].execution == Running {
				each[i].asOf = c.asOf(ctx, id)
			}
			return err
		})
	}
	err := g.Wait()
	out := Work{}
	for i, id := range ids {
		out[id] = each[i]
	}
	return out, err
}

// asOf asks a dataset's workflow for its last consistent point.
func (c *Client) asOf(ctx context.Context, id string) time.Time {
	ctx, cancel := context.WithTimeout(ctx, asOfLimit)
	defer cancel()
	var p migration.PieceStatus
	if err := c.query(ctx, id, &p); err != nil {
		return time.Time{}
	}
	return p.AsOf
}

// Tell adds it to a status. The status' own workloads and datasets are replaced, and not changed.
func (w Work) Tell(s *migration.MigrationStatus) {
	if p, known := w[migration.MigrationID(s.Plan)]; known {
		s.Trying = p.trying
	}
	s.Workloads, s.Datasets = slices.Clone(s.Workloads), slices.Clone(s.Datasets)
	for i := range s.Workloads {
		w[migration.WorkloadID(s.Plan, s.Workloads[i].Name)].tell(&s.Workloads[i])
	}
	for i := range s.Datasets {
		w[migration.ReplicationID(s.Plan, s.Datasets[i].Name)].tell(&s.Datasets[i])
	}
}

// tell adds what Temporal says to what a workload or a dataset reported last. Of one that was not
// asked about, or is not there, it says nothing.
func (p pending) tell(s *migration.PieceStatus) {
	if p.execution == "" {
		return
	}
	s.Trying, s.Workflow = p.trying, p.execution
	if p.progress != (migration.Progress{}) {
		s.Progress = p.progress
	}
	if p.asOf.After(s.AsOf) {
		s.AsOf = p.asOf
	}
	if p.doing != "" && (p.joins || s.Phase != migration.PieceReady && s.Phase != migration.PieceDone) {
		s.Detail = strings.TrimPrefix(s.Detail+": "+p.doing, ": ")
	}
}
