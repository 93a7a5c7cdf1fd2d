package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/config"
	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/internal/secrets"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web"
)

// signedIn is the file of a sign-in: the key never leaves it.
type signedIn struct {
	Board string `json:"board"`
	Pass  string `json:"pass"`
	Key   []byte `json:"key"` // ed25519 seed
}

// loginFile is where the sign-in of this user is.
func loginFile() (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "drover", "login.json"), err
}

// holder is who has signed in here; nil: nobody.
func holder() (*identity.Holder, error) {
	path, err := loginFile()
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // a user without a home has signed in nowhere
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // nobody
	}
	var in signedIn
	if err == nil {
		err = json.Unmarshal(b, &in)
	}
	if err == nil && len(in.Key) != ed25519.SeedSize {
		err = errors.New("its key is not whole")
	}
	var h *identity.Holder
	if err == nil {
		h, err = identity.NewHolder(in.Pass, ed25519.NewKeyFromSeed(in.Key))
	}
	if err != nil {
		return nil, inputError("run `drover logout`, then `drover login`", "read the sign-in of %s: %v", path, err)
	}
	if ends := h.Who().Expires; !time.Now().Before(ends) {
		return nil, inputError("sign in again with `drover login "+in.Board+"`, or end it with `drover logout`",
			"the sign-in of %s has run out at %s", h.Who().Name, stamp(ends))
	}
	return h, nil
}

// signer is the client for whoever has signed in here. A sign-in that is not good is said where it
// is needed: whoever only looks needs none.
func signer(c *client.Client, namespace string) *client.Client {
	if h, err := holder(); err == nil && h != nil {
		return c.As(namespace, h)
	}
	return c
}

// who asks: whom --by names, or who has signed in, or $USER.
func who(by string) string {
	if by == "" {
		if h, err := holder(); err == nil && h != nil {
			return h.Who().Name
		}
	}
	return config.Who(by)
}

func (a *app) loginCommand() *cobra.Command {
	var token string
	cmd := &cobra.Command{
		Use:   "login [BOARD]",
		Short: "Sign in at the board, so that commands are signed with your name",
		Long: `Signs in at the board (drover web --identity-key), in your browser: every
command from here carries the name that you have there, signed, and --by is not
needed. Workers with --identity-keys take no others. The sign-in is good as long
as one at the board is.

Without a browser on this machine, open the link elsewhere and paste what the
page shows; or give a token of the board by reference.

The key is made here and never leaves this machine. Without BOARD it says who
has signed in.`,
		Example: `  drover login https://board.example
  drover login https://board.example --token env://DROVER_TOKEN
  drover login`,
		Args: asInput(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.sayWho()
			}
			board := strings.TrimRight(args[0], "/")
			if u, err := url.Parse(board); err != nil || u.Host == "" || u.Scheme != "https" && !isLoopback(u) {
				return inputError("give its address as the browser has it, such as https://board.example",
					"%s is no address of a board that a name may be sent to", args[0])
			}
			return a.login(cmd.Context(), board, migration.SecretRef(token))
		},
	}
	cmd.Flags().StringVar(&token, "token", "", "reference to a token of the board, in place of a browser: env://NAME or file:///path")
	return cmd
}

// isLoopback says whether a board is on this machine: no TLS is needed to reach it.
func isLoopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

func (a *app) sayWho() error {
	h, err := holder()
	switch {
	case err != nil:
		return err
	case h == nil:
		_, err = fmt.Fprintf(a.out, "nobody has signed in: commands go under the name that --by gives, unsigned\n")
	default:
		err = a.saySignedIn(h)
	}
	return err
}

func (a *app) saySignedIn(h *identity.Holder) error {
	_, err := fmt.Fprintf(a.out, "signed in as %s (%s) until %s\n", h.Who().Name, h.Who().Role, stamp(h.Who().Expires))
	return err
}

func (a *app) login(ctx context.Context, board string, token migration.SecretRef) error {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	var pass string
	if token != "" {
		pass, err = passByToken(ctx, board, token, public)
	} else {
		pass, err = a.passByBrowser(ctx, board, public)
	}
	if err != nil {
		return err
	}
	h, err := identity.NewHolder(pass, key)
	if err != nil {
		return &client.Problem{Doing: "sign in at " + board, Why: err.Error(), Next: "begin again with `drover login " + board + "`"}
	}
	if err := keepLogin(board, pass, key); err != nil {
		return err
	}
	return a.saySignedIn(h)
}

// keepLogin writes the sign-in for the commands to come.
func keepLogin(board, pass string, key ed25519.PrivateKey) error {
	path, err := loginFile()
	if err != nil {
		return fmt.Errorf("keep the sign-in: %w", err)
	}
	b, err := json.Marshal(signedIn{Board: board, Pass: pass, Key: key.Seed()})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep the sign-in: %w", err)
	}
	if err := replaceFile(path, b); err != nil {
		return fmt.Errorf("keep the sign-in: %w", err)
	}
	return nil
}

// replaceFile writes a file that nobody else may read, whole or not at all.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".drover-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func encoded(public ed25519.PublicKey) string { return base64.RawURLEncoding.EncodeToString(public) }

// passByToken shows the board a token.
func passByToken(ctx context.Context, board string, ref migration.SecretRef, public ed25519.PublicKey) (string, error) {
	doing := "sign in at " + board
	token, err := secrets.New(nil).Resolve(ctx, ref)
	if err != nil {
		return "", &badInput{err: err, next: "give --token as env://NAME or file:///path"}
	}
	ctx, cancel := context.WithTimeout(ctx, client.DefaultTimeout)
	defer cancel()
	form := url.Values{"token": {token}, "key": {encoded(public)}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, board+"/login/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	plain := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := plain.Do(r)
	if err != nil {
		return "", &client.Problem{Kind: client.ErrUnreachable, Doing: doing, Why: err.Error(), Err: err,
			Next: "see that the board runs there"}
	}
	defer func() { _ = res.Body.Close() }()
	var answer web.LoginAnswer
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&answer); err != nil {
		return "", &client.Problem{Doing: doing, Why: "what answers there is no board of this version (" + res.Status + ")",
			Next: "correct the address"}
	}
	if answer.Pass == "" {
		return "", &client.Problem{Kind: client.ErrRefused, Doing: doing, Why: answer.Why,
			Next: "sign in with the browser: leave --token out"}
	}
	return answer.Pass, nil
}

// loginWait is how long a person may take to sign in with the browser and to say yes.
var loginWait = 10 * time.Minute

// passByBrowser prints the page on which the person says yes, and waits until the browser hands the
// pass over, or the person pastes it.
func (a *app) passByBrowser(ctx context.Context, board string, public ed25519.PublicKey) (string, error) {
	link := board + "/login?key=" + encoded(public)
	got := make(chan string, 2)
	listening, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			pass := r.URL.Query().Get("pass")
			if pass == "" {
				http.NotFound(w, r)
				return
			}
			_, _ = io.WriteString(w, "drover has it. This page may be closed.\n")
			select {
			case got <- pass:
			default: // it has one
			}
		})}
		defer func() { _ = server.Shutdown(context.WithoutCancel(ctx)) }() // the page is answered first
		go func() { _ = server.Serve(listening) }()
		link += "&port=" + listening.Addr().String()[strings.LastIndex(listening.Addr().String(), ":")+1:]
	}
	_, _ = fmt.Fprintf(a.err, "open this in a browser, and see that it shows the code %s:\n\n  %s\n\n"+
		"then go on there, or paste here what the page shows. It waits for %s:\n", web.LoginCode(public), link, printer.Duration(loginWait))
	go func() {
		in := bufio.NewScanner(a.in)
		for in.Scan() {
			if line := strings.TrimSpace(in.Text()); line != "" {
				got <- line
				return
			}
		}
	}()
	select {
	case pass := <-got:
		return pass, nil
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(loginWait):
		return "", &client.Problem{Kind: client.ErrRefused, Doing: "sign in at " + board,
			Why:  "nobody went on in a browser within " + printer.Duration(loginWait),
			Next: "begin again with `drover login " + board + "`; where nobody is there, give a token of the board with --token"}
	}
}

func (a *app) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "Forget who has signed in on this machine",
		Long: `Takes the sign-in of drover login away, with its key: nothing can be signed with
it any more.`,
		Example: `  drover logout`,
		Args:    asInput(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			path, err := loginFile()
			if err != nil {
				return err
			}
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("forget the sign-in: %w", err)
			}
			_, err = fmt.Fprintf(a.out, "nobody is signed in any more\n")
			return err
		},
	}
}
