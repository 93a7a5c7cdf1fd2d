package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// clockMayBeOff is how far a worker's clock may be from that of Temporal's server. The SDK works
// out the deadline of an activity from the server's times by the worker's clock: an activity
// shorter than the difference is over before it begins, and steps of a Move take seconds.
const clockMayBeOff = time.Second

const (
	clockEvery   = 30 * time.Second // between two looks at the clock of a worker that runs
	clockStrikes = 3                // that find it off, one after the other, end the worker
)

const (
	clockQueue = "drover-clock" // polled for a moment at each start; nobody puts a task into it
	clockTries = 5

	clockPatience = 3 * time.Second // of one try
)

// clockError says that this machine's clock is off.
type clockError struct{ here, server time.Time }

func (e *clockError) Error() string {
	off, word := e.here.Sub(e.server), "ahead of"
	if off < 0 {
		off, word = -off, "behind"
	}
	const form = "2006-01-02T15:04:05.000Z"
	return fmt.Sprintf("the clock of this machine is %v %s that of Temporal's server (%s here, %s there); at most %v is allowed: "+
		"have the machine follow a time server (chrony, systemd-timesyncd), then start the worker again",
		off.Round(time.Millisecond), word, e.here.UTC().Format(form), e.server.UTC().Format(form), clockMayBeOff)
}

// watchClock looks at the clock of a worker that runs, for as long as ctx lasts, and answers the
// *clockError when it has been off for some looks: the clock of a machine that was paused may be
// off for a moment. A look that has no answer says nothing.
func watchClock(ctx context.Context, every time.Duration, look func(context.Context) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for strikes := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var off *clockError
		switch err := look(ctx); {
		case errors.As(err, &off):
			if strikes++; strikes == clockStrikes {
				return err
			}
		case err == nil:
			strikes = 0
		}
	}
}

// checkClock compares now with the clock of Temporal's server and answers a *clockError when they
// differ by more than is allowed. No answer of the server carries its time, but it remembers by its
// own clock when a poll came: this polls a queue for a moment and asks.
func checkClock(ctx context.Context, s workflowservice.WorkflowServiceClient, namespace, identity string, now func() time.Time) error {
	queue := &taskqueue.TaskQueue{Name: clockQueue, Kind: enums.TASK_QUEUE_KIND_NORMAL}
	var err error
	for range clockTries {
		before := now()
		var server time.Time
		if server, err = polledAt(ctx, s, namespace, identity, queue); err == nil {
			switch after := now(); {
			case server.Before(before.Add(-clockMayBeOff)):
				return &clockError{before, server}
			case server.After(after.Add(clockMayBeOff)):
				return &clockError{after, server}
			}
			return nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return fmt.Errorf("read the clock of Temporal's server: %w", err)
}

// polledAt polls and answers when that came, by the server's clock.
func polledAt(ctx context.Context, s workflowservice.WorkflowServiceClient, namespace, identity string,
	q *taskqueue.TaskQueue) (time.Time, error) {
	polling, stop := context.WithTimeout(ctx, time.Minute) // the server refuses polls that wait for seconds only
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, clockPatience)
	defer cancel()
	mine := fmt.Sprintf("%s clock %d", identity, time.Now().UnixNano()) // not a poll of before
	go func() {
		_, _ = s.PollActivityTaskQueue(polling, &workflowservice.PollActivityTaskQueueRequest{Namespace: namespace, TaskQueue: q,
			Identity: mine})
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := s.DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{Namespace: namespace, TaskQueue: q,
			TaskQueueType: enums.TASK_QUEUE_TYPE_ACTIVITY})
		if err != nil {
			return time.Time{}, err
		}
		for _, p := range out.GetPollers() {
			if p.GetIdentity() == mine {
				return p.GetLastAccessTime().AsTime(), nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("it does not show a poll that was sent: %w", ctx.Err())
		}
	}
}
