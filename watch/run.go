package watch

import (
	"context"
	"errors"
	"io"

	tea "charm.land/bubbletea/v2"
)

// Run shows a watch on a terminal until its user leaves or ctx ends; the error is then ctx's.
func Run(ctx context.Context, in io.Reader, out io.Writer, o Options) error {
	return run(ctx, in, out, o)
}

func run(ctx context.Context, in io.Reader, out io.Writer, o Options, more ...tea.ProgramOption) error {
	life, stop := context.WithCancel(ctx)
	defer stop()
	more = append(more, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out))
	_, err := tea.NewProgram(New(life, o), more...).Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, tea.ErrInterrupted) {
		return context.Canceled
	}
	return err
}
