package awsconf_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/awsconf"
	"github.com/drover-migration/drover/migration"
)

// answering is an AWS that gives each call the next of its answers, and the last to all that
// follow.
func answering(t *testing.T, answers ...http.HandlerFunc) {
	t.Helper()
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := answers[min(n, len(answers)-1)]
		n++
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	for k, v := range map[string]string{"AWS_ENDPOINT_URL_STS": s.URL, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_PROFILE": ""} {
		t.Setenv(k, v)
	}
}

func ok(w http.ResponseWriter, _ *http.Request) {
	_, _ = fmt.Fprint(w,
		`<GetCallerIdentityResponse><GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
}

func refusal(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `<ErrorResponse><Error><Code>%s</Code><Message>no</Message></Error></ErrorResponse>`, code)
	}
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = c.Close()
	}
}

func TestEveryCallIsToldWithItsResultAndItsRetries(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []http.HandlerFunc
		result  awsconf.Result
		retries int
	}{
		{"answered", []http.HandlerFunc{ok}, awsconf.Done, 0},
		{"answered at the third attempt", []http.HandlerFunc{refusal(500, "InternalError"), hangUp, ok}, awsconf.Done, 2},
		{"refused", []http.HandlerFunc{refusal(403, "AccessDenied")}, awsconf.Refused, 0},
		{"throttled to the end", []http.HandlerFunc{refusal(400, "Throttling")}, awsconf.Throttled, 2},
		{"failed to the end", []http.HandlerFunc{refusal(503, "ServiceUnavailable")}, awsconf.Failed, 2},
		{"never answered", []http.HandlerFunc{hangUp}, awsconf.Unanswered, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			answering(t, c.answers...)
			var calls []awsconf.Call
			cfg, err := awsconf.New(nil, awsconf.Observe(func(c awsconf.Call) { calls = append(calls, c) })).
				Config(t.Context(), migration.Target{Region: "us-east-1"})
			require.NoError(t, err)
			limits := awsconf.Limits{Answer: 5 * time.Second, Attempts: 3, Backoff: time.Millisecond}
			_, err = sts.NewFromConfig(limits.Within(cfg)).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			require.Equal(t, c.result == awsconf.Done, err == nil, "%v", err)
			require.Len(t, calls, 1)
			require.Positive(t, calls[0].Took)
			calls[0].Took = 0
			require.Equal(t, awsconf.Call{Service: "STS", Operation: "GetCallerIdentity", Result: c.result, Retries: c.retries}, calls[0])
		})
	}
}

func TestACallThatItsCallerGivesUpIsToldAsCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answering(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice that the client has gone
		cancel()
		<-r.Context().Done()
	})
	var calls []awsconf.Call
	cfg, err := awsconf.New(nil, awsconf.Observe(func(c awsconf.Call) { calls = append(calls, c) })).
		Config(ctx, migration.Target{Region: "us-east-1"})
	require.NoError(t, err)
	_, err = sts.NewFromConfig(awsconf.Quick.Within(cfg)).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	require.Error(t, err)
	require.Len(t, calls, 1)
	require.Equal(t, awsconf.Canceled, calls[0].Result)
}
