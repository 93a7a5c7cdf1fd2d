package awstest

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab/aws"
	"github.com/drover-migration/drover/migration"
)

const region = "us-east-1"

var endpoint string

func TestMain(m *testing.M) {
	code, err := withMoto(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the lab's AWS (make setup brings its tools):", err)
		code = 1
	}
	os.Exit(code)
}

func withMoto(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "drover-awstest-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	moto, err := aws.Start(ctx, aws.Options{Tools: tooltest.Path("."), Dir: dir, Spreads: 20 * time.Millisecond})
	if err != nil {
		return 0, err
	}
	defer func() { _ = moto.Close() }()
	endpoint = moto.Endpoint()
	return m.Run(), nil
}

var accounts atomic.Int64

// newTarget is an account of its own, whose VPC lies on loopback so that the tests can serve at its
// addresses.
func newTarget(t *testing.T) (migration.Target, sdk.Config) {
	t.Helper()
	n := accounts.Add(1)
	target := migration.Target{Name: "prod", Account: fmt.Sprintf("%012d", 700000000000+n), Region: region,
		Tags: map[string]string{"cost-center": "platform"}}
	cfg := sdk.Config{Region: region, BaseEndpoint: &endpoint, Credentials: assume(t, target.Account)}
	c := ec2.NewFromConfig(cfg)
	vpc, err := c.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: sdk.String("127.251.0.0/17")})
	require.NoError(t, err)
	target.VPC = *vpc.Vpc.VpcId
	for i, zone := range []string{"a", "b"} {
		s, err := c.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: &target.VPC,
			CidrBlock: sdk.String(fmt.Sprintf("127.251.%d.0/24", i+1)), AvailabilityZone: sdk.String(region + zone)})
		require.NoError(t, err)
		target.Subnets = append(target.Subnets, *s.Subnet.SubnetId)
	}
	return target, cfg
}

func filter(name, value string) types.Filter {
	return types.Filter{Name: &name, Values: []string{value}}
}

func static(id string) sdk.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(id, "secret", "")
}
