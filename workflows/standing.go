package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
)

// Search attributes: what the list of workflows is filtered by.
var (
	attrPlan     = temporal.NewSearchAttributeKeyKeyword(migration.AttrPlan)
	attrBatch    = temporal.NewSearchAttributeKeyKeyword(migration.AttrBatch)
	attrCustomer = temporal.NewSearchAttributeKeyKeyword(migration.AttrCustomer)
	attrPhase    = temporal.NewSearchAttributeKeyKeyword(migration.AttrPhase)
	attrHome     = temporal.NewSearchAttributeKeyKeyword(migration.AttrHome)
	attrWaiting  = temporal.NewSearchAttributeKeyKeyword(migration.AttrWaitingFor)
)

// standing is where a workflow stands, for those who watch: it travels through continue-as-new, feeds the search attributes and
// writes the markdown that the UI shows without anyone opening a history.
type standing struct {
	Phase    migration.Phase   `json:"phase"`
	Waiting  migration.Waiting `json:"waiting"`
	Reason   string            `json:"reason,omitempty"`
	Since    time.Time         `json:"since"`
	Timeline []migration.Event `json:"timeline,omitempty"`
	Sent     order             `json:"sent"`           // of the last report
	Seen     []string          `json:"seen,omitempty"` // request ids of commands, newest last
	Waits    time.Time         `json:"waits,omitzero"` // since when, for the next roll call

	telling  int                    // signals under way, and what follows where nobody was there
	deaf     bool                   // it was reset: the server asks once more what operators once asked, and it is not carried out
	describe func() string          // what the UI shows below the first line
	mayDo    func() []string        // names of the updates that would be accepted now
	changed  func(workflow.Context) // told after every change
}

// set says where the workflow stands now.
func (s *standing) set(ctx workflow.Context, phase migration.Phase, waiting migration.Waiting, reason string) {
	if s.Phase == phase && s.Waiting == waiting && s.Reason == reason {
		return
	}
	if s.Phase != phase || s.Since.IsZero() {
		s.Since = workflow.Now(ctx)
	}
	s.Phase, s.Waiting, s.Reason = phase, waiting, reason
	if err := workflow.UpsertTypedSearchAttributes(ctx, attrPhase.ValueSet(string(phase)), attrWaiting.ValueSet(string(waiting))); err != nil {
		workflow.GetLogger(ctx).Warn("search attributes were not updated", "error", err)
	}
	s.show(ctx)
	if s.changed != nil {
		s.changed(ctx)
	}
}

// failed says so where a run has ended with an error. The migration starts it again at its next roll call.
func (s *standing) failed(ctx workflow.Context, err error) {
	if err == nil || workflow.IsContinueAsNewError(err) {
		return
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	s.set(ctx, migration.PhaseFailed, migration.WaitNothing, reason(err))
}

// show renews the details in the UI.
func (s *standing) show(ctx workflow.Context) {
	var b strings.Builder
	line(&b, "**%s** since %s", s.Phase, s.Since.UTC().Format("2006-01-02 15:04:05 MST"))
	if s.Waiting != "" && s.Waiting != migration.WaitNothing {
		line(&b, ", waiting for **%s**", s.Waiting)
	}
	b.WriteString(".\n")
	if s.Reason != "" {
		line(&b, "\n> %s\n", s.Reason)
	}
	if s.describe != nil {
		b.WriteString("\n" + s.describe())
	}
	if s.mayDo != nil {
		if may := s.mayDo(); len(may) > 0 {
			line(&b, "\nWhat may be done now: `%s`.\n", strings.Join(may, "`, `"))
		} else {
			b.WriteString("\nNothing to be done by hand now.\n")
		}
	}
	if n := len(s.Timeline); n > 0 {
		b.WriteString("\n| when | what | who and why |\n|---|---|---|\n")
		for _, e := range slices.Backward(s.Timeline[max(0, n-10):]) {
			line(&b, "| %s | %s | %s |\n", e.At.UTC().Format("15:04:05"), cell(e.What), cell(strings.TrimSpace(e.By+" "+e.Why)))
		}
	}
	workflow.SetCurrentDetails(ctx, b.String())
}

// line adds to the details. The checker of workflows trusts Sprintf and not Fprintf.
func line(b *strings.Builder, format string, args ...any) {
	b.WriteString(fmt.Sprintf(format, args...)) //nolint:staticcheck // see above
}

func cell(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s) }

// note adds a line to the timeline.
func (s *standing) note(ctx workflow.Context, what string, cmd migration.Command) {
	s.Timeline = append(s.Timeline, migration.Event{At: workflow.Now(ctx), What: what, By: cmd.By, Why: cmd.Reason})
	if n := len(s.Timeline); n > timelineLength {
		s.Timeline = slices.Clone(s.Timeline[n-timelineLength:])
	}
}

// repeated says whether a command's request id was taken before, in this run or an earlier one, and remembers it.
func (s *standing) repeated(cmd migration.Command) bool {
	if cmd.RequestID == "" {
		return false
	}
	if slices.Contains(s.Seen, cmd.RequestID) {
		return true
	}
	s.Seen = append(s.Seen, cmd.RequestID)
	if n := len(s.Seen); n > seenRequests {
		s.Seen = slices.Clone(s.Seen[n-seenRequests:])
	}
	return false
}

// command installs an update: validate refuses with a reason a person can act on, apply carries out what was accepted. A repeat of
// a request id is accepted and does nothing.
func (s *standing) command(ctx workflow.Context, name, description string, validate func(migration.Command) error, apply func(workflow.Context, migration.Command)) error {
	return workflow.SetUpdateHandlerWithOptions(ctx, name,
		func(ctx workflow.Context, cmd migration.Command) (migration.Accepted, error) {
			if s.deaf {
				return migration.Accepted{Message: name + " was not carried out: the workflow was reset a moment ago; ask again"}, nil
			}
			if s.repeated(cmd) {
				return migration.Accepted{Message: name + " was accepted before"}, nil
			}
			s.note(ctx, name, cmd)
			apply(ctx, cmd)
			s.show(ctx)
			return migration.Accepted{Message: name + " accepted"}, nil
		},
		workflow.UpdateHandlerOptions{Description: description, Validator: func(_ workflow.Context, cmd migration.Command) error {
			if cmd.By == "" {
				return fmt.Errorf("%s: say who asks (by)", name)
			}
			if slices.Contains(s.Seen, cmd.RequestID) && cmd.RequestID != "" {
				return nil
			}
			return validate(cmd)
		}})
}

// next numbers a report.
func (s *standing) next(ctx workflow.Context) order {
	s.Sent = order{At: max(s.Sent.At, workflow.Now(ctx).UnixNano()), N: s.Sent.N + 1}
	return s.Sent
}

// listen hands every signal of one name to take, for as long as the workflow runs. A signal stays in its channel until take's turn has
// come: one handed to a coroutine that waits in Receive has left the channel before that coroutine runs, and drained would not see it.
func listen[T any](ctx workflow.Context, name, description string, take func(workflow.Context, T)) {
	ch := workflow.GetSignalChannelWithOptions(ctx, name, workflow.SignalChannelOptions{Description: description})
	workflow.Go(ctx, func(ctx workflow.Context) {
		always, _ := workflow.NewDisconnectedContext(ctx) // a workflow that was canceled listens on
		for {
			if workflow.Await(always, func() bool { return ch.Len() > 0 }) != nil {
				return
			}
			var v T
			if ch.ReceiveAsync(&v) {
				take(ctx, v)
			}
		}
	})
}

// drained says whether no signal of these names waits: continue-as-new would lose it.
func drained(ctx workflow.Context, names ...string) bool {
	for _, n := range names {
		if workflow.GetSignalChannel(ctx, n).Len() > 0 {
			return false
		}
	}
	return true
}
