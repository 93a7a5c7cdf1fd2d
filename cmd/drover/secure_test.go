package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/web/access"
)

// certified writes a certificate of 127.0.0.1 and its key to files, and gives who vouches for it.
func certified(t *testing.T, dir string) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	s.Close()
	pair := s.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	cert, key, roots = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), x509.NewCertPool()
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	roots.AddCert(s.Certificate())
	return cert, key, roots
}

// A board that has a certificate is there before Temporal is, and speaks TLS only: a session is
// never sent in clear.
func TestABoardWithACertificateIsReachedByTLSAlone(t *testing.T) {
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	dir := t.TempDir()
	cert, key, roots := certified(t, dir)
	token, line, err := access.NewToken("ann", access.Viewer)
	require.NoError(t, err)
	tokens := filepath.Join(dir, "tokens")
	require.NoError(t, os.WriteFile(tokens, []byte(line+"\n"), 0o600))

	out, in := io.Pipe()
	a := &app{in: strings.NewReader(""), out: io.Discard, err: in, logLevel: "error", logFormat: "text"}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- a.web(ctx, webOptions{listen: "127.0.0.1:0", tokens: tokens, cert: cert, certKey: key, audit: filepath.Join(dir, "audit"),
			every: time.Second, session: time.Hour})
	}()
	t.Cleanup(func() { stop(); require.NoError(t, <-ended) })
	lines := bufio.NewReader(out)
	said, err := lines.ReadString('\n')
	require.NoError(t, err)
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	at, _, ok := strings.Cut(strings.TrimPrefix(said, "board: "), ",")
	require.True(t, ok && strings.HasPrefix(at, "https://"), said)

	b := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	res, err := b.PostForm(at+"/signin/token", url.Values{"token": {token}})
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusSeeOther, res.StatusCode)
	require.NotEmpty(t, res.Header.Get("Strict-Transport-Security"))
	require.Len(t, res.Cookies(), 1)
	require.True(t, res.Cookies()[0].Secure && res.Cookies()[0].HttpOnly)

	res, err = http.Get("http://" + strings.TrimPrefix(at, "https://") + "/signin")
	require.NoError(t, err, "Go's server says in clear that it speaks TLS, and nothing else")
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusBadRequest, res.StatusCode)
	old := &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11} //nolint:gosec // it is refused
	_, err = tls.Dial("tcp", strings.TrimPrefix(at, "https://"), old)
	require.Error(t, err)
}
