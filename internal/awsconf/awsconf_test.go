package awsconf

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

type secretsFunc func(migration.SecretRef) (string, error)

func (f secretsFunc) Resolve(_ context.Context, ref migration.SecretRef) (string, error) {
	return f(ref)
}

func TestConfigAssumesTheTargetsRole(t *testing.T) {
	var mu sync.Mutex
	var asked []url.Values
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		mu.Lock()
		asked = append(asked, form)
		mu.Unlock()
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>k</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>`)
	}))
	t.Cleanup(srv.Close)
	ambient(t)
	t.Setenv("AWS_ENDPOINT_URL_STS", srv.URL)

	configs := New(secretsFunc(func(ref migration.SecretRef) (string, error) {
		require.Equal(t, migration.SecretRef("env://EXTERNAL"), ref)
		return "external-1", nil
	}))
	target := migration.Target{Name: "prod", Region: "eu-west-1",
		Role: &migration.Role{ARN: "arn:aws:iam::123456789012:role/drover", ExternalID: "env://EXTERNAL"}}
	for range 2 {
		cfg, err := configs.Config(context.Background(), target)
		require.NoError(t, err)
		require.Equal(t, "eu-west-1", cfg.Region)
		require.Equal(t, aws.RetryModeAdaptive, cfg.RetryMode)
		creds, err := cfg.Credentials.Retrieve(context.Background())
		require.NoError(t, err)
		require.Equal(t, "ASIA1", creds.AccessKeyID)
	}
	require.Len(t, asked, 1, "the second configuration is the first one, with its session")
	require.Equal(t, "drover", asked[0].Get("RoleSessionName"))
	require.Equal(t, "external-1", asked[0].Get("ExternalId"))
	require.Equal(t, target.Role.ARN, asked[0].Get("RoleArn"))
}

func TestConfigWithoutRoleIsAmbient(t *testing.T) {
	ambient(t)
	cfg, err := New(nil).Config(context.Background(), migration.Target{Region: "us-east-2"})
	require.NoError(t, err)
	creds, err := cfg.Credentials.Retrieve(context.Background())
	require.NoError(t, err)
	require.Equal(t, "AKIATEST", creds.AccessKeyID)
	require.Equal(t, "us-east-2", cfg.Region)
}

func TestFactoryKeepsOneClientPerTarget(t *testing.T) {
	ambient(t)
	built := 0
	clientFor := Factory(New(nil), func(c aws.Config) *string { built++; return &c.Region })
	a, err := clientFor(context.Background(), migration.Target{Name: "a", Region: "us-east-1"})
	require.NoError(t, err)
	b, err := clientFor(context.Background(), migration.Target{Name: "b", Region: "us-east-1", VPC: "vpc-2"})
	require.NoError(t, err)
	require.Same(t, a, b, "one account and region is one client, whatever else the target says")
	c, err := clientFor(context.Background(), migration.Target{Name: "a", Region: "us-west-2"})
	require.NoError(t, err)
	require.Equal(t, "us-west-2", *c)
	require.Equal(t, 2, built)
}

// ambient makes the process's AWS configuration the test's own.
func ambient(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "")
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
	t.Setenv("AWS_PROFILE", "")
}
