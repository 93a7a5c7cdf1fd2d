package awsconf_test

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/drover-migration/drover/internal/awsconf"
	"github.com/drover-migration/drover/migration"
)

func TestACallWithinATraceHasASpanWithoutWhatWasAnswered(t *testing.T) {
	answering(t, refusal(http.StatusForbidden, "AccessDenied"))
	rec := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec)).Tracer("")
	cfg, err := awsconf.New(nil, awsconf.Trace(tracer)).Config(t.Context(), migration.Target{Region: "us-east-1"})
	require.NoError(t, err)
	client := sts.NewFromConfig(cfg)
	_, err = client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	require.Error(t, err)
	require.Empty(t, rec.Ended(), "it belongs to no trace")

	ctx, above := tracer.Start(t.Context(), "above")
	_, err = client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	require.Error(t, err)
	require.Len(t, rec.Ended(), 1)
	s := rec.Ended()[0]
	require.Equal(t, "STS.GetCallerIdentity", s.Name())
	require.Equal(t, above.SpanContext().SpanID(), s.Parent().SpanID())
	require.Equal(t, sdktrace.Status{Code: codes.Error}, s.Status())
	require.Empty(t, s.Events())
	attributes := map[string]string{}
	for _, a := range s.Attributes() {
		attributes[string(a.Key)] = a.Value.AsString()
	}
	require.Equal(t, map[string]string{"rpc.system": "aws-api", "rpc.service": "STS", "rpc.method": "GetCallerIdentity",
		"cloud.region": "us-east-1", "error.type": "refused"}, attributes)
}
