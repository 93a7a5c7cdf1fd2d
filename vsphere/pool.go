package vsphere

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/drover-migration/drover/migration"
)

// Secrets resolves references to secrets.
type Secrets interface {
	Resolve(ctx context.Context, ref migration.SecretRef) (string, error)
}

// Pool keeps one session for each vCenter.
type Pool struct {
	secrets Secrets
	log     hclog.Logger

	mu   sync.Mutex
	kept map[migration.VSphere]*Session
}

// NewPool returns an empty pool.
func NewPool(secrets Secrets, log hclog.Logger) *Pool {
	return &Pool{secrets: secrets, log: log, kept: map[migration.VSphere]*Session{}}
}

// Session returns the session of a site's vCenter, logging in the first time. The secret is JSON {"username": .., "password": ..}.
func (p *Pool) Session(ctx context.Context, site migration.Site) (*Session, error) {
	if site.VSphere == nil {
		return nil, fmt.Errorf("site %q has no vsphere", site.Name)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.kept[*site.VSphere]; s != nil {
		return s, nil
	}
	if err := readable(site.VSphere.CAFile); err != nil {
		return nil, fmt.Errorf("site %q: its vCenter's certificate authorities: %w", site.Name, err)
	}
	text, err := p.secrets.Resolve(ctx, site.VSphere.Credentials)
	if err != nil {
		return nil, fmt.Errorf("site %q: %w", site.Name, err)
	}
	var who struct{ Username, Password string }
	if json.Unmarshal([]byte(text), &who) != nil || who.Username == "" {
		return nil, errors.New("site " + site.Name + `: the secret ` + string(site.VSphere.Credentials) + ` is not JSON {"username": .., "password": ..}`)
	}
	s, err := Connect(ctx, *site.VSphere, who.Username, who.Password)
	if err != nil {
		return nil, fmt.Errorf("site %q: %w", site.Name, err)
	}
	p.kept[*site.VSphere] = s
	p.log.Info("logged in to vCenter", "site", site.Name, "host", s.URL().Host)
	return s, nil
}

// Close logs out everywhere.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, s := range p.kept {
		s.Close()
		delete(p.kept, k)
	}
}
