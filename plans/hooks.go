package plans

import (
	"time"

	"github.com/drover-migration/drover/migration"
)

// Hooks are what the plan has called at the steps of a Move, by event.
type Hooks struct {
	BeforeFence *EarlyHook  `json:"beforeFence,omitempty" jsonschema_description:"A try of a Move begins, and nothing is touched yet. A failure, after three attempts, ends the try; the next one calls again. Main workers call."`
	BeforeSeal  *FrozenHook `json:"beforeSeal,omitempty" jsonschema_description:"Inside the freeze, for queues to drain: nobody writes, and all that was written is at the destination. Only of customers with a database. The worker of the site of the customer's first database calls."`
	BeforeOpen  *FrozenHook `json:"beforeOpen,omitempty" jsonschema_description:"As beforeSeal, after it: the last thing before the commit point. Of a customer without a database main workers call it, as beforeFence."`
	AfterOpen   *LateHook   `json:"afterOpen,omitempty" jsonschema_description:"The customer is homed at the destination. Like all that follow, it is called until it answers, and undoes nothing; main workers call."`
	AfterRoute  *LateHook   `json:"afterRoute,omitempty" jsonschema_description:"All requests of the customer go to its home."`
	OnRollback  *LateHook   `json:"onRollback,omitempty" jsonschema_description:"The customer is homed and routed on premises again, after afterOpen and afterRoute."`
	AfterLaunch *LateHook   `json:"afterLaunch,omitempty" jsonschema_description:"A workload runs on AWS and is healthy; nobody is served there yet. Batches that need it wait until the hook has said go on."`
}

// EarlyHook is one that is called before anything is touched.
type EarlyHook struct {
	Webhook *HookAddress        `json:"webhook,omitempty" jsonschema_description:"Signed JSON, posted to an address of yours (docs/hooks.md). Exactly one of webhook and ssm."`
	SSM     *Document           `json:"ssm,omitempty" jsonschema_description:"A document that Systems Manager runs on instances of workloads."`
	Timeout *migration.Duration `json:"timeout,omitempty" bounds:"100ms..6h" jsonschema_description:"Longest time of one attempt. Default: 10s; of a document 10m."`
	WayBack Choice              `json:"wayBack,omitempty" jsonschema:"enum=call,enum=must,enum=never,default=call" jsonschema_description:"For a customer that goes home. call: it is called once, and whatever comes of it keeps nobody from going home. must: as on the way out. never: it is not called."`
}

// FrozenHook is one that is called inside the freeze.
type FrozenHook struct {
	Webhook HookAddress        `json:"webhook" jsonschema:"required" jsonschema_description:"Signed JSON, posted to an address of yours (docs/hooks.md). A document takes longer than a freeze."`
	Timeout migration.Duration `json:"timeout,omitempty" jsonschema:"default=2s" bounds:"10ms..30s" jsonschema_description:"Longest time of one attempt. It is called again until it answers, for as long as the freeze budget lasts, less what the seal takes. Then the try ends, and its home is open again."`
	Takes   migration.Duration `json:"takes,omitempty" jsonschema:"default=100ms" bounds:"1ms..1m" jsonschema_description:"How long it is predicted to take until it answers, where the last calls did not take longer. It counts in the predicted freeze: a customer for whom the freeze budget is too short is not fenced."`
	WayBack Choice             `json:"wayBack,omitempty" jsonschema:"enum=call,enum=must,enum=never,default=call" jsonschema_description:"As in beforeFence."`
}

// LateHook is one that tells of what has happened.
type LateHook struct {
	Webhook *HookAddress        `json:"webhook,omitempty" jsonschema_description:"Signed JSON, posted to an address of yours (docs/hooks.md). Exactly one of webhook and ssm."`
	SSM     *Document           `json:"ssm,omitempty" jsonschema_description:"A document that Systems Manager runs on instances of workloads."`
	Timeout *migration.Duration `json:"timeout,omitempty" bounds:"100ms..6h" jsonschema_description:"Longest time of one attempt. Default: 10s; of a document 10m."`
}

// HookAddress is a webhook.
type HookAddress struct {
	URL    HTTPSURL            `json:"url" jsonschema:"required" jsonschema_description:"Where it is posted."`
	Secret migration.SecretRef `json:"secret" jsonschema:"required" jsonschema_description:"Secret that signs it: whsec_ and base64 of 24 to 64 bytes, as Standard Webhooks has it. Whoever calls reads it."`
}

// Document is one of Systems Manager.
type Document struct {
	Document   DocumentName         `json:"document" jsonschema:"required" jsonschema_description:"Name of the document in the workloads' target, or its ARN."`
	Parameters map[EnvName]EnvValue `json:"parameters,omitempty" jsonschema_description:"Its parameters, one value each. Never a secret. What it declares of DroverKey, DroverEvent, DroverPlan, DroverBatch, DroverCustomer, DroverToken, DroverFrom, DroverTo and DroverWorkload is added."`
	Workloads  []Name               `json:"workloads,omitempty" jsonschema:"minItems=1" jsonschema_description:"Workloads on whose instances it runs. Default: all on EC2 that the customer uses, or the one that was launched."`
}

const (
	hookTimeout     = migration.Duration(10 * time.Second)
	documentTimeout = migration.Duration(10 * time.Minute)
)

// hook is one of any kind, as it is validated and compiled.
type hook struct {
	event   migration.HookEvent
	webhook *HookAddress
	ssm     *Document
	timeout *migration.Duration
	takes   migration.Duration
	wayBack Choice
}

// all are the hooks that are given, in the order of their events.
func (h *Hooks) all() (out []hook) {
	early := func(e migration.HookEvent, x *EarlyHook) {
		if x != nil {
			out = append(out, hook{event: e, webhook: x.Webhook, ssm: x.SSM, timeout: x.Timeout, wayBack: x.WayBack})
		}
	}
	frozen := func(e migration.HookEvent, x *FrozenHook) {
		if x != nil {
			out = append(out, hook{event: e, webhook: &x.Webhook, timeout: &x.Timeout, takes: x.Takes, wayBack: x.WayBack})
		}
	}
	late := func(e migration.HookEvent, x *LateHook) {
		if x != nil {
			out = append(out, hook{event: e, webhook: x.Webhook, ssm: x.SSM, timeout: x.Timeout})
		}
	}
	early(migration.HookBeforeFence, h.BeforeFence)
	frozen(migration.HookBeforeSeal, h.BeforeSeal)
	frozen(migration.HookBeforeOpen, h.BeforeOpen)
	late(migration.HookAfterOpen, h.AfterOpen)
	late(migration.HookAfterRoute, h.AfterRoute)
	late(migration.HookOnRollback, h.OnRollback)
	late(migration.HookAfterLaunch, h.AfterLaunch)
	return out
}

func (h *Hooks) compile() (out []migration.Hook) {
	for _, x := range h.all() {
		c := migration.Hook{Event: x.event, Timeout: hookTimeout, Takes: x.takes, WayBack: migration.WayBack(x.wayBack)}
		if x.webhook != nil {
			c.Webhook = &migration.WebhookChannel{URL: string(x.webhook.URL), Secret: x.webhook.Secret}
		}
		if d := x.ssm; d != nil {
			c.Timeout = documentTimeout
			c.SSM = &migration.SSMDocument{Document: string(d.Document), Workloads: list(d.Workloads)}
			for name, value := range d.Parameters {
				if c.SSM.Parameters == nil {
					c.SSM.Parameters = map[string][]string{}
				}
				c.SSM.Parameters[string(name)] = []string{string(value)}
			}
		}
		if x.timeout != nil {
			c.Timeout = *x.timeout
		}
		out = append(out, c)
	}
	return out
}
