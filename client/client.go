package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/migration"
)

// DefaultTimeout is how long a request waits for an answer where the caller's context sets no
// deadline.
const DefaultTimeout = 10 * time.Second

// Client talks to the migrations of one Temporal namespace.
type Client struct {
	temporal client.Client
	payloads converter.DataConverter
	failures converter.FailureConverter
	prove    prover
}

// prover signs commands; without a holder they are sent as they are.
type prover struct {
	holder    *identity.Holder
	namespace string
}

// New wraps a connection that was made with Drover's converters without keys. The caller closes the
// connection.
func New(temporal client.Client) *Client {
	return &Client{temporal: temporal, payloads: codec.DataConverter(), failures: codec.FailureConverter()}
}

// Under is the client of a connection that was made with these options' converters.
func (c *Client) Under(opts client.Options) *Client {
	out := *c
	out.payloads, out.failures = opts.DataConverter, opts.FailureConverter
	return &out
}

// As is the client for one person: each command carries the holder's signature. Namespace is
// Temporal's, as workers know it.
func (c *Client) As(namespace string, holder *identity.Holder) *Client {
	out := *c
	out.prove = prover{holder, namespace}
	return &out
}

// attributes are the search attributes of Drover, all keywords.
var attributes = []string{
	migration.AttrPlan, migration.AttrBatch, migration.AttrCustomer, migration.AttrPhase, migration.AttrHome, migration.AttrWaitingFor,
}

var (
	attrPlan  = temporal.NewSearchAttributeKeyKeyword(migration.AttrPlan)
	attrPhase = temporal.NewSearchAttributeKeyKeyword(migration.AttrPhase)
)

// EnsureSearchAttributes registers Drover's search attributes in the client's namespace and waits
// until the server takes them. It may be repeated, also by several workers at once. Where the
// caller may not register any but all are there, it succeeds.
func (c *Client) EnsureSearchAttributes(ctx context.Context, namespace string) error {
	const doing = "register search attributes"
	ctx, cancel := within(ctx, 30*time.Second)
	defer cancel()
	missing, err := c.missingAttributes(ctx, namespace)
	if err != nil || len(missing) == 0 {
		return problem(doing, err)
	}
	add := make(map[string]enumspb.IndexedValueType, len(missing))
	for _, a := range missing {
		add[a] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
	}
	_, err = c.temporal.OperatorService().AddSearchAttributes(ctx,
		&operatorservice.AddSearchAttributesRequest{SearchAttributes: add, Namespace: namespace})
	var exists *serviceerror.AlreadyExists
	if err != nil && !errors.As(err, &exists) {
		return &Problem{Doing: doing, Why: err.Error(), Err: err,
			Next: "let an administrator run `temporal operator search-attribute create` for " + strings.Join(missing, ", ") +
				" (type Keyword)"}
	}
	return problem(doing, c.awaitAttributes(ctx, namespace))
}

// awaitAttributes asks until every attribute is listed: servers keep them in a cache.
func (c *Client) awaitAttributes(ctx context.Context, namespace string) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		missing, err := c.missingAttributes(ctx, namespace)
		if err != nil || len(missing) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (c *Client) missingAttributes(ctx context.Context, namespace string) ([]string, error) {
	have, err := c.temporal.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, a := range attributes {
		kind, ok := have.GetCustomAttributes()[a]
		if ok && kind != enumspb.INDEXED_VALUE_TYPE_KEYWORD {
			return nil, fmt.Errorf("search attribute %s exists as %s and not as Keyword", a, kind)
		}
		if !ok {
			missing = append(missing, a)
		}
	}
	return missing, nil
}

// PlanSummary is one line of the list of plans.
type PlanSummary struct {
	Plan      string                   `json:"plan"`
	Phase     migration.MigrationPhase `json:"phase"`
	Execution string                   `json:"execution"` // of the workflow: Running, Completed, Terminated, ...
	Started   time.Time                `json:"started"`
	Closed    time.Time                `json:"closed,omitzero"`
}

// List gives every plan that was submitted and is still in Temporal's retention, the newest run of
// each, newest first.
func (c *Client) List(ctx context.Context) ([]PlanSummary, error) {
	const doing = "list plans"
	ctx, cancel := within(ctx, DefaultTimeout)
	defer cancel()
	out := []PlanSummary{} // an empty list, not null
	seen := map[string]bool{}
	req := &workflowservice.ListWorkflowExecutionsRequest{Query: "WorkflowType = '" + migration.WorkflowMigration + "'"}
	for {
		page, err := c.temporal.ListWorkflow(ctx, req)
		if err != nil {
			return nil, problem(doing, err)
		}
		for _, e := range page.GetExecutions() {
			id := e.GetExecution().GetWorkflowId()
			if seen[id] {
				continue // an older run: the list comes newest first
			}
			seen[id] = true
			s := PlanSummary{Plan: strings.TrimPrefix(id, migration.MigrationID("")), Execution: e.GetStatus().String(),
				Started: e.GetStartTime().AsTime()}
			if t := e.GetCloseTime(); t != nil {
				s.Closed = t.AsTime()
			}
			if p := e.GetSearchAttributes().GetIndexedFields()[migration.AttrPhase]; p != nil {
				_ = converter.GetDefaultDataConverter().FromPayload(p, &s.Phase) // a phase that cannot be read stays empty
			}
			out = append(out, s)
		}
		if req.NextPageToken = page.GetNextPageToken(); len(req.NextPageToken) == 0 {
			return out, nil
		}
	}
}

// Workers are the identities of the workers that have asked a queue for activities lately: within
// some minutes, as Temporal keeps them.
func (c *Client) Workers(ctx context.Context, queue string) ([]string, error) {
	ctx, cancel := within(ctx, DefaultTimeout)
	defer cancel()
	d, err := c.temporal.DescribeTaskQueue(ctx, queue, enumspb.TASK_QUEUE_TYPE_ACTIVITY)
	if err != nil {
		return nil, problem("ask who polls "+queue, err)
	}
	var out []string
	for _, p := range d.GetPollers() {
		out = append(out, p.GetIdentity())
	}
	return out, nil
}

// ServerVersion is the version of Temporal's server.
func (c *Client) ServerVersion(ctx context.Context) (string, error) {
	ctx, cancel := within(ctx, DefaultTimeout)
	defer cancel()
	info, err := c.temporal.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	return info.GetServerVersion(), problem("ask Temporal which it is", err)
}

// within gives ctx a deadline if it has none.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}
