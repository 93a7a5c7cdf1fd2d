package config_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/drover-migration/drover/internal/config"
)

// frontend is what a Temporal server sees of whoever greets it.
type frontend struct {
	workflowservice.UnimplementedWorkflowServiceServer
	address string
	folder  string // ca.pem, client.pem and client.key
	greeted chan greeting
}

type greeting struct{ client, authorization string }

func (f *frontend) GetSystemInfo(ctx context.Context,
	_ *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	var g greeting
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		g.authorization = strings.Join(md.Get("authorization"), ",")
	}
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(info.State.PeerCertificates) > 0 {
			g.client = info.State.PeerCertificates[0].Subject.CommonName
		}
	}
	f.greeted <- g
	return &workflowservice.GetSystemInfoResponse{}, nil
}

// serverName is in the frontend's certificate, and nowhere in its address.
const serverName = "temporal.example.com"

// newFrontend listens with a certificate of its own authority. With mutual, it lets in only clients
// whose certificate is of the same.
func newFrontend(t *testing.T, mutual bool) *frontend {
	t.Helper()
	f := &frontend{folder: t.TempDir(), greeted: make(chan greeting, 10)}
	ca, caKey := certificate(t, "authority", nil, nil)
	server, serverKey := certificate(t, "frontend", ca, caKey)
	person, personKey := certificate(t, "drover's client", ca, caKey)
	f.keep(t, "ca.pem", "CERTIFICATE", ca.Raw)
	f.keep(t, "client.pem", "CERTIFICATE", person.Raw)
	der, err := x509.MarshalPKCS8PrivateKey(personKey)
	require.NoError(t, err)
	f.keep(t, "client.key", "PRIVATE KEY", der)

	conf := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{server.Raw}, PrivateKey: serverKey}},
		MinVersion: tls.VersionTLS12}
	if mutual {
		conf.ClientAuth, conf.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		conf.ClientCAs.AddCert(ca)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f.address = l.Addr().String()
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(conf)))
	workflowservice.RegisterWorkflowServiceServer(s, f)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return f
}

func (f *frontend) path(name string) string { return filepath.Join(f.folder, name) }

func (f *frontend) keep(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(f.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func certificate(t *testing.T, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{serverName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: parent == nil,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	require.NoError(t, err)
	c, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return c, key
}

// greet dials with the settings as they stand, and answers what the frontend saw.
func (f *frontend) greet(t *testing.T) (greeting, error) {
	t.Helper()
	var logged bytes.Buffer
	log, err := config.Logger("trace", "text", &logged)
	require.NoError(t, err)
	opts, err := config.Temporal(log)
	require.NoError(t, err)
	defer func() { require.NotContains(t, fmt.Sprintf("%s %v %+v", &logged, opts, opts), secretKey) }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := client.DialContext(ctx, opts)
	if err != nil {
		return greeting{}, err
	}
	c.Close()
	return <-f.greeted, nil
}

func (f *frontend) profile(t *testing.T, lines ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "temporal.toml")
	require.NoError(t, os.WriteFile(file, []byte("[profile.prod]\n"+strings.Join(lines, "\n")+"\n"), 0o600))
	t.Setenv("TEMPORAL_CONFIG_FILE", file)
	t.Setenv("TEMPORAL_PROFILE", "prod")
}

// secretKey is an API key, of letters alone: without quotes it reads as one word.
const secretKey = "secretkey"

func (g greeting) hasKey() bool { return g.authorization == "Bearer "+secretKey }

func TestTheCertificatesOfTheEnvironmentAreThoseOfTheConnection(t *testing.T) {
	bare(t)
	f := newFrontend(t, true)
	t.Setenv("TEMPORAL_ADDRESS", f.address)
	t.Setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", f.path("ca.pem"))
	t.Setenv("TEMPORAL_TLS_SERVER_NAME", serverName)
	_, err := f.greet(t)
	require.Error(t, err, "a client that has no certificate")
	t.Setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", f.path("client.pem"))
	t.Setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", f.path("client.key"))
	g, err := f.greet(t)
	require.NoError(t, err)
	require.Equal(t, greeting{client: "drover's client"}, g)

	t.Setenv("TEMPORAL_TLS_SERVER_NAME", "another.example.com")
	_, err = f.greet(t)
	require.ErrorContains(t, err, "another.example.com")
	t.Setenv("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", "true")
	_, err = f.greet(t)
	require.NoError(t, err)
}

func TestTheCertificatesOfTheProfileAreThoseOfTheConnection(t *testing.T) {
	bare(t)
	f := newFrontend(t, true)
	f.profile(t, fmt.Sprintf("address = %q", f.address), "[profile.prod.tls]", fmt.Sprintf("server_name = %q", serverName),
		fmt.Sprintf("server_ca_cert_path = %q", f.path("ca.pem")), fmt.Sprintf("client_cert_path = %q", f.path("client.pem")),
		fmt.Sprintf("client_key_path = %q", f.path("client.key")))
	g, err := f.greet(t)
	require.NoError(t, err)
	require.Equal(t, "drover's client", g.client)
}

func TestTheAPIKeyIsShownToTheServerAlone(t *testing.T) {
	bare(t)
	f := newFrontend(t, false)
	t.Setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", f.path("ca.pem"))
	t.Setenv("TEMPORAL_TLS_SERVER_NAME", serverName)
	t.Run("of the environment", func(t *testing.T) {
		t.Setenv("TEMPORAL_ADDRESS", f.address)
		t.Setenv("TEMPORAL_API_KEY", secretKey)
		g, err := f.greet(t)
		require.NoError(t, err)
		require.True(t, g.hasKey())
	})
	t.Run("of the profile", func(t *testing.T) {
		f.profile(t, fmt.Sprintf("address = %q", f.address), fmt.Sprintf("api_key = %q", secretKey))
		g, err := f.greet(t)
		require.NoError(t, err)
		require.True(t, g.hasKey())
	})
	t.Run("the environment's before the profile's", func(t *testing.T) {
		f.profile(t, fmt.Sprintf("address = %q", f.address), `api_key = "another"`)
		t.Setenv("TEMPORAL_API_KEY", secretKey)
		g, err := f.greet(t)
		require.NoError(t, err)
		require.True(t, g.hasKey())
	})
}

func TestAnAPIKeyAloneMeansTLS(t *testing.T) {
	bare(t)
	f := newFrontend(t, false)
	t.Setenv("TEMPORAL_ADDRESS", f.address)
	t.Setenv("TEMPORAL_API_KEY", secretKey)
	_, err := f.greet(t)
	require.ErrorContains(t, err, "certificate", "an authority that this machine does not know")
	require.NotContains(t, err.Error(), secretKey)
}

func TestAMistakeInTheProfileDoesNotShowTheKey(t *testing.T) {
	for name, lines := range map[string]string{
		"no quotes":              "api_key = " + secretKey,
		"a quote too few":        `api_key = "` + secretKey,
		"in a list":              `api_key = ["` + secretKey + `"]`,
		"a private key unquoted": "tls = {client_key_data = " + secretKey + "}",
	} {
		t.Run(name, func(t *testing.T) {
			bare(t)
			(*frontend)(nil).profile(t, lines)
			_, err := config.Temporal(hclog.NewNullLogger())
			require.ErrorContains(t, err, "line 2", "where it is")
			require.NotContains(t, err.Error(), secretKey)
		})
	}
}
