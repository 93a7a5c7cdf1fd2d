package permissions

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/drover-migration/drover/migration"
)

// rule is what an operation needs in a place; nothing: the plan does not use it there. Sources:
// https://docs.aws.amazon.com/service-authorization/latest/reference/, one page a service.
type rule func(p place) []allowance

// rules are by service and operation, as the client interfaces name them.
var rules = map[string]rule{
	"sts.GetCallerIdentity": nothing, // everybody may

	"ec2.DescribeVpcs":           anywhere("ec2:DescribeVpcs", place.computes),
	"ec2.DescribeSubnets":        anywhere("ec2:DescribeSubnets", place.computes),
	"ec2.DescribeSecurityGroups": anywhere("ec2:DescribeSecurityGroups", place.computes),
	"ec2.DescribeImages":         anywhere("ec2:DescribeImages", place.launches),
	"ec2.DescribeInstances":      anywhere("ec2:DescribeInstances", place.launches),
	"ec2.DescribeInstanceStatus": anywhere("ec2:DescribeInstanceStatus", place.launches),
	"ec2.RegisterImage":          registerImage,
	"ec2.RunInstances":           runInstances,
	"ec2.DeregisterImage": func(p place) []allowance {
		return only(p.launches(), allowance{[]string{"ec2:DeregisterImage"}, []string{p.shared("image/*")}, p.ours()})
	},
	"ec2.DescribeSnapshots": anywhere("ec2:DescribeSnapshots", place.launches),
	"ec2.DeleteSnapshot": func(p place) []allowance {
		return only(p.launches(), allowance{[]string{"ec2:DeleteSnapshot"}, []string{p.shared("snapshot/*")}, p.ours()})
	},
	"ec2.TerminateInstances": func(p place) []allowance {
		return only(p.launches(), allowance{[]string{"ec2:TerminateInstances"}, []string{p.arn("ec2", "instance/*")}, p.ours()})
	},

	"ecs.DescribeClusters":       func(p place) []allowance { return inClusters(p, "ecs:DescribeClusters", "cluster/", "") },
	"ecs.DescribeServices":       func(p place) []allowance { return inClusters(p, "ecs:DescribeServices", "service/", "/drover-*") },
	"ecs.UpdateService":          func(p place) []allowance { return inClusters(p, "ecs:UpdateService", "service/", "/drover-*") },
	"ecs.DeleteService":          func(p place) []allowance { return inClusters(p, "ecs:DeleteService", "service/", "/drover-*") },
	"ecs.DescribeTasks":          func(p place) []allowance { return inClusters(p, "ecs:DescribeTasks", "task/", "/*") },
	"ecs.CreateService":          createService,
	"ecs.RegisterTaskDefinition": registerTaskDefinition,
	"ecs.ListTasks":              listTasks,
	// These three know no resources.
	"ecs.DescribeTaskDefinition":   anywhere("ecs:DescribeTaskDefinition", place.serves),
	"ecs.ListTaskDefinitions":      anywhere("ecs:ListTaskDefinitions", place.serves),
	"ecs.DeregisterTaskDefinition": anywhere("ecs:DeregisterTaskDefinition", place.serves),

	"iam.GetInstanceProfile": func(p place) (out []allowance) {
		for _, w := range p.instances() {
			out = append(out, only(w.EC2.Profile != "", allowance{actions: []string{"iam:GetInstanceProfile"},
				on: []string{p.arn("iam", "instance-profile/"+w.EC2.Profile)}})...)
		}
		return out
	},
	"iam.GetRole": func(p place) []allowance {
		return []allowance{{actions: []string{"iam:GetRole"}, on: p.taskRoles()}}
	},
	"kms.DescribeKey": func(p place) []allowance {
		on, when := p.key()
		return only(p.worker.site == "" && p.launches() || p.copied(), allowance{[]string{"kms:DescribeKey"}, on, when})
	},
	"secretsmanager.DescribeSecret": func(p place) (out []allowance) {
		for _, w := range append(p.instances(), p.services()...) {
			for _, ref := range w.Config.Secrets {
				if name, ok := strings.CutPrefix(ref, "awssm://"); ok {
					out = append(out, allowance{actions: []string{"secretsmanager:DescribeSecret"}, on: []string{p.secretARN(name)}})
				}
			}
		}
		return out
	},

	"elasticloadbalancing.DescribeListeners":             balancer("DescribeListeners"),
	"elasticloadbalancing.DescribeLoadBalancers":         balancer("DescribeLoadBalancers"),
	"elasticloadbalancing.DescribeRules":                 balancer("DescribeRules"),
	"elasticloadbalancing.DescribeTags":                  balancer("DescribeTags"),
	"elasticloadbalancing.DescribeTargetGroups":          balancer("DescribeTargetGroups"),
	"elasticloadbalancing.DescribeTargetGroupAttributes": balancer("DescribeTargetGroupAttributes"),
	"elasticloadbalancing.DescribeTargetHealth":          balancer("DescribeTargetHealth"),
	"elasticloadbalancing.DescribeAccountLimits":         balancer("DescribeAccountLimits"),
	"elasticloadbalancing.CreateRule":                    createRule,
	"elasticloadbalancing.ModifyRule":                    ruleOfOurs("ModifyRule"),
	"elasticloadbalancing.DeleteRule":                    ruleOfOurs("DeleteRule"),
	"elasticloadbalancing.SetRulePriorities":             ruleOfOurs("SetRulePriorities"),
	"elasticloadbalancing.CreateTargetGroup": func(p place) []allowance {
		return only(p.balanced(), allowance{actions: []string{"elasticloadbalancing:CreateTargetGroup"}, on: p.groups()},
			allowance{[]string{"elasticloadbalancing:AddTags"}, p.groups(), madeBy("elasticloadbalancing", "CreateTargetGroup")})
	},
	"elasticloadbalancing.DeleteTargetGroup": func(p place) []allowance {
		return only(p.balanced(), allowance{[]string{"elasticloadbalancing:DeleteTargetGroup"}, p.groups(), p.ours()})
	},
	"elasticloadbalancing.RegisterTargets": func(p place) []allowance {
		return only(p.balanced(), allowance{[]string{"elasticloadbalancing:RegisterTargets"}, p.groups(), p.ours()})
	},

	"route53.GetHostedZone":          inZones("GetHostedZone"),
	"route53.GetHostedZoneLimit":     inZones("GetHostedZoneLimit"),
	"route53.ListResourceRecordSets": inZones("ListResourceRecordSets"),
	"route53.ChangeResourceRecordSets": func(p place) (out []allowance) {
		for _, r := range p.named() {
			out = append(out, allowance{[]string{"route53:ChangeResourceRecordSets"}, []string{p.zoneARN(r.DNS.Zone)}, recordsOf(p.spec,
				r)})
		}
		return out
	},
	"route53.GetChange": func(p place) []allowance {
		return only(len(p.named()) > 0, allowance{actions: []string{"route53:GetChange"},
			on: []string{arn.ARN{Partition: p.partition(), Service: "route53", Resource: "change/*"}.String()}})
	},

	"cloudwatch.GetMetricStatistics": anywhere("cloudwatch:GetMetricStatistics", func(p place) bool {
		return len(p.listeners()) > 0 && p.spec.Health.AsksCloudWatch()
	}),
	"sns.Publish": func(p place) (out []allowance) {
		if p.spec.Notify == nil {
			return nil
		}
		for _, c := range p.spec.Notify.Channels {
			if c.SNS != nil && c.SNS.Target == p.target.Name {
				out = append(out, allowance{actions: []string{"sns:Publish"}, on: []string{c.SNS.Topic}})
			}
		}
		return out
	},

	"ssm.DescribeDocument": func(p place) []allowance { return p.onDocuments("ssm:DescribeDocument") },
	"ssm.SendCommand": func(p place) []allowance {
		out := p.onDocuments("ssm:SendCommand")
		return append(out, only(len(out) > 0, allowance{[]string{"ssm:SendCommand"}, []string{p.arn("ec2", "instance/*")},
			equals("ssm:resourceTag/drover:plan", p.spec.Plan)})...)
	},
	// These two know no resources.
	"ssm.ListCommands":         anywhere("ssm:ListCommands", place.commands),
	"ssm.GetCommandInvocation": anywhere("ssm:GetCommandInvocation", place.commands),
	// A profile's role is not in the plan.
	"iam.ListAttachedRolePolicies": func(p place) []allowance {
		return only(p.commands(), allowance{actions: []string{"iam:ListAttachedRolePolicies"}, on: []string{p.arn("iam", "role/*")}})
	},

	"rds.DescribeDBInstances": func(p place) (out []allowance) {
		for _, d := range p.spec.Datasets {
			if d.Postgres != nil && d.Postgres.Site == p.worker.site && d.Postgres.Target == p.target.Name {
				out = append(out, allowance{actions: []string{"rds:DescribeDBInstances"}, on: []string{p.arn("rds", "db:"+d.Postgres.RDS)}})
			}
		}
		return out
	},
	"ebs.StartSnapshot":      startSnapshot,
	"ebs.PutSnapshotBlock":   snapshotOfOurs("ebs:PutSnapshotBlock"),
	"ebs.CompleteSnapshot":   snapshotOfOurs("ebs:CompleteSnapshot"),
	"ebs.GetSnapshotBlock":   snapshotOfOurs("ebs:GetSnapshotBlock"),
	"ebs.ListSnapshotBlocks": snapshotOfOurs("ebs:ListSnapshotBlocks"),

	"snapshots.DescribeSnapshots": anywhere("ec2:DescribeSnapshots", place.copied),
	"snapshots.DeleteSnapshot":    snapshotOfOurs("ec2:DeleteSnapshot"),

	// A key that is not there is "not found" only to who may list.
	"state.GetObject":     func(p place) []allowance { return p.inState("s3:GetObject", "s3:ListBucket") },
	"state.ListObjectsV2": func(p place) []allowance { return p.inState("s3:ListBucket") },
	"state.PutObject":     func(p place) []allowance { return p.inState("s3:PutObject") },
	"state.DeleteObject":  func(p place) []allowance { return p.inState("s3:DeleteObject") },

	"s3.ListObjectsV2":           func(p place) []allowance { return p.inTrees("s3:ListBucket") },
	"s3.HeadObject":              func(p place) []allowance { return p.inTrees("s3:GetObject") },
	"s3.GetObject":               func(p place) []allowance { return p.inTrees("s3:GetObject") },
	"s3.PutObject":               func(p place) []allowance { return p.inTrees("s3:PutObject") },
	"s3.DeleteObject":            func(p place) []allowance { return p.inTrees("s3:DeleteObject") },
	"s3.ListParts":               func(p place) []allowance { return p.inTrees("s3:ListMultipartUploadParts") },
	"s3.CreateMultipartUpload":   func(p place) []allowance { return p.inTrees("s3:PutObject") },
	"s3.UploadPart":              func(p place) []allowance { return p.inTrees("s3:PutObject") },
	"s3.CompleteMultipartUpload": func(p place) []allowance { return p.inTrees("s3:PutObject") },
	"s3.AbortMultipartUpload":    func(p place) []allowance { return p.inTrees("s3:AbortMultipartUpload") },
}

// documents are those of the plan's hooks that run on the target's instances.
func (p place) documents() (out []string) {
	for _, h := range p.spec.Hooks {
		if h.SSM != nil && slices.ContainsFunc(p.instances(), h.Concerns) {
			out = append(out, h.SSM.Document)
		}
	}
	return out
}

func (p place) commands() bool { return len(p.documents()) > 0 }

// onDocuments is an action on them. Those of AWS belong to no account.
func (p place) onDocuments(action string) (out []allowance) {
	for _, d := range p.documents() {
		switch {
		case strings.HasPrefix(d, "arn:"):
		case strings.HasPrefix(d, "AWS-"), strings.HasPrefix(d, "Amazon"):
			d = p.inAccount("ssm", "", "document/"+d)
		default:
			d = p.arn("ssm", "document/"+d)
		}
		out = append(out, allowance{actions: []string{action}, on: []string{d}})
	}
	return out
}

// madeBy is the condition of a tag that a call sets on what it makes.
func madeBy(service, call string) Condition { return equals(service+":CreateAction", call) }

func nothing(place) []allowance { return nil }

func only(needed bool, all ...allowance) []allowance {
	if !needed {
		return nil
	}
	return all
}

// anywhere is an action that knows no resources, where the plan uses it.
func anywhere(action string, used func(place) bool) rule {
	return func(p place) []allowance {
		return only(used(p), allowance{actions: []string{action}, on: []string{"*"}})
	}
}

func (p place) launches() bool { return len(p.instances()) > 0 }
func (p place) serves() bool   { return len(p.services()) > 0 }
func (p place) computes() bool { return p.launches() || p.serves() }

func registerImage(p place) []allowance {
	images := p.shared("image/*")
	return only(p.launches(), allowance{actions: []string{"ec2:RegisterImage"}, on: []string{images, p.shared("snapshot/*")}},
		allowance{[]string{"ec2:CreateTags"}, []string{images}, madeBy("ec2", "RegisterImage")})
}

// ofDisks are what EC2 and EBS do with a key for whoever uses a volume or a snapshot under it
// (https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html).
var ofDisks = []string{"kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"}

func runInstances(p place) []allowance {
	if !p.launches() {
		return nil
	}
	made := []string{p.arn("ec2", "instance/*"), p.arn("ec2", "volume/*"), p.arn("ec2", "network-interface/*")}
	on := append(slices.Clone(made), p.shared("image/*"), p.shared("snapshot/*"))
	for _, s := range p.target.Subnets {
		on = append(on, p.arn("ec2", "subnet/"+s))
	}
	for _, w := range p.instances() {
		if len(w.EC2.SecurityGroups) == 0 {
			on = append(on, p.arn("ec2", "security-group/*")) // the VPC's own
		}
		for _, g := range w.EC2.SecurityGroups {
			if !strings.HasPrefix(g, "sg-") {
				g = "*" // named, and known by its id only
			}
			on = append(on, p.arn("ec2", "security-group/"+g))
		}
	}
	key, when := p.key()
	out := []allowance{{actions: []string{"ec2:RunInstances"}, on: on},
		{[]string{"ec2:CreateTags"}, made, madeBy("ec2", "RunInstances")}, {ofDisks, key, when}}
	if slices.ContainsFunc(p.instances(), func(w migration.Workload) bool { return w.EC2.Profile != "" }) {
		// A profile's role is not in the plan.
		out = append(out, allowance{[]string{"iam:PassRole"}, []string{p.arn("iam", "role/*")},
			equals("iam:PassedToService", "ec2.amazonaws.com")})
	}
	return out
}

// inClusters is an action on what the plan's services have in their clusters.
func inClusters(p place, action, kind, rest string) (out []allowance) {
	for _, w := range p.services() {
		out = append(out, allowance{actions: []string{action}, on: []string{p.arn("ecs", kind+w.Fargate.Cluster+rest)}})
	}
	return out
}

func createService(p place) (out []allowance) {
	for _, w := range p.services() {
		on := []string{p.arn("ecs", "service/"+w.Fargate.Cluster+"/drover-*")}
		out = append(out, allowance{actions: []string{"ecs:CreateService"}, on: on},
			allowance{[]string{"ecs:TagResource"}, on, madeBy("ecs", "CreateService")})
	}
	return out
}

func registerTaskDefinition(p place) []allowance {
	on := []string{p.arn("ecs", "task-definition/drover-*:*")}
	return only(p.serves(), allowance{actions: []string{"ecs:RegisterTaskDefinition"}, on: on},
		allowance{[]string{"ecs:TagResource"}, on, madeBy("ecs", "RegisterTaskDefinition")},
		allowance{[]string{"iam:PassRole"}, p.taskRoles(), equals("iam:PassedToService", "ecs-tasks.amazonaws.com")})
}

// listTasks is bound to a cluster by its condition: the resource that it knows is a machine of
// one's own.
func listTasks(p place) (out []allowance) {
	for _, w := range p.services() {
		out = append(out, allowance{[]string{"ecs:ListTasks"}, []string{"*"},
			Condition{"ArnEquals": {"ecs:cluster": {p.arn("ecs", "cluster/"+w.Fargate.Cluster)}}}})
	}
	return out
}

// taskRoles are the roles that the plan gives to tasks.
func (p place) taskRoles() (out []string) {
	for _, w := range p.services() {
		for _, r := range []string{w.Fargate.TaskRole, w.Fargate.ExecutionRole} {
			switch {
			case r == "":
			case strings.HasPrefix(r, "arn:"):
				out = append(out, r)
			default:
				out = append(out, p.arn("iam", "role/"+r))
			}
		}
	}
	return out
}

func balancer(operation string) rule {
	return anywhere("elasticloadbalancing:"+operation, place.balanced)
}

// inZones is an action on the zones of the target's routes.
func inZones(operation string) rule {
	return func(p place) (out []allowance) {
		for _, r := range p.named() {
			out = append(out, allowance{actions: []string{"route53:" + operation}, on: []string{p.zoneARN(r.DNS.Zone)}})
		}
		return out
	}
}

// recordsOf are the names and types of the records that a route changes. A policy has no room for
// ten thousand names: it names the customers' domains.
func recordsOf(spec *migration.Spec, r migration.Route) Condition {
	var hosts []string
	for _, c := range spec.Customers {
		if spec.Carries(r.Name, c) {
			hosts = append(hosts, c.Hosts...)
		}
	}
	names := migration.HostPatterns(hosts)
	for _, n := range names {
		if !strings.HasPrefix(n, "*.") { // a token stands below it
			names = append(names, "_drover."+n)
		}
	}
	slices.Sort(names)
	return Condition{
		"ForAllValues:StringLike": {"route53:ChangeResourceRecordSetsNormalizedRecordNames": names},
		"ForAllValues:StringEquals": {"route53:ChangeResourceRecordSetsRecordTypes": {"A", "CNAME", "TXT"},
			"route53:ChangeResourceRecordSetsActions": {"CREATE", "DELETE"}},
	}
}

// groups are the target groups that Drover makes.
func (p place) groups() []string {
	return []string{p.arn("elasticloadbalancing", "targetgroup/drover-*/*")}
}

// rulesOn are the rules of a listener, by its ARN.
func rulesOn(listener string) string {
	return strings.Replace(listener, ":listener/", ":listener-rule/", 1) + "/*"
}

func createRule(p place) (out []allowance) {
	for _, l := range p.listeners() {
		out = append(out, allowance{actions: []string{"elasticloadbalancing:CreateRule"}, on: []string{l}},
			allowance{[]string{"elasticloadbalancing:AddTags"}, []string{rulesOn(l)}, madeBy("elasticloadbalancing", "CreateRule")})
	}
	return out
}

func ruleOfOurs(operation string) rule {
	return func(p place) (out []allowance) {
		for _, l := range p.listeners() {
			out = append(out, allowance{[]string{"elasticloadbalancing:" + operation}, []string{rulesOn(l)}, p.ours()})
		}
		return out
	}
}

func startSnapshot(p place) []allowance {
	on := []string{p.shared("snapshot/*")}
	key, when := p.key()
	return only(p.copied(), allowance{actions: []string{"ebs:StartSnapshot"}, on: on},
		allowance{[]string{"ec2:CreateTags"}, on, equals("aws:RequestTag/drover:plan", p.spec.Plan)},
		allowance{append([]string{"kms:GenerateDataKey"}, ofDisks...), key, when})
}

func snapshotOfOurs(action string) rule {
	return func(p place) []allowance {
		return only(p.copied(), allowance{[]string{action}, []string{p.shared("snapshot/*")}, p.ours()})
	}
}

// inBucket is actions on the objects below a prefix of a bucket; s3:ListBucket is on the bucket.
func (p place) inBucket(bucket, prefix string, actions []string) (out []allowance) {
	whole := "arn:" + p.partition() + ":s3:::" + bucket
	for _, a := range actions {
		if a == "s3:ListBucket" {
			out = append(out, allowance{[]string{a}, []string{whole}, Condition{"StringLike": {"s3:prefix": {prefix + "*"}}}})
			continue
		}
		out = append(out, allowance{actions: []string{a}, on: []string{whole + "/" + prefix + "*"}})
	}
	return out
}

func (p place) inState(actions ...string) []allowance {
	at := p.spec.State
	if at.Target != p.target.Name {
		return nil
	}
	prefix := at.Prefix
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	out := p.inBucket(at.Bucket, prefix, actions)
	for i := range out {
		if out[i].actions[0] == "s3:ListBucket" {
			out[i].when = nil // a read of one key says no prefix
		}
	}
	return out
}

func (p place) inTrees(actions ...string) (out []allowance) {
	for _, f := range p.trees() {
		prefix, _, _ := strings.Cut(f.Prefix, "{customer}")
		out = append(out, p.inBucket(f.Bucket, prefix, actions)...)
	}
	return out
}
