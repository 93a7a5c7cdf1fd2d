package machines

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// secretsOnce reads a task's secrets when it starts, and never again.
func (c *Controller) secretsOnce(ctx context.Context, i Instance) (map[string]string, error) {
	c.mu.Lock()
	known, ok := c.secret[i.ID]
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	got, err := c.secrets(ctx, i)
	if err == nil {
		c.mu.Lock()
		c.secret[i.ID] = got
		c.mu.Unlock()
	}
	return got, err
}

// secrets does what Fargate's agent does before a container starts: it reads the secrets that the
// task definition names.
func (c *Controller) secrets(ctx context.Context, i Instance) (map[string]string, error) {
	if len(i.Secrets) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conf := aws.Config{
		Region: i.Region, BaseEndpoint: aws.String(c.conf.AWS),
		Credentials: credentials.NewStaticCredentialsProvider(c.conf.AWSEnv["AWS_ACCESS_KEY_ID"], c.conf.AWSEnv["AWS_SECRET_ACCESS_KEY"],
			c.conf.AWSEnv["AWS_SESSION_TOKEN"]),
	}
	out := map[string]string{}
	for variable, from := range i.Secrets {
		v, err := readSecret(ctx, conf, from)
		if err != nil {
			return nil, fmt.Errorf("secret of %s: %w", variable, err)
		}
		out[variable] = v
	}
	return out, nil
}

// readSecret follows a valueFrom: a parameter's ARN, or a secret's name or ARN with an optional
// JSON key behind it (arn:...:secret:name-XXXXXX:key:stage:version).
func readSecret(ctx context.Context, conf aws.Config, from string) (string, error) {
	if strings.Contains(from, ":ssm:") || strings.HasPrefix(from, "/") {
		name := from
		if _, after, ok := strings.Cut(from, ":parameter"); ok {
			name = after
		}
		out, err := ssm.NewFromConfig(conf).GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.Parameter.Value), nil
	}
	id, key := from, ""
	if parts := strings.Split(from, ":"); len(parts) > 7 {
		id, key = strings.Join(parts[:7], ":"), parts[7]
	}
	out, err := secretsmanager.NewFromConfig(conf).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return "", err
	}
	if key == "" {
		return aws.ToString(out.SecretString), nil
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(aws.ToString(out.SecretString)), &fields); err != nil {
		return "", fmt.Errorf("%s is not JSON and has no key %s", id, key)
	}
	return fmt.Sprint(fields[key]), nil
}
