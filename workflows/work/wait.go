package work

import (
	"time"

	"go.temporal.io/sdk/workflow"
)

// TaskPatience is how long a worker may take over one task of a workflow for which a closed
// customer may wait. One that hangs is missed after it, and another goes on.
const TaskPatience = 3 * time.Second

// MovePatience is TaskPatience of a Move, whose tasks are all small.
const MovePatience = 2 * time.Second

// Together does something for each of some at once, and returns when it is done for all of them.
func Together[T any](ctx workflow.Context, some []T, do func(workflow.Context, T)) {
	all := workflow.NewWaitGroup(ctx)
	for _, x := range some {
		all.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer all.Done()
			do(ctx, x)
		})
	}
	all.Wait(ctx)
}

// Sleep is a timer that says in the UI what it is for.
func Sleep(ctx workflow.Context, d time.Duration, summary string) error {
	return workflow.NewTimerWithOptions(ctx, d, workflow.TimerOptions{Summary: summary}).Get(ctx, nil)
}

// AwaitFor waits until a condition holds or the time is over. The timer says in the UI what it is
// for. It ends with the wait: one that fired later would cost a task, and wake nobody.
func AwaitFor(ctx workflow.Context, most time.Duration, summary string, until func() bool) {
	ctx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	_, _ = workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{Timeout: most, TimerOptions: workflow.TimerOptions{Summary: summary}},
		until)
}
