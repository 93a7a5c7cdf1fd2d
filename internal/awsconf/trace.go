package awsconf

import (
	"context"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Trace is a setting of clients (see New) that makes a span of each of their calls that belongs to
// a trace. It has the names of service and operation, the region and the result, and nothing of
// what was asked or answered.
func Trace(tracer trace.Tracer) func(*middleware.Stack) error {
	traced := middleware.InitializeMiddlewareFunc("DroverTrace", func(ctx context.Context, in middleware.InitializeInput,
		next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		if !trace.SpanFromContext(ctx).IsRecording() {
			return next.HandleInitialize(ctx, in)
		}
		service, operation := awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)
		ctx, span := tracer.Start(ctx, service+"."+operation, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
			attribute.String("rpc.system", "aws-api"), attribute.String("rpc.service", service), attribute.String("rpc.method", operation),
			attribute.String("cloud.region", awsmiddleware.GetRegion(ctx))))
		defer span.End()
		out, meta, err := next.HandleInitialize(ctx, in)
		if err != nil {
			span.SetAttributes(attribute.String("error.type", string(resultOf(ctx, err))))
			span.SetStatus(codes.Error, "")
		}
		return out, meta, err
	})
	return func(s *middleware.Stack) error { return s.Initialize.Add(traced, middleware.After) }
}
