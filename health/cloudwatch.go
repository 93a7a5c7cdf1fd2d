package health

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/drover-migration/drover/migration"
)

// CloudWatch has the one call of CloudWatch that health needs: cloudwatch:GetMetricStatistics.
type CloudWatch interface {
	GetMetricStatistics(context.Context, *cloudwatch.GetMetricStatisticsInput, ...func(*cloudwatch.Options),
	) (*cloudwatch.GetMetricStatisticsOutput, error)
}

const (
	albNamespace = "AWS/ApplicationELB"
	late         = time.Minute // until CloudWatch has what a load balancer counted
)

// Metric reads a metric of a target group behind a load balancer's listener, over the last whole
// period that CloudWatch can know: it has a value about a minute late. A count without a value is
// 0, since CloudWatch keeps no zeros; any other is not known yet.
func Metric(ctx context.Context, c CloudWatch, listener, group string, q migration.CloudWatchQuery, now time.Time,
) (v float64, known bool, err error) {
	period := q.Over.D()
	end := now.Add(-late).Truncate(time.Minute)
	in := &cloudwatch.GetMetricStatisticsInput{
		Namespace: aws.String(albNamespace), MetricName: aws.String(q.Metric), Period: aws.Int32(int32(period / time.Second)),
		StartTime: aws.Time(end.Add(-period)), EndTime: aws.Time(end),
		Dimensions: []types.Dimension{
			{Name: aws.String("LoadBalancer"), Value: aws.String(loadBalancerOf(listener))},
			{Name: aws.String("TargetGroup"), Value: aws.String(group[strings.LastIndex(group, ":")+1:])},
		},
	}
	plain := types.Statistic(q.Statistic)
	if slices.Contains(plain.Values(), plain) {
		in.Statistics = []types.Statistic{plain}
	} else {
		in.ExtendedStatistics = []string{q.Statistic}
	}
	out, err := c.GetMetricStatistics(ctx, in)
	if err != nil {
		return 0, false, fmt.Errorf("read it from CloudWatch: %w", err)
	}
	counts := plain == types.StatisticSum || plain == types.StatisticSampleCount
	if len(out.Datapoints) == 0 {
		return 0, counts, nil
	}
	last := slices.MaxFunc(out.Datapoints, func(a, b types.Datapoint) int {
		return aws.ToTime(a.Timestamp).Compare(aws.ToTime(b.Timestamp))
	})
	switch plain {
	case types.StatisticSum:
		return aws.ToFloat64(last.Sum), true, nil
	case types.StatisticSampleCount:
		return aws.ToFloat64(last.SampleCount), true, nil
	case types.StatisticAverage:
		return aws.ToFloat64(last.Average), true, nil
	case types.StatisticMaximum:
		return aws.ToFloat64(last.Maximum), true, nil
	case types.StatisticMinimum:
		return aws.ToFloat64(last.Minimum), true, nil
	}
	v, known = last.ExtendedStatistics[q.Statistic]
	return v, known, nil
}

// loadBalancerOf is app/NAME/ID, as CloudWatch names a load balancer, from the ARN of a listener of
// it: arn:...:listener/app/NAME/ID/LISTENER.
func loadBalancerOf(listener string) string {
	_, rest, _ := strings.Cut(listener, ":listener/")
	if i := strings.LastIndex(rest, "/"); i > 0 {
		return rest[:i]
	}
	return rest
}
