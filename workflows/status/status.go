// Package status is what a workflow shows to those who watch it: phase, what it waits for and why,
// the timeline, the details in Temporal's UI, the search attributes, and the commands that people
// may give. It knows no workflow by name.
package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// Search attributes: what the list of workflows is filtered by.
var (
	AttrPlan     = temporal.NewSearchAttributeKeyKeyword(migration.AttrPlan)
	AttrBatch    = temporal.NewSearchAttributeKeyKeyword(migration.AttrBatch)
	AttrCustomer = temporal.NewSearchAttributeKeyKeyword(migration.AttrCustomer)
	AttrPhase    = temporal.NewSearchAttributeKeyKeyword(migration.AttrPhase)
	AttrHome     = temporal.NewSearchAttributeKeyKeyword(migration.AttrHome)
	AttrWaiting  = temporal.NewSearchAttributeKeyKeyword(migration.AttrWaitingFor)
)

const (
	timelineLength = 100 // events kept for people; the history has them all
	seenRequests   = 50  // request ids carried over continue-as-new
)

// Status is where a workflow stands, in phases of its own type P. It is part of the workflow's
// state: continue-as-new carries it over.
type Status[P ~string] struct {
	Phase    P                 `json:"phase"`
	Waiting  migration.Waiting `json:"waiting"`
	Reason   string            `json:"reason,omitempty"`
	Since    time.Time         `json:"since"` // of the phase
	Timeline []migration.Event `json:"timeline,omitempty"`
	Seen     []string          `json:"seen,omitempty"` // request ids of commands, newest last

	Hooks Hooks `json:"-"`
	Deaf  bool  `json:"-"` // after a reset: the server delivers once more what operators once asked, and it is not carried out
}

// Hooks are what a workflow adds to its status. Each may be nil.
type Hooks struct {
	Describe func() string          // what the UI shows below the first line
	MayDo    func() []string        // names of the updates that would be accepted now
	Changed  func(workflow.Context) // called after every change of phase, waiting or reason
	// Attributes are search attributes of the workflow's own, renewed with those of the phase.
	Attributes func() []temporal.SearchAttributeUpdate
}

// Set says where the workflow stands now.
func (s *Status[P]) Set(ctx workflow.Context, phase P, waiting migration.Waiting, reason string) {
	if s.Phase == phase && s.Waiting == waiting && s.Reason == reason {
		return
	}
	s.enter(ctx, phase, waiting)
	s.Reason = reason
	attrs := []temporal.SearchAttributeUpdate{AttrPhase.ValueSet(string(phase)), AttrWaiting.ValueSet(string(waiting))}
	if s.Hooks.Attributes != nil {
		attrs = append(attrs, s.Hooks.Attributes()...)
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, attrs...); err != nil {
		workflow.GetLogger(ctx).Warn("search attributes were not updated", "error", err)
	}
	s.Show(ctx)
	if s.Hooks.Changed != nil {
		s.Hooks.Changed(ctx)
	}
}

// SetDetails is Set without the search attributes: each change of them is a write to the list of
// workflows, for which a frozen customer would wait.
func (s *Status[P]) SetDetails(ctx workflow.Context, phase P, waiting migration.Waiting, reason string) {
	s.enter(ctx, phase, waiting)
	s.Reason = reason
	s.Show(ctx)
}

func (s *Status[P]) enter(ctx workflow.Context, phase P, waiting migration.Waiting) {
	if s.Phase != phase || s.Since.IsZero() {
		s.Since = workflow.Now(ctx)
	}
	s.Phase, s.Waiting = phase, waiting
}

// Failed says so where a run has ended with an error, in the phase that means it. The migration
// starts it again at its next roll call.
func (s *Status[P]) Failed(ctx workflow.Context, failed P, err error) {
	if err == nil || workflow.IsContinueAsNewError(err) {
		return
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	s.Set(ctx, failed, migration.WaitNothing, work.Reason(err))
}

// Note adds a line to the timeline.
func (s *Status[P]) Note(ctx workflow.Context, what string, cmd migration.Command) {
	s.Timeline = append(s.Timeline, migration.Event{At: workflow.Now(ctx), What: what, By: cmd.By, Why: cmd.Reason})
	if n := len(s.Timeline); n > timelineLength {
		s.Timeline = slices.Clone(s.Timeline[n-timelineLength:])
	}
}

// Show renews the details in the UI.
func (s *Status[P]) Show(ctx workflow.Context) {
	var b strings.Builder
	Line(&b, "**%s** since %s", string(s.Phase), s.Since.UTC().Format("2006-01-02 15:04:05 MST"))
	if s.Waiting != "" && s.Waiting != migration.WaitNothing {
		Line(&b, ", waiting for **%s**", s.Waiting)
	}
	b.WriteString(".\n")
	if s.Reason != "" {
		Line(&b, "\n> %s\n", s.Reason)
	}
	if s.Hooks.Describe != nil {
		b.WriteString("\n" + s.Hooks.Describe())
	}
	if s.Hooks.MayDo != nil {
		if may := s.Hooks.MayDo(); len(may) > 0 {
			Line(&b, "\nWhat may be done now: `%s`.\n", strings.Join(may, "`, `"))
		} else {
			b.WriteString("\nNothing to be done by hand now.\n")
		}
	}
	if n := len(s.Timeline); n > 0 {
		b.WriteString("\n| when | what | who and why |\n|---|---|---|\n")
		for _, e := range slices.Backward(s.Timeline[max(0, n-10):]) {
			Line(&b, "| %s | %s | %s |\n", e.At.UTC().Format("2006-01-02 15:04:05"), cell(e.What), cell(strings.TrimSpace(e.By+" "+e.Why)))
		}
	}
	workflow.SetCurrentDetails(ctx, b.String())
}

// Line adds to the details. The checker of workflows trusts Sprintf and not Fprintf.
func Line(b *strings.Builder, format string, args ...any) {
	b.WriteString(fmt.Sprintf(format, args...)) //nolint:staticcheck // see above
}

func cell(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s) }
