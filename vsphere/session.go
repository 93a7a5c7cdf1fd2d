package vsphere

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vapi/rest"
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

// Session is a logged-in connection to a vCenter. It logs in again when vCenter has forgotten it.
// It is safe for concurrent use.
type Session struct {
	*vim25.Client
	conf migration.VSphere
	user *url.Userinfo
	bare *vim25.Client // the same connection, without logging in again
	stop context.CancelFunc
	over chan struct{} // closed when nothing keeps it alive any more
	page int32         // machines that a page of the inventory holds

	login   sync.Mutex
	logins  int  // so far: a caller whose session was lost before the last one only repeats its call
	refused bool // by vCenter, at a later login: the password has changed

	hosts exports
}

// Connect logs in. TLS is verified against conf.Thumbprint, else conf.CAFile, else the machine's
// own authorities. It uses no proxy.
func Connect(ctx context.Context, conf migration.VSphere, username, password string) (*Session, error) {
	return connect(ctx, conf, username, password, keepAlive)
}

func connect(ctx context.Context, conf migration.VSphere, username, password string, every time.Duration) (*Session, error) {
	u, err := soap.ParseURL(conf.URL)
	if err != nil || u == nil || u.Host == "" {
		return nil, fmt.Errorf("vCenter %q is not a URL such as https://vcenter.example/sdk", conf.URL)
	}
	u.User = nil
	sc := soap.NewClient(u, false)
	if err := trust(sc, u, conf); err != nil {
		return nil, fmt.Errorf("vCenter %s: %w", u.Host, err)
	}
	bare, err := vim25.NewClient(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("vCenter %s: %w", u.Host, err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx)) // it outlives whoever asked for it first
	s := &Session{conf: conf, user: url.UserPassword(username, password), bare: bare, stop: stop, over: make(chan struct{}), page: pageSize}
	renewing := *bare
	renewing.RoundTripper = &again{s}
	s.Client = &renewing
	if err := s.logIn(ctx, 0); err != nil {
		stop()
		return nil, err
	}
	go func() {
		defer close(s.over)
		s.stayAlive(run, every)
	}()
	return s, nil
}

// logIn logs in, unless somebody else has since the caller saw so many logins.
func (s *Session) logIn(ctx context.Context, seen int) error {
	s.login.Lock()
	defer s.login.Unlock()
	if s.logins > seen {
		return nil
	}
	if s.refused {
		return s.refusal()
	}
	err := session.NewManager(s.bare).Login(ctx, s.user)
	switch {
	case fault.Is(err, &types.InvalidLogin{}):
		s.refused = true
		return s.refusal()
	case err != nil:
		return fmt.Errorf("log in to vCenter %s as %s: %w", s.URL().Host, s.user.Username(), err)
	}
	s.logins++
	return nil
}

// logInTo logs in to another of vCenter's services with the same user, one caller at a time: of a
// password that has changed it must hear once, and not once for each caller.
func (s *Session) logInTo(ctx context.Context, service string, login func(context.Context, *url.Userinfo) error) error {
	s.login.Lock()
	defer s.login.Unlock()
	if s.refused {
		return s.refusal()
	}
	err := login(ctx, s.user)
	switch {
	case rest.IsStatusError(err, http.StatusUnauthorized):
		s.refused = true
		return s.refusal()
	case err != nil:
		return fmt.Errorf("log in to the %s of vCenter %s as %s: %w", service, s.URL().Host, s.user.Username(), err)
	}
	return nil
}

func (s *Session) refusal() error {
	return fmt.Errorf("vCenter %s, user %s: %w: correct the secret %s", s.URL().Host, s.user.Username(), ErrCredentials, s.conf.Credentials)
}

func (s *Session) state() (logins int, refused bool) {
	s.login.Lock()
	defer s.login.Unlock()
	return s.logins, s.refused
}

// stayAlive asks for the time now and then.
func (s *Session) stayAlive(ctx context.Context, every time.Duration) {
	each(ctx, every, func() bool {
		_, _ = methods.GetCurrentTime(ctx, s) // a session that is gone is renewed by this call, or by the next
		return true
	})
}

// each does something again and again, with a time between, until it says that it is enough or ctx
// ends.
func each(ctx context.Context, every time.Duration, do func() (again bool)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if !do() {
				return
			}
		}
	}
}

// leave gives the session up to those who still read by it: vCenter ends it when it is idle.
func (s *Session) leave() { s.stop() }

// Close logs out. Nothing logs in again behind it: the call that keeps the session alive has ended
// first.
func (s *Session) Close() {
	s.stop()
	<-s.over
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = session.NewManager(s.bare).Logout(ctx) // vCenter ends idle sessions by itself
	s.bare.CloseIdleConnections()
}

// again repeats a call once after logging in, when vCenter says that it does not know the session.
type again struct{ s *Session }

// RoundTrip calls, and calls again after a login.
func (a *again) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	seen, _ := a.s.state()
	err := a.s.bare.RoundTrip(ctx, req, res)
	if !fault.Is(err, &types.NotAuthenticated{}) {
		return err
	}
	if err := a.s.logIn(ctx, seen); err != nil {
		return err
	}
	reflect.ValueOf(res).Elem().SetZero() // or the fault of the first answer would be seen in the second
	return a.s.bare.RoundTrip(ctx, req, res)
}
