package plans

import "github.com/drover-migration/drover/migration"

// Plan is the plan as it is written. Parse fills the defaults; Compile turns it into a
// migration.Spec.
type Plan struct {
	Version   int               `json:"version" jsonschema:"required,enum=1" jsonschema_description:"Version of this format."`
	Name      Name              `json:"name" jsonschema:"required" jsonschema_description:"Name of the migration; part of every workflow id, tag and path."`
	State     State             `json:"state" jsonschema:"required" jsonschema_description:"Where checkpoints, manifests, compiled plans and evidence are kept."`
	Sites     map[Name]Site     `json:"sites,omitempty" jsonschema_description:"On-premises places, by name, that have VMs, databases or files of the plan. Each needs a worker near it that serves the site's task queue."`
	Targets   map[Name]Target   `json:"targets" jsonschema:"required,minItems=1" jsonschema_description:"AWS accounts and regions, by name."`
	Workloads map[Name]Workload `json:"workloads" jsonschema:"required,minItems=1" jsonschema_description:"Application components on VMs today, on EC2 or Fargate tomorrow, by name."`
	Datasets  map[Name]Dataset  `json:"datasets,omitempty" jsonschema_description:"State that moves, by name. A name is not also a workload's."`
	Routes    map[Name]Route    `json:"routes" jsonschema:"required,minItems=1" jsonschema_description:"How requests reach a customer's side, by name."`
	Health    Health            `json:"health,omitempty" jsonschema_description:"How a customer's health is judged."`
	Customers Customers         `json:"customers" jsonschema:"required" jsonschema_description:"The customers: a list, or a CSV file."`
	Batches   []Batch           `json:"batches" jsonschema:"required,minItems=1" jsonschema_description:"Customers cut over together, in the order in which batches are released."`
	Policy    Policy            `json:"policy,omitempty" jsonschema_description:"What holds for every batch that does not say otherwise."`
	Hooks     *Hooks            `json:"hooks,omitempty" jsonschema_description:"What of yours is called at the steps of a Move, by event: webhooks, and documents of Systems Manager (docs/hooks.md). Each call has a key that its repeats have too, and its answer may hold the customer."`
	Notify    *Notify           `json:"notify,omitempty" jsonschema_description:"Who is told of what, and how. Without it nobody is."`
	Evidence  *Evidence         `json:"evidence,omitempty" jsonschema_description:"Signed evidence of what was done to each batch, kept in the state bucket when the batch ends (docs/evidence.md). Without it none is written: what is not signed is no evidence."`

	src *source
}

// Reserved is a key of the design that this version does not carry out: to give it is a mistake,
// not a silent no-op.
type Reserved struct{}

// State is the bucket of checkpoints, manifests, compiled specs and evidence.
type State struct {
	Target Name   `json:"target" jsonschema:"required" jsonschema_description:"Target whose account holds the bucket."`
	Bucket Bucket `json:"bucket" jsonschema:"required" jsonschema_description:"S3 bucket. It must support conditional writes."`
	Prefix Prefix `json:"prefix,omitempty" jsonschema_description:"Put before every key."`
}

// Evidence says how signed evidence is written.
type Evidence struct {
	Key   migration.SecretRef `json:"key" jsonschema:"required" jsonschema_description:"Secret with the private key that signs (ed25519, PKCS 8 in PEM), as drover evidence key makes it. Main workers read it; preflight tries it."`
	Names bool                `json:"names,omitempty" jsonschema:"default=false" jsonschema_description:"Put the customers' names and contacts into it. Without it the evidence has their ids only."`
}

// Site is an on-premises place.
type Site struct {
	VSphere *VSphere `json:"vsphere,omitempty" jsonschema_description:"The site's vCenter. Needed where a workload's VMs are."`
	NBD     Reserved `json:"nbd,omitempty" jsonschema_description:"NBD server that reads disks."`
}

// VSphere is how a site's vCenter is reached.
type VSphere struct {
	URL         HTTPSURL            `json:"url" jsonschema:"required" jsonschema_description:"The vCenter's SDK address."`
	Datacenter  Text                `json:"datacenter" jsonschema:"required" jsonschema_description:"Datacenter, as the inventory names it."`
	Credentials migration.SecretRef `json:"credentials" jsonschema:"required" jsonschema_description:"Secret with the JSON {\"username\": .., \"password\": ..}."`
	CAFile      AbsolutePath        `json:"caFile,omitempty" jsonschema_description:"PEM file, on the site's worker, of the authority that signed the vCenter's certificate."`
	Thumbprint  Thumbprint          `json:"thumbprint,omitempty" jsonschema_description:"SHA-1 or SHA-256 of the vCenter's certificate, where no authority vouches for it."`
}

// Target is an AWS account and region.
type Target struct {
	Account Account           `json:"account" jsonschema:"required" jsonschema_description:"Account id; in quotes, since it is text."`
	Region  Region            `json:"region" jsonschema:"required" jsonschema_description:"Region."`
	Role    *Role             `json:"role,omitempty" jsonschema_description:"Role that workers assume. Without it they use their own credentials."`
	VPC     VPC               `json:"vpc,omitempty" jsonschema_description:"VPC of target groups. Required where a workload goes to this target."`
	Subnets []Subnet          `json:"subnets,omitempty" jsonschema_description:"Subnets of instances and tasks. Required where a workload goes to this target."`
	KMSKey  KMSKey            `json:"kmsKey,omitempty" jsonschema_description:"Key that encrypts snapshots and volumes. Without it the account's default key for EBS."`
	Tags    map[TagKey]TagVal `json:"tags,omitempty" jsonschema_description:"Put on everything that Drover makes there."`
}

// Role is assumed in the target's account.
type Role struct {
	ARN        RoleARN             `json:"arn" jsonschema:"required" jsonschema_description:"The role."`
	ExternalID migration.SecretRef `json:"externalId,omitempty" jsonschema_description:"External id the role asks for."`
}

// Workload is an application component.
type Workload struct {
	Site           Name           `json:"site,omitempty" jsonschema_description:"Site of its VMs. Required with vms."`
	VMs            *VMs           `json:"vms,omitempty" jsonschema_description:"Its VMs: names, or match. Exactly one of vms and origin."`
	Origin         *Origin        `json:"origin,omitempty" jsonschema_description:"What serves it today, where that is no VM of a site. Not with ec2, which runs the VMs' disks."`
	State          Choice         `json:"state,omitempty" jsonschema:"enum=none,enum=datasets,enum=disk,default=datasets" jsonschema_description:"Where it keeps what must not be lost. disk (inside the VM) needs an outage window and is reserved: not supported by this version."`
	AcceptDataLoss bool           `json:"acceptDataLoss,omitempty" jsonschema:"default=false" jsonschema_description:"Must be true with state disk: going back loses what the VM wrote meanwhile."`
	Ingress        *Ingress       `json:"ingress,omitempty" jsonschema_description:"Where it takes requests. Required where a route carries it."`
	Target         WorkloadTarget `json:"target" jsonschema:"required" jsonschema_description:"Where and how it runs on AWS: exactly one of ec2 and fargate."`
}

// Origin is what serves a workload today that runs on no VM of a site.
type Origin struct {
	TargetGroup TargetGroupARN `json:"targetGroup,omitempty" jsonschema_description:"Target group that gets its requests today. Whatever is in it stays untouched. Exactly one of targetGroup and url."`
	URL         FrontURL       `json:"url,omitempty" jsonschema_description:"Address that gets its requests today, for routes other than a load balancer's."`
}

// VMs picks a workload's virtual machines.
type VMs struct {
	Names []Text   `json:"names,omitempty" jsonschema:"minItems=1" jsonschema_description:"Exact names."`
	Match *VMMatch `json:"match,omitempty" jsonschema_description:"Conditions that must all hold."`
}

// VMMatch picks virtual machines by all of its conditions together.
type VMMatch struct {
	Folder Text      `json:"folder,omitempty" jsonschema_description:"Inventory path below the datacenter's vm folder."`
	Tag    Text      `json:"tag,omitempty" jsonschema_description:"\"category:tag\", or the tag alone."`
	Name   VMPattern `json:"name,omitempty" jsonschema_description:"Pattern of the name, with *, ? and [ranges]."`
}

// Ingress is where a workload takes requests.
type Ingress struct {
	Port     int           `json:"port" jsonschema:"required,minimum=1,maximum=65535" jsonschema_description:"TCP port."`
	Paths    []PathPattern `json:"paths,omitempty" jsonschema:"minItems=1,default=/*" jsonschema_description:"ALB path patterns. The most specific wins; no other workload of the same route may have one of them."`
	Protocol Choice        `json:"protocol,omitempty" jsonschema:"enum=http,enum=https,default=http" jsonschema_description:"What the workload speaks."`
}

// WorkloadTarget is where and how a workload runs on AWS.
type WorkloadTarget struct {
	Name    Name     `json:"name" jsonschema:"required" jsonschema_description:"Target."`
	EC2     *EC2     `json:"ec2,omitempty" jsonschema_description:"Run the replicated disks on EC2, one instance a VM."`
	Fargate *Fargate `json:"fargate,omitempty" jsonschema_description:"Run a container image as an ECS service on Fargate."`
	Config  Config   `json:"config,omitempty" jsonschema_description:"What the workload is told on AWS that it was told otherwise at home. A copied VM still points at home."`
}

// EC2 is how a workload's VMs run on EC2.
type EC2 struct {
	InstanceType   InstanceType    `json:"instanceType,omitempty" jsonschema:"default=auto" jsonschema_description:"Type; auto takes the cheapest that has what the VM needs: by its use, where vCenter has a week of it on record, and never more than the VM has."`
	SecurityGroups []SecurityGroup `json:"securityGroups,omitempty" jsonschema_description:"Security groups, by id or by name. Without any, the VPC's default."`
	Profile        IAMName         `json:"profile,omitempty" jsonschema_description:"Instance profile."`
	Conversion     Choice          `json:"conversion,omitempty" jsonschema:"enum=none,default=none" jsonschema_description:"How the disk is converted; none: it boots as it is."`
	License        Choice          `json:"license,omitempty" jsonschema:"enum=byol,enum=included,default=byol" jsonschema_description:"Whose licence the operating system runs under."`
}

// Fargate is how a workload runs as a service.
type Fargate struct {
	Cluster        IAMName         `json:"cluster" jsonschema:"required" jsonschema_description:"ECS cluster."`
	Image          Text            `json:"image" jsonschema:"required" jsonschema_description:"Container image, with its tag or digest."`
	CPU            int             `json:"cpu,omitempty" jsonschema:"enum=256,enum=512,enum=1024,enum=2048,enum=4096,enum=8192,enum=16384,default=256" jsonschema_description:"CPU units, 1024 to a vCPU."`
	Memory         int             `json:"memory,omitempty" jsonschema:"default=512,minimum=512,maximum=122880" jsonschema_description:"MiB. Fargate allows only some for each cpu."`
	Count          int             `json:"count,omitempty" jsonschema:"default=1,minimum=1,maximum=1000" jsonschema_description:"Tasks."`
	TaskRole       RoleRef         `json:"taskRole,omitempty" jsonschema_description:"Role of the application; name or ARN."`
	ExecutionRole  RoleRef         `json:"executionRole,omitempty" jsonschema_description:"Role by which ECS pulls the image and reads the secrets; name or ARN."`
	SecurityGroups []SecurityGroup `json:"securityGroups,omitempty" jsonschema_description:"Security groups, by id or by name. Without any, the VPC's default."`
}

// Config is what a workload is told on AWS.
type Config struct {
	Env      map[EnvName]EnvValue  `json:"env,omitempty" jsonschema_description:"Environment variables. Never a secret: they stand in clear in the task definition or the user data."`
	Secrets  map[EnvName]AWSSecret `json:"secrets,omitempty" jsonschema_description:"Environment variables that ECS fills from Secrets Manager or Parameter Store. Fargate only."`
	UserData *UserData             `json:"userData,omitempty" jsonschema_description:"User data of the instances. EC2 only."`
	Identity Choice                `json:"identity,omitempty" jsonschema:"enum=keep,default=keep" jsonschema_description:"What becomes of host name and machine id; keep: the copy has those of the original."`
}

// UserData is a script handed to instances.
type UserData struct {
	File RelativePath `json:"file" jsonschema:"required" jsonschema_description:"File, relative to the plan and inside its directory; at most 16 KiB."`

	text string
}
