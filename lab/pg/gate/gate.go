// Package gate stands between a client and a PostgreSQL server and lets a test act at a chosen
// statement, before its effect or after it: hold it, lose it with its connection, or lose its
// answer. It reads the frontend's messages (Query, Parse, Bind) and passes everything on as it is.
package gate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// When of a statement.
type When string

// The two moments.
const (
	Before When = "before its effect" // the server has not been asked
	After  When = "after its effect"  // the server has answered, the client does not know
)

// Event is a statement passing the gate.
type Event struct {
	When When
	SQL  string
}

// Hook sees every event, from many goroutines; while it runs, the connection is held. Where it says
// no, the connection is cut on both sides.
type Hook func(Event) (pass bool)

// Gate is a running proxy.
type Gate struct {
	listener net.Listener
	upstream string

	mu    sync.Mutex
	hook  Hook
	conns map[net.Conn]bool
}

// Start listens on loopback and forwards to the server at upstream (host:port). TLS is not spoken:
// connect with sslmode=disable.
func Start(upstream string) (*Gate, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("gate to %s: %w", upstream, err)
	}
	g := &Gate{listener: l, upstream: upstream, conns: map[net.Conn]bool{}}
	go g.serve()
	return g, nil
}

// Address is where clients connect.
func (g *Gate) Address() (host string, port int) {
	a := g.listener.Addr().(*net.TCPAddr) //nolint:forcetypeassert // it listens on TCP
	return a.IP.String(), a.Port
}

// Close ends the proxy and every connection through it.
func (g *Gate) Close() {
	_ = g.listener.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		_ = c.Close()
	}
}

// Set installs the hook; nil lets everything pass.
func (g *Gate) Set(h Hook) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hook = h
}

func (g *Gate) pass(e Event) bool {
	g.mu.Lock()
	h := g.hook
	g.mu.Unlock()
	return h == nil || h(e)
}

func (g *Gate) serve() {
	for {
		client, err := g.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", g.upstream)
		if err != nil {
			_ = client.Close()
			continue
		}
		g.mu.Lock()
		g.conns[client], g.conns[server] = true, true
		g.mu.Unlock()
		c := &conn{gate: g, client: client, server: server, prepared: map[string]string{}}
		go c.forward()
		go c.back()
	}
}

// conn is one connection through the gate.
type conn struct {
	gate           *Gate
	client, server net.Conn
	prepared       map[string]string // SQL by the name of the prepared statement

	mu      sync.Mutex
	waiting []string // statements that were executed and not answered
}

func (c *conn) cut() {
	_ = c.client.Close()
	_ = c.server.Close()
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	delete(c.gate.conns, c.client)
	delete(c.gate.conns, c.server)
}

var errCut = errors.New("the gate has cut the connection")

// forward hands on what the client says. Its first message has no type.
func (c *conn) forward() {
	defer c.cut()
	if err := c.startup(); err != nil {
		return
	}
	for {
		kind, body, err := read(c.client)
		if err != nil {
			return
		}
		if sql := c.statement(kind, body); sql != "" {
			if !c.gate.pass(Event{Before, sql}) {
				return
			}
			c.mu.Lock()
			c.waiting = append(c.waiting, sql)
			c.mu.Unlock()
		}
		if err := write(c.server, kind, body); err != nil {
			return
		}
	}
}

func (c *conn) startup() error {
	var size [4]byte
	if _, err := io.ReadFull(c.client, size[:]); err != nil {
		return err
	}
	body := make([]byte, int(binary.BigEndian.Uint32(size[:]))-4)
	if _, err := io.ReadFull(c.client, body); err != nil {
		return err
	}
	_, err := c.server.Write(append(size[:], body...))
	return err
}

// statement is the SQL that a message has executed: a simple query, or the portal of a prepared
// statement.
func (c *conn) statement(kind byte, body []byte) string {
	switch kind {
	case 'Q':
		return text(body)
	case 'P': // name, SQL
		name := text(body)
		c.prepared[name] = text(body[len(name)+1:])
	case 'B': // portal, name
		portal := text(body)
		return c.prepared[text(body[len(portal)+1:])]
	}
	return ""
}

func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return string(b[:i])
	}
	return string(b)
}

// back hands on what the server says. When it is ready for the next query, everything before is
// answered.
func (c *conn) back() {
	defer c.cut()
	var held [][]byte
	for {
		kind, body, err := read(c.server)
		if err != nil {
			return
		}
		m := append([]byte{kind}, binary.BigEndian.AppendUint32(nil, uint32(len(body)+4))...) //nolint:gosec // it was read so
		held = append(held, append(m, body...))
		if kind == 'Z' {
			if err := c.answered(); err != nil {
				return
			}
		} else if c.busy() && kind != 'S' {
			continue // the answer to a statement is held until its last message, and lost whole
		}
		for _, m := range held {
			if _, err := c.client.Write(m); err != nil {
				return
			}
		}
		held = nil
	}
}

func (c *conn) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting) > 0
}

func (c *conn) answered() error {
	c.mu.Lock()
	done := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	for _, sql := range done {
		if !c.gate.pass(Event{After, sql}) {
			return errCut
		}
	}
	return nil
}

func read(r io.Reader) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, int(binary.BigEndian.Uint32(head[1:]))-4)
	_, err = io.ReadFull(r, body)
	return head[0], body, err
}

func write(w io.Writer, kind byte, body []byte) error {
	m := append([]byte{kind}, binary.BigEndian.AppendUint32(nil, uint32(len(body)+4))...) //nolint:gosec // it was read so
	_, err := w.Write(append(m, body...))
	return err
}
