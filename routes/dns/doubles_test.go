package dns_test

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/route53"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes/dns"
	"github.com/drover-migration/drover/routes/routetest"
)

// lb is every listener's load balancer.
type lb struct{}

func (lb) Named(context.Context, migration.Target, string) (name, zone string, err error) {
	return routetest.DNSOnAWS, "Z35SXDOTRQ7X7K", nil
}

// counting counts the reads of one router.
type counting struct {
	dns.API
	lists int
}

func (c *counting) ListResourceRecordSets(ctx context.Context, in *sdk.ListResourceRecordSetsInput,
	o ...func(*sdk.Options)) (*sdk.ListResourceRecordSetsOutput, error) {
	c.lists++
	return c.API.ListResourceRecordSets(ctx, in, o...)
}

// losing loses the answer to a batch, after it was carried out or before.
type losing struct {
	dns.API
	after bool
}

func (l *losing) ChangeResourceRecordSets(ctx context.Context, in *sdk.ChangeResourceRecordSetsInput,
	o ...func(*sdk.Options)) (*sdk.ChangeResourceRecordSetsOutput, error) {
	if l.after {
		if _, err := l.API.ChangeResourceRecordSets(ctx, in, o...); err != nil {
			return nil, err
		}
	}
	return nil, errAway
}
