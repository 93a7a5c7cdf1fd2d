package compute

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// Check reads what the workloads will need in their target and says what is missing. It writes
// nothing. When the credentials are of another account, that is all it says: every other answer
// would be about the wrong place.
func (mk *Maker) Check(ctx context.Context, target migration.Target, workloads []migration.Workload) ([]migration.Finding, error) {
	ch := &check{mk: mk, t: target}
	if err := ch.account(ctx); err != nil || len(ch.findings) > 0 {
		return ch.findings, err
	}
	for _, step := range []func(context.Context) error{ch.network, ch.key} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	for _, w := range workloads {
		if err := ch.workload(ctx, w); err != nil {
			return nil, err
		}
	}
	return ch.findings, nil
}

type check struct {
	mk       *Maker
	t        migration.Target
	findings []migration.Finding
}

func (ch *check) block(name, subject, remedy, reason string, args ...any) {
	ch.findings = append(ch.findings, migration.Finding{Severity: migration.Blocker, Check: name, Subject: subject,
		Reason: fmt.Sprintf(reason, args...), Remedy: remedy})
}

func (ch *check) target() string { return "target " + ch.t.Name }

func (ch *check) account(ctx context.Context) error {
	c, err := ch.mk.clients.STS(ctx, ch.t)
	if err != nil {
		return err
	}
	who, err := c.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if has(err, "AccessDenied") {
		ch.block("aws-role", ch.target(), "let the worker's own identity assume the role (its trust policy, and the external id)",
			"AWS refuses the worker the role that the target names")
		return nil
	}
	if err != nil {
		return classify(err, "ask AWS whose credentials target %q uses", ch.t.Name)
	}
	if got := aws.ToString(who.Account); ch.t.Account != "" && got != ch.t.Account {
		ch.block("aws-account", ch.target(), "give the target the role to assume in that account, or run the worker with credentials of it",
			"the credentials are of account %s (%s) and the target is account %s", got, aws.ToString(who.Arn), ch.t.Account)
	}
	return nil
}

func (ch *check) network(ctx context.Context) error {
	if ch.t.VPC == "" {
		ch.block("aws-vpc", ch.target(), "name the VPC of the workloads", "it names no VPC")
		return nil
	}
	c, err := ch.mk.clients.EC2(ctx, ch.t)
	if err != nil {
		return err
	}
	vpcs, err := c.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: []ec2types.Filter{filter("vpc-id", ch.t.VPC)}})
	if err != nil {
		return classify(err, "look for VPC %s", ch.t.VPC)
	}
	if len(vpcs.Vpcs) == 0 {
		ch.block("aws-vpc", ch.target(), "correct the target's vpc or region", "there is no VPC %s in region %s of account %s", ch.t.VPC,
			ch.t.Region, ch.t.Account)
		return nil
	}
	got, err := c.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{filter("vpc-id", ch.t.VPC)}})
	if err != nil {
		return classify(err, "look for the subnets of VPC %s", ch.t.VPC)
	}
	if len(ch.t.Subnets) == 0 {
		ch.block("aws-subnets", ch.target(), "name at least one subnet", "it names no subnets")
	}
	for _, want := range ch.t.Subnets {
		i := slices.IndexFunc(got.Subnets, func(s ec2types.Subnet) bool { return aws.ToString(s.SubnetId) == want })
		switch {
		case i < 0:
			ch.block("aws-subnets", ch.target(), "correct the target's subnets", "VPC %s has no subnet %s", ch.t.VPC, want)
		case aws.ToInt32(got.Subnets[i].AvailableIpAddressCount) == 0:
			ch.block("aws-subnet-full", ch.target(), "free addresses in it or name another subnet", "subnet %s has no free address", want)
		}
	}
	return nil
}

func (ch *check) key(ctx context.Context) error {
	if ch.t.KMSKey == "" {
		return nil
	}
	c, err := ch.mk.clients.KMS(ctx, ch.t)
	if err != nil {
		return err
	}
	out, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &ch.t.KMSKey})
	if has(err, "NotFoundException", "InvalidArnException") {
		ch.block("aws-kms-key", ch.target(), "create it or correct the target's kmsKey", "there is no KMS key %s in region %s", ch.t.KMSKey,
			ch.t.Region)
		return nil
	}
	if err != nil {
		return classify(err, "look for KMS key %s", ch.t.KMSKey)
	}
	if k := out.KeyMetadata; k.KeyState != kmstypes.KeyStateEnabled || k.KeyUsage != "" &&
		k.KeyUsage != kmstypes.KeyUsageTypeEncryptDecrypt {
		ch.block("aws-kms-key", ch.target(), "enable it, or name an enabled key for encryption", "KMS key %s is %s, for %s", ch.t.KMSKey,
			k.KeyState, k.KeyUsage)
	}
	return nil
}

func (ch *check) workload(ctx context.Context, w migration.Workload) error {
	groups, err := kinds[w.Kind()].check(ch, ctx, w)
	if err != nil {
		return err
	}
	c, err := ch.mk.clients.EC2(ctx, ch.t)
	if err != nil {
		return err
	}
	_, missing, err := securityGroups(ctx, c, ch.t, groups)
	if err != nil {
		return err
	}
	for _, g := range missing {
		ch.block("aws-security-group", "workload "+w.Name, "create it, or correct the workload's securityGroups",
			"VPC %s has no security group %s", ch.t.VPC, g)
	}
	return nil
}

func (ch *check) profile(ctx context.Context, w migration.Workload) error {
	if w.EC2.Profile == "" {
		return nil
	}
	c, err := ch.mk.clients.IAM(ctx, ch.t)
	if err != nil {
		return err
	}
	name := w.EC2.Profile[strings.LastIndex(w.EC2.Profile, "/")+1:]
	out, err := c.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &name})
	switch {
	case has(err, "NoSuchEntity"):
		ch.block("aws-instance-profile", "workload "+w.Name, "create it, or correct the workload's profile",
			"account %s has no instance profile %q", ch.t.Account, name)
	case err != nil:
		return classify(err, "look for instance profile %q of workload %q", name, w.Name)
	case len(out.InstanceProfile.Roles) == 0:
		ch.block("aws-instance-profile", "workload "+w.Name, "add its role", "instance profile %q holds no role", name)
	}
	return nil
}

// image is REGISTRY/REPOSITORY with a tag or a digest, as a task definition takes it.
var image = regexp.MustCompile(
	`^([a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?/)?[a-z0-9][a-z0-9._-]*(/[a-z0-9._-]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$`)

// fargateMemory is the memory in MiB, from, to and step, that Fargate allows for each size of CPU
// (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html).
var fargateMemory = map[int][3]int{
	256: {512, 2048, 512}, 512: {1024, 4096, 1024}, 1024: {2048, 8192, 1024}, 2048: {4096, 16384, 1024},
	4096: {8192, 30720, 1024}, 8192: {16384, 61440, 4096}, 16384: {32768, 122880, 8192},
}

func (ch *check) fargate(ctx context.Context, w migration.Workload) error {
	f, subject := w.Fargate, "workload "+w.Name
	if !image.MatchString(f.Image) {
		ch.block("aws-image", subject, "write it as registry/repository:tag", "%q is not a container image", f.Image)
	}
	if m, ok := fargateMemory[f.CPU]; !ok {
		ch.block("aws-fargate-size", subject, "use one of 256, 512, 1024, 2048, 4096, 8192, 16384 CPU units",
			"Fargate has no tasks of %d CPU units", f.CPU)
	} else if f.Memory < m[0] || f.Memory > m[1] || f.Memory%m[2] != 0 || f.CPU == 256 && f.Memory == 1536 {
		ch.block("aws-fargate-size", subject, "change cpu or memory", "Fargate tasks of %d CPU units have %d to %d MiB in steps of %d, "+
			"not %d", f.CPU, m[0], m[1], m[2], f.Memory)
	}
	if len(w.Config.Secrets) > 0 && f.ExecutionRole == "" {
		ch.block("aws-execution-role", subject, "name an executionRole that may read the secrets", "its tasks have secrets and no "+
			"execution role to read them by")
	}
	if err := ch.cluster(ctx, f.Cluster, subject); err != nil {
		return err
	}
	for _, role := range []string{f.TaskRole, f.ExecutionRole} {
		if err := ch.role(ctx, role, subject); err != nil {
			return err
		}
	}
	for _, k := range slices.Sorted(maps.Keys(w.Config.Secrets)) {
		if err := ch.secret(ctx, migration.SecretRef(w.Config.Secrets[k]), subject); err != nil {
			return err
		}
	}
	return nil
}

func (ch *check) cluster(ctx context.Context, cluster, subject string) error {
	c, err := ch.mk.clients.ECS(ctx, ch.t)
	if err != nil {
		return err
	}
	out, err := c.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: []string{cluster}})
	if err != nil {
		return classify(err, "look for ECS cluster %q", cluster)
	}
	for _, k := range out.Clusters {
		if aws.ToString(k.Status) == "ACTIVE" {
			return nil
		}
	}
	ch.block("aws-cluster", subject, "create it, or correct the workload's cluster", "there is no active ECS cluster %q in region %s",
		cluster, ch.t.Region)
	return nil
}

func (ch *check) role(ctx context.Context, role, subject string) error {
	if role == "" {
		return nil
	}
	c, err := ch.mk.clients.IAM(ctx, ch.t)
	if err != nil {
		return err
	}
	name := role[strings.LastIndex(role, "/")+1:]
	_, err = c.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if has(err, "NoSuchEntity") {
		ch.block("aws-task-role", subject, "create it, trusted by ecs-tasks.amazonaws.com, or correct the plan",
			"account %s has no role %q", ch.t.Account, name)
		return nil
	}
	return classify(err, "look for role %q", name)
}

func (ch *check) secret(ctx context.Context, ref migration.SecretRef, subject string) error {
	_, err := ch.mk.secretARN(ctx, ch.t, ref)
	if kind := permanent.Kind(err); kind == "NoSecret" || kind == "BadSecret" {
		ch.block("aws-secret", subject, "create the secret, or correct the reference", "%s", err)
		return nil
	}
	return err
}
