// Package permanent is for errors that trying again does not cure. Engines answer them without
// knowing Temporal; the worker, which runs every activity, makes of them errors that Temporal does
// not retry.
package permanent

import (
	"errors"
	"fmt"
	"strings"
)

// Error is one that trying again does not cure: somebody has to change the plan, the account or the
// system first.
type Error struct {
	Kind  string // one word, for programs: NoCustomer, AccessDenied
	Text  string // for people: what was being done, to what, why, what to do next
	Cause error  // nil: none
}

// New makes an Error; format and args make its text.
func New(kind string, cause error, format string, args ...any) error {
	return &Error{Kind: kind, Text: fmt.Sprintf(format, args...), Cause: cause}
}

// Error is the text, and the cause where the text does not say it.
func (e *Error) Error() string {
	if e.Cause == nil || strings.Contains(e.Text, e.Cause.Error()) {
		return e.Text
	}
	return e.Text + ": " + e.Cause.Error()
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Kind is the kind of the first permanent error that err wraps; "": there is none.
func Kind(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}
