package compute

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// rolledOut is a cluster with one service, whose circuit breaker has tripped or not.
type rolledOut struct {
	ECS
	state   types.DeploymentRolloutState
	updates []*ecs.UpdateServiceInput
}

func (r *rolledOut) DescribeServices(context.Context, *ecs.DescribeServicesInput,
	...func(*ecs.Options)) (*ecs.DescribeServicesOutput, error) {
	return &ecs.DescribeServicesOutput{Services: []types.Service{{
		ServiceArn: aws.String("service"), Status: aws.String("ACTIVE"), TaskDefinition: aws.String("api:1"), DesiredCount: 2,
		Deployments: []types.Deployment{{Status: aws.String("PRIMARY"), RolloutState: r.state}},
	}}}, nil
}

func (r *rolledOut) UpdateService(_ context.Context, in *ecs.UpdateServiceInput,
	_ ...func(*ecs.Options)) (*ecs.UpdateServiceOutput, error) {
	r.updates = append(r.updates, in)
	r.state = types.DeploymentRolloutStateInProgress
	return &ecs.UpdateServiceOutput{}, nil
}

func TestARolloutThatECSGaveUpIsBegunAgainAndNoOther(t *testing.T) {
	req := ServiceRequest{Plan: "shop", Workload: migration.Workload{Name: "api", Fargate: &migration.Fargate{Cluster: "main", Count: 2}}}
	for state, want := range map[types.DeploymentRolloutState]int{types.DeploymentRolloutStateFailed: 1,
		types.DeploymentRolloutStateInProgress: 0, types.DeploymentRolloutStateCompleted: 0} {
		c := &rolledOut{state: state}
		for range 2 { // the second finds the new rollout
			_, err := New(emptyAccount()).ensureService(t.Context(), c, req, "api:1")
			require.NoError(t, err)
		}
		require.Len(t, c.updates, want, state)
		for _, u := range c.updates {
			require.True(t, u.ForceNewDeployment)
		}
	}
}
