package worker

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// statements makes a span of each statement that belongs to a trace. A span has the statement's
// name and, where it failed, its SQLSTATE. Neither text nor arguments nor words of an error are in
// it: they hold what tenants wrote, and some hold a password.
type statements struct{ tracer trace.Tracer }

type statementKey struct{}

// ours finds a function or a table of Drover's in a statement.
var ours = regexp.MustCompile(`drover\.[a-z_]+`)

// statementOf is the name of a statement: its first word, and the first of Drover's own functions
// or tables in it.
func statementOf(sql string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(sql), " ")
	word = strings.ToUpper(strings.TrimRight(word, ";\n\t"))
	for _, r := range word {
		if r < 'A' || r > 'Z' {
			word = "SQL"
			break
		}
	}
	return strings.TrimSpace(word + " " + ours.FindString(sql))
}

// polled are statements that are asked again and again within a wait: hundreds of spans would hide
// the others.
var polled = map[string]bool{"SELECT drover.arrived": true, "SELECT drover.beat": true}

func (s statements) begin(ctx context.Context, c *pgx.Conn, sql string) context.Context {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx
	}
	name := statementOf(sql)
	if polled[name] {
		return ctx
	}
	ctx, span := s.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("db.system.name", "postgresql"), attribute.String("db.operation.name", name),
		attribute.String("db.namespace", c.Config().Database), attribute.String("server.address", c.Config().Host),
		attribute.Int("server.port", int(c.Config().Port))))
	return context.WithValue(ctx, statementKey{}, span)
}

func (s statements) end(ctx context.Context, err error) {
	span, ok := ctx.Value(statementKey{}).(trace.Span)
	if !ok {
		return
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		kind := kindOf(err)
		if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) {
			kind = pg.Code
		}
		span.SetAttributes(attribute.String("error.type", kind))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// TraceQueryStart begins the span of a statement.
func (s statements) TraceQueryStart(ctx context.Context, c *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	return s.begin(ctx, c, d.SQL)
}

// TraceQueryEnd ends it.
func (s statements) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryEndData) {
	s.end(ctx, d.Err)
}

// TraceBatchStart begins the span of several statements that are sent at once.
func (s statements) TraceBatchStart(ctx context.Context, c *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return s.begin(ctx, c, "BATCH")
}

// TraceBatchQuery is of one of them: it has no span of its own.
func (s statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd ends the span of all.
func (s statements) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchEndData) {
	s.end(ctx, d.Err)
}
