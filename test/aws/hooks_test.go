package awstest

import (
	"context"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/compute"
	"github.com/drover-migration/drover/hooks"
	"github.com/drover-migration/drover/migration"
)

// fleet is the account's instances, as the worker hands them to hooks.
type fleet struct {
	ssm   *ssm.Client
	iam   *iam.Client
	maker *compute.Maker
}

func (f fleet) SSM(context.Context, migration.Target) (hooks.SSM, error) { return f.ssm, nil }
func (f fleet) IAM(context.Context, migration.Target) (hooks.IAM, error) { return f.iam, nil }
func (f fleet) Instances(ctx context.Context, plan string, t migration.Target, workload string) ([]string, error) {
	return f.maker.Instances(ctx, plan, t, workload)
}

const warmCaches = `{"schemaVersion": "2.2", "description": "warm", "parameters": {"DroverKey": {"type": "String"}, "Level": {"type": "String"}},
"mainSteps": [{"action": "aws:runShellScript", "name": "warm", "inputs": {"runCommand": ["warm {{ DroverKey }} {{ Level }}"]}}]}`

// A document is run once on the instances of its workload, whoever asks again. Moto has every
// command succeed, and runs none.
func TestADocumentIsRunOnceForOneKey(t *testing.T) {
	target, cfg := newTarget(t)
	machines := ec2.NewFromConfig(cfg)
	f := fleet{ssm.NewFromConfig(cfg), iam.NewFromConfig(cfg), compute.New(clients{cfg})}
	ran, err := machines.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: sdk.String("ami-12345678"), MinCount: sdk.Int32(2),
		MaxCount: sdk.Int32(2), TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeInstance,
			Tags: []ec2types.Tag{{Key: sdk.String("drover:plan"), Value: sdk.String("shop")},
				{Key: sdk.String("drover:workload"), Value: sdk.String("web")}}}}})
	require.NoError(t, err)
	_, err = f.ssm.CreateDocument(t.Context(), &ssm.CreateDocumentInput{Name: sdk.String("warm"), Content: sdk.String(warmCaches),
		DocumentType: ssmtypes.DocumentTypeCommand, DocumentFormat: ssmtypes.DocumentFormatJson})
	require.NoError(t, err)

	spec := &migration.Spec{Plan: "shop", Targets: []migration.Target{target},
		Workloads: []migration.Workload{{Name: "web", Target: target.Name, EC2: &migration.EC2{Profile: "web"}}},
		Customers: []migration.Customer{{ID: "acme", Workloads: []string{"web"}}}}
	h := migration.Hook{Event: migration.HookAfterOpen, Timeout: migration.Duration(time.Minute),
		SSM: &migration.SSMDocument{Document: "warm", Parameters: map[string][]string{"Level": {"2"}}}}
	c := &hooks.Caller{Machines: f}
	for token := int64(1); token <= 2; token++ {
		for range 2 {
			a, err := c.Call(t.Context(), spec, h, migration.HookCall{Event: h.Event, Plan: "shop", Customer: "acme", Token: token,
				From: migration.OnPrem, To: migration.AWS}, time.Now())
			require.NoError(t, err)
			require.Empty(t, a.Hold)
		}
	}
	sent, err := f.ssm.ListCommands(t.Context(), &ssm.ListCommandsInput{})
	require.NoError(t, err)
	require.Len(t, sent.Commands, 2, "one for each try")
	for _, command := range sent.Commands {
		require.Len(t, command.InstanceIds, len(ran.Instances))
		require.Equal(t, []string{"2"}, command.Parameters["Level"])
		require.Contains(t, command.Parameters["DroverKey"][0], "shop/acme/")
	}

	found, err := c.Check(t.Context(), spec, []migration.Hook{h})
	require.NoError(t, err)
	require.Empty(t, found, "who checks the workload says that it has no such profile")
	_, err = f.iam.CreateInstanceProfile(t.Context(), &iam.CreateInstanceProfileInput{InstanceProfileName: sdk.String("web")})
	require.NoError(t, err)
	found, err = c.Check(t.Context(), spec, []migration.Hook{h})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, migration.Warning, found[0].Severity)
	h.SSM.Document = "cool"
	found, err = c.Check(t.Context(), spec, []migration.Hook{h})
	require.NoError(t, err)
	require.Len(t, migration.Blockers(found), 1, "there is no such document")
}
