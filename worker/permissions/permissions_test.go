package permissions

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/goldenfile"
	"github.com/drover-migration/drover/migration"
)

// Whoever gives the product a new call has to say here what it needs.
func TestEveryOperationOfAClientHasARuleAndNoRuleIsLeftOver(t *testing.T) {
	var named []string
	for _, apis := range [][]api{ofMain, ofSite} {
		named = append(named, someone{apis: apis}.operations()...)
	}
	for _, op := range named {
		require.True(t, rules[op] != nil, "%s has no rule", op)
	}
	for op := range rules {
		require.Contains(t, named, op, "nobody makes this call")
	}
}

func shop() *migration.Spec {
	return &migration.Spec{
		Plan: "shop", State: migration.StateStore{Target: "prod", Bucket: "drover-state", Prefix: "shop"},
		Sites: []migration.Site{
			{Name: "dc1", VSphere: &migration.VSphere{URL: "https://vcenter.example/sdk", Credentials: "awssm://vcenter#login"}},
			{Name: "dc2"},
		},
		Targets: []migration.Target{
			{Name: "prod", Account: "123456789012", Region: "eu-central-1", Subnets: []string{"subnet-a", "subnet-b"},
				KMSKey: "alias/disks"},
			{Name: "other", Account: "210987654321", Region: "us-gov-west-1",
				Role: &migration.Role{ARN: "arn:aws-us-gov:iam::210987654321:role/drover"}},
		},
		Workloads: []migration.Workload{
			{Name: "web", Site: "dc1", Target: "prod", Ingress: &migration.Ingress{Port: 8080}, EC2: &migration.EC2{Profile: "web",
				SecurityGroups: []string{"sg-0a1b"}}},
			{Name: "api", Site: "dc1", Target: "prod", Ingress: &migration.Ingress{Port: 8080},
				Fargate: &migration.Fargate{Cluster: "platform", TaskRole: "api", ExecutionRole: "arn:aws:iam::123456789012:role/ecs"},
				Config:  migration.Config{Secrets: map[string]string{"DB": "awssm://api/db#password"}}},
		},
		Datasets: []migration.Dataset{
			{Name: "orders", Postgres: &migration.Postgres{Site: "dc1", DSN: "ssm://orders/dsn", Target: "prod", RDS: "orders",
				Credentials: "awssm://orders/drover"}},
			{Name: "attachments", Files: &migration.Files{Site: "dc2", Target: "other", Bucket: "attachments", Prefix: "of/{customer}/"}},
		},
		Routes: []migration.Route{{Name: "public", ALB: &migration.ALB{Target: "prod",
			Listener: "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/public/0123/4567"}},
			{Name: "names", DNS: &migration.DNS{Target: "prod", Zone: "Z0123456789", Workloads: map[string]migration.Named{"web": {}},
				Listener: "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/public/0123/89ab"}},
			{Name: "edge", Hook: &migration.HookRoute{Target: "prod", Secret: "awssm://edge", Workloads: map[string]string{"web": ""},
				Listener: "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/public/0123/cdef"}}},
		Customers: []migration.Customer{{ID: "acme", Workloads: []string{"web"}, Hosts: []string{"acme.app.example.com", "acme.example"}}},
		Hooks: []migration.Hook{
			{Event: migration.HookBeforeSeal, Webhook: &migration.WebhookChannel{URL: "https://queue.example", Secret: "awssm://queue"}},
			{Event: migration.HookAfterOpen, Webhook: &migration.WebhookChannel{URL: "https://ops.example", Secret: "ssm://ops"}},
			{Event: migration.HookAfterLaunch, SSM: &migration.SSMDocument{Document: "join-the-domain"}},
		},
		Evidence: &migration.Evidence{Key: "env://EVIDENCE"},
		Notify: &migration.Notify{Channels: []migration.Channel{
			{Name: "alarm", SNS: &migration.SNSChannel{Target: "prod", Topic: "arn:aws:sns:eu-central-1:123456789012:alarms"}},
			{Name: "chat", Slack: &migration.SlackChannel{URL: "awssm://chat"}}}},
	}
}

func TestAPlansPoliciesAreAsWritten(t *testing.T) {
	b, err := json.MarshalIndent(Of(shop()), "", "  ")
	require.NoError(t, err)
	goldenfile.Equal(t, "testdata/shop.json", string(b)+"\n")
}

func TestEveryResourceIsAnARN(t *testing.T) {
	for _, g := range Of(shop()) {
		for _, s := range g.Policy.Statement {
			for _, r := range s.Resource {
				require.True(t, r == "*" || arn.IsARN(r), r)
			}
		}
	}
}

// What a plan does not use is not asked for.
func TestAPlanWithoutMachinesAsksForNone(t *testing.T) {
	spec := shop()
	spec.Workloads, spec.Routes, spec.Notify, spec.Hooks = nil, nil, nil, nil
	asked := map[string]bool{}
	for _, g := range Of(spec) {
		for _, s := range g.Policy.Statement {
			for _, a := range s.Action {
				asked[a] = true
			}
		}
	}
	require.Equal(t, []string{"rds:DescribeDBInstances", "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListBucket",
		"s3:ListMultipartUploadParts", "s3:PutObject", "secretsmanager:GetSecretValue", "ssm:GetParameter", "sts:AssumeRole"},
		slices.Sorted(maps.Keys(asked)))
}
