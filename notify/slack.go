package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/internal/webhook"
	"github.com/drover-migration/drover/migration"
)

// slackMost is where Slack cuts a text, in characters
// (https://docs.slack.dev/reference/methods/chat.postMessage/#truncating).
const slackMost = 40_000

// slackEscape is what Slack wants of texts
// (https://docs.slack.dev/messaging/formatting-message-text/#escaping).
var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// slack posts a message to an incoming webhook. Slack knows no idempotency key: a repeat after a
// lost answer shows twice, and its last line, the key, says that it is one.
func (s *Sender) slack(ctx context.Context, c migration.SlackChannel, m migration.Message) (string, error) {
	text := "*" + slackEscape.Replace(m.Subject) + "*\n" + slackEscape.Replace(m.Text)
	tail := "\n_" + m.Key + "_"
	if most := slackMost - len([]rune(tail)); len([]rune(text)) > most {
		text = string([]rune(text)[:most-1]) + "…"
	}
	body, err := json.Marshal(struct {
		Text string `json:"text"`
	}{text + tail})
	if err != nil {
		return "", err
	}
	address, err := s.Secrets.Resolve(ctx, c.URL)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSpace(address), bytes.NewReader(body))
	if err != nil || req.URL.Host == "" {
		return "", permanent.New("BadAddress", nil, "the secret %s is no address of a webhook", c.URL)
	}
	host := req.URL.Hostname()
	if here := host == "localhost" || net.ParseIP(host).IsLoopback(); req.URL.Scheme != "https" && !here {
		return "", permanent.New("BadAddress", nil, "the secret %s is an address without TLS, over which everybody on the way could read "+
			"it; give the https:// one", c.URL)
	}
	req.Header.Set("Content-Type", "application/json")
	return "", webhook.Do(req)
}
