package alb_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
	"github.com/drover-migration/drover/routes/alb"
	"github.com/drover-migration/drover/routes/routetest"
)

// watched is a load balancer that is looked at after each write of a rule. A write that gives a
// rule more than the smallest share takes its time on the way.
type watched struct {
	alb.ELB
	mu    sync.Mutex
	after func()
}

func (w *watched) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.after != nil {
		w.after()
	}
}

func late(actions []types.Action) {
	if f := actions[0].ForwardConfig; f != nil && aws.ToInt32(f.TargetGroups[0].Weight) > 5 {
		time.Sleep(5 * time.Millisecond)
	}
}

func (w *watched) CreateRule(ctx context.Context, in *elb.CreateRuleInput, o ...func(*elb.Options)) (*elb.CreateRuleOutput, error) {
	defer w.look()
	late(in.Actions)
	return w.ELB.CreateRule(ctx, in, o...)
}

func (w *watched) ModifyRule(ctx context.Context, in *elb.ModifyRuleInput, o ...func(*elb.Options)) (*elb.ModifyRuleOutput, error) {
	defer w.look()
	late(in.Actions)
	return w.ELB.ModifyRule(ctx, in, o...)
}

func (w *watched) DeleteRule(ctx context.Context, in *elb.DeleteRuleInput, o ...func(*elb.Options)) (*elb.DeleteRuleOutput, error) {
	defer w.look()
	return w.ELB.DeleteRule(ctx, in, o...)
}

func TestAShareNeverFallsWhileRulesAreWritten(t *testing.T) {
	eye := &watched{ELB: newFakeELB()}
	at := place(nil)
	at.Client = eye
	world := routetest.NewALB(t, at)
	r := world.NewRouter()
	require.NoError(t, r.Record(t.Context(), world.Spec()))
	customers := world.Spec().Customers
	set := func(i, share int) {
		t.Helper()
		_, err := r.Reconcile(t.Context(), world.Spec(), []routes.Wanted{{Customer: customers[i].ID, Side: migration.AWS, Token: 1,
			Weight: share}})
		require.NoError(t, err)
	}
	for i := range 6 { // two of them have one share, and so one rule
		set(i, 5)
	}
	writes := 0
	for i := range 6 {
		least := 5
		for _, share := range []int{25, routes.All} {
			eye.after = func() {
				writes++
				for _, path := range []string{"/", "/api/orders"} {
					if got := world.Share(t, customers[i].Hosts[0], path); got < least {
						t.Errorf("%s%s has %d %% of its requests sent to AWS, and had %d %%", customers[i].Hosts[0], path, got, least)
					}
				}
			}
			set(i, share)
			least = share
		}
	}
	require.Greater(t, writes, 12)
}
