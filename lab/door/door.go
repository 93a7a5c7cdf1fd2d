package door

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

// Request is what a hook may know of a request.
type Request struct {
	Method, Path string
	Query        string // as it was sent
	Service      string // that the request is signed for, as IAM names it: elasticloadbalancing, s3; empty: it is not signed
	Action       string // of AWS's query and JSON protocols: ModifyRule, GetSecretValue; else empty
	Body         []byte // whole
}

// Verdict says what becomes of a request. The zero value lets it pass.
type Verdict struct {
	Status int    // answered in place of the service, which is not asked; 0: the service is asked
	Body   string // of that answer
	Hang   bool   // the service is not asked, and the client waits until it gives up
	Cut    bool   // the service is not asked, and the connection is lost
	Lose   bool   // the service is asked, and its answer is lost with the connection
}

// Hook sees every request, from many goroutines. While it runs the request is held. What passes
// after its client has gone still reaches the service.
type Hook func(context.Context, Request) Verdict

// Door is a running proxy.
type Door struct {
	server   *http.Server
	listener net.Listener

	mu   sync.Mutex
	hook Hook
}

// Open listens on loopback and forwards to upstream, a URL. Signatures stay good: the service sees
// the host that the client signed.
func Open(upstream string) (*Door, error) {
	to, err := url.Parse(upstream)
	if err != nil {
		return nil, fmt.Errorf("door to %s: %w", upstream, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("door to %s: %w", upstream, err)
	}
	d := &Door{listener: l}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = to.Scheme, to.Host, r.In.Host
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	d.server = &http.Server{Handler: d.handle(proxy)} //nolint:gosec // a lab's own clients on loopback
	go func() { _ = d.server.Serve(l) }()
	return d, nil
}

// URL is where clients ask.
func (d *Door) URL() string { return "http://" + d.listener.Addr().String() }

// Close ends the proxy and every connection through it.
func (d *Door) Close() { _ = d.server.Close() }

// Set installs the hook; nil lets everything pass.
func (d *Door) Set(h Hook) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hook = h
}

func (d *Door) handle(proxy http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		hook := d.hook
		d.mu.Unlock()
		if hook == nil {
			proxy.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		v := hook(r.Context(), Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Service: signedFor(r),
			Action: action(r, body), Body: body})
		// Without a Done channel ReverseProxy would watch the client's connection itself.
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		passed := r.WithContext(ctx)
		passed.Body = io.NopCloser(bytes.NewReader(body))
		switch {
		case v.Hang:
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		case v.Cut:
			panic(http.ErrAbortHandler)
		case v.Status != 0:
			w.WriteHeader(v.Status)
			_, _ = io.WriteString(w, v.Body)
		case v.Lose:
			proxy.ServeHTTP(&lost{header: http.Header{}}, passed)
			panic(http.ErrAbortHandler)
		default:
			proxy.ServeHTTP(w, passed)
		}
	})
}

// signedFor is the service in the scope of a request's signature
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
func signedFor(r *http.Request) string {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	credential, _, _ := strings.Cut(rest, ",")
	scope := strings.Split(credential, "/")
	if len(scope) != 5 {
		return ""
	}
	return scope[3]
}

// action is the operation that a request of AWS's names.
func action(r *http.Request, body []byte) string {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return target[strings.LastIndexByte(target, '.')+1:]
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		if form, err := url.ParseQuery(string(body)); err == nil {
			return form.Get("Action")
		}
	}
	return ""
}

// lost takes an answer that nobody hears.
type lost struct{ header http.Header }

func (l *lost) Header() http.Header         { return l.header }
func (l *lost) Write(b []byte) (int, error) { return len(b), nil }
func (l *lost) WriteHeader(int)             {}
