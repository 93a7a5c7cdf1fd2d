package worker

import (
	"context"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	diskactivities "github.com/drover-migration/drover/activities/disks"
	"github.com/drover-migration/drover/compute"
	"github.com/drover-migration/drover/internal/awsconf"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/notify"
	"github.com/drover-migration/drover/replication/disks"
	"github.com/drover-migration/drover/routes/alb"
	"github.com/drover-migration/drover/routes/dns"
)

// s3Connections is how many connections to S3 a worker keeps open: up to 64 files of a customer
// travel at a time. The SDK keeps ten, and makes a new one for each request beyond them.
const s3Connections = 256

// clients gives one AWS client of a kind for each target. Who works with them names its own:
// mainClients or siteClients.
type clients struct {
	ec2        func(context.Context, migration.Target) (*ec2.Client, error)
	ecs        func(context.Context, migration.Target) (*ecs.Client, error)
	iam        func(context.Context, migration.Target) (*iam.Client, error)
	kms        func(context.Context, migration.Target) (*kms.Client, error)
	sts        func(context.Context, migration.Target) (*sts.Client, error)
	secrets    func(context.Context, migration.Target) (*secretsmanager.Client, error)
	cloudwatch func(context.Context, migration.Target) (*cloudwatch.Client, error)
	elb        func(context.Context, migration.Target) (*elb.Client, error)
	rds        func(context.Context, migration.Target) (*rds.Client, error)
	route53    func(context.Context, migration.Target) (*route53.Client, error)
	s3         func(context.Context, migration.Target) (*s3.Client, error)
	ebs        func(context.Context, migration.Target) (*ebs.Client, error)
	sns        func(context.Context, migration.Target) (*sns.Client, error)
	ssm        func(context.Context, migration.Target) (*ssm.Client, error)
}

func newClients(c *awsconf.Configs) *clients {
	return &clients{
		ec2: awsconf.Factory(c, func(a aws.Config) *ec2.Client { return ec2.NewFromConfig(awsconf.Patient.Within(a)) }),
		ecs: awsconf.Factory(c, func(a aws.Config) *ecs.Client { return ecs.NewFromConfig(awsconf.Patient.Within(a)) }),
		iam: awsconf.Factory(c, func(a aws.Config) *iam.Client { return iam.NewFromConfig(awsconf.Patient.Within(a)) }),
		kms: awsconf.Factory(c, func(a aws.Config) *kms.Client { return kms.NewFromConfig(awsconf.Quick.Within(a)) }),
		sts: awsconf.Factory(c, func(a aws.Config) *sts.Client { return sts.NewFromConfig(awsconf.Quick.Within(a)) }),
		cloudwatch: awsconf.Factory(c, func(a aws.Config) *cloudwatch.Client {
			return cloudwatch.NewFromConfig(awsconf.Quick.Within(a))
		}),
		secrets: awsconf.Factory(c, func(a aws.Config) *secretsmanager.Client {
			return secretsmanager.NewFromConfig(awsconf.Quick.Within(a))
		}),
		elb: awsconf.Factory(c, func(a aws.Config) *elb.Client { return elb.NewFromConfig(awsconf.Quick.Within(a)) }),
		rds: awsconf.Factory(c, func(a aws.Config) *rds.Client { return rds.NewFromConfig(awsconf.Quick.Within(a)) }),
		route53: awsconf.Factory(c, func(a aws.Config) *route53.Client {
			return route53.NewFromConfig(awsconf.Patient.Within(a))
		}),
		sns: awsconf.Factory(c, func(a aws.Config) *sns.Client { return sns.NewFromConfig(awsconf.Quick.Within(a)) }),
		ssm: awsconf.Factory(c, func(a aws.Config) *ssm.Client { return ssm.NewFromConfig(awsconf.Quick.Within(a)) }),
		ebs: awsconf.Factory(c, func(a aws.Config) *ebs.Client { return ebs.NewFromConfig(awsconf.Bulk.Within(a)) }),
		s3: awsconf.Factory(c, func(a aws.Config) *s3.Client {
			// An endpoint of the user's own rarely has a name for every bucket.
			own := os.Getenv("AWS_ENDPOINT_URL_S3") != "" || os.Getenv("AWS_ENDPOINT_URL") != ""
			return s3.NewFromConfig(awsconf.Bulk.Within(a), func(o *s3.Options) {
				o.UsePathStyle = own
				if c, ok := o.HTTPClient.(*awshttp.BuildableClient); ok {
					o.HTTPClient = c.WithTransportOptions(func(t *http.Transport) {
						t.MaxIdleConns, t.MaxIdleConnsPerHost = s3Connections,
							s3Connections
					})
				}
			})
		}),
	}
}

// mainClients are those of the main worker's activities.
type mainClients struct{ *clients }

// siteClients are those of the activities next to the data: none of them reaches the load balancer,
// starts a machine or looks at roles.
type siteClients struct{ c *clients }

func (c siteClients) S3(ctx context.Context, t migration.Target) (*s3.Client, error) {
	return c.c.s3(ctx, t)
}
func (c siteClients) RDS(ctx context.Context, t migration.Target) (*rds.Client, error) {
	return c.c.rds(ctx, t)
}
func (c siteClients) EBS(ctx context.Context, t migration.Target) (disks.EBS, error) {
	return c.c.ebs(ctx, t)
}
func (c siteClients) EC2(ctx context.Context, t migration.Target) (disks.EC2, error) {
	return c.c.ec2(ctx, t)
}
func (c siteClients) KMS(ctx context.Context, t migration.Target) (diskactivities.KMS, error) {
	return c.c.kms(ctx, t)
}

func (c mainClients) EC2(ctx context.Context, t migration.Target) (compute.EC2, error) {
	return c.ec2(ctx, t)
}
func (c mainClients) ECS(ctx context.Context, t migration.Target) (compute.ECS, error) {
	return c.ecs(ctx, t)
}
func (c mainClients) IAM(ctx context.Context, t migration.Target) (compute.IAM, error) {
	return c.iam(ctx, t)
}
func (c mainClients) KMS(ctx context.Context, t migration.Target) (compute.KMS, error) {
	return c.kms(ctx, t)
}
func (c mainClients) STS(ctx context.Context, t migration.Target) (compute.STS, error) {
	return c.sts(ctx, t)
}
func (c mainClients) ELB(ctx context.Context, t migration.Target) (alb.ELB, error) {
	return c.elb(ctx, t)
}
func (c mainClients) Route53(ctx context.Context, t migration.Target) (dns.API, error) {
	return c.route53(ctx, t)
}
func (c mainClients) SNS(ctx context.Context, t migration.Target) (notify.SNS, error) {
	return c.sns(ctx, t)
}
func (c *clients) S3(ctx context.Context, t migration.Target) (*s3.Client, error) {
	return c.s3(ctx, t)
}

func (c mainClients) SecretsManager(ctx context.Context, t migration.Target) (compute.SecretsManager, error) {
	return c.secrets(ctx, t)
}
