package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/plans"
)

// question is something that only a lead knows: a flag, and on a terminal a question.
type question struct {
	flag, form string // of plans.Fits
	ask        string
	usual      string // the answer that Enter gives
	optional   bool   // no answer is one too
	list       bool   // several, with commas between them
	to         *string
}

// interview asks what no flag has said. Where nobody is there to be asked it collects what is
// missing.
type interview struct {
	a       *app
	cmd     *cobra.Command
	asks    bool // a person is there
	missing []string
}

// put gets the answers to some questions.
func (i *interview) put(ctx context.Context, questions ...question) error {
	for _, q := range questions {
		if i.cmd.Flags().Changed(q.flag) {
			if err := q.check(*q.to); err != nil {
				return inputError("see `"+i.cmd.CommandPath()+" --help`", "--%s: %w", q.flag, err)
			}
			continue
		}
		*q.to = q.usual
		if i.asks {
			if err := i.one(ctx, q); err != nil {
				return err
			}
		} else if q.usual == "" && !q.optional {
			i.missing = append(i.missing, "--"+q.flag)
		}
	}
	return nil
}

// one asks until the answer fits.
func (i *interview) one(ctx context.Context, q question) error {
	words := q.ask
	switch {
	case q.usual != "":
		words += " [" + q.usual + "]"
	case q.optional:
		words += " (Enter: later)"
	}
	for {
		answer, more := i.a.line(ctx, words+": ")
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !more {
			return inputError("answer, or give --"+q.flag, "no answer to %q", q.ask)
		}
		if answer == "" {
			answer = q.usual
		}
		err := q.check(answer)
		if err == nil {
			*q.to = answer
			return nil
		}
		_, _ = fmt.Fprint(i.a.err, printer.Wrap("  ", err.Error()))
	}
}

func (q question) check(answer string) error {
	if answer == "" && q.optional {
		return nil
	}
	if answer == "" {
		return errors.New("an answer is needed")
	}
	parts := []string{answer}
	if q.list {
		parts = listOf(answer)
	}
	for _, p := range parts {
		if q.form == "" {
			continue
		}
		if err := plans.Fits(q.form, p); err != nil {
			return err
		}
	}
	return nil
}

// complete says which flags are missing, all at once.
func (i *interview) complete() error {
	if len(i.missing) == 0 {
		return nil
	}
	slices.Sort(i.missing)
	return inputError("give them, or run it on a terminal, where it asks", "nobody is there to be asked: %s missing",
		strings.Join(i.missing, ", "))
}

// listOf is what stands between commas.
func listOf(s string) (out []string) {
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
