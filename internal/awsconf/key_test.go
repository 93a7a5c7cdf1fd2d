package awsconf

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// keys are ARNs by what KMS knows them as.
type keys map[string]string

var errNoKey = errors.New("NotFoundException")

func (k keys) DescribeKey(_ context.Context, in *kms.DescribeKeyInput, _ ...func(*kms.Options)) (*kms.DescribeKeyOutput, error) {
	arn, ok := k[*in.KeyId]
	if !ok {
		return nil, errNoKey
	}
	return &kms.DescribeKeyOutput{KeyMetadata: &types.KeyMetadata{Arn: aws.String(arn)}}, nil
}

func TestKeyARN(t *testing.T) {
	const (
		arn   = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
		alias = "arn:aws:kms:eu-west-1:123456789012:alias/disks"
	)
	known := keys{"alias/disks": arn, alias: arn, "1234abcd-12ab-34cd-56ef-1234567890ab": arn}
	for _, c := range []struct {
		name, key, want string
		err             error
		asked           bool
	}{
		{name: "no key is the account's default"},
		{name: "a key's ARN needs no question", key: arn, want: arn},
		{name: "an id is resolved", key: "1234abcd-12ab-34cd-56ef-1234567890ab", want: arn, asked: true},
		{name: "an alias is resolved", key: "alias/disks", want: arn, asked: true},
		{name: "an alias's ARN is not a key's", key: alias, want: arn, asked: true},
		{name: "KMS's own error is given", key: "alias/other", err: errNoKey, asked: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := false
			got, err := KeyARN(t.Context(), migration.Target{KMSKey: c.key}, func(_ context.Context, target migration.Target) (KMS, error) {
				require.Equal(t, c.key, target.KMSKey)
				asked = true
				return known, nil
			})
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.want, got)
			require.Equal(t, c.asked, asked)
		})
	}
}

func TestKeyARNNeedsAClient(t *testing.T) {
	broken := errors.New("no credentials")
	_, err := KeyARN(t.Context(), migration.Target{KMSKey: "alias/disks"},
		func(context.Context, migration.Target) (KMS, error) { return nil, broken })
	require.ErrorIs(t, err, broken)
}
