package awsconf_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/awsconf"
	"github.com/drover-migration/drover/migration"
)

func TestACallThatIsDeniedSaysWhatToDo(t *testing.T) {
	for _, c := range []struct {
		code   string
		denied bool
	}{{"AccessDenied", true}, {"UnauthorizedOperation", true}, {"ValidationError", false}} {
		t.Run(c.code, func(t *testing.T) {
			answering(t, refusal(403, c.code))
			cfg, err := awsconf.New(nil).Config(t.Context(), migration.Target{Region: "us-east-1"})
			require.NoError(t, err)
			_, err = sts.NewFromConfig(awsconf.Quick.Within(cfg)).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			var denied *awsconf.DeniedError
			require.Equal(t, c.denied, errors.As(err, &denied))
			var api smithy.APIError
			require.ErrorAs(t, err, &api, "who looks for AWS's code finds it")
			require.Equal(t, c.code, api.ErrorCode())
			if c.denied {
				require.ErrorContains(t, err, "allow it to the role or user of this worker: `drover iam-policy PLAN.yaml` prints")
			}
		})
	}
}
