package hooks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// SSM is what a Caller uses of *ssm.Client.
type SSM interface {
	DescribeDocument(context.Context, *ssm.DescribeDocumentInput, ...func(*ssm.Options)) (*ssm.DescribeDocumentOutput, error)
	SendCommand(context.Context, *ssm.SendCommandInput, ...func(*ssm.Options)) (*ssm.SendCommandOutput, error)
	ListCommands(context.Context, *ssm.ListCommandsInput, ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error)
	GetCommandInvocation(context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error)
}

// IAM is what a Caller's check uses of *iam.Client.
type IAM interface {
	GetInstanceProfile(context.Context, *iam.GetInstanceProfileInput, ...func(*iam.Options)) (*iam.GetInstanceProfileOutput, error)
	ListAttachedRolePolicies(context.Context, *iam.ListAttachedRolePoliciesInput,
		...func(*iam.Options)) (*iam.ListAttachedRolePoliciesOutput, error)
}

// Machines are the instances on which documents are run.
type Machines interface {
	SSM(ctx context.Context, t migration.Target) (SSM, error)
	IAM(ctx context.Context, t migration.Target) (IAM, error)
	// Instances are the ids of those that a workload of the plan has and that are not gone, sorted.
	Instances(ctx context.Context, plan string, t migration.Target, workload string) ([]string, error)
}

const (
	commandPoll = time.Second      // between two looks at a command; its agent asks for work every few seconds
	clockSkew   = 10 * time.Minute // by which this worker's clock may differ from that of AWS
	mostTargets = 50               // instances that one command takes by their ids
)

// run runs a document on the instances of the workloads that the call is about, and waits for all
// of them. Systems Manager knows no idempotency key: a command carries the digest of the key in its
// comment, and whoever calls again finds it there, and waits for it. One that failed is sent again.
// Two calls at once may both send: a document does nothing twice for one key.
func (c *Caller) run(ctx context.Context, spec *migration.Spec, d migration.SSMDocument, call migration.HookCall,
	since time.Time) (Answer, error) {
	if c.Machines == nil {
		return Answer{}, permanent.New("NoMachines", nil, "this worker runs no documents")
	}
	for _, p := range places(spec, d, call) {
		r := running{call: call, document: d, since: since, comment: comment(call)}
		var err error
		if r.client, err = c.Machines.SSM(ctx, p.target); err != nil {
			return Answer{}, err
		}
		for _, w := range p.workloads {
			ids, err := c.Machines.Instances(ctx, spec.Plan, p.target, w)
			if err != nil {
				return Answer{}, err
			}
			if len(ids) == 0 {
				return Answer{}, fmt.Errorf("workload %s has no instance in target %s to run document %s on", w, p.target.Name, d.Document)
			}
			r.on = append(r.on, ids...)
		}
		if len(r.on) > mostTargets {
			return Answer{}, permanent.New("TooMany", nil, "document %s is to run on %d instances, and one command takes %d: name fewer "+
				"workloads in the hook", d.Document, len(r.on), mostTargets)
		}
		if a, err := r.run(ctx); err != nil || a.Hold != "" {
			return a, err
		}
	}
	return Answer{}, nil
}

// place is the workloads of a call in one target.
type place struct {
	target    migration.Target
	workloads []string
}

// places are where a call's document is to run: on the workloads that the hook names, or on all on
// EC2, of those that the call is about.
func places(spec *migration.Spec, d migration.SSMDocument, call migration.HookCall) (out []place) {
	about := []string{call.Workload}
	if call.Workload == "" {
		customer, _ := spec.Customer(call.Customer)
		about = customer.Workloads
	}
	for _, name := range about {
		w, ok := spec.Workload(name)
		if !ok || w.EC2 == nil || len(d.Workloads) > 0 && !slices.Contains(d.Workloads, name) {
			continue
		}
		i := slices.IndexFunc(out, func(p place) bool { return p.target.Name == w.Target })
		if i < 0 {
			t, _ := spec.Target(w.Target)
			out = append(out, place{target: t})
			i = len(out) - 1
		}
		out[i].workloads = append(out[i].workloads, name)
	}
	return out
}

// comment names a call in a command. Comments are short: 100 characters.
func comment(call migration.HookCall) string {
	sum := sha256.Sum256([]byte(call.Key()))
	return "drover " + string(call.Event) + " " + hex.EncodeToString(sum[:16])
}

// running is a document on its way on the instances of one target.
type running struct {
	client   SSM
	call     migration.HookCall
	document migration.SSMDocument
	since    time.Time
	comment  string
	on       []string
}

func (r running) run(ctx context.Context) (Answer, error) {
	id, err := r.find(ctx)
	if err != nil {
		return Answer{}, err
	}
	if id == "" {
		if id, err = r.send(ctx); err != nil {
			return Answer{}, err
		}
	}
	for _, instance := range r.on {
		a, err := r.await(ctx, id, instance)
		if err != nil || a.Hold != "" {
			return a, err
		}
	}
	return Answer{}, nil
}

// find finds the last command of this call that has not failed; "": there is none.
func (r running) find(ctx context.Context) (string, error) {
	after := r.since.Add(-clockSkew).UTC().Format("2006-01-02T15:04:05Z")
	pages := ssm.NewListCommandsPaginator(r.client, &ssm.ListCommandsInput{MaxResults: aws.Int32(50), Filters: []types.CommandFilter{
		{Key: types.CommandFilterKeyInvokedAfter, Value: &after},
	}})
	var last types.Command
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", classify(err, "look for an earlier command of document %s", r.document.Document)
		}
		for _, c := range page.Commands {
			if aws.ToString(c.Comment) == r.comment && r.takes(c.InstanceIds) &&
				(last.CommandId == nil || aws.ToTime(c.RequestedDateTime).After(aws.ToTime(last.RequestedDateTime))) {
				last = c
			}
		}
	}
	switch last.Status {
	case types.CommandStatusFailed, types.CommandStatusTimedOut, types.CommandStatusCancelled, types.CommandStatusCancelling:
		return "", nil
	}
	return aws.ToString(last.CommandId), nil
}

// takes says whether a command went to all of the instances, and to no others: machines that were
// replaced meanwhile have not run it.
func (r running) takes(ids []string) bool {
	have := slices.Sorted(slices.Values(ids))
	return slices.Equal(have, slices.Sorted(slices.Values(r.on)))
}

func (r running) send(ctx context.Context) (string, error) {
	parameters, err := r.parameters(ctx)
	if err != nil {
		return "", err
	}
	out, err := r.client.SendCommand(ctx, &ssm.SendCommandInput{DocumentName: &r.document.Document, InstanceIds: r.on,
		Parameters: parameters, Comment: &r.comment})
	if err != nil {
		return "", classify(err, "run document %s on %s", r.document.Document, strings.Join(r.on, ", "))
	}
	return aws.ToString(out.Command.CommandId), nil
}

// parameters are the plan's, and those that Drover gives to a document that declares them.
func (r running) parameters(ctx context.Context) (map[string][]string, error) {
	doc, err := r.client.DescribeDocument(ctx, &ssm.DescribeDocumentInput{Name: &r.document.Document})
	if err != nil {
		return nil, classify(err, "look for document %s", r.document.Document)
	}
	out := maps.Clone(r.document.Parameters)
	if out == nil {
		out = map[string][]string{}
	}
	given := ours(r.call)
	for _, p := range doc.Document.Parameters {
		name := aws.ToString(p.Name)
		if v, ok := given[name]; ok && out[name] == nil {
			out[name] = []string{v}
		}
	}
	return out, nil
}

// ours are what Drover gives to a document.
func ours(call migration.HookCall) map[string]string {
	return map[string]string{
		"DroverKey": call.Key(), "DroverEvent": string(call.Event), "DroverPlan": call.Plan, "DroverBatch": call.Batch,
		"DroverCustomer": call.Customer, "DroverToken": strconv.FormatInt(call.Token, 10), "DroverFrom": string(call.From),
		"DroverTo": string(call.To), "DroverWorkload": call.Workload,
	}
}

// await waits until the command has ended on an instance. The last line of its output is the answer
// where it is JSON. Nothing else of the output is kept: it is the user's.
func (r running) await(ctx context.Context, command, instance string) (Answer, error) {
	for {
		got, err := r.client.GetCommandInvocation(ctx, &ssm.GetCommandInvocationInput{CommandId: &command, InstanceId: &instance})
		var early *types.InvocationDoesNotExist
		switch {
		case errors.As(err, &early): // it was sent a moment ago
		case err != nil:
			return Answer{}, classify(err, "look at command %s on %s", command, instance)
		case got.Status == types.CommandInvocationStatusSuccess:
			lines := bytes.Split(bytes.TrimSpace([]byte(aws.ToString(got.StandardOutputContent))), []byte("\n"))
			return said(lines[len(lines)-1])
		case got.Status == types.CommandInvocationStatusFailed, got.Status == types.CommandInvocationStatusTimedOut,
			got.Status == types.CommandInvocationStatusCancelled:
			return Answer{}, fmt.Errorf("document %s ended as %s on %s (exit code %d): Systems Manager shows its output as command %s",
				r.document.Document, aws.ToString(got.StatusDetails), instance, got.ResponseCode, command)
		}
		select {
		case <-ctx.Done():
			return Answer{}, fmt.Errorf("command %s of document %s has not ended on %s: %w", command, r.document.Document, instance,
				ctx.Err())
		case <-time.After(commandPoll):
		}
	}
}

// lasting are the errors that trying again does not cure. That an instance is not known may change:
// its agent signs in after it has booted.
var lasting = []string{"InvalidDocument", "InvalidDocumentVersion", "InvalidParameters", "UnsupportedPlatformType", "InvalidRole",
	"AccessDenied", "AccessDeniedException"}

func classify(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	var api smithy.APIError
	if permanent.Kind(err) == "" && errors.As(err, &api) && slices.Contains(lasting, api.ErrorCode()) {
		return permanent.New(api.ErrorCode(), err, "%s: AWS refuses it; see that the document, its parameters and the role's permissions "+
			"are right (`drover iam-policy`)", what)
	}
	return fmt.Errorf("%s: %w", what, err)
}
