package compute

import (
	"context"
	"errors"
	"testing"

	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

const owner = "123456789012"

// asked is what a check is asked for.
type asked struct {
	Target    migration.Target
	Workloads []migration.Workload
}

// ready is an account that has everything, and a request that wants it.
func ready() (*account, *asked) {
	a := &account{
		id: owner, vpcs: []string{"vpc-1"}, subnets: map[string]int32{"subnet-a": 10, "subnet-b": 1},
		groups: map[string]string{"web": "sg-01234567"},
		keys: map[string]kmstypes.KeyMetadata{"alias/disks": {KeyState: kmstypes.KeyStateEnabled,
			KeyUsage: kmstypes.KeyUsageTypeEncryptDecrypt}},
		profiles: map[string][]iamtypes.Role{"web": {{}}}, roles: []string{"task", "execution"},
		clusters: map[string]string{"shop": "ACTIVE"},
		secrets:  map[string]string{"db": "arn:aws:secretsmanager:eu-west-1:" + owner + ":secret:db-AbCdEf"}, errs: map[string]error{},
	}
	return a, &asked{
		Target: migration.Target{Name: "main", Account: owner, Region: "eu-west-1", VPC: "vpc-1", Subnets: []string{"subnet-a", "subnet-b"},
			KMSKey: "alias/disks"},
		Workloads: []migration.Workload{
			{Name: "web", EC2: &migration.EC2{SecurityGroups: []string{"web", "sg-01234567"}, Profile: "web"}},
			{Name: "api", Fargate: &migration.Fargate{Cluster: "shop", Image: "registry.example.com/shop/api:1.2", CPU: 256, Memory: 512,
				TaskRole:      "task",
				ExecutionRole: "arn:aws:iam::" + owner + ":role/service/execution", SecurityGroups: []string{"web"}},
				Config: migration.Config{Secrets: map[string]string{"DSN": "awssm://db#dsn", "KEY": "ssm:///shop/key"}}},
		},
	}
}

func TestCheckCompute(t *testing.T) {
	for _, c := range []struct {
		name  string
		world func(*account, *asked)
		want  []string // check: subject: reason
	}{
		{"an account that has everything", func(*account, *asked) {}, nil},
		{"a role that the worker may not assume", func(a *account, _ *asked) { a.errs["GetCallerIdentity"] = api("AccessDenied") },
			[]string{"aws-role: target main: AWS refuses the worker the role that the target names"}},
		{"credentials of another account, of which nothing more is asked",
			func(a *account, r *asked) { a.id, a.vpcs, r.Target.Subnets = "999999999999", nil, nil },
			[]string{"aws-account: target main: the credentials are of account 999999999999 (arn:aws:iam::999999999999:user/drover) and " +
				"the target is account " + owner}},
		{"a target that names no account", func(a *account, r *asked) { a.id, r.Target.Account = "999999999999", "" }, nil},
		{"no VPC", func(_ *account, r *asked) { r.Target.VPC = "" }, []string{"aws-vpc: target main: it names no VPC"}},
		{"a VPC that is not there", func(a *account, _ *asked) { a.vpcs = nil },
			[]string{"aws-vpc: target main: there is no VPC vpc-1 in region eu-west-1 of account " + owner}},
		{"no subnets", func(_ *account, r *asked) { r.Target.Subnets = nil }, []string{"aws-subnets: target main: it names no subnets"}},
		{"a subnet that the VPC does not have", func(_ *account, r *asked) { r.Target.Subnets = []string{"subnet-c", "subnet-a"} },
			[]string{"aws-subnets: target main: VPC vpc-1 has no subnet subnet-c"}},
		{"a subnet that is full", func(a *account, _ *asked) { a.subnets["subnet-b"] = 0 },
			[]string{"aws-subnet-full: target main: subnet subnet-b has no free address"}},
		{"the account's own key", func(_ *account, r *asked) { r.Target.KMSKey = "" }, nil},
		{"a key that is not there", func(_ *account, r *asked) { r.Target.KMSKey = "alias/none" },
			[]string{"aws-kms-key: target main: there is no KMS key alias/none in region eu-west-1"}},
		{"a key that is going", func(a *account, _ *asked) {
			a.keys["alias/disks"] = kmstypes.KeyMetadata{KeyState: kmstypes.KeyStatePendingDeletion,
				KeyUsage: kmstypes.KeyUsageTypeEncryptDecrypt}
		}, []string{"aws-kms-key: target main: KMS key alias/disks is PendingDeletion, for ENCRYPT_DECRYPT"}},
		{"a key that signs", func(a *account, _ *asked) {
			a.keys["alias/disks"] = kmstypes.KeyMetadata{KeyState: kmstypes.KeyStateEnabled, KeyUsage: kmstypes.KeyUsageTypeSignVerify}
		}, []string{"aws-kms-key: target main: KMS key alias/disks is Enabled, for SIGN_VERIFY"}},
		{"security groups by name and by id that the VPC does not have", func(_ *account, r *asked) {
			r.Workloads[0].EC2.SecurityGroups = []string{"sg-76543210", "web", "db"}
		}, []string{"aws-security-group: workload web: VPC vpc-1 has no security group sg-76543210", "aws-security-group: workload web: " +
			"VPC vpc-1 has no security group db"}},
		{"a profile that is not there", func(_ *account, r *asked) { r.Workloads[0].EC2.Profile = "none" },
			[]string{`aws-instance-profile: workload web: account ` + owner + ` has no instance profile "none"`}},
		{"a profile by its ARN", func(_ *account, r *asked) {
			r.Workloads[0].EC2.Profile = "arn:aws:iam::" + owner + ":instance-profile/web"
		}, nil},
		{"a profile without a role", func(a *account, _ *asked) { a.profiles["web"] = nil },
			[]string{`aws-instance-profile: workload web: instance profile "web" holds no role`}},
		{"a cluster that is not there", func(a *account, _ *asked) { a.clusters = nil },
			[]string{`aws-cluster: workload api: there is no active ECS cluster "shop" in region eu-west-1`}},
		{"a cluster that is going", func(a *account, _ *asked) { a.clusters["shop"] = "DEPROVISIONING" },
			[]string{`aws-cluster: workload api: there is no active ECS cluster "shop" in region eu-west-1`}},
		{"roles that are not there", func(a *account, _ *asked) { a.roles = nil },
			[]string{`aws-task-role: workload api: account ` + owner + ` has no role "task"`, `aws-task-role: workload api: account ` +
				owner + ` has no role "execution"`}},
		{"secrets that nobody may read", func(_ *account, r *asked) { r.Workloads[1].Fargate.ExecutionRole = "" },
			[]string{"aws-execution-role: workload api: its tasks have secrets and no execution role to read them by"}},
		{"a secret that is not there", func(a *account, _ *asked) { a.secrets = nil },
			[]string{`aws-secret: workload api: there is no secret "db" in account ` + owner +
				`, region eu-west-1; create it or correct the reference`}},
		{"a secret that AWS cannot read", func(_ *account, r *asked) { r.Workloads[1].Config.Secrets["DSN"] = "env://DSN" },
			[]string{"aws-secret: workload api: a task's secret must be an awssm:// or ssm:// reference: AWS resolves it, not Drover"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, req := ready()
			c.world(a, req)
			got, err := New(a).Check(t.Context(), req.Target, req.Workloads)
			require.NoError(t, err)
			var found []string
			for _, f := range got {
				require.Equal(t, migration.Blocker, f.Severity)
				require.NotEmpty(t, f.Remedy)
				found = append(found, f.Check+": "+f.Subject+": "+f.Reason)
			}
			require.Equal(t, c.want, found)
		})
	}
}

func TestACheckThatCannotAskSaysSoInsteadOfFinding(t *testing.T) {
	for call, text := range map[string]string{
		"GetCallerIdentity": `ask AWS whose credentials target "main" uses`, "DescribeVpcs": "look for VPC vpc-1",
		"DescribeKey": "look for KMS key alias/disks", "GetRole": `look for role "task"`,
	} {
		a, req := ready()
		a.errs[call] = api("RequestLimitExceeded")
		_, err := New(a).Check(t.Context(), req.Target, req.Workloads)
		require.ErrorContains(t, err, text+": ")
		require.Empty(t, permanent.Kind(err), "it may be asked again")
		if call == "GetCallerIdentity" {
			continue // there AccessDenied is a finding
		}
		a.errs[call] = api("AccessDenied")
		_, err = New(a).Check(t.Context(), req.Target, req.Workloads)
		require.ErrorContains(t, err, text+": AWS refuses it")
		require.Equal(t, "AccessDenied", permanent.Kind(err))
	}
}

func TestFargateSizes(t *testing.T) {
	for _, c := range []struct {
		cpu, memory int
		want        string // "": a size that Fargate has
	}{
		{256, 512, ""}, {256, 1024, ""}, {256, 2048, ""},
		{256, 1536, "Fargate tasks of 256 CPU units have 512 to 2048 MiB in steps of 512, not 1536"},
		{256, 256, "not 256"}, {256, 2560, "not 2560"},
		{512, 1024, ""}, {512, 4096, ""}, {512, 512, "not 512"}, {512, 1536, "not 1536"},
		{1024, 8192, ""}, {1024, 9216, "not 9216"},
		{4096, 30720, ""}, {4096, 31744, "not 31744"},
		{8192, 16384, ""}, {8192, 17408, "in steps of 4096, not 17408"}, {8192, 61440, ""},
		{16384, 122880, ""}, {16384, 36864, "in steps of 8192, not 36864"},
		{300, 512, "Fargate has no tasks of 300 CPU units"},
	} {
		a, req := ready()
		req.Workloads[1].Fargate.CPU, req.Workloads[1].Fargate.Memory = c.cpu, c.memory
		got, err := New(a).Check(t.Context(), req.Target, req.Workloads)
		require.NoError(t, err)
		if c.want == "" {
			require.Empty(t, got, "%d CPU units, %d MiB", c.cpu, c.memory)
			continue
		}
		require.Len(t, got, 1)
		require.Contains(t, got[0].Reason, c.want)
	}
}

func TestContainerImages(t *testing.T) {
	digest := "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for name, want := range map[string]bool{
		"nginx": true, "nginx:1.27": true, "library/nginx": true, "registry.example.com:5000/shop/web_app:V1.2-rc": true,
		owner + ".dkr.ecr.eu-west-1.amazonaws.com/shop/web" + digest: true, "nginx:1.27" + digest: true,
		"": false, "nginx:": false, "nginx:-1": false, "nginx:5000:1": false, "Nginx": false, "https://example.com/web": false,
		"shop/web app": false, "/web": false, "shop//web": false,
		"nginx@sha256:0123": false, "nginx" + digest + ":1": false,
	} {
		require.Equal(t, want, image.MatchString(name), "%q", name)
	}
}

func TestAClientThatCannotBeBuiltIsItsOwnError(t *testing.T) {
	_, err := New(noClients{}).Check(t.Context(), migration.Target{}, nil)
	require.ErrorIs(t, err, errNoClients)
}

var errNoClients = errors.New("no credentials")

type noClients struct{ Clients }

func (noClients) STS(context.Context, migration.Target) (STS, error) { return nil, errNoClients }
