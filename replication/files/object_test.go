package files_test

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func typesObject(key string) types.Object {
	return types.Object{Key: &key, Size: aws.Int64(1), ETag: aws.String(`"x"`)}
}
