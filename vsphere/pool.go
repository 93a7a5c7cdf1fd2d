package vsphere

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/drover-migration/drover/migration"
)

// Secrets resolves references to secrets.
type Secrets interface {
	Resolve(ctx context.Context, ref migration.SecretRef) (string, error)
}

// Pool keeps one session for each vCenter. It is safe for concurrent use.
type Pool struct {
	secrets Secrets
	log     hclog.Logger

	mu   sync.Mutex
	kept map[migration.VSphere]*slot
}

// slot is the place of one vCenter's session: a vCenter that does not answer keeps nobody from another.
type slot struct {
	turn    chan struct{} // holds one token: a mutex that can be waited for with a context
	session *Session
}

// NewPool returns an empty pool.
func NewPool(secrets Secrets, log hclog.Logger) *Pool {
	return &Pool{secrets: secrets, log: log, kept: map[migration.VSphere]*slot{}}
}

// Session returns the session of a site's vCenter, logging in the first time, and again with the secret as it is now when vCenter has
// refused the one it had. The secret is JSON {"username": .., "password": ..}.
func (p *Pool) Session(ctx context.Context, site migration.Site) (*Session, error) {
	if site.VSphere == nil {
		return nil, fmt.Errorf("site %q has no vsphere", site.Name)
	}
	at := p.slot(*site.VSphere)
	select {
	case at.turn <- struct{}{}:
		defer func() { <-at.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("site %q: wait for a login to its vCenter: %w", site.Name, context.Cause(ctx))
	}
	if at.session != nil {
		if _, refused := at.session.state(); !refused {
			return at.session, nil
		}
		at.session.close(ctx)
		at.session = nil
	}
	s, err := p.connect(ctx, *site.VSphere)
	if err != nil {
		return nil, fmt.Errorf("site %q: %w", site.Name, err)
	}
	at.session = s
	p.log.Info("logged in to vCenter", "site", site.Name, "host", s.URL().Host)
	return s, nil
}

func (p *Pool) slot(conf migration.VSphere) *slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.kept[conf]
	if at == nil {
		at = &slot{turn: make(chan struct{}, 1)}
		p.kept[conf] = at
	}
	return at
}

func (p *Pool) connect(ctx context.Context, conf migration.VSphere) (*Session, error) {
	text, err := p.secrets.Resolve(ctx, conf.Credentials)
	if err != nil {
		return nil, err
	}
	var who struct{ Username, Password string }
	if json.Unmarshal([]byte(text), &who) != nil || who.Username == "" { // the error would quote the secret
		return nil, fmt.Errorf(`the secret %s is not JSON {"username": .., "password": ..}`, conf.Credentials)
	}
	return Connect(ctx, conf, who.Username, who.Password)
}

// Close logs out everywhere. It waits for logins under way.
func (p *Pool) Close() {
	p.mu.Lock()
	kept := p.kept
	p.kept = map[migration.VSphere]*slot{}
	p.mu.Unlock()
	for _, at := range kept {
		at.turn <- struct{}{}
		if at.session != nil {
			at.session.Close()
		}
		<-at.turn
	}
}
