package compute

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// revisions are the active task definitions of a family, listed a hundred at a time.
type revisions struct {
	ECS
	active []string
}

func (r *revisions) DescribeServices(context.Context, *ecs.DescribeServicesInput,
	...func(*ecs.Options)) (*ecs.DescribeServicesOutput, error) {
	return &ecs.DescribeServicesOutput{}, nil
}

func (r *revisions) ListTaskDefinitions(_ context.Context, in *ecs.ListTaskDefinitionsInput,
	_ ...func(*ecs.Options)) (*ecs.ListTaskDefinitionsOutput, error) {
	from, _ := strconv.Atoi(aws.ToString(in.NextToken))
	to := min(from+100, len(r.active))
	out := &ecs.ListTaskDefinitionsOutput{TaskDefinitionArns: append([]string(nil), r.active[from:to]...)}
	if to < len(r.active) {
		out.NextToken = aws.String(strconv.Itoa(to))
	}
	return out, nil
}

func (r *revisions) DeregisterTaskDefinition(_ context.Context, in *ecs.DeregisterTaskDefinitionInput,
	_ ...func(*ecs.Options)) (*ecs.DeregisterTaskDefinitionOutput, error) {
	var left []string
	for _, d := range r.active {
		if d != *in.TaskDefinition {
			left = append(left, d)
		}
	}
	r.active = left
	return &ecs.DeregisterTaskDefinitionOutput{}, nil
}

func TestEveryTaskDefinitionOfARetiredServiceGoes(t *testing.T) {
	r := &revisions{}
	for i := range 250 {
		r.active = append(r.active, fmt.Sprintf("drover-p-api:%d", i+1))
	}
	req := Placed{Plan: "p", Workload: migration.Workload{Name: "api", Fargate: &migration.Fargate{Cluster: "platform"}}}
	require.NoError(t, retireService(t.Context(), r, req))
	require.Empty(t, r.active)
	require.NoError(t, retireService(t.Context(), r, req), "twice is once")
}
