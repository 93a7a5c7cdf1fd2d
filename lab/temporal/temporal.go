// Package temporal starts Temporal's own dev server, with its UI, for the lab.
package temporal

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/drover-migration/drover/lab/process"
)

// Options of the server.
type Options struct {
	Tools string // folder with bin/temporal
	Dir   string // database and log
	IP    string // loopback address of its own
	Port  int    // of the frontend
	UI    int    // port of the UI; 0: none
}

// Server is a running dev server.
type Server struct {
	*process.Process
	opts Options
}

// Start starts the server and waits until it answers.
func Start(ctx context.Context, o Options) (*Server, error) {
	// WAL is worth a factor of two to three on SQLite.
	args := []string{
		"server", "start-dev", "--ip", o.IP, "--port", strconv.Itoa(o.Port), "--db-filename", filepath.Join(o.Dir, "temporal.db"),
		"--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal", "--log-level", "error",
	}
	if o.UI == 0 {
		args = append(args, "--headless")
	} else {
		args = append(args, "--ui-ip", o.IP, "--ui-port", strconv.Itoa(o.UI))
	}
	p, err := process.Start(process.Options{Name: "temporal", Path: filepath.Join(o.Tools, "bin", "temporal"), Args: args, LogDir: o.Dir})
	if err != nil {
		return nil, err
	}
	s := &Server{Process: p, opts: o}
	if err := p.Ready(ctx, s.check); err != nil {
		p.Close()
		return nil, err
	}
	return s, nil
}

// Address of the frontend, host:port.
func (s *Server) Address() string { return s.opts.IP + ":" + strconv.Itoa(s.opts.Port) }

// UI is the URL of the UI.
func (s *Server) UI() string { return fmt.Sprintf("http://%s:%d", s.opts.IP, s.opts.UI) }

func (s *Server) check(ctx context.Context) error {
	c, err := client.DialContext(ctx, client.Options{HostPort: s.Address(), Logger: log.NewStructuredLogger(discard())})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: "default"})
	return err
}
