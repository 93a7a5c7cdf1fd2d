package awsconf_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/awsconf"
)

// swallowing answers nothing to its first calls until they are given up.
func swallowing(t *testing.T, first int64) (endpoint string, calls *atomic.Int64) {
	t.Helper()
	calls = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice that the client has gone
		if calls.Add(1) <= first {
			<-r.Context().Done()
			return
		}
		_, _ = fmt.Fprint(w,
			`<GetCallerIdentityResponse><GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	t.Cleanup(s.Close)
	return s.URL, calls
}

func ask(t *testing.T, l awsconf.Limits, endpoint string) error {
	t.Helper()
	c := sts.NewFromConfig(l.Within(aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}))
	_, err := c.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	return err
}

func TestACallThatIsNeverAnsweredIsMadeAgainAndThenGivenUp(t *testing.T) {
	limits := awsconf.Limits{Answer: 300 * time.Millisecond, Attempts: 3, Backoff: 10 * time.Millisecond}
	start := time.Now()
	endpoint, calls := swallowing(t, 2)
	require.NoError(t, ask(t, limits, endpoint))
	require.EqualValues(t, 3, calls.Load())
	require.GreaterOrEqual(t, time.Since(start), 600*time.Millisecond)

	endpoint, calls = swallowing(t, 100)
	require.ErrorContains(t, ask(t, limits, endpoint), "timeout awaiting response headers")
	require.EqualValues(t, 3, calls.Load())
}
