// Package webhook posts JSON that is signed as Standard Webhooks lays it out
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md), and
// judges the answer. It tries once: who asks decides about the next time, under the same key.
package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/drover-migration/drover/internal/permanent"
)

// HeaderKey is the header of a post's key, for receivers that know no webhook-id. It makes Go's
// transport send the request again by itself where a connection that it kept open has broken.
const HeaderKey = "Idempotency-Key"

// mostAnswer is how much of an answer is read, in bytes.
const mostAnswer = 64 << 10

// Post is one request.
type Post struct {
	URL    string
	Secret string // whsec_ and base64, as CheckSecret wants it
	Key    string // the same in every repeat
	Body   []byte // JSON
	At     time.Time
}

// Tell posts once, signed by HMAC-SHA256 over key, time and body. It errs as Do does.
func Tell(ctx context.Context, p Post) error {
	req, err := p.request(ctx)
	if err != nil {
		return err
	}
	return Do(req)
}

// Ask is Tell, and returns the answer. One that is longer than mostAnswer is cut there.
func Ask(ctx context.Context, p Post) (answer []byte, err error) {
	req, err := p.request(ctx)
	if err != nil {
		return nil, err
	}
	res, err := send(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(res.Body, mostAnswer))
	return answer, bare(err)
}

func (p Post) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader(p.Body))
	if err != nil {
		return nil, permanent.New("BadAddress", nil, "the webhook's address is none")
	}
	if err := Sign(req, p.Secret, p.Key, p.Body, p.At); err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(HeaderKey, p.Key)
	return req, nil
}

// Sign adds the headers of a signature by HMAC-SHA256 over key, time and body.
func Sign(req *http.Request, secret, key string, body []byte, at time.Time) error {
	signer, err := signerOf(secret)
	if err != nil {
		return err
	}
	signature, err := signer.Sign(key, at, body)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "drover")
	req.Header.Set(webhooks.HeaderWebhookID, key)
	req.Header.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(webhooks.HeaderWebhookSignature, signature)
	return nil
}

// CheckSecret says what is wrong with a secret that is to sign.
func CheckSecret(secret string) error {
	_, err := signerOf(secret)
	return err
}

// shortest is what Standard Webhooks wants of a secret at least, in bytes.
const shortest = 24

func signerOf(secret string) (*webhooks.Webhook, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) < shortest {
		return nil, errors.New("is not whsec_ and base64 of at least 24 bytes; make one: echo whsec_$(openssl rand -base64 32)")
	}
	return webhooks.NewWebhookRaw(key)
}

// poster follows no redirect: a post goes where the plan says, and nowhere else.
var poster = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// Do sends a request and judges the status of its answer. Errors: permanent ones
// (internal/permanent), which trying again does not cure; all others may be tried again. None holds
// the address.
func Do(req *http.Request) error {
	res, err := send(req)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	return nil
}

// send is Do with the answer, which the caller closes.
func send(req *http.Request) (*http.Response, error) {
	res, err := poster.Do(req)
	if err != nil {
		return nil, bare(err)
	}
	if err := judge(res.StatusCode); err != nil {
		_ = res.Body.Close()
		return nil, err
	}
	return res, nil
}

// bare is an error without the address, which may be a secret.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// judge says what a status means: 2xx is an acknowledgement; what the receiver may answer otherwise
// next time is tried again; all else is permanent.
func judge(status int) error {
	switch {
	case status >= 200 && status < 300:
		return nil
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusTooEarly,
		status == http.StatusConflict: // an idempotent receiver that is still busy with the same key answers so
		return fmt.Errorf("the receiver answered %d %s", status, http.StatusText(status))
	case status >= 300 && status < 400:
		return permanent.New("Redirected", nil, "the receiver answered %d %s; give the plan the address that it leads to", status,
			http.StatusText(status))
	}
	return permanent.New("Refused", nil, "the receiver answered %d %s; see that the address is right, and the secret known there",
		status, http.StatusText(status))
}
