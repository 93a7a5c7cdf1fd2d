package watch

import (
	"context"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/drover-migration/drover/web/board"
)

// RunOf runs a watch on what has no size of its own, as a terminal has.
func RunOf(ctx context.Context, in io.Reader, out io.Writer, o Options, width, height int) error {
	return run(ctx, in, out, o, tea.WithWindowSize(width, height))
}

// Seen is the message that a snapshot was read.
func Seen(s *board.Snapshot, now time.Time) tea.Msg { return seen{s, now} }
