package alb

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"

	"github.com/drover-migration/drover/internal/permanent"
)

// raced says whether a write failed because somebody else wrote first: look again.
func raced(err error) bool {
	var inUse *types.PriorityInUseException
	var gone *types.RuleNotFoundException
	return errors.As(err, &inUse) || errors.As(err, &gone)
}

// explain adds what to do about errors of ELB that an operator can do something about.
func explain(err error) error {
	var rules *types.TooManyRulesException
	var groups *types.TooManyTargetGroupsException
	var values *types.TooManyUniqueTargetGroupsPerLoadBalancerException
	switch {
	case errors.As(err, &rules):
		return fmt.Errorf("%w; raise the quota of rules of this load balancer, or remove rules it no longer needs", err)
	case errors.As(err, &groups), errors.As(err, &values):
		return fmt.Errorf("%w; raise the quota of target groups, or remove some that are no longer needed", err)
	}
	return err
}

// answered makes a call that AWS denies the answer of a check. Whatever else asks the load balancer
// is tried again: somebody may allow it while a migration runs.
func answered(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "AccessDenied" {
		return permanent.New("AccessDenied", err, "%v", err)
	}
	return err
}
