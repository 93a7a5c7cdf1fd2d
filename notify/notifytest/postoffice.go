package notifytest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// PostOffice is an SMTP server that answers what it is told, and keeps what it took. Its fields are
// for a test that waits for what it sends.
type PostOffice struct {
	mu      sync.Mutex
	Refuse  []error // at RCPT, one after the other
	Drop    bool    // the connection once the message is taken
	Letters []*mail.Message
	Bodies  []string
	Address string
	CAFile  string
	SignIns int
	conns   []net.Conn
}

type visit struct {
	o     *PostOffice
	known bool
}

// Taken are the letters that have come until now, for a test that does not wait for each.
func (o *PostOffice) Taken() (letters []*mail.Message, bodies []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.Letters), slices.Clone(o.Bodies)
}

// NewSession implements smtp.Backend.
func (o *PostOffice) NewSession(c *smtp.Conn) (smtp.Session, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.conns = append(o.conns, c.Conn())
	return &visit{o: o}, nil
}

func (v *visit) AuthMechanisms() []string { return []string{sasl.Plain} }

func (v *visit) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "drover" || password != "hunter2" {
			return smtp.ErrAuthFailed
		}
		v.known = true
		v.o.mu.Lock()
		defer v.o.mu.Unlock()
		v.o.SignIns++
		return nil
	}), nil
}

func (v *visit) Mail(string, *smtp.MailOptions) error {
	if !v.known {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (v *visit) Rcpt(string, *smtp.RcptOptions) error {
	v.o.mu.Lock()
	defer v.o.mu.Unlock()
	if len(v.o.Refuse) == 0 {
		return nil
	}
	err := v.o.Refuse[0]
	v.o.Refuse = v.o.Refuse[1:]
	return err
}

func (v *visit) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		return err
	}
	body, err := io.ReadAll(m.Body)
	v.o.mu.Lock()
	defer v.o.mu.Unlock()
	v.o.Letters, v.o.Bodies = append(v.o.Letters, m), append(v.o.Bodies, string(body))
	if v.o.Drop {
		return v.o.conns[len(v.o.conns)-1].Close()
	}
	return err
}

func (v *visit) Reset()        {}
func (v *visit) Logout() error { return nil }

// Open opens the office at a free port until the test ends. withTLS says how: "starttls",
// "implicit" or "none".
func (o *PostOffice) Open(t *testing.T, withTLS string) *PostOffice {
	t.Helper()
	cert, file := certificate(t)
	o.CAFile = file
	s := smtp.NewServer(o)
	s.Domain, s.ReadTimeout, s.WriteTimeout = "127.0.0.1", 10*time.Second, 10*time.Second
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	o.Address = l.Addr().String()
	conf := &tls.Config{Certificates: []tls.Certificate{cert}}
	switch withTLS {
	case "starttls":
		s.TLSConfig = conf
	case "implicit":
		l = tls.NewListener(l, conf)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return o
}

// certificate is one of the server at 127.0.0.1 that vouches for itself.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "post office"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// Channel is a way to the office; env://SMTP is its account.
func (o *PostOffice) Channel(how string) migration.Channel {
	return migration.Channel{Email: &migration.EmailChannel{Server: o.Address, TLS: how, From: "drover@example.com",
		Credentials: "env://SMTP", CAFile: o.CAFile}}
}
