package aws

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/drover-migration/drover/lab/process"
)

// extension is the Python package that extends moto, carried along so that the lab's binary needs
// no checkout.
//
//go:embed labaws/*.py
var extension embed.FS

// Options of moto.
type Options struct {
	Tools       string // folder of the lab's tools: its venv has moto
	Dir         string // for the extension and the log; made if missing
	Listen      string // host:port; port 0: any free one
	RDSEndpoint string // host:port at which every PostgreSQL instance is said to be; empty: moto's invented names
	// Spreads is how long a change of Route 53 is PENDING; 0: a second.
	Spreads time.Duration
}

// AWS is a running moto.
type AWS struct{ server }

// server is a child that answers HTTP.
type server struct {
	process *process.Process
	url     string
}

// Endpoint is the URL for AWS_ENDPOINT_URL.
func (s *server) Endpoint() string { return s.url }

// Close stops it.
func (s *server) Close() error { s.process.Close(); return nil }

// Start starts moto with the lab's extension and waits until it answers. It dies with the lab.
func Start(ctx context.Context, o Options) (*AWS, error) {
	if err := unpack(o.Dir); err != nil {
		return nil, fmt.Errorf("unpack moto's extension: %w", err)
	}
	listen, err := address(o.Listen)
	if err != nil {
		return nil, err
	}
	args := []string{"-m", "labaws", "--listen", listen}
	if o.RDSEndpoint != "" {
		args = append(args, "--rds", o.RDSEndpoint)
	}
	if o.Spreads != 0 {
		args = append(args, "--spreads", fmt.Sprint(o.Spreads.Seconds()))
	}
	a := &AWS{server{url: "http://" + listen}}
	// Each account has state of its own unless MOTO_ACCOUNT_ID pins them all to one.
	env := append(without(os.Environ(), "MOTO_ACCOUNT_ID"), "PYTHONPATH="+o.Dir, "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1")
	a.process, err = process.Start(process.Options{Name: "moto", Path: filepath.Join(o.Tools, "venv", "bin", "python"), Args: args,
		Env: env, Dir: o.Dir, LogDir: o.Dir})
	if err != nil {
		return nil, err
	}
	return a, a.await(ctx, a.url+"/lab/ready", http.StatusOK)
}

// await waits until the child answers with a status, and closes it when it does not.
func (s *server) await(ctx context.Context, url string, status int) error {
	err := s.process.Ready(ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		_ = res.Body.Close()
		if res.StatusCode != status {
			return errors.New(res.Status)
		}
		return nil
	})
	if err != nil {
		_ = s.Close()
	}
	return err
}

func unpack(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "labaws"), 0o755); err != nil {
		return err
	}
	return fs.WalkDir(extension, "labaws", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := extension.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "labaws", path.Base(name)), b, 0o644)
	})
}

// address replaces port 0 by a free port.
func address(listen string) (string, error) {
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return "", fmt.Errorf("find a port at %s: %w", listen, err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

func without(env []string, name string) (out []string) {
	for _, e := range env {
		if len(e) <= len(name) || e[:len(name)+1] != name+"=" {
			out = append(out, e)
		}
	}
	return out
}
