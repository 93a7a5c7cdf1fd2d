package awsconf

import (
	"context"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"

	"github.com/drover-migration/drover/migration"
)

// sessionName is what CloudTrail shows for calls made with an assumed role.
const sessionName = "drover"

// Secrets resolves the external id of a role.
type Secrets interface {
	Resolve(ctx context.Context, ref migration.SecretRef) (string, error)
}

// Configs builds and keeps one configuration per target. It is safe for concurrent use.
type Configs struct {
	secrets Secrets
	stack   []func(*middleware.Stack) error

	mu   sync.Mutex
	kept map[identity]aws.Config
}

// identity is the part of a target that decides its configuration; a target's VPC or tags may
// change without a new session.
type identity struct {
	region, role string
	externalID   migration.SecretRef
}

func identityOf(t migration.Target) identity {
	if t.Role == nil {
		return identity{region: t.Region}
	}
	return identity{region: t.Region, role: t.Role.ARN, externalID: t.Role.ExternalID}
}

// New returns an empty set of configurations. The external id of a role is resolved by secrets,
// which must not itself need that role: env:// or file://. Every client gets the settings of its
// calls that are in stack, such as Observe.
func New(secrets Secrets, stack ...func(*middleware.Stack) error) *Configs {
	return &Configs{secrets: secrets, stack: stack, kept: map[identity]aws.Config{}}
}

// Config is the configuration of clients for t. An empty region is the ambient one. Retries are
// adaptive: a throttled account slows the client down instead of exhausting its attempts. The
// limiter lives in each client, so keep clients (see Factory) rather than build one for every call.
// Errors: the external id cannot be resolved, or the ambient configuration is malformed.
func (c *Configs) Config(ctx context.Context, t migration.Target) (aws.Config, error) {
	id := identityOf(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if cfg, ok := c.kept[id]; ok {
		return cfg, nil
	}
	cfg, err := c.build(ctx, id)
	if err != nil {
		return aws.Config{}, fmt.Errorf("configure AWS for target %q: %w", t.Name, err)
	}
	c.kept[id] = cfg
	return cfg, nil
}

func (c *Configs) build(ctx context.Context, id identity) (aws.Config, error) {
	opts := []func(*config.LoadOptions) error{config.WithRetryMode(aws.RetryModeAdaptive)}
	if id.region != "" {
		opts = append(opts, config.WithRegion(id.region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("load the ambient AWS configuration: %w; check the AWS_* environment and ~/.aws of the worker", err)
	}
	cfg.APIOptions = append(append(cfg.APIOptions, sayDenied), c.stack...)
	if id.role == "" {
		return cfg, nil
	}
	var external string
	if id.externalID != "" {
		if external, err = c.secrets.Resolve(ctx, id.externalID); err != nil {
			return aws.Config{}, fmt.Errorf("external id of role %s: %w", id.role, err)
		}
	}
	assume := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(Quick.Within(cfg)), id.role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = sessionName
		if external != "" {
			o.ExternalID = aws.String(external)
		}
	})
	cfg.Credentials = aws.NewCredentialsCache(assume)
	return cfg, nil
}

// Factory returns a function that gives the one client of a kind for a target, building it at first
// use:
//
//	ec2For := awsconf.Factory(configs, func(c aws.Config) *ec2.Client {
//		return ec2.NewFromConfig(c)
//	})
func Factory[C any](configs *Configs, build func(aws.Config) C) func(context.Context, migration.Target) (C, error) {
	var mu sync.Mutex
	kept := map[identity]C{}
	return func(ctx context.Context, t migration.Target) (C, error) {
		id := identityOf(t)
		mu.Lock()
		defer mu.Unlock()
		if client, ok := kept[id]; ok {
			return client, nil
		}
		cfg, err := configs.Config(ctx, t)
		if err != nil {
			var none C
			return none, err
		}
		client := build(cfg)
		kept[id] = client
		return client, nil
	}
}
