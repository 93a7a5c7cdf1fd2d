// Package gate stands between a worker and Temporal and lets a test act at the delivery of a chosen
// activity or at its completion: hold it, drop it, or kill the worker there. The worker under test
// is the shipped binary and knows nothing of it.
package gate

import (
	"context"
	"fmt"
	"net"
	"sync"

	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// When of an activity.
type When int

// The two moments.
const (
	Delivery   When = iota // the worker is about to be handed the task: nothing has been done
	Completion             // the worker answers: the effect is there, the server does not know
)

// Event is an activity passing the gate.
type Event struct {
	When       When
	Activity   string
	WorkflowID string
	Attempt    int32
}

// Hook sees every event, from many goroutines; while it runs, the task is held. It says whether the
// task passes: a delivery that does not is lost with its poll, an answer that does not is refused.
type Hook func(context.Context, Event) (pass bool)

// Gate is a running proxy.
type Gate struct {
	server   *grpc.Server
	upstream *grpc.ClientConn
	address  string

	mu    sync.Mutex
	hook  Hook
	tasks map[string]Event // by task token
}

// Start listens at listen (host:port, 0 finds one) and forwards to Temporal at upstream.
func Start(listen, upstream string) (*Gate, error) {
	conn, err := grpc.NewClient(upstream, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("gate to %s: %w", upstream, err)
	}
	g := &Gate{upstream: conn, tasks: map[string]Event{}}
	service, err := proxy.NewWorkflowServiceProxyServer(
		proxy.WorkflowServiceProxyOptions{Client: workflowservice.NewWorkflowServiceClient(conn)})
	if err != nil {
		return nil, err
	}
	g.server = grpc.NewServer(grpc.UnaryInterceptor(g.intercept))
	workflowservice.RegisterWorkflowServiceServer(g.server, service)
	operatorservice.RegisterOperatorServiceServer(g.server, operator{client: operatorservice.NewOperatorServiceClient(conn)})
	healthy := health.NewServer()
	healthy.SetServingStatus("temporal.api.workflowservice.v1.WorkflowService", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(g.server, healthy)
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("gate: %w", err)
	}
	g.address = l.Addr().String()
	go func() { _ = g.server.Serve(l) }()
	return g, nil
}

// Address is what TEMPORAL_ADDRESS says to the worker under test.
func (g *Gate) Address() string { return g.address }

// Close ends the proxy and every connection through it.
func (g *Gate) Close() {
	g.server.Stop()
	_ = g.upstream.Close()
}

// Set installs the hook; nil lets everything pass.
func (g *Gate) Set(h Hook) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hook = h
}

func (g *Gate) pass(ctx context.Context, e Event) bool {
	g.mu.Lock()
	h := g.hook
	g.mu.Unlock()
	return h == nil || h(ctx, e)
}

func (g *Gate) intercept(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if r, ok := req.(*workflowservice.RespondActivityTaskCompletedRequest); ok {
		if e, known := g.take(string(r.TaskToken)); known {
			e.When = Completion
			if !g.pass(ctx, e) {
				return nil, status.Error(codes.Unavailable, "the gate dropped the answer")
			}
		}
	}
	if r, ok := req.(*workflowservice.RespondWorkflowTaskCompletedRequest); ok {
		throughPolls(r)
	}
	res, err := next(ctx, req)
	if r, ok := res.(*workflowservice.PollActivityTaskQueueResponse); ok && err == nil && len(r.TaskToken) > 0 {
		e := Event{When: Delivery, Activity: r.ActivityType.GetName(), WorkflowID: r.WorkflowExecution.GetWorkflowId(), Attempt: r.Attempt}
		g.mu.Lock()
		g.tasks[string(r.TaskToken)] = e
		g.mu.Unlock()
		if !g.pass(ctx, e) {
			return nil, status.Error(codes.Unavailable, "the gate dropped the task")
		}
	}
	return res, err
}

// throughPolls has every activity come by a poll, where the gate sees it, and none with the answer
// to the workflow task that schedules it.
func throughPolls(r *workflowservice.RespondWorkflowTaskCompletedRequest) {
	for _, c := range r.Commands {
		if a := c.GetScheduleActivityTaskCommandAttributes(); a != nil {
			a.RequestEagerExecution = false
		}
	}
}

// take finds the event of a task token. It stays known: a worker repeats an answer that was
// refused.
func (g *Gate) take(token string) (Event, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e, ok := g.tasks[token]
	return e, ok
}

// operator forwards what a worker asks of the operator service when it starts.
type operator struct {
	operatorservice.UnimplementedOperatorServiceServer
	client operatorservice.OperatorServiceClient
}

func (o operator) AddSearchAttributes(ctx context.Context,
	r *operatorservice.AddSearchAttributesRequest) (*operatorservice.AddSearchAttributesResponse, error) {
	return o.client.AddSearchAttributes(ctx, r)
}

func (o operator) ListSearchAttributes(ctx context.Context,
	r *operatorservice.ListSearchAttributesRequest) (*operatorservice.ListSearchAttributesResponse, error) {
	return o.client.ListSearchAttributes(ctx, r)
}
