package hooks

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/internal/webhook"
	"github.com/drover-migration/drover/migration"
)

// post calls a webhook once.
func post(ctx context.Context, address, secret string, call migration.HookCall) (Answer, error) {
	now := time.Now()
	text, err := body(call, now)
	if err != nil {
		return Answer{}, err
	}
	answer, err := webhook.Ask(ctx, webhook.Post{URL: address, Secret: secret, Key: call.Key(), Body: text, At: now})
	if err != nil {
		return Answer{}, err
	}
	return said(answer)
}

func (c *Caller) secret(ctx context.Context, w migration.WebhookChannel) (string, error) {
	secret, err := c.Secrets.Resolve(ctx, w.Secret)
	if err != nil {
		return "", err
	}
	if err := webhook.CheckSecret(secret); err != nil {
		return "", permanent.New("BadSecret", nil, "the secret %s: %v", w.Secret, err)
	}
	return secret, nil
}

// reachWithin is how long it may take to connect.
const reachWithin = 5 * time.Second

// reach connects to the receiver, or to the proxy on the way there, and hangs up.
func reach(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil || req.URL.Hostname() == "" {
		return permanent.New("BadAddress", nil, "the webhook's address is none")
	}
	to, err := http.ProxyFromEnvironment(req)
	if err != nil {
		// The cause quotes the address, with its password.
		return permanent.New("BadAddress", nil, "the address of the proxy that this worker is to use is none")
	}
	if to == nil {
		to = req.URL
	}
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	dial, port := (&net.Dialer{}).DialContext, "80"
	if to.Scheme == "https" {
		dial, port = (&tls.Dialer{}).DialContext, "443"
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort(to.Hostname(), cmp.Or(to.Port(), port)))
	if err != nil {
		return fmt.Errorf("its receiver takes no connection: %w", err)
	}
	return conn.Close()
}
