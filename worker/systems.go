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
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/hashicorp/go-hclog"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	computeactivities "github.com/drover-migration/drover/activities/compute"
	"github.com/drover-migration/drover/activities/disks"
	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/activities/freeze"
	healthactivities "github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/roll"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	vsphereactivities "github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/compute"
	"github.com/drover-migration/drover/health"
	"github.com/drover-migration/drover/internal/awsconf"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/internal/secrets"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/routes/alb"
	"github.com/drover-migration/drover/vsphere"
)

// envDNS names the name server ("host:port") that probes ask; unset, the machine's own.
const envDNS = "DROVER_DNS"

// systems are the clients of everything a worker talks to, and the activities over them.
type systems struct {
	activities []any
	closers    []func()
}

func newSystems(log hclog.Logger, lists roll.Lists) *systems {
	boot := awsconf.New(secrets.New(nil)) // the external id of a role cannot itself need the role
	resolver := secrets.New(boot.Config)
	c := newClients(boot)
	store := &objects.Store{S3: c.S3}
	specs := state.NewSpecs(store)
	pairs := &engine.Connector{Secrets: vault{resolver}, Instances: instances{c}}
	centers := vsphere.NewPool(resolver, log)
	trees := files.New(c, store, homes{pairs})
	router := alb.New(alb.ClientsFunc(c.ELB), store)
	return &systems{
		activities: []any{
			state.New(store, specs), computeactivities.New(compute.New(c)), traffic.New(specs, homes{pairs}, router), postgres.New(pairs),
			healthactivities.New(health.New(backends{router, c.cloudwatch}, resolver, os.Getenv(envDNS)), specs, router),
			trees, freeze.New(pairs, passes{files.NewPasses(trees)}), vsphereactivities.New(centers, log),
			disks.New(exporter{centers}, diskClients{c}, store, 0), roll.New(lists),
		},
		closers: []func(){pairs.Close, centers.Close},
	}
}

func (s *systems) register(w worker.ActivityRegistry) {
	for _, a := range s.activities {
		w.RegisterActivityWithOptions(a, activity.RegisterOptions{SkipInvalidStructFunctions: true})
	}
}

func (s *systems) close() {
	for _, f := range s.closers {
		f()
	}
}

// s3Connections is how many connections to S3 a worker keeps open: up to 64 files of a customer
// travel at a time. The SDK keeps ten, and makes a new one for each request beyond them.
const s3Connections = 256

// clients gives one AWS client of a kind for each target.
type clients struct {
	ec2        func(context.Context, migration.Target) (*ec2.Client, error)
	ecs        func(context.Context, migration.Target) (*ecs.Client, error)
	iam        func(context.Context, migration.Target) (*iam.Client, error)
	kms        func(context.Context, migration.Target) (*kms.Client, error)
	sts        func(context.Context, migration.Target) (*sts.Client, error)
	cloudwatch func(context.Context, migration.Target) (*cloudwatch.Client, error)
	secrets    func(context.Context, migration.Target) (*secretsmanager.Client, error)
	elb        func(context.Context, migration.Target) (*elb.Client, error)
	rds        func(context.Context, migration.Target) (*rds.Client, error)
	s3         func(context.Context, migration.Target) (*s3.Client, error)
	ebs        func(context.Context, migration.Target) (*ebs.Client, error)
}

func newClients(c *awsconf.Configs) *clients {
	return &clients{
		ec2: awsconf.Factory(c, func(a aws.Config) *ec2.Client { return ec2.NewFromConfig(awsconf.Patient.Within(a)) }),
		ecs: awsconf.Factory(c, func(a aws.Config) *ecs.Client { return ecs.NewFromConfig(awsconf.Patient.Within(a)) }),
		iam: awsconf.Factory(c, func(a aws.Config) *iam.Client { return iam.NewFromConfig(awsconf.Patient.Within(a)) }),
		kms: awsconf.Factory(c, func(a aws.Config) *kms.Client { return kms.NewFromConfig(awsconf.Quick.Within(a)) }),
		cloudwatch: awsconf.Factory(c, func(a aws.Config) *cloudwatch.Client {
			return cloudwatch.NewFromConfig(awsconf.Quick.Within(a))
		}),
		sts: awsconf.Factory(c, func(a aws.Config) *sts.Client { return sts.NewFromConfig(awsconf.Quick.Within(a)) }),
		secrets: awsconf.Factory(c, func(a aws.Config) *secretsmanager.Client {
			return secretsmanager.NewFromConfig(awsconf.Quick.Within(a))
		}),
		elb: awsconf.Factory(c, func(a aws.Config) *elb.Client { return elb.NewFromConfig(awsconf.Quick.Within(a)) }),
		rds: awsconf.Factory(c, func(a aws.Config) *rds.Client { return rds.NewFromConfig(awsconf.Quick.Within(a)) }),
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

func (c *clients) EC2(ctx context.Context, t migration.Target) (compute.EC2, error) {
	return c.ec2(ctx, t)
}
func (c *clients) ECS(ctx context.Context, t migration.Target) (compute.ECS, error) {
	return c.ecs(ctx, t)
}
func (c *clients) IAM(ctx context.Context, t migration.Target) (compute.IAM, error) {
	return c.iam(ctx, t)
}
func (c *clients) KMS(ctx context.Context, t migration.Target) (compute.KMS, error) {
	return c.kms(ctx, t)
}
func (c *clients) STS(ctx context.Context, t migration.Target) (compute.STS, error) {
	return c.sts(ctx, t)
}
func (c *clients) ELB(ctx context.Context, t migration.Target) (alb.ELB, error) {
	return c.elb(ctx, t)
}
func (c *clients) S3(ctx context.Context, t migration.Target) (*s3.Client, error) {
	return c.s3(ctx, t)
}

func (c *clients) SecretsManager(ctx context.Context, t migration.Target) (compute.SecretsManager, error) {
	return c.secrets(ctx, t)
}
