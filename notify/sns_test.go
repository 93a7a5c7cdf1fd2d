package notify

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// topic answers an error of SNS's; what SNS itself takes is tried against moto (test/aws).
type topic struct {
	code string
	in   *sns.PublishInput
}

func (f *topic) Publish(_ context.Context, in *sns.PublishInput, _ ...func(*sns.Options)) (*sns.PublishOutput, error) {
	f.in = in
	if f.code != "" {
		return nil, &smithy.GenericAPIError{Code: f.code, Message: "no"}
	}
	return &sns.PublishOutput{MessageId: aws.String("m-1")}, nil
}

func TestATopicsErrorsSayWhetherTryingAgainCanHelp(t *testing.T) {
	plan := through(migration.Channel{SNS: &migration.SNSChannel{Target: "prod", Topic: "arn:aws:sns:us-east-1:123456789012:drover.fifo"}})
	plan.Targets = []migration.Target{{Name: "prod"}}
	for code, kind := range map[string]string{
		"Throttled": "", "InternalError": "", "KMSThrottling": "", "ExpiredToken": "", "NotFound": "NotFound",
		"AuthorizationError": "AuthorizationError", "InvalidParameter": "InvalidParameter",
	} {
		f := &topic{code: code}
		s := &Sender{SNS: func(context.Context, migration.Target) (SNS, error) { return f, nil }}
		_, err := s.Send(t.Context(), plan, message())
		require.Error(t, err)
		require.Equal(t, kind, permanent.Kind(err), "%v", err)
	}
	f := &topic{}
	s := &Sender{SNS: func(context.Context, migration.Target) (SNS, error) { return f, nil }}
	m := message()
	m.Subject, m.Text = "Ünfall\tof "+strings.Repeat("x", 200), strings.Repeat("я", 200_000)
	receipt, err := s.Send(t.Context(), plan, m)
	require.NoError(t, err)
	require.Equal(t, "m-1", receipt)
	require.Equal(t, m.Key, *f.in.MessageDeduplicationId, "a topic in order drops the repeat by itself")
	require.Len(t, *f.in.Subject, snsSubject)
	require.True(t, strings.HasPrefix(*f.in.Subject, "?nfall?of x"))
	require.Len(t, *f.in.Message, snsText)
}
