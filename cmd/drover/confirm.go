package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/drover-migration/drover/client"
)

// confirm asks before something that moves customers, if a person is there to answer. Scripts are
// taken at their word.
func (a *app) confirm(ctx context.Context, question string, yes bool) error {
	if yes || !isTerminal(a.in) {
		return nil
	}
	if answer := a.ask(ctx, question+" [y/N] "); answer == "y" || answer == "yes" {
		return nil
	}
	return notConfirmed(strings.TrimSuffix(question, "?"), "answer y, or give --yes")
}

// confirmByName asks for a name before something that nothing undoes. given is what a script said
// instead; "": it is asked for.
func (a *app) confirmByName(ctx context.Context, what, name, given string) error {
	if given == "" {
		given = a.ask(ctx, "To "+what+", type its name: ")
	}
	if given == name {
		return nil
	}
	return notConfirmed(what, "type "+name+", or give --confirm "+name)
}

func notConfirmed(doing, next string) error {
	return &client.Problem{Kind: client.ErrRefused, Doing: doing, Why: "not confirmed", Next: next}
}

// ask asks a person and answers with the line, in lower case; "": there was none.
func (a *app) ask(ctx context.Context, question string) string {
	line, _ := a.line(ctx, question)
	return strings.ToLower(line)
}

// line asks a person and answers with the line as it was typed; false: there will be no more.
func (a *app) line(ctx context.Context, question string) (answer string, more bool) {
	_, _ = fmt.Fprint(a.err, question)
	type line struct {
		text string
		err  error
	}
	said := make(chan line, 1)
	go func() {
		text, err := bufio.NewReader(a.in).ReadString('\n')
		said <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(a.err)
		return "", false
	case l := <-said:
		if l.err != nil {
			return "", false // a line that was not finished is no answer
		}
		return strings.TrimSpace(l.text), true
	}
}

// isTerminal says whether a stream is a person's terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
