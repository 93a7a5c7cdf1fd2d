package compute

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
)

// permanentKind is the type of a permanent error, "" of any other.
func permanentKind(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Type()
	}
	return ""
}

func TestOnlyWhatAPlanOrAnAccountMustChangeForIsPermanent(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		kind string
	}{
		{"refused to the role", api("UnauthorizedOperation"), "AccessDenied"},
		{"refused, as ECS says it", api("AccessDeniedException"), "AccessDenied"},
		{"a subnet that is not there", api("InvalidSubnetID.NotFound"), "Refused"},
		{"an answer that was wrapped", fmt.Errorf("operation error: %w", api("InvalidParameterValue")), "Refused"},
		{"too many calls", api("RequestLimitExceeded"), ""},
		{"no room today", api("InsufficientInstanceCapacity"), ""},
		{"an instance that does not show yet", api("InvalidInstanceID.NotFound"), ""},
		{"a broken line", errors.New("EOF"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := classify(c.err, "launch an instance of VM %q", "web-01")
			require.Equal(t, c.kind, permanentKind(err))
			require.ErrorIs(t, err, c.err)
			require.ErrorContains(t, err, `launch an instance of VM "web-01": `)
			var app *temporal.ApplicationError
			require.Equal(t, c.kind != "", errors.As(err, &app) && app.NonRetryable())
		})
	}
	require.NoError(t, classify(nil, "launch"))
	require.False(t, has(nil, "AccessDenied"))
	require.Empty(t, permanentKind(nil))
}
