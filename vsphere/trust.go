package vsphere

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/soap"

	"github.com/drover-migration/drover/migration"
)

// ErrUntrusted says that nobody vouches for a certificate, or that the plan cannot say who does:
// somebody has to look, a repetition does not help.
var ErrUntrusted = errors.New("it cannot be trusted")

// Lengths of thumbprints as vCenter writes them, "AB:CD:..".
const (
	sha1Length   = 20*3 - 1
	sha256Length = 32*3 - 1
)

// verifier says whose certificates are accepted.
type verifier struct {
	client *soap.Client // knows the thumbprints that leases named
	home   string       // host:port of vCenter
	pin    string       // its thumbprint; empty: by authorities
	roots  *x509.CertPool
	dialer net.Dialer
}

// trust makes a client verify what it talks to. govmomi's own dialler would accept any certificate
// that the machine's authorities signed even where the plan names a thumbprint, and it cannot be
// interrupted.
func trust(sc *soap.Client, u *url.URL, conf migration.VSphere) error {
	v := &verifier{client: sc, home: address(u), pin: strings.ToUpper(strings.TrimSpace(conf.Thumbprint)),
		dialer: net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}}
	if v.pin != "" && len(v.pin) != sha1Length && len(v.pin) != sha256Length {
		return fmt.Errorf("%w: thumbprint %q is neither a SHA-1 nor a SHA-256 in colon-separated hex", ErrUntrusted, conf.Thumbprint)
	}
	if conf.CAFile != "" {
		if err := sc.SetRootCAs(conf.CAFile); err != nil {
			return fmt.Errorf("%w: read the certificate authorities: %w", ErrUntrusted, err)
		}
		v.roots = sc.DefaultTransport().TLSClientConfig.RootCAs
	}
	t := sc.DefaultTransport()
	t.Proxy = nil // a vCenter is next to its worker, and a proxy would see the disks
	t.DialContext = v.dialer.DialContext
	t.DialTLSContext = v.dial
	t.ResponseHeaderTimeout = 10 * time.Minute // an ESXi host opens a disk before it answers
	return nil
}

func address(u *url.URL) string {
	if u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), "443")
	}
	return u.Host
}

// dial connects to vCenter, or to a host that a lease names: that one is verified by the same
// authorities, or by the thumbprint that the lease gave, which came over a connection that was
// verified.
func (v *verifier) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if addr == v.home && v.pin != "" {
		return v.pinned(ctx, network, addr, v.pin)
	}
	d := tls.Dialer{NetDialer: &v.dialer, Config: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: v.roots}}
	conn, err := d.DialContext(ctx, network, addr)
	if err == nil || addr == v.home || !soap.IsCertificateUntrusted(err) {
		return conn, hint(err)
	}
	print := v.client.Thumbprint(addr)
	if print == "" {
		return nil, hint(err)
	}
	return v.pinned(ctx, network, addr, strings.ToUpper(print))
}

// hint says what to do about a certificate that nobody vouches for.
func hint(err error) error {
	if err != nil && soap.IsCertificateUntrusted(err) {
		return fmt.Errorf("%w: %w: give the site's caFile or thumbprint", ErrUntrusted, err)
	}
	return err
}

// pinned accepts exactly the certificate with this thumbprint.
func (v *verifier) pinned(ctx context.Context, network, addr, print string) (net.Conn, error) {
	d := tls.Dialer{NetDialer: &v.dialer, Config: &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, //nolint:gosec // verified below, by thumbprint
		VerifyConnection: func(c tls.ConnectionState) error {
			if len(c.PeerCertificates) == 0 {
				return errors.New("it shows no certificate")
			}
			got := soap.ThumbprintSHA256(c.PeerCertificates[0])
			if len(print) == sha1Length {
				got = soap.ThumbprintSHA1(c.PeerCertificates[0])
			}
			if got != print {
				return fmt.Errorf("%w: the certificate of %s has the thumbprint %s, and %s is expected", ErrUntrusted, addr, got, print)
			}
			return nil
		},
	}}
	return d.DialContext(ctx, network, addr)
}
