package permissions

import (
	"reflect"
	"slices"

	"github.com/drover-migration/drover/compute"
	"github.com/drover-migration/drover/health"
	"github.com/drover-migration/drover/hooks"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/notify"
	"github.com/drover-migration/drover/replication/disks"
	"github.com/drover-migration/drover/replication/files"
	"github.com/drover-migration/drover/routes/alb"
	"github.com/drover-migration/drover/routes/dns"
)

const mainWorker = "main"

// api is a client interface of the product's, and the prefix of its operations in the rules.
type api struct {
	service string
	methods reflect.Type
}

// The client interfaces of the workers, as worker/clients.go hands them out.
var (
	ofMain = []api{
		{"ec2", reflect.TypeFor[compute.EC2]()}, {"ecs", reflect.TypeFor[compute.ECS]()}, {"iam", reflect.TypeFor[compute.IAM]()},
		{"kms", reflect.TypeFor[compute.KMS]()}, {"sts", reflect.TypeFor[compute.STS]()},
		{"secretsmanager", reflect.TypeFor[compute.SecretsManager]()}, {"elasticloadbalancing", reflect.TypeFor[alb.ELB]()},
		{"route53", reflect.TypeFor[dns.API]()}, {"cloudwatch", reflect.TypeFor[health.CloudWatch]()}, {"sns",
			reflect.TypeFor[notify.SNS]()},
		{"ssm", reflect.TypeFor[hooks.SSM]()}, {"iam", reflect.TypeFor[hooks.IAM]()},
		{"state", reflect.TypeFor[objects.API]()},
	}
	ofSite = []api{
		{"ebs", reflect.TypeFor[disks.EBS]()}, {"snapshots", reflect.TypeFor[disks.EC2]()}, {"kms", reflect.TypeFor[compute.KMS]()},
		{"rds", reflect.TypeFor[Databases]()}, {"s3", reflect.TypeFor[files.API]()}, {"state", reflect.TypeFor[objects.API]()},
	}
)

// someone is a worker of a plan.
type someone struct {
	name string
	site string // empty: the main worker
	apis []api
}

func workersOf(spec *migration.Spec) []someone {
	out := []someone{{name: mainWorker, apis: ofMain}}
	for _, s := range spec.Sites {
		out = append(out, someone{name: "site " + s.Name, site: s.Name, apis: ofSite})
	}
	return out
}

// operations are all that its client interfaces name: service.Operation.
func (w someone) operations() (out []string) {
	for _, a := range w.apis {
		for m := range a.methods.Methods() {
			out = append(out, a.service+"."+m.Name)
		}
	}
	return out
}

// own are the secrets that a worker resolves under its own identity.
func (w someone) own(spec *migration.Spec) (out []migration.SecretRef) {
	if w.site != "" {
		site, _ := spec.Site(w.site)
		if site.VSphere != nil {
			out = append(out, site.VSphere.Credentials)
		}
		for _, d := range spec.Datasets {
			if d.Postgres != nil && d.Postgres.Site == w.site {
				out = append(out, d.Postgres.DSN)
				out = append(out, w.signing(spec)...)
			}
		}
		return slices.Compact(slices.Sorted(slices.Values(out)))
	}
	out = w.signing(spec)
	for _, r := range spec.Routes {
		if r.Hook != nil {
			out = append(out, r.Hook.Secret)
		}
	}
	for _, p := range spec.Health.Probes {
		if p.Query != nil && p.Query.Prometheus != nil {
			out = append(out, p.Query.Prometheus.Token)
		}
	}
	for _, q := range spec.Health.Requests.All() {
		if q.Prometheus != nil {
			out = append(out, q.Prometheus.Token)
		}
	}
	if spec.Evidence != nil {
		out = append(out, spec.Evidence.Key)
	}
	if spec.Notify != nil {
		for _, c := range spec.Notify.Channels {
			switch {
			case c.Webhook != nil:
				out = append(out, c.Webhook.Secret)
			case c.Slack != nil:
				out = append(out, c.Slack.URL)
			case c.Email != nil:
				out = append(out, c.Email.Credentials)
			}
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(out)))
}

// signing are the secrets of the hooks that a worker calls: those of a freeze next to the data.
func (w someone) signing(spec *migration.Spec) (out []migration.SecretRef) {
	for _, h := range spec.Hooks {
		// Who has no database has no freeze: the main worker calls before the commit point.
		main := !h.Event.Frozen() || h.Event == migration.HookBeforeOpen
		if h.Webhook != nil && (w.site == "" && main || w.site != "" && h.Event.Frozen()) {
			out = append(out, h.Webhook.Secret)
		}
	}
	return out
}
