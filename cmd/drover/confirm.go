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
	_, _ = fmt.Fprintf(a.err, "%s [y/N] ", question)
	said := make(chan string, 1)
	go func() {
		line, err := bufio.NewReader(a.in).ReadString('\n')
		if err != nil {
			line = "" // a line that was not finished is no answer
		}
		said <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(a.err)
	case answer := <-said:
		if answer == "y" || answer == "yes" {
			return nil
		}
	}
	return &client.Problem{Kind: client.ErrRefused, Doing: strings.TrimSuffix(question, "?"), Why: "not confirmed",
		Next: "answer y, or give --yes"}
}

// isTerminal says whether a stream is a person's terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
