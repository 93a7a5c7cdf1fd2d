// Package gate stands between a client and a PostgreSQL server and lets a test act at a chosen
// statement, before its effect or after it: hold it, lose it with its connection, or lose its
// answer. It reads the frontend's messages (Query, Parse, Bind) and passes everything on as it is.
// Connections that replicate pass unread. All of them can be held or cut, as a network does.
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
	Args [][]byte // of a prepared statement, as they travel; nil: NULL
	Conn int64    // its connection: numbers are not used again
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
	held  chan struct{} // closed when packets travel again; nil: they travel
	shut  bool
	count int64
}

// Start listens on loopback and forwards to the server at upstream (host:port), which need not be
// there yet. TLS is declined.
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

// Hold keeps every packet, in both directions and of replication too, until release is called.
func (g *Gate) Hold() (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	held := make(chan struct{})
	g.held = held
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.held == held {
			g.held = nil
		}
		close(held)
	})
}

// Cut ends every connection and takes no new one until mend is called.
func (g *Gate) Cut() (mend func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	for c := range g.conns {
		_ = c.Close()
	}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.shut = false
	}
}

// travel waits while packets are held.
func (g *Gate) travel() {
	g.mu.Lock()
	held := g.held
	g.mu.Unlock()
	if held != nil {
		<-held
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
		go g.join(client)
	}
}

// join connects a client to the server.
func (g *Gate) join(client net.Conn) {
	g.travel()
	server, err := net.Dial("tcp", g.upstream)
	if err != nil {
		_ = client.Close()
		return
	}
	g.mu.Lock()
	if g.shut {
		g.mu.Unlock()
		_, _ = client.Close(), server.Close()
		return
	}
	g.conns[client], g.conns[server] = true, true
	g.count++
	c := &conn{gate: g, id: g.count, client: client, server: server, prepared: map[string]string{}}
	g.mu.Unlock()
	replicates, err := c.startup()
	switch {
	case err != nil:
		c.cut()
	case replicates: // its messages are no statements, and have no end
		go c.pour(c.server, c.client)
		go c.pour(c.client, c.server)
	default:
		go c.forward()
		go c.back()
	}
}

// conn is one connection through the gate.
type conn struct {
	gate           *Gate
	id             int64
	client, server net.Conn
	prepared       map[string]string // SQL by the name of the prepared statement

	mu      sync.Mutex
	waiting []Event // statements that were executed and not answered
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

// pour hands on whatever comes.
func (c *conn) pour(to, from net.Conn) {
	defer c.cut()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		c.gate.travel()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// forward hands on what the client says.
func (c *conn) forward() {
	defer c.cut()
	for {
		kind, body, err := read(c.client)
		if err != nil {
			return
		}
		if e := c.statement(kind, body); e.SQL != "" {
			if !c.gate.pass(e) {
				return
			}
			c.mu.Lock()
			c.waiting = append(c.waiting, e)
			c.mu.Unlock()
		}
		c.gate.travel()
		if err := write(c.server, kind, body); err != nil {
			return
		}
	}
}

// The first message of a connection has no type and says what the client wants: a version of the
// protocol, or one of these.
const (
	wantsTLS    = 80877103
	wantsGSS    = 80877104
	startupHead = 8 // bytes: the length, and what is wanted
)

// startup hands on the first message and says whether the client is there to replicate. TLS is
// declined in the server's place.
func (c *conn) startup() (replicates bool, err error) {
	for {
		var head [startupHead]byte
		if _, err := io.ReadFull(c.client, head[:]); err != nil {
			return false, err
		}
		switch binary.BigEndian.Uint32(head[4:]) {
		case wantsTLS, wantsGSS:
			if _, err := c.client.Write([]byte{'N'}); err != nil {
				return false, err
			}
			continue
		}
		body := make([]byte, int(binary.BigEndian.Uint32(head[:4]))-startupHead)
		if _, err := io.ReadFull(c.client, body); err != nil {
			return false, err
		}
		_, err := c.server.Write(append(head[:], body...))
		return bytes.Contains(body, []byte("replication\x00")), err
	}
}

// statement is what a message has executed: a simple query, or the portal of a prepared statement.
func (c *conn) statement(kind byte, body []byte) Event {
	e := Event{When: Before, Conn: c.id}
	switch kind {
	case 'Q':
		e.SQL = text(body)
	case 'P': // name, SQL
		name := text(body)
		c.prepared[name] = text(body[len(name)+1:])
	case 'B': // portal, name, arguments
		portal := text(body)
		rest := body[len(portal)+1:]
		name := text(rest)
		e.SQL, e.Args = c.prepared[name], arguments(rest[len(name)+1:])
	}
	return e
}

// arguments reads those of a Bind: the formats, then each with its length.
func arguments(b []byte) (out [][]byte) {
	number := func() int {
		n := int(binary.BigEndian.Uint16(b))
		b = b[2:]
		return n
	}
	b = b[2*number():]
	for range number() {
		size := int(int32(binary.BigEndian.Uint32(b))) //nolint:gosec // -1 is NULL
		b = b[4:]
		if size < 0 {
			out = append(out, nil)
			continue
		}
		out, b = append(out, bytes.Clone(b[:size])), b[size:]
	}
	return out
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
		c.gate.travel()
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
	for _, e := range done {
		e.When = After
		if !c.gate.pass(e) {
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
