package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/drover-migration/drover/internal/awsconf"
	"github.com/drover-migration/drover/migration"
)

// ConfigFunc gives the AWS configuration of a target.
type ConfigFunc func(ctx context.Context, t migration.Target) (aws.Config, error)

// Resolver resolves references in the account and region of one target.
type Resolver struct {
	config ConfigFunc
	target migration.Target
}

// New returns a resolver for the worker's ambient account and region. With a nil config it resolves
// env:// and file:// only.
func New(config ConfigFunc) *Resolver { return &Resolver{config: config} }

// For returns a resolver that looks awssm:// and ssm:// up in t.
func (r *Resolver) For(t migration.Target) *Resolver { return &Resolver{config: r.config, target: t} }

// Resolve returns the secret that ref names. Forms:
//
//	env://NAME           the environment of this worker
//	file:///path         a file on this worker; one trailing newline is dropped
//	awssm://name[#key]   Secrets Manager, by name or ARN; key picks a member of a JSON object
//	ssm://name           Parameter Store, decrypted, by name or ARN; with slashes it is absolute
//
// An error names the reference and what to do, never the value.
func (r *Resolver) Resolve(ctx context.Context, ref migration.SecretRef) (string, error) {
	kind, name, ok := strings.Cut(string(ref), "://")
	if !ok || name == "" {
		// Whoever put the secret itself where its reference belongs must not find it in a log.
		return "", errors.New("a secret reference is not of the form env://NAME, file:///path, awssm://name or ssm://name")
	}
	var value string
	var err error
	switch kind {
	case "env":
		value, err = fromEnv(name)
	case "file":
		value, err = fromFile(name)
	case "awssm":
		value, err = r.fromSecretsManager(ctx, name)
	case "ssm":
		value, err = r.fromParameterStore(ctx, name)
	default:
		err = errors.New("unknown kind of reference; use env://, file://, awssm:// or ssm://")
	}
	if err != nil {
		return "", fmt.Errorf("resolve secret %s: %w", ref, err)
	}
	return value, nil
}

func fromEnv(name string) (string, error) {
	value, ok := os.LookupEnv(name)
	if !ok {
		return "", errors.New("the variable is not set; set it in the environment of this worker")
	}
	if value == "" {
		return "", errors.New("the variable is empty; set it in the environment of this worker")
	}
	return value, nil
}

func fromFile(path string) (string, error) {
	if !strings.HasPrefix(path, "/") {
		return "", errors.New("the path is not absolute; write file:///path")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%w; make the file readable to the user that runs this worker", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}

func (r *Resolver) fromSecretsManager(ctx context.Context, name string) (string, error) {
	name, key, _ := strings.Cut(name, "#")
	cfg, err := r.awsConfig(ctx, name)
	if err != nil {
		return "", err
	}
	out, err := secretsmanager.NewFromConfig(awsconf.Quick.Within(cfg)).GetSecretValue(ctx,
		&secretsmanager.GetSecretValueInput{SecretId: &name})
	if err != nil {
		var missing *smtypes.ResourceNotFoundException
		if errors.As(err, &missing) {
			return "", fmt.Errorf("no such secret in %s; create it there or correct the name", place(cfg, r.target))
		}
		return "", denied(err, "secretsmanager:GetSecretValue")
	}
	if out.SecretString == nil {
		return "", errors.New("the secret is binary; store it as text")
	}
	if key == "" {
		return *out.SecretString, nil
	}
	return member(*out.SecretString, key)
}

// member picks one member of a JSON object. The decoder's own error is dropped: it may quote the
// secret.
func member(text, key string) (string, error) {
	var object map[string]any
	if json.Unmarshal([]byte(text), &object) != nil {
		return "", fmt.Errorf("the secret is not a JSON object, so it has no member %q; drop the #%s or store an object", key, key)
	}
	switch v := object[key].(type) {
	case nil:
		return "", fmt.Errorf("the secret's JSON object has no member %q", key)
	case string:
		return v, nil
	default:
		b, err := json.Marshal(v)
		return string(b), err
	}
}

func (r *Resolver) fromParameterStore(ctx context.Context, name string) (string, error) {
	name = ParameterName(name)
	cfg, err := r.awsConfig(ctx, name)
	if err != nil {
		return "", err
	}
	out, err := ssm.NewFromConfig(awsconf.Quick.Within(cfg)).GetParameter(ctx,
		&ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
	if err != nil {
		var missing *ssmtypes.ParameterNotFound
		if errors.As(err, &missing) {
			return "", fmt.Errorf("no such parameter in %s; create it there or correct the name", place(cfg, r.target))
		}
		return "", denied(err, "ssm:GetParameter (and kms:Decrypt on its key)")
	}
	return aws.ToString(out.Parameter.Value), nil
}

// ParameterName is the name of a parameter as SSM wants it: what has slashes in it is absolute, as
// in ssm://orders/db for /orders/db.
func ParameterName(name string) string {
	if strings.Contains(name, "/") && !strings.HasPrefix(name, "/") && !arn.IsARN(name) {
		return "/" + name
	}
	return name
}

// awsConfig is the target's configuration, in the region of the ARN when the name is one.
func (r *Resolver) awsConfig(ctx context.Context, name string) (aws.Config, error) {
	if r.config == nil {
		return aws.Config{}, errors.New("a secret kept in AWS cannot be used before there is an AWS configuration; use env:// or " +
			"file:// here")
	}
	cfg, err := r.config(ctx, r.target)
	if err != nil {
		return aws.Config{}, err
	}
	if a, err := arn.Parse(name); err == nil {
		cfg.Region = a.Region
	}
	if cfg.Region == "" {
		return aws.Config{}, errors.New("no AWS region to look in; set AWS_REGION in the environment of this worker")
	}
	return cfg, nil
}

func place(cfg aws.Config, t migration.Target) string {
	if t.Name == "" {
		return "the worker's own account, region " + cfg.Region
	}
	return fmt.Sprintf("target %q (account %s, region %s)", t.Name, t.Account, cfg.Region)
}

func denied(err error, action string) error {
	var api smithy.APIError
	if errors.As(err, &api) && strings.HasPrefix(api.ErrorCode(), "AccessDenied") {
		return fmt.Errorf("%w; allow %s to the role that Drover uses", err, action)
	}
	return err
}
