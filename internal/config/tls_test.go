package config_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/drover-migration/drover/internal/config"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue makes a certificate and its key, both as PEM.
func (a *authority) issue(t *testing.T, name string) (cert, key []byte) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &k.PublicKey, a.key)
	require.NoError(t, err)
	b, err := x509.MarshalECPrivateKey(k)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: b})
}

// A Temporal that wants a client certificate and an API key is given both, as any Temporal tool would.
func TestTLSAndTheAPIKeyReachTemporal(t *testing.T) {
	bare(t)
	ca := newAuthority(t)
	cert, key := ca.issue(t, "temporal.example.com")
	pair, err := tls.X509KeyPair(cert, key)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	type call struct{ who, authorization string }
	calls := make(chan call, 100)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool})),
		grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
			p, _ := peer.FromContext(s.Context())
			md, _ := metadata.FromIncomingContext(s.Context())
			info, _ := p.AuthInfo.(credentials.TLSInfo)
			calls <- call{info.State.PeerCertificates[0].Subject.CommonName, md.Get("authorization")[0]}
			return status.Error(codes.PermissionDenied, "enough")
		}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)

	dir := t.TempDir()
	mine, myKey := ca.issue(t, "drover.example.com")
	for name, body := range map[string][]byte{"cert": mine, "key": myKey, "ca": ca.pem} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), body, 0o600))
	}
	t.Setenv("TEMPORAL_ADDRESS", l.Addr().String())
	t.Setenv("TEMPORAL_API_KEY", "hunter2")
	t.Setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", filepath.Join(dir, "cert"))
	t.Setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", filepath.Join(dir, "key"))
	t.Setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", filepath.Join(dir, "ca"))
	t.Setenv("TEMPORAL_TLS_SERVER_NAME", "temporal.example.com")

	var logged bytes.Buffer
	log, err := config.Logger("trace", "text", &logged)
	require.NoError(t, err)
	options, err := config.Temporal(log)
	require.NoError(t, err)
	_, err = client.DialContext(t.Context(), options)
	require.ErrorContains(t, err, "enough")
	require.Equal(t, call{"drover.example.com", "Bearer hunter2"}, <-calls)
	require.NotContains(t, logged.String()+err.Error(), "hunter2")

	t.Setenv("TEMPORAL_TLS_SERVER_NAME", "elsewhere.example.com")
	options, err = config.Temporal(hclog.NewNullLogger())
	require.NoError(t, err)
	_, err = client.DialContext(t.Context(), options)
	require.ErrorContains(t, err, "elsewhere.example.com")
}
