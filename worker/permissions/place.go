package permissions

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/drover-migration/drover/internal/secrets"
	"github.com/drover-migration/drover/migration"
)

// Databases is what a site's worker asks of *rds.Client.
type Databases interface {
	DescribeDBInstances(context.Context, *rds.DescribeDBInstancesInput, ...func(*rds.Options)) (*rds.DescribeDBInstancesOutput, error)
}

// place is one worker in one target of a plan; without a target it is the worker's own account,
// which the plan does not know.
type place struct {
	spec   *migration.Spec
	target migration.Target
	worker someone
}

// arn names a resource of the target. What the plan does not know is "*".
func (p place) arn(service, resource string) string {
	return p.inAccount(service, p.target.Account, resource)
}

// shared names a resource of the target that has no account in its name: images and snapshots.
func (p place) shared(resource string) string {
	return arn.ARN{Partition: p.partition(), Service: "ec2", Region: p.target.Region, Resource: resource}.String()
}

func (p place) inAccount(service, account, resource string) string {
	a := arn.ARN{Partition: p.partition(), Service: service, Region: p.target.Region, AccountID: account, Resource: resource}
	if p.target.Name == "" {
		a.Region, a.AccountID = "*", "*"
	}
	if service == "iam" {
		a.Region = ""
	}
	return a.String()
}

// partition is that of the target's region
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html).
func (p place) partition() string {
	switch r := p.target.Region; {
	case strings.HasPrefix(r, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(r, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// ours holds for what Drover has made for the plan.
func (p place) ours() Condition { return equals("aws:ResourceTag/drover:plan", p.spec.Plan) }

func equals(key string, values ...string) Condition {
	return Condition{"StringEquals": {key: values}}
}

// instances are the workloads that run as EC2 instances in the target.
func (p place) instances() (out []migration.Workload) {
	for _, w := range p.spec.Workloads {
		if w.Target == p.target.Name && w.EC2 != nil {
			out = append(out, w)
		}
	}
	return out
}

// services are the workloads that run on Fargate in the target.
func (p place) services() (out []migration.Workload) {
	for _, w := range p.spec.Workloads {
		if w.Target == p.target.Name && w.Fargate != nil {
			out = append(out, w)
		}
	}
	return out
}

// listeners are those of the target's routes.
func (p place) listeners() (out []string) {
	for _, r := range p.spec.Routes {
		if r.Listener() != "" && r.Target() == p.target.Name {
			out = append(out, r.Listener())
		}
	}
	return out
}

// named are the target's routes by name.
func (p place) named() (out []migration.Route) {
	for _, r := range p.spec.Routes {
		if r.DNS != nil && r.DNS.Target == p.target.Name {
			out = append(out, r)
		}
	}
	return out
}

// zoneARN is a hosted zone's: it has neither a region nor an account.
func (p place) zoneARN(id string) string {
	return arn.ARN{Partition: p.partition(), Service: "route53", Resource: "hostedzone/" + id}.String()
}

// balanced says whether the target has a load balancer, or workloads behind one.
func (p place) balanced() bool {
	return len(p.listeners()) > 0 || slices.ContainsFunc(append(p.instances(), p.services()...),
		func(w migration.Workload) bool { return w.Ingress != nil })
}

// copied are the workloads of the worker's site whose disks are copied to the target.
func (p place) copied() bool {
	return slices.ContainsFunc(p.instances(), func(w migration.Workload) bool { return w.Site == p.worker.site })
}

// trees are the file datasets that the worker copies to the target.
func (p place) trees() (out []migration.Files) {
	for _, d := range p.spec.Datasets {
		if d.Files != nil && d.Files.Site == p.worker.site && d.Files.Target == p.target.Name {
			out = append(out, *d.Files)
		}
	}
	return out
}

// secrets are those that the worker resolves in the target.
func (p place) secrets() (out []migration.SecretRef) {
	for _, d := range p.spec.Datasets {
		if d.Postgres != nil && d.Postgres.Site == p.worker.site && d.Postgres.Target == p.target.Name {
			out = append(out, d.Postgres.Credentials)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(out)))
}

// secret allows to read a secret that is in AWS; nothing, where it is elsewhere. A secret under a
// key of the user's own needs kms:Decrypt on it, too: the plan does not name that key.
func (p place) secret(ref migration.SecretRef) allowance {
	kind, name, _ := strings.Cut(string(ref), "://")
	switch kind {
	case "awssm":
		return allowance{actions: []string{"secretsmanager:GetSecretValue"}, on: []string{p.secretARN(name)}}
	case "ssm":
		return allowance{actions: []string{"ssm:GetParameter"}, on: []string{p.parameterARN(name)}}
	}
	return allowance{}
}

// secretARN is a secret's, whatever member of it a reference picks. Secrets Manager puts six
// characters of its own behind the name.
func (p place) secretARN(name string) string {
	name, _, _ = strings.Cut(name, "#")
	if arn.IsARN(name) {
		return name
	}
	return p.arn("secretsmanager", "secret:"+name+"-??????")
}

func (p place) parameterARN(name string) string {
	if arn.IsARN(name) {
		return name
	}
	return p.arn("ssm", "parameter/"+strings.TrimPrefix(secrets.ParameterName(name), "/"))
}

// key is the target's own key; empty: AWS's, which needs no permission.
func (p place) key() (on []string, when Condition) {
	switch k := p.target.KMSKey; {
	case k == "":
		return nil, nil
	case strings.HasPrefix(k, "arn:") && strings.Contains(k, ":key/"):
		return []string{k}, nil
	case strings.Contains(k, "alias/"):
		alias := k[strings.Index(k, "alias/"):]
		return []string{p.arn("kms", "key/*")}, Condition{"ForAnyValue:StringEquals": {"kms:ResourceAliases": {alias}}}
	default:
		return []string{p.arn("kms", "key/"+k)}, nil
	}
}
