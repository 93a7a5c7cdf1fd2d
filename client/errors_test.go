package client_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
)

func TestAConnectionThatFailsIsToldWithTheRemedyOfItsCause(t *testing.T) {
	for says, want := range map[string]string{
		`connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-28T17:00:00Z is after 2020-01-02T00:00:00Z"`: "renew the certificate",
		"dial tcp: address https://temporal.example:7233: too many colons in address":      "without https://",
		"tls: first record does not look like a TLS handshake":                             "unset TEMPORAL_API_KEY",
		"dial tcp 127.0.0.1:1: connect: connection refused":                                "nothing listens there",
		"dial tcp: lookup nowhere.example: no such host":                                   "no name server knows it",
		"tls: failed to verify certificate: x509: certificate signed by unknown authority": "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
		"x509: certificate is valid for a.example, not b.example":                          "TEMPORAL_TLS_SERVER_NAME",
		"remote error: tls: certificate required":                                          "TEMPORAL_TLS_CLIENT_CERT_PATH",
		"something that nobody has met":                                                    "check TEMPORAL_ADDRESS",
	} {
		err := client.Unreachable("temporal.example:7233", errors.New(says))
		require.ErrorIs(t, err, client.ErrUnreachable)
		require.Contains(t, next(t, err), want, says)
	}
}
