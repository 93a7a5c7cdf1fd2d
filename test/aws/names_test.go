package awstest

import (
	"context"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes/dns"
	"github.com/drover-migration/drover/routes/routetest"
)

// newZone is an empty zone of moto's, with a name server that answers from it.
func newZone(t *testing.T) routetest.DNSPlace {
	t.Helper()
	target, cfg := newTarget(t)
	c := route53.NewFromConfig(cfg)
	const domain = "app.example.com"
	z, err := c.CreateHostedZone(t.Context(), &route53.CreateHostedZoneInput{Name: sdk.String(domain),
		CallerReference: sdk.String(t.Name())})
	require.NoError(t, err)
	id := strings.TrimPrefix(*z.HostedZone.Id, "/hostedzone/")
	return routetest.DNSPlace{Client: c, Target: target, Zone: id, Domain: domain, Servers: []string{routetest.ServeZone(t, c, id, nil)}}
}

func TestRoute53RoutesAsTheSuiteSays(t *testing.T) {
	routetest.Run(t, func(t *testing.T) routetest.World { return routetest.NewDNS(t, newZone(t)) })
}

func TestCheckOfNamesFindsNothingWrong(t *testing.T) {
	at := newZone(t)
	w := routetest.NewDNS(t, at)
	r := dns.New(dns.ClientsFunc(func(context.Context, migration.Target) (dns.API, error) { return at.Client, nil }), nameless{}, nil,
		dns.Options{Servers: at.Servers, Resolver: at.Servers[0], PerSecond: 1000})
	found, err := r.Check(t.Context(), w.Spec())
	require.NoError(t, err)
	require.Empty(t, found)
}

type nameless struct{}

func (nameless) Named(context.Context, migration.Target, string) (name, zone string, err error) {
	return routetest.DNSOnAWS, "Z35SXDOTRQ7X7K", nil
}

// Route 53 keeps a batch whose deletes do not stand as they say from doing anything, and so does
// the laboratory.
func TestABatchIsRefusedAsAWhole(t *testing.T) {
	at := newZone(t)
	w := routetest.NewDNS(t, at)
	before := w.Standing(t)
	set := func(name, says string) *types.ResourceRecordSet {
		return &types.ResourceRecordSet{Name: sdk.String(name + "." + at.Domain + "."), Type: types.RRTypeCname, TTL: sdk.Int64(300),
			ResourceRecords: []types.ResourceRecord{{Value: &says}}}
	}
	for _, bad := range [][]types.Change{
		{{Action: types.ChangeActionCreate, ResourceRecordSet: set("new", "a.example.net.")},
			{Action: types.ChangeActionDelete, ResourceRecordSet: set("c00", "not.this.example.net.")}},
		{{Action: types.ChangeActionCreate, ResourceRecordSet: set("new", "a.example.net.")},
			{Action: types.ChangeActionCreate, ResourceRecordSet: set("c00", routetest.DNSOnPrem)}},
		{{Action: types.ChangeActionDelete, ResourceRecordSet: set("nobody", "a.example.net.")}},
	} {
		_, err := at.Client.ChangeResourceRecordSets(t.Context(), &route53.ChangeResourceRecordSetsInput{HostedZoneId: &at.Zone,
			ChangeBatch: &types.ChangeBatch{Changes: bad}})
		var invalid *types.InvalidChangeBatch
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, before, w.Standing(t))
	}
}
