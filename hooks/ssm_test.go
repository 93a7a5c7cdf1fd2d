package hooks

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// fleet is a target with instances on which commands end as they are told. What an emulator does
// with commands is shown in test/aws: all of them succeed there.
type fleet struct {
	instances map[string][]string // by workload
	documents map[string][]string // parameters by name
	policies  map[string][]string // of profiles' roles
	ends      []end               // of the commands, one after the other; the last for good
	refuses   error               // what a send is answered with

	sent []*ssm.SendCommandInput
}

type end struct {
	status types.CommandInvocationStatus
	output string
}

func (f *fleet) SSM(context.Context, migration.Target) (SSM, error) { return f, nil }
func (f *fleet) IAM(context.Context, migration.Target) (IAM, error) { return f, nil }
func (f *fleet) Instances(_ context.Context, _ string, _ migration.Target, workload string) ([]string, error) {
	return f.instances[workload], nil
}

func (f *fleet) DescribeDocument(_ context.Context, in *ssm.DescribeDocumentInput,
	_ ...func(*ssm.Options)) (*ssm.DescribeDocumentOutput, error) {
	names, ok := f.documents[*in.Name]
	if !ok {
		return nil, &types.InvalidDocument{}
	}
	out := &ssm.DescribeDocumentOutput{Document: &types.DocumentDescription{Name: in.Name}}
	for _, n := range names {
		out.Document.Parameters = append(out.Document.Parameters, types.DocumentParameter{Name: &n})
	}
	return out, nil
}

func (f *fleet) SendCommand(_ context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	if f.refuses != nil {
		return nil, f.refuses
	}
	f.sent = append(f.sent, in)
	return &ssm.SendCommandOutput{Command: &types.Command{CommandId: aws.String(fmt.Sprint(len(f.sent) - 1))}}, nil
}

func (f *fleet) end(i int) end { return f.ends[min(i, len(f.ends)-1)] }

func (f *fleet) ListCommands(context.Context, *ssm.ListCommandsInput, ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	out := &ssm.ListCommandsOutput{}
	for i, s := range f.sent {
		out.Commands = append(out.Commands, types.Command{CommandId: aws.String(fmt.Sprint(i)), Comment: s.Comment,
			InstanceIds: s.InstanceIds, RequestedDateTime: aws.Time(time.Unix(int64(i), 0)), Status: types.CommandStatus(f.end(i).status)})
	}
	return out, nil
}

func (f *fleet) GetCommandInvocation(_ context.Context, in *ssm.GetCommandInvocationInput,
	_ ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	var i int
	if _, err := fmt.Sscan(*in.CommandId, &i); err != nil {
		return nil, err
	}
	e := f.end(i)
	return &ssm.GetCommandInvocationOutput{Status: e.status, StatusDetails: aws.String(string(e.status)),
		StandardOutputContent: &e.output, ResponseCode: 3}, nil
}

func (f *fleet) GetInstanceProfile(_ context.Context, in *iam.GetInstanceProfileInput,
	_ ...func(*iam.Options)) (*iam.GetInstanceProfileOutput, error) {
	if _, ok := f.policies[*in.InstanceProfileName]; !ok {
		return nil, &iamtypes.NoSuchEntityException{}
	}
	return &iam.GetInstanceProfileOutput{InstanceProfile: &iamtypes.InstanceProfile{
		Roles: []iamtypes.Role{{RoleName: in.InstanceProfileName}}}}, nil
}

func (f *fleet) ListAttachedRolePolicies(_ context.Context, in *iam.ListAttachedRolePoliciesInput,
	_ ...func(*iam.Options)) (*iam.ListAttachedRolePoliciesOutput, error) {
	out := &iam.ListAttachedRolePoliciesOutput{}
	for _, p := range f.policies[*in.RoleName] {
		out.AttachedPolicies = append(out.AttachedPolicies, iamtypes.AttachedPolicy{PolicyName: &p})
	}
	return out, nil
}

func newFleet(ends ...end) *fleet {
	return &fleet{instances: map[string][]string{"web": {"i-1", "i-2"}, "jobs": {"i-3"}}, ends: ends,
		documents: map[string][]string{"warm": {"DroverKey", "DroverCustomer", "Level"}},
		policies:  map[string][]string{"web": {"ReadLogs", "AmazonSSMManagedInstanceCore"}, "own": {"our-ssm"}}}
}

func platform() *migration.Spec {
	return &migration.Spec{Plan: "shop", Targets: []migration.Target{{Name: "prod"}},
		Workloads: []migration.Workload{
			{Name: "web", Target: "prod", EC2: &migration.EC2{Profile: "web"}},
			{Name: "jobs", Target: "prod", EC2: &migration.EC2{Profile: "own"}},
			{Name: "api", Target: "prod", Fargate: &migration.Fargate{}},
			{Name: "bare", Target: "prod", EC2: &migration.EC2{}},
		},
		Customers: []migration.Customer{{ID: "acme", Workloads: []string{"web", "api"}}},
	}
}

func runs(workloads ...string) migration.Hook {
	return migration.Hook{Event: migration.HookAfterOpen, Timeout: migration.Duration(10 * time.Second),
		SSM: &migration.SSMDocument{Document: "warm", Parameters: map[string][]string{"Level": {"2"}}, Workloads: workloads}}
}

var opened = migration.HookCall{Event: migration.HookAfterOpen, Plan: "shop", Customer: "acme", Token: 7, From: migration.OnPrem,
	To: migration.AWS}

func TestADocumentRunsOnTheCustomersInstancesAndIsToldTheKey(t *testing.T) {
	f := newFleet(end{types.CommandInvocationStatusSuccess, "warmed 12 caches\n"})
	c := &Caller{Machines: f}
	for range 2 { // the second is a worker that died after it had sent
		a, err := c.Call(t.Context(), platform(), runs(), opened, time.Now())
		require.NoError(t, err)
		require.Empty(t, a.Hold)
	}
	require.Len(t, f.sent, 1, "the repeat finds the command")
	require.Equal(t, []string{"i-1", "i-2"}, f.sent[0].InstanceIds)
	require.Equal(t, map[string][]string{"Level": {"2"}, "DroverKey": {"shop/acme/7/afterOpen"}, "DroverCustomer": {"acme"}},
		f.sent[0].Parameters, "what it declares, and no more")
	require.LessOrEqual(t, len(*f.sent[0].Comment), 100)
	next := opened
	next.Token++
	_, err := c.Call(t.Context(), platform(), runs(), next, time.Now())
	require.NoError(t, err)
	require.Len(t, f.sent, 2, "another try is another call")
	f.instances["web"] = []string{"i-1", "i-9"}
	_, err = c.Call(t.Context(), platform(), runs(), next, time.Now())
	require.NoError(t, err)
	require.Len(t, f.sent, 3, "a machine that is new has not run it")
}

func TestADocumentThatFailedIsRunAgain(t *testing.T) {
	f := newFleet(end{types.CommandInvocationStatusFailed, "the password is hunter2"},
		end{types.CommandInvocationStatusSuccess, "done\n" + `{"hold": "the caches are cold"}`})
	c := &Caller{Machines: f}
	_, err := c.Call(t.Context(), platform(), runs(), opened, time.Now())
	require.ErrorContains(t, err, "hook afterOpen: document warm ended as Failed on i-1 (exit code 3): Systems Manager shows its "+
		"output as command 0")
	require.NotContains(t, err.Error(), "hunter2")
	a, err := c.Call(t.Context(), platform(), runs(), opened, time.Now())
	require.NoError(t, err)
	require.Equal(t, "the caches are cold", a.Hold)
	require.Len(t, f.sent, 2)
	require.Equal(t, f.sent[0].Parameters, f.sent[1].Parameters, "under its key")
}

func TestADocumentThatDoesNotEndIsFoundByTheNextAttempt(t *testing.T) {
	f := newFleet(end{status: types.CommandInvocationStatusInProgress})
	c := &Caller{Machines: f}
	h := runs()
	h.Timeout = migration.Duration(20 * time.Millisecond)
	for range 2 {
		_, err := c.Call(t.Context(), platform(), h, opened, time.Now())
		require.ErrorContains(t, err, "command 0 of document warm has not ended on i-1")
	}
	require.Len(t, f.sent, 1)
}

func TestADocumentWithoutInstancesIsTriedAgainAndOneThatAWSRefusesIsNot(t *testing.T) {
	f := newFleet(end{status: types.CommandInvocationStatusSuccess})
	f.instances = nil
	c := &Caller{Machines: f}
	_, err := c.Call(t.Context(), platform(), runs(), opened, time.Now())
	require.ErrorContains(t, err, "workload web has no instance in target prod")
	require.Empty(t, permanent.Kind(err))
	f = newFleet(end{})
	f.refuses = &types.InvalidInstanceId{}
	_, err = (&Caller{Machines: f}).Call(t.Context(), platform(), runs(), opened, time.Now())
	require.Error(t, err)
	require.Empty(t, permanent.Kind(err), "its agent may not have signed in yet")
	f.refuses = &types.InvalidParameters{}
	_, err = (&Caller{Machines: f}).Call(t.Context(), platform(), runs(), opened, time.Now())
	require.Equal(t, "InvalidParameters", permanent.Kind(err))
	_, err = (&Caller{}).Call(t.Context(), platform(), runs(), opened, time.Now())
	require.Equal(t, "NoMachines", permanent.Kind(err), "a site's worker has no hand on machines")
}

func TestADocumentRunsWhereTheHookSays(t *testing.T) {
	at := func(call migration.HookCall, workloads ...string) (out []string) {
		for _, p := range places(platform(), *runs(workloads...).SSM, call) {
			out = append(out, p.workloads...)
		}
		return out
	}
	require.Equal(t, []string{"web"}, at(opened), "of the customer's, those on EC2")
	require.Empty(t, at(opened, "jobs"), "which the customer does not use")
	launched := migration.HookCall{Event: migration.HookAfterLaunch, Plan: "shop", Workload: "jobs"}
	require.Equal(t, []string{"jobs"}, at(launched))
	require.Empty(t, at(launched, "web"))
}

func TestBeforehandADocumentAndItsInstancesAreLookedAt(t *testing.T) {
	checks := func(h migration.Hook) (out []string) {
		found, err := (&Caller{Machines: newFleet(end{})}).Check(t.Context(), platform(), []migration.Hook{h})
		require.NoError(t, err)
		for _, f := range found {
			out = append(out, fmt.Sprintf("%s %s", f.Severity, f.Check))
		}
		return slices.Compact(out)
	}
	require.Empty(t, checks(runs("web")))
	require.Equal(t, []string{"warning hook-instances"}, checks(runs("jobs")), "what a policy of one's own allows is not read")
	require.Equal(t, []string{"blocker hook-instances"}, checks(runs("bare")))
	missing, wrong := runs("web"), runs("web")
	missing.SSM.Document = "cool"
	require.Equal(t, []string{"blocker hook-document"}, checks(missing))
	wrong.SSM.Parameters = map[string][]string{"Depth": {"2"}}
	require.Equal(t, []string{"blocker hook-document"}, checks(wrong))
}
