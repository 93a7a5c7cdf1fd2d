package telemetry

import (
	"context"
	"encoding/hex"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
)

// span is one that was received.
type span struct {
	*tracepb.Span
	service string
}

func (s span) trace() string { return hex.EncodeToString(s.GetTraceId()) }

func (s span) attribute(key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// receiver takes traces by OTLP over gRPC, as a collector does.
type receiver struct {
	collector.UnimplementedTraceServiceServer
	address string

	mu    sync.Mutex
	spans []span
	text  strings.Builder // all that came, as text
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &receiver{address: l.Addr().String()}
	s := grpc.NewServer()
	collector.RegisterTraceServiceServer(s, r)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return r
}

// Export takes spans.
func (r *receiver) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.WriteString(protojson.Format(req)) // its ids are base64: as bytes they might be any text
	for _, of := range req.GetResourceSpans() {
		service := ""
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				r.spans = append(r.spans, span{s, service})
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func (r *receiver) all() []span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]span(nil), r.spans...)
}

// said is all that came, as text.
func (r *receiver) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// move is the trace in which a customer's Move ran: its spans by their ids; nil: it has not come
// whole yet.
func (r *receiver) move(customer string) map[string]span {
	all := r.all()
	for _, s := range all {
		if s.GetName() != "RunWorkflow:Move" || s.attribute("drover.customer") != customer {
			continue
		}
		out := map[string]span{}
		for _, o := range all {
			if o.trace() == s.trace() {
				out[string(o.GetSpanId())] = o
			}
		}
		return out
	}
	return nil
}

// lineage are the names of a span and those above it, up to the root.
func lineage(trace map[string]span, s span) (names []string) {
	for {
		names = append(names, s.GetName())
		above, ok := trace[string(s.GetParentSpanId())]
		if !ok {
			if len(s.GetParentSpanId()) > 0 {
				names = append(names, "an ancestor that never came")
			}
			return names
		}
		s = above
	}
}
