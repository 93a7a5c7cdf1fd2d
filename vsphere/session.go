package vsphere

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/drover-migration/drover/migration"
)

// keepAlive is well below vCenter's idle limit of thirty minutes.
const keepAlive = 5 * time.Minute

// ErrCredentials says that vCenter refused the user: trying again locks accounts.
var ErrCredentials = errors.New("vCenter refused the credentials")

// Session is a logged-in connection to a vCenter. It logs in again when vCenter has forgotten it. It is safe for concurrent use.
type Session struct {
	*vim25.Client
	conf  migration.VSphere
	user  *url.Userinfo
	stop  context.CancelFunc
	login sync.Mutex
}

// Connect logs in. TLS is verified against conf.CAFile, conf.Thumbprint or the machine's own authorities.
func Connect(ctx context.Context, conf migration.VSphere, username, password string) (*Session, error) {
	u, err := soap.ParseURL(conf.URL)
	if err != nil || u == nil {
		return nil, fmt.Errorf("vCenter %q is not a URL such as https://vcenter.example/sdk", conf.URL)
	}
	u.User = nil
	sc := soap.NewClient(u, false)
	if err := trust(sc, u, conf); err != nil {
		return nil, fmt.Errorf("vCenter %s: %w", u.Host, err)
	}
	vc, err := vim25.NewClient(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("vCenter %s: %w", u.Host, err)
	}
	s := &Session{Client: vc, conf: conf, user: url.UserPassword(username, password)}
	if err := s.logIn(ctx); err != nil {
		return nil, err
	}
	s.RoundTripper = &again{RoundTripper: vc.RoundTripper, s: s}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go s.stayAlive(run)
	return s, nil
}

// trust says whose certificate is accepted.
func trust(sc *soap.Client, u *url.URL, conf migration.VSphere) error {
	if conf.CAFile != "" {
		if err := sc.SetRootCAs(conf.CAFile); err != nil {
			return fmt.Errorf("certificate authorities of %s: %w", conf.CAFile, err)
		}
	}
	print := strings.ToUpper(conf.Thumbprint)
	switch {
	case print == "":
	case len(print) == sha256.Size*3-1:
		sc.DefaultTransport().TLSClientConfig = pinned(print)
	default:
		sc.SetThumbprint(u.Host, print) // SHA-1, as govmomi has it
	}
	return nil
}

// pinned accepts exactly the certificate with this SHA-256.
func pinned(print string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, VerifyConnection: func(c tls.ConnectionState) error { //nolint:gosec // verified below, by thumbprint
		sum := sha256.Sum256(c.PeerCertificates[0].Raw)
		var parts []string
		for _, b := range sum {
			parts = append(parts, strings.ToUpper(hex.EncodeToString([]byte{b})))
		}
		if got := strings.Join(parts, ":"); got != print {
			return fmt.Errorf("the certificate's SHA-256 is %s, and the plan expects %s", got, print)
		}
		return nil
	}}
}

func (s *Session) logIn(ctx context.Context) error {
	s.login.Lock()
	defer s.login.Unlock()
	m := session.NewManager(s.Client)
	if active, err := m.UserSession(ctx); err == nil && active != nil {
		return nil // another call has logged in meanwhile
	}
	if err := m.Login(ctx, s.user); err != nil {
		if soap.IsSoapFault(err) {
			if _, bad := soap.ToSoapFault(err).VimFault().(types.InvalidLogin); bad {
				return fmt.Errorf("vCenter %s, user %s: %w: correct the secret %s", s.URL().Host, s.user.Username(), ErrCredentials, s.conf.Credentials)
			}
		}
		return fmt.Errorf("log in to vCenter %s as %s: %w", s.URL().Host, s.user.Username(), err)
	}
	return nil
}

// stayAlive asks for the time now and then.
func (s *Session) stayAlive(ctx context.Context) {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, _ = methods.GetCurrentTime(ctx, s) // a session that is gone is renewed by the next call
		}
	}
}

// Close logs out.
func (s *Session) Close() {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = session.NewManager(s.Client).Logout(ctx)
}

// client is the session as govmomi's helpers want it.
func (s *Session) client() *govmomi.Client {
	return &govmomi.Client{Client: s.Client, SessionManager: session.NewManager(s.Client)}
}

// again repeats a call once after logging in, when vCenter says that it does not know the session.
type again struct {
	soap.RoundTripper
	s *Session
}

// RoundTrip calls, and calls again after a login.
func (a *again) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	err := a.RoundTripper.RoundTrip(ctx, req, res)
	if err == nil || !soap.IsSoapFault(err) {
		return err
	}
	if _, gone := soap.ToSoapFault(err).VimFault().(types.NotAuthenticated); !gone {
		return err
	}
	m := &Session{Client: &vim25.Client{Client: a.s.Client.Client, ServiceContent: a.s.ServiceContent, RoundTripper: a.RoundTripper}, conf: a.s.conf, user: a.s.user}
	if err := m.logIn(ctx); err != nil {
		return err
	}
	return a.RoundTripper.RoundTrip(ctx, req, res)
}

// readable checks that a plan's file of authorities is there, for errors that name it.
func readable(file string) error {
	if file == "" {
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	return f.Close()
}
