package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/internal/webhook"
	"github.com/drover-migration/drover/migration"
)

// peer is the router of one route, as it is asked.
type peer struct {
	*webhook.Peer

	url   string
	turns *turns
}

// peer is who answers for a route. Its secret and its caFile are read anew: both may be replaced
// while a plan is at work.
func (rt *Router) peer(ctx context.Context, h migration.HookRoute) (*peer, error) {
	secret, err := rt.secrets.Resolve(ctx, h.Secret)
	if err != nil {
		return nil, err
	}
	if err := webhook.CheckSecret(secret); err != nil {
		return nil, permanent.New("BadSecret", nil, "the secret %s: %v", h.Secret, err)
	}
	p, err := rt.peers.Of(h.URL, secret, h.CAFile, h.Timeout.D())
	return &peer{p, h.URL, &rt.turns}, err
}

// What a router may answer.
const (
	mostBackends = 64
	mostWeight   = 1_000_000
)

var (
	etagForm    = regexp.MustCompile(`^"[!#-~]{1,200}"$`) // RFC 9110, 8.8.3: a strong one
	backendForm = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9._:/~-]{0,127}$`)
)

// ask makes one request in its turn, and judges the status of its answer.
func (p *peer) ask(ctx context.Context, method, what, ifMatch string, body []byte) (etag string, answer []byte, err error) {
	over, err := p.turns.take(ctx, p.url)
	if err != nil {
		return "", nil, err
	}
	defer over()
	a, err := p.Ask(ctx, method, what, ifMatch, body)
	if err == nil {
		err = answered(method, a.Status)
	}
	if err != nil {
		return "", nil, fmt.Errorf("%s %s at router %s: %w", method, what, p.Host(), err)
	}
	return a.ETag, a.Body, nil
}

// answered says what a status means.
func answered(method string, status int) error {
	switch status {
	case http.StatusOK:
		return nil
	case http.StatusNoContent:
		if method == http.MethodPut {
			return nil
		}
	case http.StatusNotFound:
		return errUnknown
	case http.StatusPreconditionFailed:
		return errChanged
	case http.StatusUnprocessableEntity:
		return errRefused
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: it answered %d; see that its secret is the route's, and the clocks of both", errUnsigned, status)
	}
	return fmt.Errorf("it answered %s", strings.TrimSpace(fmt.Sprint(status, " ", http.StatusText(status))))
}

// standing is what stands for a host.
type standing struct {
	etag    string
	weights map[string]int
	note    *note // nil: none is kept, or it is none of Drover's
	foreign bool  // a note is kept that is none of Drover's
}

// read asks what stands for a host.
func (p *peer) read(ctx context.Context, host string) (*standing, error) {
	what := "hosts/" + host
	etag, body, err := p.ask(ctx, http.MethodGet, what, "", nil)
	if err != nil {
		return nil, err
	}
	s, err := standingOf(etag, body)
	if err != nil {
		return nil, fmt.Errorf("GET %s at router %s: %w; docs/route-hook.md says what it is to answer", what, p.Host(), err)
	}
	return s, nil
}

func standingOf(etag string, body []byte) (*standing, error) {
	var a struct {
		Weights map[string]int  `json:"weights"`
		Note    json.RawMessage `json:"note"`
	}
	switch {
	case !etagForm.MatchString(etag):
		return nil, errors.New("the answer has no strong ETag")
	case json.Unmarshal(body, &a) != nil: // whose words may be anything
		return nil, errors.New("the answer is not JSON of the right form")
	}
	if err := checkWeights(a.Weights); err != nil {
		return nil, err
	}
	s := &standing{etag: etag, weights: a.Weights}
	if len(a.Note) > 0 && string(a.Note) != "null" {
		var n note
		d := json.NewDecoder(bytes.NewReader(a.Note))
		d.DisallowUnknownFields()
		if s.foreign = d.Decode(&n) != nil || !n.valid() || checkWeights(n.Was) != nil; !s.foreign {
			s.note = &n
		}
	}
	return s, nil
}

func checkWeights(weights map[string]int) error {
	if len(weights) == 0 || len(weights) > mostBackends {
		return fmt.Errorf("the answer's weights name %d backends, and not 1 to %d", len(weights), mostBackends)
	}
	for name, w := range weights {
		if !backendForm.MatchString(name) {
			return errors.New("the answer's weights have a name that is none of a backend")
		}
		if w < 0 || w > mostWeight {
			return fmt.Errorf("the answer's weight of %s is not 0 to %d", name, mostWeight)
		}
	}
	return nil
}

// change is what a host is to have.
type change struct {
	Weights map[string]int `json:"weights"`
	Note    *note          `json:"note"` // null: none is kept
}

// write has a host have something else, on the condition that all stands that was read. An answer
// that is lost leaves it open whether it holds: whoever reads next finds out.
func (p *peer) write(ctx context.Context, host string, to change, etag string) error {
	body, err := json.Marshal(to)
	if err != nil {
		return err
	}
	_, _, err = p.ask(ctx, http.MethodPut, "hosts/"+host, etag, body)
	return err
}

// backends asks which there are.
func (p *peer) backends(ctx context.Context) ([]string, error) {
	_, body, err := p.ask(ctx, http.MethodGet, "backends", "", nil)
	if err != nil {
		return nil, err
	}
	var a struct {
		Protocol string   `json:"protocol"`
		Backends []string `json:"backends"`
	}
	if json.Unmarshal(body, &a) != nil || a.Protocol != protocol {
		return nil, errProtocol
	}
	for _, name := range a.Backends {
		if !backendForm.MatchString(name) {
			return nil, errProtocol
		}
	}
	return a.Backends, nil
}

// protocol is what a router says that it speaks.
const protocol = "drover-route-1"

var errProtocol = errors.New("the answer is not that of protocol " + protocol)
