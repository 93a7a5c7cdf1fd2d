package compute

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
)

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
		{"what was permanent already", permanent.New("NoSecret", nil, "there is none"), "NoSecret"},
		{"what was permanent below a wrapping", fmt.Errorf("secret K: %w", permanent.New("NoSecret", nil, "there is none")), "NoSecret"},
		{"too many calls", api("RequestLimitExceeded"), ""},
		{"no room today", api("InsufficientInstanceCapacity"), ""},
		{"an instance that does not show yet", api("InvalidInstanceID.NotFound"), ""},
		{"a broken line", errors.New("EOF"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := classify(c.err, "launch an instance of VM %q", "web-01")
			require.Equal(t, c.kind, permanent.Kind(err))
			require.ErrorIs(t, err, c.err)
			require.ErrorContains(t, err, `launch an instance of VM "web-01": `)
		})
	}
	require.NoError(t, classify(nil, "launch"))
	require.False(t, has(nil, "AccessDenied"))
	require.Empty(t, permanent.Kind(nil))
}

func TestATaskWhoseSecretIsMissingIsNotTriedAgain(t *testing.T) {
	acc, req := ready()
	acc.secrets = nil
	_, err := New(acc).EnsureService(t.Context(), ServiceRequest{Plan: "shop", Target: req.Target, Workload: req.Workloads[1]})
	require.Equal(t, "NoSecret", permanent.Kind(err), "%v", err)
	require.ErrorContains(t, err, `secret DSN of workload "api": there is no secret "db" in account 123456789012`)
}
