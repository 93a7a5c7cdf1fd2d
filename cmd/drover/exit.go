package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/printer"
)

// Exit codes. Scripts rely on them: a number never changes its meaning.
const (
	exitDone        = 0
	exitFailed      = 1
	exitInput       = 2
	exitNotFound    = 3
	exitRefused     = 4
	exitRolledBack  = 5
	exitHeld        = 6
	exitUnreachable = 7
	exitBlocked     = 8
	exitAborted     = 9
	exitInterrupted = 130
)

// exitCodes is the one table of them, as the help prints it.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitDone, "done; with --wait and --watch: ended with every customer moved"},
	{exitFailed, "failed: something went wrong that no other code names"},
	{exitInput, "bad input: the command line, the settings or the plan"},
	{exitNotFound, "not found: no such plan, batch or customer"},
	{exitRefused, "refused: not allowed now, already running, not confirmed"},
	{exitRolledBack, "rolled back: ended, and customers went back (--wait, --watch)"},
	{exitHeld, "held: ended, and customers wait for a human (--wait, --watch)"},
	{exitUnreachable, "unreachable: Temporal, or a worker that would answer"},
	{exitBlocked, "blocked: the inventory or the doctor found what must be mended first"},
	{exitAborted, "aborted: the migration was aborted (--wait, --watch)"},
	{exitInterrupted, "interrupted: Ctrl-C; what was submitted goes on"},
}

func exitTable() string {
	var b strings.Builder
	for _, e := range exitCodes {
		fmt.Fprintf(&b, "  %3d  %s\n", e.code, e.meaning)
	}
	return b.String()
}

// ended is an error that only sets the exit code: what there was to say has been said.
type ended struct{ code int }

func (e ended) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// badInput is a mistake of the caller, with what to do about it.
type badInput struct {
	err  error
	next string
}

func (b *badInput) Error() string { return b.err.Error() }
func (b *badInput) Unwrap() error { return b.err }

func inputError(next, format string, args ...any) error {
	return &badInput{err: fmt.Errorf(format, args...), next: next}
}

// exitCode says what an error means to a script.
func exitCode(err error) int {
	var (
		said ended
		bad  *badInput
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &said):
		return said.code
	case errors.As(err, &bad):
		return exitInput
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, client.ErrNotFound):
		return exitNotFound
	case errors.Is(err, client.ErrRefused), errors.Is(err, client.ErrAlreadyRunning):
		return exitRefused
	case errors.Is(err, client.ErrUnreachable):
		return exitUnreachable
	default:
		return exitFailed
	}
}

// complain tells a person what went wrong and what to do next.
func complain(w io.Writer, err error) {
	var said ended
	switch {
	case err == nil, errors.As(err, &said):
		return
	case errors.Is(err, context.Canceled):
		_, _ = fmt.Fprintln(w, "interrupted")
		return
	}
	_, _ = fmt.Fprintf(w, "error: %s\n", printer.Plain(err.Error()))
	if next := nextStep(err); next != "" {
		_, _ = fmt.Fprint(w, strings.Replace(printer.Wrap("      ", next), "      ", "next: ", 1))
	}
}

func nextStep(err error) string {
	var (
		p   *client.Problem
		bad *badInput
	)
	switch {
	case errors.As(err, &p):
		return p.Next
	case errors.As(err, &bad):
		return bad.next
	default:
		return ""
	}
}

// exitCodesTopic is `drover help exit-codes`.
func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: "Exit codes of every command:\n\n" +
		strings.TrimRight(exitTable(), "\n")}
}
