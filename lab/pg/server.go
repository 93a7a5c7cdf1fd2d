package pg

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/lab/process"
)

// Options of a server.
type Options struct {
	Tools    string            // directory that has pg/bin
	Bin      string            // directory of postgres and initdb; empty: Tools/pg/bin
	Dir      string            // directory of the lab's run; the servers of one run share it and an initialised template in it
	Listen   string            // an address of the loopback network; empty: 127.0.0.1
	Port     int               // 0: found
	Name     string            // unique in Dir
	Settings map[string]string // lines of postgresql.conf beyond the lab's own
}

// Admin is the superuser of every server.
const Admin = "postgres"

// startLimit is how long a server may take until it answers. A server that recovers from a crash
// replays at most max_wal_size first.
const startLimit = 60 * time.Second

// Server is a running PostgreSQL server, or one that was stopped and can be started again. It is
// not for concurrent Stop, Restart, Kill9 and Close.
type Server struct {
	Host string
	Port int

	opts     Options
	home     *home
	password string
	proc     *process.Process // nil: stopped
}

// Start initialises and starts a server. Errors: no binaries, no room, or the server's own words
// from its log.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Bin == "" {
		o.Bin = filepath.Join(o.Tools, "pg", "bin")
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1"
	}
	if _, err := os.Stat(filepath.Join(o.Bin, "postgres")); err != nil {
		return nil, fmt.Errorf("start PostgreSQL %q: no binaries (make setup puts them there): %w", o.Name, err)
	}
	h, password, err := openHome(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL %q: %w", o.Name, err)
	}
	s := &Server{Host: o.Listen, Port: o.Port, opts: o, home: h, password: password}
	if err := s.startFresh(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// startFresh finds a port if none was named. Another process may take it before the server does:
// then the next one is tried.
func (s *Server) startFresh(ctx context.Context) error {
	var err error
	for range 5 {
		if s.opts.Port == 0 {
			if s.Port, err = freePort(ctx, s.Host); err != nil {
				return fmt.Errorf("start PostgreSQL %q: %w", s.opts.Name, err)
			}
		}
		if err = s.Restart(ctx); err == nil || s.opts.Port != 0 || !strings.Contains(err.Error(), "could not bind") {
			return err
		}
	}
	return err
}

func freePort(ctx context.Context, host string) (int, error) {
	var conf net.ListenConfig
	l, err := conf.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// DSN is the superuser's, password included.
func (s *Server) DSN(db string) string { return s.DSNAs(Admin, s.password, db) }

// DSNAs is a role's, password included.
func (s *Server) DSNAs(role, password, db string) string {
	return DSN(s.Address(), role, password, db)
}

// DSN is a connection string for a server at an address, host:port.
func DSN(address, role, password, db string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Host: address, Path: "/" + db, RawQuery: "sslmode=disable"}
	return u.String()
}

// Address is host:port.
func (s *Server) Address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// Exec runs statements as the superuser, in one implicit transaction if they allow it.
func (s *Server) Exec(ctx context.Context, db, sql string) error {
	c, err := pgx.Connect(ctx, s.DSN(db))
	if err != nil {
		return fmt.Errorf("connect to PostgreSQL %q: %w", s.opts.Name, err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	if _, err := c.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("PostgreSQL %q: %w", s.opts.Name, err)
	}
	return nil
}

// CreateDatabase makes an empty database.
func (s *Server) CreateDatabase(ctx context.Context, db string) error {
	return s.Exec(ctx, "postgres", "CREATE DATABASE "+pgx.Identifier{db}.Sanitize())
}

// CreateRole makes a role that may log in, and answers its new password. Attributes are SQL:
// "REPLICATION CREATEDB".
func (s *Server) CreateRole(ctx context.Context, role, attributes string) (password string, err error) {
	password = secret()
	return password, s.Exec(ctx, "postgres",
		fmt.Sprintf("CREATE ROLE %s LOGIN %s PASSWORD '%s'", pgx.Identifier{role}.Sanitize(), attributes, password))
}

// Log is what the server wrote.
func (s *Server) Log() string {
	b, _ := os.ReadFile(s.home.log)
	return string(b)
}

func secret() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
