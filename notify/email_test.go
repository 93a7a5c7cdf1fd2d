package notify

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
	"mime"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// postOffice is an SMTP server that answers what it is told, and keeps what it took.
type postOffice struct {
	mu      sync.Mutex
	refuse  []error // at RCPT, one after the other
	drop    bool    // the connection once the message is taken
	letters []*mail.Message
	bodies  []string
	address string
	caFile  string
	signIns int
	conns   []net.Conn
}

type visit struct {
	o     *postOffice
	known bool
}

func (o *postOffice) NewSession(c *smtp.Conn) (smtp.Session, error) {
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
		v.o.signIns++
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
	if len(v.o.refuse) == 0 {
		return nil
	}
	err := v.o.refuse[0]
	v.o.refuse = v.o.refuse[1:]
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
	v.o.letters, v.o.bodies = append(v.o.letters, m), append(v.o.bodies, string(body))
	if v.o.drop {
		return v.o.conns[len(v.o.conns)-1].Close()
	}
	return err
}

func (v *visit) Reset()        {}
func (v *visit) Logout() error { return nil }

// open opens the office at a free port. withTLS says how: "starttls", "implicit" or "none".
func (o *postOffice) open(t *testing.T, withTLS string) *postOffice {
	t.Helper()
	cert, caFile := certificate(t)
	o.caFile = caFile
	s := smtp.NewServer(o)
	s.Domain, s.ReadTimeout, s.WriteTimeout = "127.0.0.1", 10*time.Second, 10*time.Second
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	o.address = l.Addr().String()
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

func (o *postOffice) channel(how string) migration.Channel {
	return migration.Channel{Email: &migration.EmailChannel{Server: o.address, TLS: how, From: "drover@example.com",
		Credentials: "env://SMTP", CAFile: o.caFile}}
}

var account = kept{"env://SMTP": `{"username": "drover", "password": "hunter2"}`}

func toLead() migration.Message {
	m := message()
	m.Address = "lead@example.com"
	return m
}

func TestAnEmailHasOneMessageIDHoweverOftenItIsSent(t *testing.T) {
	for _, how := range []string{"starttls", "implicit"} {
		t.Run(how, func(t *testing.T) {
			o := (&postOffice{refuse: []error{&smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1},
				Message: "greylisted, come again"}}}).open(t, how)
			s := &Sender{Secrets: account}
			_, err := s.Send(t.Context(), through(o.channel(how)), toLead())
			require.ErrorContains(t, err, "greylisted")
			require.Empty(t, permanent.Kind(err))
			require.NotContains(t, err.Error(), "hunter2")
			for range 2 { // the second is what a caller sends who has lost the answer to the first
				receipt, err := s.Send(t.Context(), through(o.channel(how)), toLead())
				require.NoError(t, err)
				require.Equal(t, message().Key+"@example.com", receipt)
			}
			require.Len(t, o.letters, 2)
			require.Equal(t, 3, o.signIns)
			for i, l := range o.letters {
				require.Equal(t, "<"+message().Key+"@example.com>", l.Header.Get("Message-ID"))
				require.Equal(t, "<lead@example.com>", l.Header.Get("To"))
				require.Equal(t, "<drover@example.com>", l.Header.Get("From"))
				require.Equal(t, "auto-generated", l.Header.Get("Auto-Submitted"))
				subject, err := new(mime.WordDecoder).DecodeHeader(l.Header.Get("Subject"))
				require.NoError(t, err)
				require.Equal(t, "acme is held & waits", subject)
				require.Contains(t, o.bodies[i], "Why: 3 < 5")
			}
		})
	}
}

// The server has the message: what happens to the connection after that sends it no second time.
func TestAnEmailThatWasTakenIsSentThoughTheConnectionBreaksThere(t *testing.T) {
	o := (&postOffice{}).open(t, "starttls")
	s := &Sender{Secrets: account}
	_, err := s.Send(t.Context(), through(o.channel("starttls")), toLead())
	require.NoError(t, err)
	o.drop = true
	_, err = s.Send(t.Context(), through(o.channel("starttls")), toLead())
	require.Error(t, err, "no answer to its last line: nobody knows, and it is sent again under its id")
	require.Empty(t, permanent.Kind(err))
}

func TestWhatAMailServerRefusesForGoodIsPermanent(t *testing.T) {
	for _, tt := range []struct {
		name, how string
		office    *postOffice
		secrets   kept
		change    func(*migration.EmailChannel)
		kind      string
	}{
		{"the mailbox is not there", "starttls", &postOffice{refuse: []error{&smtp.SMTPError{Code: 550,
			EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}}}, account, nil, "Refused"},
		{"the password is wrong", "starttls", &postOffice{}, kept{"env://SMTP": `{"username": "drover", "password": "hunter3"}`}, nil,
			"Refused"},
		{"the secret is none", "starttls", &postOffice{}, kept{"env://SMTP": "hunter2"}, nil, "BadSecret"},
		{"nobody vouches for the certificate", "implicit", &postOffice{}, account,
			func(c *migration.EmailChannel) { c.CAFile = "" }, "NoTrust"},
		{"the server has no TLS", "none", &postOffice{}, account, func(c *migration.EmailChannel) { c.TLS = "starttls" }, "NoTLS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := tt.office.open(t, tt.how)
			c := o.channel(tt.how)
			if tt.change != nil {
				tt.change(c.Email)
			}
			_, err := (&Sender{Secrets: tt.secrets}).Send(t.Context(), through(c), toLead())
			require.Equal(t, tt.kind, permanent.Kind(err), "%v", err)
			require.NotContains(t, err.Error(), "hunter")
			require.Empty(t, o.letters)
		})
	}
}

func TestAMailServerThatIsNotThereIsTriedAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	c := migration.Channel{Email: &migration.EmailChannel{Server: l.Addr().String(), TLS: "starttls", From: "drover@example.com"}}
	_, err = (&Sender{}).Send(t.Context(), through(c), toLead())
	require.ErrorContains(t, err, "connection refused")
	require.Empty(t, permanent.Kind(err))
}
