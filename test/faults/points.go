package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"

	pggate "github.com/drover-migration/drover/lab/pg/gate"
	"github.com/drover-migration/drover/migration"
)

// point is a place at which a fault may strike: an activity of a workflow, or a statement inside a
// freeze.
type point struct {
	Kind      string         `json:"kind"`               // of workflow: move, customer, batch, workload, replication, ...
	To        migration.Side `json:"to,omitempty"`       // where the customer is sent; empty: nobody is sent anywhere
	Activity  string         `json:"activity,omitempty"` // or:
	Statement *statement     `json:"statement,omitempty"`
	Name      string         `json:"name"`
	Patience  time.Duration  `json:"patience,omitempty"` // how long the server waits for a worker that says nothing
}

// points are what a run without faults has shown.
type points struct {
	Moves   []point `json:"moves"`   // activities of Move and Customer, in both directions
	Freezes []point `json:"freezes"` // statements inside a freeze, in both directions
	Soaks   []point `json:"soaks"`   // activities while a customer soaks
	Plans   []point `json:"plans"`   // activities of everything else, from submit on

	Made map[string]int `json:"made"` // in AWS, by kind
}

// derive has a customer go home and out again, and reads from the histories and at the doors what
// was done. The rig's customers soak.
func (r *rig) derive(ctx context.Context, soakLook time.Duration) (*points, error) {
	id := r.Shape.Customers()[0].ID
	p := &points{}
	began := time.Now()
	for _, to := range []migration.Side{migration.OnPrem, migration.AWS} {
		moved := time.Now()
		heard := r.hear(r.Shape.Customers()[0].Tenant)
		if err := r.send(ctx, id, to); err != nil {
			return nil, err
		}
		s, ok := r.await(ctx, id, settleLimit, arrived(to))
		if !ok {
			return nil, fmt.Errorf("without any fault customer %s does not come to %s: %s %s", id, to, s.Phase, s.Reason)
		}
		for _, st := range heard() {
			p.Freezes = append(p.Freezes, point{Kind: "freeze", To: to, Statement: &st, Name: st.name()})
		}
		token := s.Moves[len(s.Moves)-1].Try.Token
		for _, w := range []string{migration.MoveID(r.Shape.Name, id, token), migration.CustomerID(r.Shape.Name, id)} {
			found, err := r.activities(ctx, w, "", moved)
			if err != nil {
				return nil, err
			}
			for _, x := range found {
				x.To = to
				p.Moves = append(p.Moves, x)
			}
		}
	}
	distinguish(p.Freezes)
	var err error
	if p.Made, err = r.Made(ctx); err != nil {
		return nil, err
	}
	select {
	case <-time.After(soakLook):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return p, r.deriveRest(ctx, p, began)
}

// deriveRest reads what every other workflow of the plan has done.
func (r *rig) deriveRest(ctx context.Context, p *points, began time.Time) error {
	req := &workflowservice.ListWorkflowExecutionsRequest{Query: fmt.Sprintf("%s = '%s'", migration.AttrPlan, r.Shape.Name)}
	quiet := r.Shape.Customers()[1].ID // which was sent nowhere since
	for {
		page, err := r.server.ListWorkflow(ctx, req)
		if err != nil {
			return err
		}
		for _, e := range page.GetExecutions() {
			id, run := e.GetExecution().GetWorkflowId(), e.GetExecution().GetRunId()
			kind, customer := kindOf(id)
			if kind == "move" || kind == "customer" && customer != quiet {
				continue
			}
			// It looks at those that soak. It notes only what has changed, and then nothing does.
			if kind == "batch" || kind == "customer" {
				found, err := r.activities(ctx, id, run, began)
				if err != nil {
					return err
				}
				p.Soaks = merged(p.Soaks, slices.DeleteFunc(found, func(x point) bool { return x.Activity == "NoteTenants" }))
			}
			if kind != "customer" {
				found, err := r.activities(ctx, id, run, time.Time{})
				if err != nil {
					return err
				}
				p.Plans = merged(p.Plans, found)
			}
		}
		if req.NextPageToken = page.GetNextPageToken(); len(req.NextPageToken) == 0 {
			p.Plans = slices.DeleteFunc(p.Plans, func(x point) bool { return slices.ContainsFunc(p.Soaks, x.like) })
			return nil
		}
	}
}

// like says whether another point is the same activity of the same kind of workflow.
func (p point) like(x point) bool { return p.Kind == x.Kind && p.Activity == x.Activity }

// merged adds the points that are not there yet.
func merged(all, more []point) []point {
	for _, x := range more {
		if !slices.ContainsFunc(all, x.like) {
			all = append(all, x)
		}
	}
	return all
}

// activities are those that a workflow has asked for since, each once.
func (r *rig) activities(ctx context.Context, id, run string, since time.Time) (out []point, err error) {
	kind, _ := kindOf(id)
	for it := r.server.GetWorkflowHistory(ctx, id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
		e, err := it.Next()
		if err != nil {
			return nil, fmt.Errorf("read the history of %s: %w", id, err)
		}
		a := e.GetActivityTaskScheduledEventAttributes()
		if a == nil || e.GetEventTime().AsTime().Before(since) {
			continue
		}
		name := a.GetActivityType().GetName()
		if !slices.ContainsFunc(out, func(p point) bool { return p.Activity == name }) {
			out = append(out, point{Kind: kind, Activity: name, Name: name, Patience: patience(a)})
		}
	}
	return out, nil
}

// patience is how long a worker may say nothing before an activity is given to another.
func patience(a *historypb.ActivityTaskScheduledEventAttributes) time.Duration {
	if h := a.GetHeartbeatTimeout().AsDuration(); h > 0 {
		return h
	}
	return a.GetStartToCloseTimeout().AsDuration()
}

// hear lists the statements inside a tenant's freezes from now on, a poll twice at most. Calling
// the answer ends it.
func (r *rig) hear(tenant int) func() []statement {
	var mu sync.Mutex
	var out []statement
	t := &trap{sql: func(s statement, w pggate.When) bool {
		if s.Tenant == tenant && w == pggate.Before && s.Nth <= 2 {
			mu.Lock()
			defer mu.Unlock()
			out = append(out, s)
		}
		return false // it never springs
	}}
	r.set(t)
	return func() []statement {
		r.unset(t)
		mu.Lock()
		defer mu.Unlock()
		return out
	}
}

// distinguish numbers points that would have one name.
func distinguish(all []point) {
	seen := map[string]int{}
	for i := range all {
		p := &all[i]
		p.Name += "@" + string(p.Statement.At)
		key := string(p.To) + p.Name
		if seen[key]++; seen[key] > 1 {
			p.Name += fmt.Sprintf("-%d", seen[key])
		}
	}
}

// same says whether a statement that was met is the one of a point. Its text may differ in what a
// server makes up anew.
func (p point) same(s statement) bool {
	return s.At == p.Statement.At && s.Nth == p.Statement.Nth && strings.EqualFold(s.SQL, p.Statement.SQL)
}
