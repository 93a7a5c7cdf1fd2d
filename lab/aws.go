package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// What the lab's account is called, and its keys: they open nothing but this lab.
const (
	Account   = "123456789012"
	Region    = "us-east-1"
	accessKey = "LABACCESSKEY"
	secretKey = "lab-secret-key"
)

// AWSConfig is what an engineer's shell in this account would have.
func (l *Lab) AWSConfig() aws.Config {
	return aws.Config{Region: Region, BaseEndpoint: aws.String(l.motoURL),
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, "")}
}

// S3 is a client of the lab's object store.
func (l *Lab) S3() *s3.Client {
	return s3.NewFromConfig(l.AWSConfig(), func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = &l.s3URL, true })
}

// buildAccount makes what an account has before a migration comes: a network, a database, secrets,
// a cluster, and the load balancer that sends everybody to the machines on premises.
func (l *Lab) buildAccount(ctx context.Context) error {
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"buckets", l.buildBuckets}, {"network", l.buildNetwork}, {"keys and roles", l.buildIdentity}, {"database", l.buildRDS},
		{"cluster", l.buildCluster}, {"load balancer", l.buildEdge},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("build the account's %s: %w", step.what, err)
		}
	}
	return nil
}

func (l *Lab) buildBuckets(ctx context.Context) error {
	for _, b := range []string{"drover-state", "attachments"} {
		if _, err := l.S3().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &b}); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) buildNetwork(ctx context.Context) error {
	c := ec2.NewFromConfig(l.AWSConfig())
	vpc, err := c.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String(l.net.vpc())})
	if err != nil {
		return err
	}
	l.VPC = *vpc.Vpc.VpcId
	for i, zone := range []string{"a", "b"} {
		s, err := c.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: &l.VPC, CidrBlock: aws.String(l.net.subnet(i)),
			AvailabilityZone: aws.String(Region + zone)})
		if err != nil {
			return err
		}
		l.Subnets = append(l.Subnets, *s.Subnet.SubnetId)
	}
	g, err := c.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{VpcId: &l.VPC, GroupName: aws.String("web"),
		Description: aws.String("web")})
	if err != nil {
		return err
	}
	_, err = c.AuthorizeSecurityGroupIngress(ctx,
		&ec2.AuthorizeSecurityGroupIngressInput{GroupId: g.GroupId, IpPermissions: []ec2types.IpPermission{{
			IpProtocol: aws.String("tcp"), FromPort: aws.Int32(int32(l.ports.app)), ToPort: aws.Int32(int32(l.ports.app)),
			IpRanges: []ec2types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}},
		}}})
	return err
}

func (l *Lab) buildIdentity(ctx context.Context) error {
	k := kms.NewFromConfig(l.AWSConfig())
	key, err := k.CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		return err
	}
	if _, err := k.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/drover"),
		TargetKeyId: key.KeyMetadata.KeyId}); err != nil {
		return err
	}
	i := iam.NewFromConfig(l.AWSConfig())
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	for _, role := range []string{"web", "api", "ecs-execution"} {
		if _, err := i.CreateRole(ctx, &iam.CreateRoleInput{RoleName: &role, AssumeRolePolicyDocument: &trust}); err != nil {
			return err
		}
	}
	if _, err := i.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: aws.String("web")}); err != nil {
		return err
	}
	_, err = i.AddRoleToInstanceProfile(ctx,
		&iam.AddRoleToInstanceProfileInput{InstanceProfileName: aws.String("web"), RoleName: aws.String("web")})
	return err
}

func (l *Lab) buildRDS(ctx context.Context) error {
	for _, name := range l.databases() {
		_, err := rds.NewFromConfig(l.AWSConfig()).CreateDBInstance(ctx, &rds.CreateDBInstanceInput{
			DBInstanceIdentifier: &name, DBInstanceClass: aws.String("db.m6g.large"), Engine: aws.String("postgres"), DBName: &name,
			MasterUsername: aws.String("master"), MasterUserPassword: aws.String("not-used-here"), AllocatedStorage: aws.Int32(20),
		})
		if err != nil {
			return err
		}
		for _, who := range []role{l.drover[1], l.app[1]} {
			if err := l.putSecret(ctx, name, who); err != nil {
				return err
			}
		}
	}
	return nil
}

// putSecret writes a database secret as RDS writes them, at DATABASE/ROLE.
func (l *Lab) putSecret(ctx context.Context, database string, who role) error {
	host, port, err := net.SplitHostPort(l.rds.Address())
	if err != nil {
		return err
	}
	number, _ := strconv.Atoi(port)
	body, err := json.Marshal(map[string]any{"engine": "postgres", "host": host, "port": number, "dbname": database, "username": who.name,
		"password": who.password})
	if err != nil {
		return err
	}
	_, err = secretsmanager.NewFromConfig(l.AWSConfig()).CreateSecret(ctx,
		&secretsmanager.CreateSecretInput{Name: aws.String(database + "/" + who.name), SecretString: aws.String(string(body))})
	return err
}

func (l *Lab) buildCluster(ctx context.Context) error {
	_, err := ecs.NewFromConfig(l.AWSConfig()).CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("platform")})
	return err
}

// ownRule is the priority of the one rule that the listener has before the migration.
const ownRule = 40000

// buildEdge makes the load balancer as it stands before the migration: everything goes home.
func (l *Lab) buildEdge(ctx context.Context) error {
	c := elb.NewFromConfig(l.AWSConfig())
	b, err := c.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String("public"), Subnets: l.Subnets,
		Type: elbtypes.LoadBalancerTypeEnumApplication})
	if err != nil {
		return err
	}
	if len(b.LoadBalancers) != 1 {
		return errors.New("the load balancer was not made")
	}
	for _, g := range []struct {
		arn       *string
		name      string
		addresses []string
	}{{&l.GroupWeb, "onprem-web", []string{l.net.vm(0), l.net.vm(1)}}, {&l.GroupAPI, "onprem-api", []string{l.net.vm(2)}}} {
		out, err := c.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{Name: &g.name, Protocol: elbtypes.ProtocolEnumHttp,
			Port: aws.Int32(int32(l.ports.app)), VpcId: &l.VPC,
			TargetType: elbtypes.TargetTypeEnumIp, HealthCheckPath: aws.String("/healthz")})
		if err != nil {
			return err
		}
		*g.arn = *out.TargetGroups[0].TargetGroupArn
		var targets []elbtypes.TargetDescription
		for _, a := range g.addresses {
			targets = append(targets, elbtypes.TargetDescription{Id: &a, Port: aws.Int32(int32(l.ports.app)),
				AvailabilityZone: aws.String("all")})
		}
		if _, err := c.RegisterTargets(ctx, &elb.RegisterTargetsInput{TargetGroupArn: g.arn, Targets: targets}); err != nil {
			return err
		}
	}
	listener, err := c.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancers[0].LoadBalancerArn,
		Port: aws.Int32(int32(l.ports.edge)), Protocol: elbtypes.ProtocolEnumHttp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &l.GroupWeb}}})
	if err != nil {
		return err
	}
	l.Listener = *listener.Listeners[0].ListenerArn
	if slices.ContainsFunc(l.Shape.Customers(), func(c Customer) bool { return c.ByName }) {
		if err := l.buildNames(ctx, *b.LoadBalancers[0].LoadBalancerArn); err != nil {
			return err
		}
	}
	_, err = c.CreateRule(ctx, &elb.CreateRuleInput{ListenerArn: &l.Listener, Priority: aws.Int32(ownRule),
		Conditions: []elbtypes.RuleCondition{{Field: aws.String("path-pattern"),
			PathPatternConfig: &elbtypes.PathPatternConditionConfig{Values: []string{"/api/*"}}}},
		Actions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &l.GroupAPI}}})
	return err
}
