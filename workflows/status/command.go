package status

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
)

// Command is what people may ask of a workflow by an update.
type Command struct {
	Name, Description string
	Allowed           func(migration.Command) error // refuses with a reason that a person can act on
	Apply             func(workflow.Context, migration.Command)
	// Carry is in the place of Apply where it takes activities to carry the command out. Who asked
	// hears what it says, or why it refuses. It notes in the timeline what it did.
	Carry func(workflow.Context, migration.Command) (said string, err error)
	But   func() string // what an accepted command waits for; nil or empty: nothing
}

// Handle installs the commands. A repeat of a request id is accepted and does nothing.
func (s *Status[P]) Handle(ctx workflow.Context, commands ...Command) error {
	for _, c := range commands {
		err := workflow.SetUpdateHandlerWithOptions(ctx, c.Name,
			func(ctx workflow.Context, cmd migration.Command) (migration.Accepted, error) {
				return s.take(ctx, c, cmd)
			},
			workflow.UpdateHandlerOptions{Description: c.Description, Validator: func(ctx workflow.Context, cmd migration.Command) error {
				return s.validate(ctx, c, cmd)
			}})
		if err != nil {
			return err
		}
	}
	return nil
}

// validate refuses late commands first: a refusal leaves nothing in the history, and who asked has
// been told that nothing happens.
func (s *Status[P]) validate(ctx workflow.Context, c Command, cmd migration.Command) error {
	if err := cmd.Late(workflow.Now(ctx)); err != nil {
		return err
	}
	if cmd.By == "" {
		return fmt.Errorf("%s: say who asks (by)", c.Name)
	}
	if err := cmd.Fits(); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	if cmd.RequestID != "" && slices.Contains(s.Seen, cmd.RequestID) {
		return nil
	}
	return c.Allowed(cmd)
}

// take carries out what was accepted.
func (s *Status[P]) take(ctx workflow.Context, c Command, cmd migration.Command) (migration.Accepted, error) {
	if s.Deaf {
		return migration.Accepted{Message: c.Name + " was not carried out: the workflow was reset a moment ago; ask again"}, nil
	}
	if c.Carry != nil {
		if cmd.RequestID != "" && slices.Contains(s.Seen, cmd.RequestID) {
			return migration.Accepted{Message: c.Name + " was accepted before"}, nil
		}
		said, err := c.Carry(ctx, cmd)
		if err != nil {
			return migration.Accepted{}, err
		}
		s.repeated(cmd)
		s.Show(ctx)
		return migration.Accepted{Message: said}, nil
	}
	if s.repeated(cmd) {
		return migration.Accepted{Message: c.Name + " was accepted before"}, nil
	}
	s.Note(ctx, c.Name, cmd)
	c.Apply(ctx, cmd)
	s.Show(ctx)
	said := c.Name + " accepted"
	if c.But != nil && c.But() != "" {
		said += "; " + c.But()
	}
	return migration.Accepted{Message: said}, nil
}

// repeated says whether a command's request id was taken before, in this run or an earlier one, and
// remembers it.
func (s *Status[P]) repeated(cmd migration.Command) bool {
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

// MayDo lists those of the commands that would be accepted now.
func MayDo(allowed func(name string) error, names ...string) (out []string) {
	for _, name := range names {
		if allowed(name) == nil {
			out = append(out, name)
		}
	}
	return out
}
