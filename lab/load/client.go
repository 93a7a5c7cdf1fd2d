package load

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	// attemptTimeout is what a client waits for one answer: longer than a freeze with its waits, so
	// that most of them are one attempt.
	attemptTimeout = 2 * time.Second
	// retryAfterCap is the most a client believes a server's Retry-After.
	retryAfterCap = 2 * time.Second
	// A failure without Retry-After is tried again after a moment that doubles.
	backoffLeast = 100 * time.Millisecond
	backoffMost  = time.Second
	// remembered is how many of its own writes a client may read back.
	remembered = 16
)

// client is one of a customer's clients.
type client struct {
	load     *Load
	customer Customer
	name     string
	n        int
	rng      *mrand.Rand
	orders   []string          // tokens of acknowledged orders, the latest last
	files    map[string]string // name -> SHA-256 of the acknowledged content; absent after a write that was given up
}

// request is one thing a client wants done.
type request struct {
	method, path string
	body         []byte
	token        string
	entry        *Entry // of a write
	wantSHA      string // of a file read
}

// step does one request of the mix and keeps the books.
func (c *client) step() {
	r := c.choose()
	first := time.Now()
	attempts, err := c.do(r, first)
	if err == nil || c.load.ctx.Err() == nil { // else the laboratory itself cut it off; a write may still have happened
		c.load.score.request(r.entry != nil, attempts, err, c.name+": "+r.method+" "+r.path)
	}
	if r.entry == nil {
		return
	}
	r.entry.First, r.entry.Attempts = first, attempts
	if err == nil {
		r.entry.Acked = time.Now()
		c.remember(r)
	} else {
		delete(c.files, r.entry.Name)
	}
	if err := c.load.ledger.Add(*r.entry); err != nil {
		c.load.score.complain("write the ledger: " + err.Error())
	}
}

func (c *client) remember(r request) {
	switch r.entry.Kind {
	case KindOrder:
		if c.orders = append(c.orders, r.token); len(c.orders) > remembered {
			c.orders = c.orders[1:]
		}
	case KindFile:
		if c.files == nil {
			c.files = map[string]string{}
		}
		c.files[r.entry.Name] = r.entry.SHA256
	}
}

// do tries a request until it has a good answer or gives up.
func (c *client) do(r request, first time.Time) (attempts int, err error) {
	backoff := backoffLeast
	sawFault := false
	for {
		began := time.Now()
		attempts++
		status, after, err := c.attempt(r)
		if err == nil && status/100 == 2 {
			c.load.score.good(c.customer.ID, c.name, first, began, time.Now(), sawFault)
			return attempts, nil
		}
		if err == nil {
			err = fmt.Errorf("status %d", status)
			if status/100 == 4 {
				return attempts, err // asking again would not help
			}
		}
		sawFault = sawFault || status != http.StatusServiceUnavailable
		wait := after
		if wait == 0 {
			wait = backoff
			backoff = min(2*backoff, backoffMost)
		}
		if time.Since(first)+wait > c.load.opts.GiveUp {
			return attempts, err
		}
		select {
		case <-time.After(wait):
		case <-c.load.ctx.Done():
			return attempts, c.load.ctx.Err()
		}
	}
}

// attempt sends a request once; after is the Retry-After that came with the answer, capped.
func (c *client) attempt(r request) (status int, after time.Duration, err error) {
	to, by := c.load.opts.URL, c.load.http
	if c.customer.Port != 0 {
		to, by = "http://"+net.JoinHostPort(c.customer.Host, strconv.Itoa(c.customer.Port)), c.load.named
	}
	req, err := http.NewRequestWithContext(c.load.ctx, r.method, to+r.path, bytes.NewReader(r.body))
	if err != nil {
		return 0, 0, err
	}
	req.Host = c.customer.Host
	if r.token != "" {
		req.Header.Set("X-Token", r.token)
	}
	res, err := by.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return res.StatusCode, 0, err
	}
	if sec, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
		after = min(time.Duration(sec)*time.Second, retryAfterCap)
	}
	if r.wantSHA != "" && res.StatusCode == http.StatusOK && digest(body) != r.wantSHA {
		return http.StatusConflict, 0, fmt.Errorf("%s is not what was acknowledged last", r.path)
	}
	return res.StatusCode, after, nil
}

// choose draws from the mix: half orders, a fifth events, some counters, few files, the rest reads.
func (c *client) choose() request {
	token := newUUID()
	switch n := c.rng.IntN(100); {
	case n < 50:
		return c.order(token)
	case n < 70:
		return c.event(token)
	case n < 83:
		add := 1 + c.rng.Int64N(9)
		return c.write(KindAdd, http.MethodPatch, "/acct", token, add, map[string]any{"token": token, "add": add})
	case n < 86 && !c.load.opts.NoFiles:
		return c.putFile(token)
	case n < 89 && len(c.files) > 0:
		for name, sha := range c.files {
			return request{method: http.MethodGet, path: "/files/" + name, wantSHA: sha}
		}
	case len(c.orders) > 0:
		return request{method: http.MethodGet, path: "/orders/" + c.orders[c.rng.IntN(len(c.orders))]}
	}
	return c.order(token)
}

func (c *client) order(token string) request {
	cents := 100 + c.rng.Int64N(100000)
	sku := fmt.Sprintf("sku-%d", cents%97)
	r := c.write(KindOrder, http.MethodPost, "/orders", token, cents,
		map[string]any{"token": token, "amount": float64(cents) / 100, "sku": sku})
	r.entry.What = sku
	return r
}

func (c *client) event(token string) request {
	at, kind := time.Now().UTC().Truncate(time.Microsecond), []string{"click", "open", "close"}[c.rng.IntN(3)]
	r := c.write(KindEvent, http.MethodPost, "/api/events", token, 0, map[string]any{"token": token, "at": at, "kind": kind})
	r.entry.What, r.entry.At = kind, at
	return r
}

func (c *client) write(kind Kind, method, path, token string, amount int64, body any) request {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // a map of plain values
	}
	return request{method: method, path: path, body: b, token: token,
		entry: &Entry{Customer: c.customer.ID, Tenant: c.customer.Tenant, Kind: kind, Token: token, Amount: amount}}
}

// putFile writes one of the client's own few files anew: mostly small, some long enough for more
// than one packet.
func (c *client) putFile(token string) request {
	size := 200 + c.rng.IntN(4<<10)
	if c.rng.IntN(10) == 0 {
		size = 128 << 10
	}
	body := make([]byte, size)
	_, _ = rand.Read(body)
	name := fmt.Sprintf("client-%d/doc-%d.bin", c.n, c.rng.IntN(12))
	return request{method: http.MethodPut, path: "/files/" + name, body: body, token: token,
		entry: &Entry{Customer: c.customer.ID, Tenant: c.customer.Tenant, Kind: KindFile, Token: token, Name: name, SHA256: digest(body)}}
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
