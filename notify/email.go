package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// MessageID is the Message-ID of an e-mail: the message's key, at the sender's domain.
func MessageID(c migration.EmailChannel, m migration.Message) string {
	_, domain, _ := strings.Cut(c.From, "@")
	return m.Key + "@" + domain
}

// email hands a message to an SMTP server, over TLS or not at all. The message is delivered when
// the server has taken its last line: what goes wrong while the connection is closed is none of
// its business.
func (s *Sender) email(ctx context.Context, c migration.EmailChannel, m migration.Message) (string, error) {
	msg, err := letter(c, m, s)
	if err != nil {
		return "", err
	}
	client, err := s.mailer(ctx, c)
	if err != nil {
		return "", err
	}
	if err := client.DialWithContext(ctx); err != nil {
		return "", judgeMail(err)
	}
	defer func() { _ = client.Close() }()
	if err := client.Send(msg); err != nil && !msg.IsDelivered() {
		return "", judgeMail(err)
	}
	return MessageID(c, m), nil
}

func letter(c migration.EmailChannel, m migration.Message, s *Sender) (*mail.Msg, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := msg.From(c.From); err != nil {
		return nil, permanent.New("BadAddress", nil, "the sender is no e-mail address")
	}
	if err := msg.To(m.Address); err != nil {
		return nil, permanent.New("BadAddress", nil, "the contact has no e-mail address")
	}
	msg.SetMessageIDWithValue(MessageID(c, m))
	msg.SetDateWithValue(s.clock())
	msg.Subject(m.Subject)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // nobody's absence answers it (RFC 3834)
	msg.SetGenHeader("X-Drover-Key", m.Key)
	if m.Notice.Kind.Asks() {
		msg.SetImportance(mail.ImportanceHigh)
	}
	msg.SetBodyString(mail.TypeTextPlain, m.Text+"\n")
	return msg, nil
}

func (s *Sender) mailer(ctx context.Context, c migration.EmailChannel) (*mail.Client, error) {
	host, port, err := net.SplitHostPort(c.Server)
	if err != nil {
		return nil, permanent.New("BadAddress", err, "the channel's server is no HOST:PORT")
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, permanent.New("BadAddress", nil, "the channel's server has no number as its port")
	}
	conf := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		if conf.RootCAs, err = authorities(c.CAFile); err != nil {
			return nil, err
		}
	}
	options := []mail.Option{mail.WithPort(number), mail.WithTimeout(sendWithin), mail.WithTLSConfig(conf), mail.WithoutNoop()}
	if c.TLS == "implicit" {
		options = append(options, mail.WithSSL())
	} else {
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if c.Credentials != "" {
		user, password, err := s.account(ctx, c.Credentials)
		if err != nil {
			return nil, err
		}
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(user), mail.WithPassword(password))
	}
	return mail.NewClient(host, options...)
}

func authorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the channel's caFile on this worker: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, permanent.New("BadCA", nil, "the channel's caFile %s has no certificate in PEM", file)
	}
	return pool, nil
}

// account is a user and a password. The decoder's error is dropped: it may quote the secret.
func (s *Sender) account(ctx context.Context, ref migration.SecretRef) (user, password string, err error) {
	text, err := s.Secrets.Resolve(ctx, ref)
	if err != nil {
		return "", "", err
	}
	var v struct{ Username, Password string }
	if json.Unmarshal([]byte(text), &v) != nil || v.Username == "" {
		return "", "", permanent.New("BadSecret", nil, `the secret %s is not JSON like {"username": .., "password": ..}`, ref)
	}
	return v.Username, v.Password, nil
}

// judgeMail says what an error of SMTP means. What a server answers with 5xx is permanent (RFC
// 5321, 4.2.1), and so is a server without TLS or with a certificate that nobody vouches for: a
// message would be readable on its way. All else, networks and answers of 4xx among it, may go
// better next time.
func judgeMail(err error) error {
	var answer *textproto.Error
	var send *mail.SendError
	var unknown *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unknown):
		return permanent.New("NoTrust", err, "the server's certificate is not trusted; name its authority by caFile")
	case errors.As(err, &answer) && answer.Code >= 500, errors.As(err, &send) && send.ErrorCode() >= 500:
		return permanent.New("Refused", err, "the server refuses the message")
	case strings.Contains(err.Error(), "does not support STARTTLS"): // go-mail has no name for it
		return permanent.New("NoTLS", err, "the server offers no TLS; use another, or tls: implicit")
	}
	return err
}
