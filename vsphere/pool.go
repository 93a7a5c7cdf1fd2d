package vsphere

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

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
	now     func() time.Time

	mu   sync.Mutex
	kept map[migration.VSphere]*slot
}

// slot is the place of one vCenter's session: a vCenter that does not answer keeps nobody from
// another.
type slot struct {
	turn    chan struct{} // holds one token: a mutex that can be waited for with a context
	session *Session
	secret  string // that was last tried
	refusal error  // of that secret, where vCenter refused it
	at      time.Time
}

// ErrSecret says that a secret has not the form of credentials.
var ErrSecret = errors.New(`is not JSON {"username": .., "password": ..}`)

// refusedFor is how long a refused secret is not tried again, unless it changes. By vCenter's
// default five refusals within three minutes lock an account, for five minutes
// (https://docs.vmware.com: "Edit the vCenter Single Sign-On Lockout Policy").
const refusedFor = 5 * time.Minute

// NewPool returns an empty pool.
func NewPool(secrets Secrets, log hclog.Logger) *Pool {
	return &Pool{secrets: secrets, log: log, now: time.Now, kept: map[migration.VSphere]*slot{}}
}

// Session returns the session of a site's vCenter, logging in the first time, and again with the
// secret as it is now when vCenter has refused the one it had. A secret that was refused is not
// tried again until it changes, or five minutes have passed: others who use it would be locked out.
// The secret is JSON {"username": .., "password": ..}.
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
		at.refusal, at.at = at.session.refusal(), p.now()
		at.session.leave() // a copy that still reads by it goes on
		at.session = nil
	}
	if err := p.connect(ctx, at, *site.VSphere); err != nil {
		return nil, fmt.Errorf("site %q: %w", site.Name, err)
	}
	p.log.Info("logged in to vCenter", "site", site.Name, "host", at.session.URL().Host)
	return at.session, nil
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

func (p *Pool) connect(ctx context.Context, at *slot, conf migration.VSphere) error {
	text, err := p.secrets.Resolve(ctx, conf.Credentials)
	if err != nil {
		return err
	}
	if at.refusal != nil && at.secret == text && p.now().Sub(at.at) < refusedFor {
		return fmt.Errorf("%w; until it changes it is not tried again before %s", at.refusal,
			at.at.Add(refusedFor).UTC().Format("15:04:05 MST"))
	}
	var who struct{ Username, Password string }
	if json.Unmarshal([]byte(text), &who) != nil || who.Username == "" { // the error would quote the secret
		return fmt.Errorf(`the secret %s %w: correct it`, conf.Credentials, ErrSecret)
	}
	s, err := Connect(ctx, conf, who.Username, who.Password)
	at.session, at.secret, at.refusal = s, text, nil
	if errors.Is(err, ErrCredentials) {
		at.refusal, at.at = err, p.now()
	}
	return err
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
