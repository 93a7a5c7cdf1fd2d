package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	temporalotel "go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/migration"
)

// lastSpans is how long a worker that stops waits for its last spans to be taken.
const lastSpans = 5 * time.Second

// traces are what a process tells an OTLP receiver of: where OpenTelemetry's own environment names
// one. Spans are sent in the background, and those that nobody takes in time are dropped: nothing
// waits for them.
type traces struct {
	provider *sdktrace.TracerProvider // nil: nothing is traced
	log      hclog.Logger
}

func newTraces(ctx context.Context, log hclog.Logger) (*traces, error) {
	if !tracing() {
		return &traces{log: log}, nil
	}
	exporter, err := newExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("export traces: %w; check the OTEL_EXPORTER_OTLP_* environment", err)
	}
	of, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "drover-worker")), resource.WithTelemetrySDK(),
		resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("export traces: %w; check OTEL_RESOURCE_ATTRIBUTES", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces are not exported", "why", err) }))
	log.Info("tracing", "to", cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")))
	return &traces{provider: sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(of)), log: log}, nil
}

// tracing says whether the environment names a receiver.
func tracing() bool {
	named := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	return named && os.Getenv("OTEL_TRACES_EXPORTER") != "none" && !strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true")
}

func newExporter(ctx context.Context) (*otlptrace.Exporter, error) {
	switch p := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), "http/protobuf"); p {
	case "grpc":
		return otlptracegrpc.New(ctx)
	case "http/protobuf":
		return otlptracehttp.New(ctx)
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q: give grpc or http/protobuf", p)
	}
}

// tracer makes the spans of what is below Temporal.
func (t *traces) tracer() trace.Tracer {
	if t.provider == nil {
		return noop.NewTracerProvider().Tracer("")
	}
	return t.provider.Tracer("github.com/drover-migration/drover")
}

// close sends what is left.
func (t *traces) close() {
	if t.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastSpans)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("the last traces were not exported", "why", err)
	}
}

// interceptors trace workflows and activities; none where nothing is traced.
func (t *traces) interceptors() ([]interceptor.WorkerInterceptor, error) {
	if t.provider == nil {
		return nil, nil
	}
	inner, err := temporalotel.NewTracer(temporalotel.TracerOptions{
		Tracer: t.tracer(), SpanStarter: start,
		DisableSignalTracing: true, DisableQueryTracing: true, DisableUpdateTracing: true, DisableBaggage: true,
		AllowInvalidParentSpans: true, // a header that somebody else wrote fails no workflow
	})
	if err != nil {
		return nil, fmt.Errorf("trace workflows: %w", err)
	}
	return []interceptor.WorkerInterceptor{interceptor.NewTracingInterceptor(about{inner})}, nil
}

// lasting are the workflows that live for weeks. They are in no trace: what they start begins its
// own, a Move, a copy of a machine, a check, or an activity that belongs to none of these.
var lasting = map[string]bool{"Migration": true, "Batch": true, "Customer": true, "Workload": true, "Replication": true,
	"Outbox": true}

func start(ctx context.Context, t trace.Tracer, name string, opts ...trace.SpanStartOption) trace.Span {
	if _, workflow, _ := strings.Cut(name, ":"); lasting[workflow] {
		return trace.SpanFromContext(context.Background())
	}
	_, span := t.Start(ctx, name, opts...)
	return discreet{span}
}

// discreet is a span that says that something failed and of which kind it was, and not in which
// words: an error may quote what a database holds. The words are in Temporal.
type discreet struct{ trace.Span }

// RecordError says of which kind an error is.
func (d discreet) RecordError(err error, _ ...trace.EventOption) {
	if err != nil {
		d.SetAttributes(attribute.String("error.type", kindOf(err)))
	}
}

// SetStatus leaves the words out.
func (d discreet) SetStatus(code codes.Code, _ string) { d.Span.SetStatus(code, "") }

func kindOf(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.Type() != "" {
		return app.Type()
	}
	return fmt.Sprintf("%T", err)
}

// about adds to each span which plan, customer and try it is of.
type about struct{ interceptor.Tracer }

// workflowTag is under which tag Temporal's interceptor has the id of a workflow.
const workflowTag = "temporalWorkflowID"

// StartSpan starts a span.
func (a about) StartSpan(o *interceptor.TracerStartSpanOptions) (interceptor.TracerSpan, error) {
	if o.Tags != nil {
		of := migration.OfWorkflow(o.Tags[workflowTag])
		for key, value := range map[string]string{"drover.plan": of.Plan, "drover.customer": of.Customer, "drover.token": of.Token} {
			if value != "" {
				o.Tags[key] = value
			}
		}
	}
	return a.Tracer.StartSpan(o)
}
