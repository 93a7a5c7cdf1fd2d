package notify

import (
	"mime"
	"net"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/notify/notifytest"
)

var account = kept{"env://SMTP": `{"username": "drover", "password": "hunter2"}`}

func toLead() migration.Message {
	m := message()
	m.Address = "lead@example.com"
	return m
}

func TestAnEmailHasOneMessageIDHoweverOftenItIsSent(t *testing.T) {
	for _, how := range []string{"starttls", "implicit"} {
		t.Run(how, func(t *testing.T) {
			o := (&notifytest.PostOffice{Refuse: []error{&smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1},
				Message: "greylisted, come again"}}}).Open(t, how)
			s := &Sender{Secrets: account}
			_, err := s.Send(t.Context(), through(o.Channel(how)), toLead())
			require.ErrorContains(t, err, "greylisted")
			require.Empty(t, permanent.Kind(err))
			require.NotContains(t, err.Error(), "hunter2")
			for range 2 { // the second is what a caller sends who has lost the answer to the first
				receipt, err := s.Send(t.Context(), through(o.Channel(how)), toLead())
				require.NoError(t, err)
				require.Equal(t, message().Key+"@example.com", receipt)
			}
			require.Len(t, o.Letters, 2)
			require.Equal(t, 3, o.SignIns)
			for i, l := range o.Letters {
				require.Equal(t, "<"+message().Key+"@example.com>", l.Header.Get("Message-ID"))
				require.Equal(t, "<lead@example.com>", l.Header.Get("To"))
				require.Equal(t, "<drover@example.com>", l.Header.Get("From"))
				require.Equal(t, "auto-generated", l.Header.Get("Auto-Submitted"))
				subject, err := new(mime.WordDecoder).DecodeHeader(l.Header.Get("Subject"))
				require.NoError(t, err)
				require.Equal(t, "acme is held & waits", subject)
				require.Contains(t, o.Bodies[i], "Why: 3 < 5")
			}
		})
	}
}

// The server has the message: what happens to the connection after that sends it no second time.
func TestAnEmailThatWasTakenIsSentThoughTheConnectionBreaksThere(t *testing.T) {
	o := (&notifytest.PostOffice{}).Open(t, "starttls")
	s := &Sender{Secrets: account}
	_, err := s.Send(t.Context(), through(o.Channel("starttls")), toLead())
	require.NoError(t, err)
	o.Drop = true
	_, err = s.Send(t.Context(), through(o.Channel("starttls")), toLead())
	require.Error(t, err, "no answer to its last line: nobody knows, and it is sent again under its id")
	require.Empty(t, permanent.Kind(err))
}

func TestWhatAMailServerRefusesForGoodIsPermanent(t *testing.T) {
	for _, tt := range []struct {
		name, how string
		office    *notifytest.PostOffice
		secrets   kept
		change    func(*migration.EmailChannel)
		kind      string
	}{
		{"the mailbox is not there", "starttls", &notifytest.PostOffice{Refuse: []error{&smtp.SMTPError{Code: 550,
			EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}}}, account, nil, "Refused"},
		{"the password is wrong", "starttls", &notifytest.PostOffice{}, kept{"env://SMTP": `{"username": "drover", "password": "hunter3"}`}, nil,
			"Refused"},
		{"the secret is none", "starttls", &notifytest.PostOffice{}, kept{"env://SMTP": "hunter2"}, nil, "BadSecret"},
		{"nobody vouches for the certificate", "implicit", &notifytest.PostOffice{}, account,
			func(c *migration.EmailChannel) { c.CAFile = "" }, "NoTrust"},
		{"the server has no TLS", "none", &notifytest.PostOffice{}, account,
			func(c *migration.EmailChannel) { c.TLS = "starttls" }, "NoTLS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := tt.office.Open(t, tt.how)
			c := o.Channel(tt.how)
			if tt.change != nil {
				tt.change(c.Email)
			}
			_, err := (&Sender{Secrets: tt.secrets}).Send(t.Context(), through(c), toLead())
			require.Equal(t, tt.kind, permanent.Kind(err), "%v", err)
			require.NotContains(t, err.Error(), "hunter")
			require.Empty(t, o.Letters)
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
