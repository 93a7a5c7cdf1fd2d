package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/migration"
)

// sending is one command on its way to a workflow.
type sending struct {
	client *Client
	at     Aim
	doing  string
	id     string // of the update
	cmd    migration.Command
}

const (
	// answerTime is how long before the end of a request its command is too late, so that the
	// answer of a worker that takes the command at the last moment still arrives.
	answerTime = 2 * time.Second
	// afterwards is how long the server is asked what became of a command that had no answer.
	afterwards = time.Second
)

// until is when a command that is sent now is withdrawn: somewhat before nobody waits for its
// answer any more.
func until(ctx context.Context) time.Time {
	end, _ := ctx.Deadline()
	return end.Add(-min(answerTime, time.Until(end)/4)).Round(0).UTC()
}

// unanswered says what became of a command that had no answer. A worker may have taken it at the
// last moment, and its answer may be lost; whoever takes it after its Until refuses it.
func (s sending) unanswered(ctx context.Context) (migration.Accepted, error) {
	ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	var out migration.Accepted
	err := s.client.temporal.GetWorkflowUpdateHandle(client.GetWorkflowUpdateHandleOptions{WorkflowID: s.at.workflow(),
		UpdateID: s.id}).Get(ask, &out)
	var refused *temporal.ApplicationError
	if err == nil || errors.As(err, &refused) {
		return out, s.client.updateProblem(ask, s.doing, s.at, err)
	}
	end := s.cmd.Until.Local().Format("15:04:05 MST")
	seen := "`" + s.at.statusCommand() + "` shows whether one took it"
	if errors.Is(ctx.Err(), context.Canceled) {
		return out, &Problem{Doing: s.doing, Err: context.Canceled,
			Why: fmt.Sprintf("the command was sent, and a worker that comes before %s still carries it out; %s", end, seen)}
	}
	return out, &Problem{Kind: ErrUnreachable, Doing: s.doing, Err: err,
		Why:  fmt.Sprintf("no worker answered in time; the command is withdrawn, and a worker that comes after %s refuses it", end),
		Next: seen + " at the last moment; " + nextWorker}
}
