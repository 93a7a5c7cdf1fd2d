package awstest

import (
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/awsconf"
	"github.com/drover-migration/drover/internal/secrets"
	"github.com/drover-migration/drover/migration"
)

// assume gives credentials of another account, as a role there does.
func assume(t *testing.T, account string) sdk.CredentialsProvider {
	t.Helper()
	c := sts.NewFromConfig(sdk.Config{Region: region, BaseEndpoint: &endpoint, Credentials: static("AKIALAB")})
	return sdk.NewCredentialsCache(stscreds.NewAssumeRoleProvider(c, "arn:aws:iam::"+account+":role/drover"))
}

func TestATargetsRoleReachesItsAccountAndSecrets(t *testing.T) {
	target, cfg := newTarget(t)
	_, err := secretsmanager.NewFromConfig(cfg).CreateSecret(t.Context(),
		&secretsmanager.CreateSecretInput{Name: sdk.String("orders/drover"), SecretString: sdk.String(`{"password":"p1"}`)})
	require.NoError(t, err)

	t.Setenv("AWS_ENDPOINT_URL", endpoint)
	t.Setenv("AWS_REGION", region)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIALAB")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("DROVER_TEST_EXTERNAL_ID", "external")
	target.Role = &migration.Role{ARN: "arn:aws:iam::" + target.Account + ":role/drover", ExternalID: "env://DROVER_TEST_EXTERNAL_ID"}
	configs := awsconf.New(secrets.New(nil))
	got, err := configs.Config(t.Context(), target)
	require.NoError(t, err)
	who, err := sts.NewFromConfig(got).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	require.NoError(t, err)
	require.Equal(t, target.Account, *who.Account)

	resolver := secrets.New(configs.Config)
	value, err := resolver.For(target).Resolve(t.Context(), "awssm://orders/drover#password")
	require.NoError(t, err)
	require.Equal(t, "p1", value)
	_, err = resolver.Resolve(t.Context(), "awssm://orders/drover")
	require.ErrorContains(t, err, "no such secret in the worker's own account", "another account does not have it")
}

func newRole(t *testing.T, cfg sdk.Config, name string) {
	t.Helper()
	_, err := iam.NewFromConfig(cfg).CreateRole(t.Context(),
		&iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: sdk.String(`{"Version":"2012-10-17","Statement":[]}`)})
	require.NoError(t, err)
}
