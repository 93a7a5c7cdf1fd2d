package alb_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes/alb"
	"github.com/drover-migration/drover/routes/routetest"
)

func TestCheckTargets(t *testing.T) {
	in := func(states ...types.TargetHealthStateEnum) (out []types.TargetHealthDescription) {
		for _, s := range states {
			out = append(out, types.TargetHealthDescription{Target: &types.TargetDescription{Id: aws.String("10.0.0.7"),
				Port: aws.Int32(8080)}, TargetHealth: &types.TargetHealth{State: s}})
		}
		return out
	}
	for _, c := range []struct {
		name   string
		health []types.TargetHealthDescription
		want   string // what is said of each workload
	}{
		{"all healthy", in("healthy", "healthy"), ""},
		{"one comes and one goes, and one is healthy", in("initial", "healthy", "draining"), ""},
		{"one of two is unhealthy", in("healthy", "unhealthy"), "target 10.0.0.7:8080"},
		{"none is healthy yet", in("initial"), "none of its 1 targets is healthy"},
		{"nothing is registered", nil, "none of its 0 targets is healthy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeELB()
			w := routetest.NewALB(t, place(f))
			a := w.NewRouter().(*alb.Router)
			for _, k := range w.Spec().Workloads {
				_, err := a.EnsureGroup(t.Context(), w.Spec().Targets[0], w.Spec().Plan, k)
				require.NoError(t, err)
			}
			f.health = c.health
			f.writes()
			got, err := a.CheckTargets(t.Context(), w.Spec())
			require.NoError(t, err)
			require.Zero(t, f.writes(), "a check writes nothing")
			if c.want == "" {
				require.Empty(t, got)
				return
			}
			var of []string
			for _, x := range got {
				require.Contains(t, x.Reason, c.want)
				require.NotEmpty(t, x.Remedy)
				of = append(of, x.Subject)
			}
			slices.Sort(of)
			require.Equal(t, []string{"workload api", "workload web"}, of)
		})
	}
	t.Run("no target group on AWS", func(t *testing.T) {
		w := routetest.NewALB(t, place(newFakeELB()))
		got, err := w.NewRouter().(*alb.Router).CheckTargets(t.Context(), w.Spec())
		require.NoError(t, err)
		require.Len(t, got, 2)
		require.Contains(t, got[0].Reason, "no target group")
	})
}

// Fifty customers whose probes ask at once are served by one question, and none waits behind the
// others' for its turn to ask.
func TestManyWhoAskForTheHealthOfAGroupAtOnceShareOneAnswer(t *testing.T) {
	f := newFakeELB()
	f.takes = 20 * time.Millisecond
	w := routetest.NewALB(t, place(f))
	a := w.NewRouter().(*alb.Router)
	var g errgroup.Group
	for range 50 {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := a.TargetHealth(ctx, w.Spec().Targets[0], "tg/web")
			return err
		})
	}
	require.NoError(t, g.Wait())
	require.LessOrEqual(t, f.count("DescribeTargetHealth"), 2, "a second one where the first answer has grown old meanwhile")
}

// Who asks for a group before a Move spares its route the question: a customer waits then.
func TestARouteDoesNotAskForAGroupThatWasAskedForHalfAMinuteBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeELB()
		w := routetest.NewALB(t, place(f))
		r := w.NewRouter().(*alb.Router)
		require.NoError(t, r.Record(t.Context(), w.Spec()))
		time.Sleep(50 * time.Second) // it is known, and will not be for long
		for _, workload := range []string{"web", "api"} {
			arn, err := r.GroupOf(t.Context(), w.Spec().Targets[0], w.Spec().Plan, workload)
			require.NoError(t, err)
			require.NotEmpty(t, arn)
		}
		time.Sleep(30 * time.Second)
		f.count("DescribeTargetGroups")
		_, err := r.Reconcile(t.Context(), w.Spec(), homed("c00", migration.AWS, 1))
		require.NoError(t, err)
		require.Zero(t, f.count("DescribeTargetGroups"))
		time.Sleep(2 * time.Minute) // the echo is over, and what was known is old
		_, err = r.Reconcile(t.Context(), w.Spec(), homed("c01", migration.AWS, 1))
		require.NoError(t, err)
		require.Positive(t, f.count("DescribeTargetGroups"))
		time.Sleep(10 * time.Second)
	})
}
