package inbox

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// What whoever sends must know: the webhook's secret, and the account at the mail server.
const (
	Secret   = "whsec_bGFiIHJvb20gb2YgcGVvcGxlIHdobyBhcmUgdG9sZA=="
	user     = "drover"
	Password = "lab-mail"
)

// Account is the account at the mail server as the product reads it.
func Account() string { return fmt.Sprintf(`{"username":%q,"password":%q}`, user, Password) }

// Message is one that came, however often.
type Message struct {
	Key     string // Idempotency-Key of a webhook, Message-ID of a letter
	To      string // "the room", or the address of a letter
	Subject string
	At      time.Time // when it came first
	Times   int
}

// Inbox takes messages until it is closed.
type Inbox struct {
	Hook   string // address of the webhook
	Mail   string // host:port of the mail server, which takes letters after STARTTLS
	CAFile string // of its certificate

	hook *http.Server
	mail *smtp.Server
	wait sync.WaitGroup

	mu       sync.Mutex
	asked    int // requests at the webhook
	messages []Message
}

// Open takes messages at free ports of an address. The first webhook finds nobody there, as
// happens: whoever wants its message to arrive sends it again. Files are written to a folder.
func Open(host, dir string) (*Inbox, error) {
	b := &Inbox{CAFile: filepath.Join(dir, "mail-ca.pem")}
	cert, err := certificate(host, b.CAFile)
	if err != nil {
		return nil, fmt.Errorf("certificate of the mail server: %w", err)
	}
	hook, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("receiver of webhooks: %w", err)
	}
	mail, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mail server: %w", err), hook.Close())
	}
	b.Hook, b.Mail = "http://"+hook.Addr().String()+"/room", mail.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /room", b.take)
	mux.HandleFunc("GET /{$}", b.show)
	b.hook = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	b.mail = smtp.NewServer(office{b})
	b.mail.Domain, b.mail.ReadTimeout, b.mail.WriteTimeout = host, 10*time.Second, 10*time.Second
	b.mail.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	b.wait.Go(func() { _ = b.hook.Serve(hook) })
	b.wait.Go(func() { _ = b.mail.Serve(mail) })
	return b, nil
}

// Close ends both servers.
func (b *Inbox) Close() {
	_ = b.hook.Close()
	_ = b.mail.Close()
	b.wait.Wait()
}

// Page is where a person reads what came.
func (b *Inbox) Page() string { return strings.TrimSuffix(b.Hook, "room") }

// Messages are those that came, the oldest first.
func (b *Inbox) Messages() []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.messages)
}

// came keeps a message. One whose key is known came again.
func (b *Inbox) came(m Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.messages, func(x Message) bool { return x.Key == m.Key })
	if i < 0 {
		m.At = time.Now()
		b.messages, i = append(b.messages, m), len(b.messages)
	}
	b.messages[i].Times++
}

// take takes a webhook whose signature is right.
func (b *Inbox) take(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.asked++
	first := b.asked == 1
	b.mu.Unlock()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	verifier, err := webhooks.NewWebhook(Secret)
	if err == nil {
		err = verifier.Verify(body, r.Header)
	}
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusUnauthorized)
	case first:
		http.Error(w, "nobody is here yet", http.StatusServiceUnavailable)
	default:
		b.came(Message{Key: r.Header.Get(webhooks.HeaderWebhookID), To: "the room", Subject: subject(body)})
	}
}

// show lists what came, for a person.
func (b *Inbox) show(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, m := range b.Messages() {
		_, _ = fmt.Fprintf(w, "%s  %s  %s\n", m.At.Format("2006-01-02 15:04:05 MST"), m.To, m.Subject)
	}
}
