package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	temporalclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/config"
	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/internal/secrets"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/board"
)

// webOptions are how the board is served.
type webOptions struct {
	listen, url       string
	cert, certKey     string
	tokens, key       string
	audit, identity   string
	every, session    time.Duration
	issuer, clientID  string
	secret, roleClaim string
	roles             []string
	temporalUI        string
}

func (a *app) webCommand() *cobra.Command {
	var o webOptions
	cmd := &cobra.Command{
		Use:   "web",
		Short: "Serve the board: the pages on which people follow a migration",
		Long: `Serves the board until it is interrupted. People sign in with a token from a
file, by an OpenID Connect provider, or see one customer by a signed link. Any
number of boards may run; they read Temporal and keep no state.

A viewer looks, an operator or a lead also approves, pauses, resumes, holds,
retries and rolls back, under the name of the sign-in. Whatever anybody did or
was refused is a line of the audit. With --identity-key commands carry the name
signed: workers that have the public key (drover worker --identity-keys) take no
others, and people sign in here for their command line (drover login).

Without TLS the board listens on loopback alone, unless --url begins with
https://: then a proxy before it ends TLS.`,
		Example: `  drover web token ann --role lead
  drover web --tokens board.tokens --key-file board.key
  drover web --listen :8443 --tls-cert board.pem --tls-key board-key.pem \
    --url https://board.example --oidc-issuer https://login.example \
    --oidc-client-id drover --oidc-client-secret env://DROVER_OIDC_SECRET \
    --oidc-role migration-leads=lead --oidc-role staff=viewer`,
		Args: asInput(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.web(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:8088", "address to listen on")
	f.StringVar(&o.url, "url", "", "address by which browsers reach the board")
	f.StringVar(&o.cert, "tls-cert", "", "PEM file of the certificate, with its chain")
	f.StringVar(&o.certKey, "tls-key", "", "PEM file of the certificate's key")
	f.StringVar(&o.tokens, "tokens", "", "file of people who sign in by token (drover web token)")
	f.StringVar(&o.key, "key-file", "", "file of the secret that sessions and links are made from, 32 bytes or more "+
		"(default a new one, which ends with the process)")
	f.StringVar(&o.identity, "identity-key", "", "file of the key that names are signed with: in commands, and for command lines "+
		"(drover web key)")
	f.StringVar(&o.audit, "audit", "-", "file that the audit is appended to; -: standard error")
	f.DurationVar(&o.every, "every", board.DefaultEvery, "how often to read a migration that somebody looks at")
	f.DurationVar(&o.session, "session", access.SessionLife, "how long a sign-in is good")
	f.StringVar(&o.issuer, "oidc-issuer", "", "OpenID Connect provider that people sign in by")
	f.StringVar(&o.clientID, "oidc-client-id", "", "the board's name at the provider")
	f.StringVar(&o.secret, "oidc-client-secret", "", "reference to the board's secret there: env://NAME or file:///path")
	f.StringVar(&o.roleClaim, "oidc-role-claim", "roles", "claim of the ID token that names roles or groups")
	f.StringArrayVar(&o.roles, "oidc-role", nil, "VALUE=ROLE: who has VALUE in the claim is a viewer, success, operator or lead; may be "+
		"repeated")
	f.StringVar(&o.temporalUI, "temporal-ui", "", "address of the Temporal UI, such as https://temporal.example: what is encrypted there "+
		"is decoded here for operators who have signed in")
	cmd.AddCommand(a.webTokenCommand(), a.webLinkCommand(), a.webKeyCommand())
	return cmd
}

// check refuses what would let nobody in, or would send sessions over a network in clear.
func (o webOptions) check() error {
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return inputError("write it as host:port, such as 127.0.0.1:8088", "--listen %s: %v", o.listen, err)
	}
	ip := net.ParseIP(host)
	loopback := host == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case o.tokens == "" && o.issuer == "":
		return inputError("make a token with `drover web token NAME --role lead`, put its line into a file and give that with --tokens",
			"nobody could sign in: neither --tokens nor --oidc-issuer is given")
	case (o.cert == "") != (o.certKey == ""):
		return inputError("give both", "--tls-cert and --tls-key belong together")
	case o.cert == "" && !loopback && !strings.HasPrefix(o.url, "https://"):
		return inputError("give --tls-cert and --tls-key, or --url https://... where a proxy ends TLS",
			"--listen %s without TLS would send sessions over the network in clear", o.listen)
	case o.every < 100*time.Millisecond:
		return inputError("give a time such as 1s", "--every %s is too often", o.every)
	case o.session <= 0:
		return inputError("give a time such as 12h", "--session %s is not a positive time", o.session)
	case o.issuer != "" && (o.clientID == "" || o.url == "" || len(o.roles) == 0):
		return inputError("give --oidc-client-id, --url and at least one --oidc-role VALUE=ROLE",
			"--oidc-issuer alone does not say who the board is, where people come back to, and who may do what")
	}
	if u, err := url.Parse(o.temporalUI); o.temporalUI != "" && (err != nil || u.Host == "" || u.Scheme == "" || u.Path != "") {
		return inputError("give the address without a path, such as https://temporal.example", "--temporal-ui %s is no address of a site",
			o.temporalUI)
	}
	if u, err := url.Parse(o.url); o.url != "" && (err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "") {
		return inputError("give the address without a path, such as https://board.example", "--url %s is no address of a site", o.url)
	}
	return nil
}

// tls says whether browsers reach the board by TLS.
func (o webOptions) tls() bool { return o.cert != "" || strings.HasPrefix(o.url, "https://") }

func (a *app) web(ctx context.Context, o webOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	opts, err := a.options()
	if err != nil {
		return err
	}
	log, err := a.logger()
	if err != nil {
		return err
	}
	audit, done, err := a.auditTo(o.audit)
	if err != nil {
		return err
	}
	defer done()
	made := web.Options{Audit: web.NewAudit(audit, log), Log: log, From: sender(), TLS: o.tls()}
	if made.Key, err = o.readKey(); err != nil {
		return err
	}
	if o.tokens != "" {
		if made.Tokens, err = access.OpenTokens(o.tokens); err != nil {
			return &badInput{err: err, next: "make lines for it with `drover web token NAME`"}
		}
	}
	if o.issuer != "" {
		if made.OIDC, err = o.provider(ctx, made.Key); err != nil {
			return err
		}
	}
	if o.identity != "" {
		if made.Authority, err = identity.ReadAuthority(o.identity); err != nil {
			return &badInput{err: err, next: "make one with `drover web key " + o.identity + "`"}
		}
	}
	if o.temporalUI != "" {
		said, err := config.Payloads()
		if err != nil {
			return &badInput{err: err, next: "give the board the keys that the workers have"}
		}
		made.Decoding = &web.Decoding{Codec: converter.NewPayloadCodecHTTPHandler(said.Codecs...), Origin: o.temporalUI}
	}
	made.Sessions = access.NewSessions(made.Key, o.session, made.TLS, made.Tokens)
	// It connects when it is first asked: a board that starts while Temporal is down says so on its
	// pages.
	t, err := temporalclient.NewLazyClient(opts)
	if err != nil {
		return client.Unreachable(opts.HostPort, err)
	}
	defer t.Close()
	c := client.New(t).Under(opts)
	reading, stop := context.WithCancel(ctx)
	defer stop()
	made.Hub, made.Commands = board.NewHub(reading, c, o.every), c
	made.As = func(h *identity.Holder) web.Commands { return c.As(opts.Namespace, h) }
	defer func() { stop(); made.Hub.Wait() }()
	return a.serveBoard(ctx, o, web.New(ctx, made))
}

func (a *app) serveBoard(ctx context.Context, o webOptions, pages http.Handler) error {
	listening, err := net.Listen("tcp", o.listen)
	if err != nil {
		return &client.Problem{Doing: "serve the board", Why: err.Error(), Next: "give another address with --listen"}
	}
	server := &http.Server{Handler: pages}
	serve := func() error { return server.Serve(listening) }
	at := "http://" + listening.Addr().String()
	if o.cert != "" {
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		serve, at = func() error { return server.ServeTLS(listening, o.cert, o.certKey) }, "https://"+listening.Addr().String()
	}
	if o.url != "" {
		at = o.url
	}
	_, _ = fmt.Fprintf(a.err, "board: %s, until Ctrl-C\n", at)
	return web.Serve(ctx, server, serve)
}

func (o webOptions) readKey() (*access.Key, error) {
	if o.key == "" {
		return access.RandomKey(), nil
	}
	k, err := access.ReadKey(o.key)
	if err != nil {
		return nil, &badInput{err: err, next: "make one with `(umask 077; head -c 32 /dev/urandom | base64 > " + o.key + ")`"}
	}
	return k, nil
}

func (o webOptions) provider(ctx context.Context, key *access.Key) (*access.OIDC, error) {
	opts := access.OIDCOptions{Issuer: o.issuer, ClientID: o.clientID, RedirectURL: strings.TrimRight(o.url, "/") + "/signin/oidc/back",
		RoleClaim: o.roleClaim, Roles: map[string]access.Role{}}
	for _, r := range o.roles {
		value, name, _ := strings.Cut(r, "=")
		role, err := access.ParseRole(name)
		if err != nil || value == "" {
			return nil, inputError("write it as VALUE=viewer, VALUE=success, VALUE=operator or VALUE=lead",
				"--oidc-role %s gives no role", r)
		}
		opts.Roles[value] = role
	}
	if o.secret != "" {
		secret, err := secrets.New(nil).Resolve(ctx, migration.SecretRef(o.secret))
		if err != nil {
			return nil, &badInput{err: err, next: "give --oidc-client-secret as env://NAME or file:///path"}
		}
		opts.ClientSecret = secret
	}
	ask, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	p, err := access.NewOIDC(ask, opts, key, o.tls())
	if err != nil {
		return nil, &client.Problem{Kind: client.ErrUnreachable, Doing: "serve the board", Why: err.Error(), Err: err,
			Next: "check --oidc-issuer and the network"}
	}
	return p, nil
}

// auditTo opens what the audit is appended to.
func (a *app) auditTo(path string) (io.Writer, func(), error) {
	if path == "-" {
		return a.err, func() {}, nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, &badInput{err: fmt.Errorf("open the audit: %w", err), next: "give a file that may be written with --audit"}
	}
	return f, func() { _ = f.Close() }, nil
}

func (a *app) webKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key FILE",
		Short: "Make the key that the board signs names with",
		Long: `Writes a new private key (ed25519, PKCS 8) to FILE, which must not exist, and
prints its public key, which the workers have in the file of --identity-keys.
Whoever reads FILE can give commands under any name. To change the key, let the
workers have both public keys for as long as a sign-in lasts.`,
		Example: `  drover web key board-identity.pem > identity-keys.pem`,
		Args:    asInput(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			made, err := identity.WriteAuthority(args[0])
			if err != nil {
				return &badInput{err: err, next: "give a FILE that is not there yet, in a folder that is"}
			}
			public, err := made.Public()
			if err == nil {
				_, err = a.out.Write(public)
			}
			return err
		},
	}
}

func (a *app) webTokenCommand() *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use:   "token NAME",
		Short: "Make a token by which a person signs in to the board",
		Long: `Prints a token, for the person alone, and the line by which the board knows it,
for the file that "drover web --tokens" reads. The token itself is in no file:
who loses it gets a new one. A line that is taken out of the file ends the
sessions that began with it.`,
		Example: `  drover web token ann --role operator`,
		Args:    asInput(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := access.ParseRole(role)
			if err != nil {
				return &badInput{err: err, next: "give --role viewer, success, operator or lead"}
			}
			token, line, err := access.NewToken(args[0], r)
			if err != nil {
				return &badInput{err: err, next: "give another NAME"}
			}
			_, err = fmt.Fprintf(a.out, "token, for %s alone: %s\nline for the file:   %s\n", args[0], token, line)
			return err
		},
	}
	cmd.Flags().StringVar(&role, "role", string(access.Viewer), "viewer, success, operator or lead")
	completes(cmd, "role", string(access.Viewer), string(access.Success), string(access.Operator),
		string(access.Lead))
	return cmd
}

func (a *app) webLinkCommand() *cobra.Command {
	var (
		o    webOptions
		good time.Duration
	)
	cmd := &cobra.Command{
		Use:   "link PLAN CUSTOMER",
		Short: "Make a read-only link to one customer's page",
		Long: `Prints a link that shows one customer, to whoever has it, until it runs out. It
shows where the customer is, its window and what its Moves measured, and no free
text, which may name others. The key file must be the one that the board has; a
new key ends all links. Where Temporal answers, the customer is looked up.`,
		Example: `  drover web link orders acme --for 336h --key-file board.key \
    --url https://board.example`,
		Args: asInput(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.key == "":
				return inputError("give the file that `drover web` has with --key-file", "a link is signed with the board's key")
			case o.url == "":
				return inputError("give --url https://...", "a link needs the address of the board")
			case good <= 0 || good > access.LongestLink:
				return inputError(fmt.Sprintf("give at most %s", access.LongestLink), "--for %s is no time that a link may be good", good)
			}
			key, err := o.readKey()
			if err != nil {
				return err
			}
			if err := a.linkLeads(cmd.Context(), args[0], args[1]); err != nil {
				return err
			}
			expires := time.Now().Add(good)
			link, err := key.Link(args[0], args[1], expires)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "%s/link/%s\n", strings.TrimRight(o.url, "/"), link)
			return errors.Join(err, a.linkNote(expires))
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.key, "key-file", "", "file of the secret that the board has")
	f.StringVar(&o.url, "url", "", "address by which browsers reach the board")
	f.DurationVar(&good, "for", 14*24*time.Hour, "how long the link is good")
	return cmd
}

// linkLeads refuses a link to a customer that the plan does not have, or to a plan that there is
// not: whoever gets it could not tell. Whatever else keeps the customer from being found is said: a
// link needs no Temporal, and no workflow of the customer's.
func (a *app) linkLeads(ctx context.Context, plan, customer string) error {
	var none error
	err := a.connected(ctx, func(ctx context.Context, c *client.Client) error {
		_, err := c.Execution(ctx, client.Aim{Plan: plan, Customer: customer})
		if !errors.Is(err, client.ErrNotFound) {
			return err
		}
		if _, gone := c.Execution(ctx, client.Aim{Plan: plan}); errors.Is(gone, client.ErrNotFound) {
			none = err
			return nil
		}
		spec, unread := c.Spec(ctx, plan)
		none, err = leadsNowhere(spec, unread, customer, err)
		return err
	})
	if none != nil || err == nil {
		return none
	}
	_, err = fmt.Fprintf(a.err, "whether plan %s has a customer %s was not looked up: %s\n", plan, customer, printer.Plain(err.Error()))
	return err
}

// leadsNowhere says of a customer without a workflow whether a link to it is refused, or what is
// said beside the link. missing is what was said of the workflow, unread why there is no spec.
func leadsNowhere(spec *migration.Spec, unread error, customer string, missing error) (refused, warn error) {
	if unread != nil || spec == nil {
		return nil, cmp.Or(unread, missing)
	}
	if _, ok := spec.Customer(customer); !ok {
		return missing, nil
	}
	return nil, nil
}

// linkNote goes to standard error: what is printed is the link alone.
func (a *app) linkNote(expires time.Time) error {
	_, err := fmt.Fprintf(a.err, "good until %s, for whoever has it\n", stamp(expires))
	return err
}
