package worker

import (
	"errors"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/migration"
)

func TestNothingIsTracedUnlessTheEnvironmentNamesAReceiver(t *testing.T) {
	for _, env := range []map[string]string{
		{},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_TRACES_EXPORTER": "none"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_SDK_DISABLED": "true"},
	} {
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
		for k, v := range env {
			t.Setenv(k, v)
		}
		traces, err := newTraces(t.Context(), hclog.NewNullLogger())
		require.NoError(t, err)
		traced, err := traces.interceptors()
		require.NoError(t, err)
		require.Empty(t, traced)
		_, span := traces.tracer().Start(t.Context(), "something")
		require.False(t, span.IsRecording())
		traces.close()
		t.Setenv("OTEL_TRACES_EXPORTER", "")
		t.Setenv("OTEL_SDK_DISABLED", "")
	}
}

func TestAProtocolThatIsNotKnownIsRefusedAtTheStart(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	_, err := newTraces(t.Context(), hclog.NewNullLogger())
	require.ErrorContains(t, err, `OTEL_EXPORTER_OTLP_PROTOCOL is "http/json": give grpc or http/protobuf`)
}

func TestASpanSaysOfWhichKindAnErrorIsAndNotInWhichWords(t *testing.T) {
	rec := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec)).Tracer("")
	for _, err := range []error{temporal.NewApplicationError("key (mail)=(ann@example.com) exists", "Refused"),
		errors.New("ann@example.com")} {
		s := start(t.Context(), tracer, "RunActivity:FreezeCustomer")
		s.RecordError(err)
		s.SetStatus(codes.Error, err.Error())
		s.End()
	}
	require.False(t, start(t.Context(), tracer, "RunWorkflow:Customer").IsRecording(), "it lives for weeks")
	var kinds []string
	for _, s := range rec.Ended() {
		require.Empty(t, s.Events())
		require.Equal(t, sdktrace.Status{Code: codes.Error}, s.Status())
		for _, a := range s.Attributes() {
			kinds = append(kinds, a.Value.AsString())
		}
	}
	require.Equal(t, []string{"Refused", "*errors.errorString"}, kinds)
}

func TestAStatementIsNamedByItsFirstWordAndWhatOfDroversItUses(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT w, clock_timestamp() FROM (SELECT drover.fence($1, $2) w OFFSET 0) x": "SELECT drover.fence",
		"begin": "BEGIN",
		"ALTER SUBSCRIPTION x CONNECTION 'password=secret'": "ALTER",
		"INSERT INTO drover.beat AS b VALUES ('drover.x')":  "INSERT drover.beat",
		"'secret'":                    "SQL",
		"\n\tDO $drover$ BEGIN END $": "DO",
	} {
		require.Equal(t, want, statementOf(sql))
	}
}

func TestALineAboutAWorkflowSaysWhatItIsOf(t *testing.T) {
	require.Equal(t, []any{"WorkflowID", "move/shop/acme/3", "plan", "shop", "customer", "acme", "token", "3"},
		withNames([]any{"WorkflowID", "move/shop/acme/3"}))
	require.Equal(t, []any{"WorkflowID", "customer/shop/acme", "error", "x", "plan", "shop", "customer", "acme"},
		withNames([]any{"WorkflowID", "customer/shop/acme", "error", "x"}))
	require.Equal(t, []any{"WorkflowID", "other"}, withNames([]any{"WorkflowID", "other"}))
	require.Equal(t, []any{"error", "x"}, withNames([]any{"error", "x"}))
	require.Equal(t, migration.Of{Plan: "shop"}, migration.OfWorkflow(migration.BatchID("shop", "canary")))
	require.Equal(t, migration.Of{Plan: "shop", Customer: "acme", Token: "7"}, migration.OfWorkflow(migration.MoveID("shop", "acme", 7)))
	require.Equal(t, migration.Of{}, migration.OfWorkflow("somebody/elses"))
}
