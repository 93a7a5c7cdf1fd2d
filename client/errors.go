package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// Kinds of problems, for errors.Is.
var (
	ErrNotFound       = errors.New("not found")
	ErrAlreadyRunning = errors.New("already running")
	ErrRefused        = errors.New("refused")
	ErrUnreachable    = errors.New("unreachable") // Temporal, or a worker that would answer
)

// Problem is an error for people.
type Problem struct {
	Kind  error  // one of the kinds above; nil: none of them
	Doing string // "approve batch canary of plan shop"
	Why   string
	Next  string // what to do about it; may be empty
	Err   error  // the cause, where there is one
}

func (p *Problem) Error() string { return p.Doing + ": " + p.Why }

// Unwrap gives the kind and the cause.
func (p *Problem) Unwrap() []error {
	var out []error
	for _, e := range []error{p.Kind, p.Err} {
		if e != nil {
			out = append(out, e)
		}
	}
	return out
}

const (
	nextWorker = "see that `drover worker` runs with the same TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE, then repeat the command"
	nextServer = "check TEMPORAL_ADDRESS, TEMPORAL_PROFILE and the network, then repeat the command"

	nextNamespace = "set TEMPORAL_NAMESPACE to one that exists (`temporal operator namespace list`)"
)

// problem classifies what Temporal answered while doing something to a workflow.
func problem(doing string, err error) error {
	if err == nil {
		return nil
	}
	var already *Problem
	if errors.As(err, &already) {
		return err
	}
	p := &Problem{Doing: doing, Why: err.Error(), Err: err}
	var (
		notFound     *serviceerror.NotFound
		noNamespace  *serviceerror.NamespaceNotFound
		denied       *serviceerror.PermissionDenied
		unavailable  *serviceerror.Unavailable
		deadline     *serviceerror.DeadlineExceeded
		canceled     *serviceerror.Canceled
		precondition *serviceerror.FailedPrecondition
		notReady     *serviceerror.WorkflowNotReady
		updateLate   *client.WorkflowUpdateServiceTimeoutOrCanceledError
		app          *temporal.ApplicationError
	)
	switch {
	case errors.Is(err, context.Canceled), errors.As(err, &canceled):
		p.Why, p.Err = "interrupted", context.Canceled
	case errors.As(err, &updateLate), errors.As(err, &deadline), errors.Is(err, context.DeadlineExceeded):
		p.Kind, p.Why, p.Next = ErrUnreachable, "no worker answered in time", nextWorker
	case errors.As(err, &noNamespace):
		p.Kind, p.Next = ErrNotFound, nextNamespace
	case errors.As(err, &notFound):
		p.Kind, p.Next = ErrNotFound, "list what there is with `drover status`"
	case errors.As(err, &denied):
		p.Kind, p.Next = ErrRefused, "check the API key or certificate of your Temporal profile"
	case errors.As(err, &precondition) && strings.Contains(err.Error(), "poller"), errors.As(err, &notReady):
		p.Kind, p.Why, p.Next = ErrUnreachable, "no worker polls the task queue", nextWorker
	case strings.Contains(err.Error(), "no mapping defined for search attribute"):
		p.Kind, p.Why, p.Next = ErrUnreachable, "this namespace does not know Drover's search attributes: no worker has been here",
			nextWorker
	case errors.As(err, &unavailable):
		p.Kind, p.Next = ErrUnreachable, nextServer
	case errors.As(err, &app):
		p.Kind, p.Why = ErrRefused, app.Message()
	}
	return p
}

// remedies of a connection that fails, by what gRPC and TLS say of it; the first that is found
// counts.
var remedies = []struct{ says, next string }{
	{"certificate has expired or is not yet valid", "renew the certificate that the message names, or set this machine's clock right"},
	{"certificate signed by unknown authority",
		"set TEMPORAL_TLS_SERVER_CA_CERT_PATH to the authority that signed the server's certificate"},
	{"certificate is valid for", "set TEMPORAL_TLS_SERVER_NAME to a name that the server's certificate has, or correct TEMPORAL_ADDRESS"},
	{"certificate required", "set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH: the server wants a client's certificate"},
	{"bad certificate",
		"the server refuses the client's certificate: check TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH"},
	{"first record does not look like a TLS handshake",
		"the server speaks no TLS: set TEMPORAL_TLS=false, or unset TEMPORAL_API_KEY, which switches TLS on"},
	{"too many colons in address", "write TEMPORAL_ADDRESS as host:port, without https:// in front"},
	{"missing port in address", "write TEMPORAL_ADDRESS as host:port"},
	{"no such host", "correct the host in TEMPORAL_ADDRESS: no name server knows it"},
	{"connection refused", "nothing listens there: see that Temporal's server runs, or correct TEMPORAL_ADDRESS"},
	{"error reading server preface", "the server does not answer as Temporal does: if it speaks TLS, set TEMPORAL_TLS=true"},
	{"Request unauthorized", "check TEMPORAL_API_KEY, or the certificate of your Temporal profile"},
}

// Unreachable is the problem of a Temporal server that could not be dialled.
func Unreachable(address string, err error) error {
	p := &Problem{Kind: ErrUnreachable, Doing: fmt.Sprintf("connect to Temporal at %s", address), Why: short(err), Next: nextServer,
		Err: err}
	for _, r := range remedies {
		if strings.Contains(err.Error(), r.says) {
			p.Next = r.next
			break
		}
	}
	return p
}

// short keeps what a person needs of a gRPC error.
func short(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer"
	}
	s := err.Error()
	if i := strings.LastIndex(s, "desc = "); i >= 0 {
		s = s[i+len("desc = "):]
	}
	return strings.Trim(s, `"`)
}
