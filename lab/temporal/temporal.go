// Package temporal starts Temporal's own dev server, with its UI, for the lab.
package temporal

import (
	"context"
	"fmt"
	"net"
	"os"
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
	UI    bool   // the web UI too
	// Events after which the server suggests to workflows to continue as new; 0: its default, 4096.
	HistoryEvents int
	Large         bool // for thousands of workflows
}

// What a server for thousands of workflows has more of: the dev server's 8,096 workflows in memory
// are fewer than there may be, and each task of one that was forgotten reads it anew; its 8 MB of
// the database's pages are fewer than the indexes of the list of workflows take; and at Go's
// default it collects garbage all the time beside a heap so small.
const (
	workflowsInMemory = 65_536
	pagesInMemory     = 256 << 10 // kB
	garbage           = "GOGC=400"
)

// ip is the only address the dev server's parts find each other at, whatever --ip says.
const ip = "127.0.0.1"

// pollRPS is how often a second the server may look at each of its queues of tasks. The default is
// 20 for a shard: the dev server has one shard for everything, so that every task of every workflow
// would wait for the next of 20 ticks (50 ms, eight of them in a freeze), where a server of 512
// shards has 10,000. See history.transferProcessorMaxPollRPS in Temporal's dynamic configuration.
const pollRPS = 2000

// Server is a running dev server.
type Server struct {
	*process.Process
	port, ui int
	options  process.Options
}

// Start starts the server and waits until it answers.
func Start(ctx context.Context, o Options) (*Server, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, fmt.Errorf("ports for Temporal: %w", err)
	}
	s := &Server{port: ports[0], ui: ports[1]}
	// WAL is worth a factor of two to three on SQLite.
	args := []string{
		"server", "start-dev", "--ip", ip, "--port", strconv.Itoa(s.port), "--db-filename", filepath.Join(o.Dir, "temporal.db"),
		"--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal", "--log-level", "error",
	}
	for _, queue := range []string{"transfer", "timer", "visibility"} {
		args = append(args, "--dynamic-config-value", fmt.Sprintf("history.%sProcessorMaxPollRPS=%d", queue, pollRPS))
	}
	// An activity for the worker that schedules it comes with the answer to its workflow task.
	args = append(args, "--dynamic-config-value", "system.enableActivityEagerExecution=true")
	env := os.Environ()
	if o.Large {
		args = append(args, "--dynamic-config-value", fmt.Sprintf("history.hostLevelCacheMaxSize=%d", workflowsInMemory),
			"--sqlite-pragma", fmt.Sprintf("cache_size=-%d", pagesInMemory))
		env = append(env, garbage)
	}
	if o.HistoryEvents > 0 {
		args = append(args, "--dynamic-config-value", fmt.Sprintf("limit.historyCount.suggestContinueAsNew=%d", o.HistoryEvents))
	}
	if o.UI {
		args = append(args, "--ui-ip", ip, "--ui-port", strconv.Itoa(s.ui))
	} else {
		args = append(args, "--headless")
	}
	s.options = process.Options{Name: "temporal", Path: filepath.Join(o.Tools, "bin", "temporal"), Args: args, Env: env,
		LogDir: o.Dir}
	return s, s.Restart(ctx)
}

// Restart starts a server that was killed, over its database and at its address, and waits until it
// answers.
func (s *Server) Restart(ctx context.Context) error {
	p, err := process.Start(s.options)
	if err != nil {
		return err
	}
	s.Process = p
	if err := p.Ready(ctx, s.check); err != nil {
		p.Close()
		return err
	}
	return nil
}

// Address of the frontend, host:port.
func (s *Server) Address() string { return ip + ":" + strconv.Itoa(s.port) }

// UI is the URL of the UI.
func (s *Server) UI() string { return fmt.Sprintf("http://%s:%d", ip, s.ui) }

func (s *Server) check(ctx context.Context) error {
	c, err := client.DialContext(ctx, client.Options{HostPort: s.Address(), Logger: log.NewStructuredLogger(discard())})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: "default"})
	return err
}

// freePorts asks the kernel for ports that nobody has.
func freePorts(n int) (out []int, err error) {
	for range n {
		l, err := net.Listen("tcp", ip+":0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // together at the end, so that they differ
		out = append(out, l.Addr().(*net.TCPAddr).Port)
	}
	return out, nil
}
