package files

import (
	"errors"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// impatient makes a refused connection the end of a request: inside a freeze nobody waits for a
// store that is down.
func (b *bucket) impatient() {
	b.options = []func(*s3.Options){func(o *s3.Options) {
		if o.Retryer != nil {
			o.Retryer = unlessRefused{o.Retryer}
		}
	}}
}

type unlessRefused struct{ aws.Retryer }

func (r unlessRefused) IsErrorRetryable(err error) bool {
	return !errors.Is(err, syscall.ECONNREFUSED) && r.Retryer.IsErrorRetryable(err)
}
