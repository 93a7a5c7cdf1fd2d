package inbox_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/inbox"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/notify"
)

// told are the secrets that a lab tells the product.
type told map[migration.SecretRef]string

func (s told) Resolve(_ context.Context, ref migration.SecretRef) (string, error) { return s[ref], nil }

// TestTheProductsMessagesArriveAndAreCounted sends as the product does: the first webhook finds
// nobody and goes again, a letter goes after STARTTLS, and what comes twice is one that came twice.
func TestTheProductsMessagesArriveAndAreCounted(t *testing.T) {
	b, err := inbox.Open("127.0.0.1", t.TempDir())
	require.NoError(t, err)
	defer b.Close()
	s := &notify.Sender{Secrets: told{"env://ROOM": inbox.Secret, "env://MAIL": inbox.Account()}}
	plan := &migration.Spec{Plan: "orders", Notify: &migration.Notify{Channels: []migration.Channel{
		{Name: "room", Webhook: &migration.WebhookChannel{URL: b.Hook, Secret: "env://ROOM"}},
		{Name: "mail", Email: &migration.EmailChannel{Server: b.Mail, TLS: "starttls", From: "drover@app.lab", Credentials: "env://MAIL",
			CAFile: b.CAFile}},
	}}}
	message := migration.Message{Key: "0123456789abcdef0123456789abcdef", Plan: "orders", Channel: "room",
		Notice:  migration.Notice{ID: "done/acme/1", Kind: migration.NoticeDone, Customer: "acme", At: time.Now()},
		Subject: "Acme Ltd läuft", Text: "It has moved."}

	_, err = s.Send(t.Context(), plan, message)
	require.Error(t, err, "nobody is here yet")
	require.Empty(t, b.Messages())
	for range 2 {
		_, err = s.Send(t.Context(), plan, message)
		require.NoError(t, err)
	}
	letter := message
	letter.Channel, letter.Address = "mail", "it@acme.example"
	_, err = s.Send(t.Context(), plan, letter)
	require.NoError(t, err)

	came := b.Messages()
	require.Len(t, came, 2)
	require.Equal(t, []any{"the room", "Acme Ltd läuft", 2}, []any{came[0].To, came[0].Subject, came[0].Times})
	require.Equal(t, []any{"it@acme.example", "Acme Ltd läuft", 1}, []any{came[1].To, came[1].Subject, came[1].Times})
	require.NotEqual(t, came[0].Key, came[1].Key)

	res, err := http.Get(b.Page())
	require.NoError(t, err)
	page, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Contains(t, string(page), "it@acme.example  Acme Ltd läuft")

	unsigned, err := http.Post(b.Hook, "application/json", http.NoBody)
	require.NoError(t, err)
	require.NoError(t, unsigned.Body.Close())
	require.Equal(t, http.StatusUnauthorized, unsigned.StatusCode)
}
