package awsconf

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/drover-migration/drover/migration"
)

// KMS is what KeyARN uses of *kms.Client.
type KMS interface {
	DescribeKey(context.Context, *kms.DescribeKeyInput, ...func(*kms.Options)) (*kms.DescribeKeyOutput, error)
}

// KeyARN is the ARN of the key that encrypts a target's disks, which a plan may name by id or alias
// too: EBS direct takes nothing else. "" is the account's default key. Errors are those of client
// and of KMS, for the caller to classify.
func KeyARN(ctx context.Context, t migration.Target, client func(context.Context, migration.Target) (KMS, error)) (string, error) {
	if t.KMSKey == "" || strings.HasPrefix(t.KMSKey, "arn:") && strings.Contains(t.KMSKey, ":key/") {
		return t.KMSKey, nil
	}
	c, err := client(ctx, t)
	if err != nil {
		return "", err
	}
	out, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &t.KMSKey})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.KeyMetadata.Arn), nil
}
