package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab/pg"
)

// machine is the application over a database of its own, with two customers: acme is tenant 1,
// birch tenant 2.
type machine struct {
	*testing.T
	http.Handler
	server *server
	db     *pg.Server
	folder string
}

const (
	acme  = "acme.app.example.com"
	birch = "birch.app.example.com"
)

func newMachine(t *testing.T) *machine {
	t.Helper()
	tools := tooltest.Dir(t, "pg/bin/postgres")
	dir := t.TempDir()
	var err error
	m := &machine{T: t, folder: filepath.Join(dir, "files")}
	m.db, err = pg.Start(t.Context(), pg.Options{Tools: tools, Dir: dir, Name: "one"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.db.Close()) })
	require.NoError(t, m.db.CreateDatabase(t.Context(), "app"))
	m.exec(pg.Schema)
	table := filepath.Join(dir, "tenants.json")
	body, err := json.Marshal(map[string]Tenant{acme: {Customer: "acme", Tenant: 1}, birch: {Customer: "birch", Tenant: 2}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(table, body, 0o600))
	s, err := newServer(t.Context(), Config{Name: "web-01", Side: "onprem", DSN: m.db.DSN("app"),
		Files: filepath.Join(m.folder, "{customer}"), Tenants: table})
	require.NoError(t, err)
	t.Cleanup(s.db.Close)
	m.server, m.Handler = s, s.routes()
	return m
}

func (m *machine) exec(sql string) {
	m.Helper()
	require.NoError(m, m.db.Exec(m.Context(), "app", sql))
}

// word is what a statement answers.
func (m *machine) word(sql string) (w string) {
	m.Helper()
	c, err := pgx.Connect(m.Context(), m.db.DSN("app"))
	require.NoError(m, err)
	defer func() { _ = c.Close(m.Context()) }()
	require.NoError(m, c.QueryRow(m.Context(), sql).Scan(&w))
	return w
}

// guarded installs what Drover installs, with both customers open here.
func (m *machine) guarded() *machine {
	m.Helper()
	move, err := os.ReadFile("../../replication/postgres/move.sql")
	require.NoError(m, err)
	m.exec(string(move))
	for _, table := range []string{"orders", "order_items", "events", "audit", "acct", "blobs"} {
		m.exec("SELECT drover.protect('drover_test', '" + table + "', 'tenant_id')")
	}
	m.exec("INSERT INTO drover.fence (tenant, state) VALUES (1, 'open'), (2, 'open')")
	return m
}

const owner = "aaaaaaaa-0000-0000-0000-000000000001"

func (m *machine) fence(tenant int) {
	m.Helper()
	require.Equal(m, "fenced", m.word(fmt.Sprintf("SELECT drover.fence('{%d}', 1, '%s', '1 hour')", tenant, owner)))
}

func (m *machine) unfence(tenant int) {
	m.Helper()
	require.Equal(m, "open", m.word(fmt.Sprintf("SELECT drover.unfence('{%d}', 1, '%s')", tenant, owner)))
}

// ask sends a customer's request. No two customers' clients make up the same token.
func (m *machine) ask(host, method, path, body string) *httptest.ResponseRecorder {
	if host == birch {
		body = strings.ReplaceAll(body, "-8000-", "-9000-")
	}
	r := httptest.NewRequestWithContext(m.Context(), method, "http://"+host+path, strings.NewReader(body))
	r.Header.Set("X-Token", token(9))
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w
}

func token(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// files are all that lie below the folder, for all customers.
func (m *machine) files() (out []string) {
	m.Helper()
	err := filepath.WalkDir(m.folder, func(path string, e os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil && !e.IsDir() {
			out = append(out, filepath.Base(path))
		}
		return err
	})
	require.NoError(m, err)
	return out
}

type request struct{ name, method, path, body string }

var writes = []request{
	{"an order", "POST", "/orders", `{"token": "` + token(1) + `", "amount": 12.5, "sku": "x"}`},
	{"an event", "POST", "/api/events", `{"token": "` + token(2) + `", "at": "2026-01-01T00:00:00Z", "kind": "login"}`},
	{"an addition", "PATCH", "/acct", `{"token": "` + token(3) + `", "add": 5}`},
	{"a file", "PUT", "/files/a/doc.txt", "content"},
}

func TestAFencedCustomerIsToldToTryAgain(t *testing.T) {
	m := newMachine(t).guarded()
	m.fence(1)
	for _, x := range slices.Concat(writes, []request{
		{"a file that may have changed elsewhere", "GET", "/files/a/doc.txt", ""},
		{"an order that may be elsewhere", "GET", "/orders/" + token(8), ""},
	}) {
		w := m.ask(acme, x.method, x.path, x.body)
		require.Equal(t, http.StatusServiceUnavailable, w.Code, "%s: %s", x.name, w.Body)
		require.Empty(t, w.Header().Get("Retry-After"), "%s: a route changes in less than the second that it could ask for", x.name)
	}
	require.Equal(t, "0", m.word("SELECT ((SELECT count(*) FROM orders) + (SELECT count(*) FROM events) + (SELECT count(*) FROM audit) "+
		"+ (SELECT count(*) FROM acct) + (SELECT count(*) FROM blobs))::text"))

	for _, x := range writes {
		w := m.ask(birch, x.method, x.path, x.body)
		require.Less(t, w.Code, 300, "%s of a customer that is not fenced: %s", x.name, w.Body)
	}
	m.unfence(1)
	for _, x := range writes {
		w := m.ask(acme, x.method, x.path, x.body)
		require.Less(t, w.Code, 300, "%s after the fence: %s", x.name, w.Body)
		require.Empty(t, w.Header().Get("Retry-After"))
	}
}

func TestBeforeDroverComesEveryWriteIsTaken(t *testing.T) {
	m := newMachine(t)
	for _, x := range writes {
		w := m.ask(acme, x.method, x.path, x.body)
		require.Less(t, w.Code, 300, "%s: %s", x.name, w.Body)
	}
	require.Equal(t, []string{"doc.txt"}, m.files())
}

// unread is a body that nobody is to ask for.
type unread struct{ asked bool }

func (u *unread) Read([]byte) (int, error) {
	u.asked = true
	return 0, io.EOF
}

func TestAFencedCustomersUploadLeavesNoFile(t *testing.T) {
	m := newMachine(t).guarded()
	m.fence(1)
	body := &unread{}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+acme+"/files/doc.txt", body)
	r.Header.Set("X-Token", token(1))
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
	require.False(t, body.asked, "the fence is asked before the body is read")
	require.Empty(t, m.files())

	// The fence falls after the question: the guard of the receipt is asked too, before the file is
	// written.
	m.exec("CREATE OR REPLACE FUNCTION drover.is_home(t int) RETURNS boolean LANGUAGE sql AS 'SELECT true'")
	w = m.ask(acme, http.MethodPut, "/files/doc.txt", "content")
	require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
	require.Empty(t, m.files())
}

// slowStore is a disk that takes until it is told to go on.
type slowStore struct{ began, goOn chan struct{} }

func (s slowStore) put(context.Context, string, string, []byte) error {
	close(s.began)
	<-s.goOn
	return nil
}

func (s slowStore) get(context.Context, string, string) ([]byte, error) { return nil, os.ErrNotExist }

func TestAFenceWaitsForTheUploadThatCameBeforeIt(t *testing.T) {
	m := newMachine(t).guarded()
	store := slowStore{began: make(chan struct{}), goOn: make(chan struct{})}
	m.server.files = store
	answered := make(chan int)
	go func() {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+acme+"/files/doc.txt", strings.NewReader("content"))
		r.Header.Set("X-Token", token(1))
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		answered <- w.Code
	}()
	<-store.began
	c, err := pgx.Connect(t.Context(), m.db.DSN("app"))
	require.NoError(t, err)
	defer func() { _ = c.Close(t.Context()) }()
	_, err = c.Exec(t.Context(), fmt.Sprintf("SELECT drover.fence('{1}', 1, '%s', '1 hour')", owner))
	require.ErrorContains(t, err, "lock timeout", "the file is being written")
	close(store.goOn)
	require.Equal(t, http.StatusCreated, <-answered)
	m.fence(1)
}

func TestOnlyADatabaseThatNeedsRestAsksForASecond(t *testing.T) {
	for _, x := range []struct {
		err   error
		after string
	}{
		{&pgconn.PgError{Code: "53300"}, "1"}, {&pgconn.PgError{Code: "57P01"}, "1"}, {context.DeadlineExceeded, "1"},
		{&pgconn.PgError{Code: guarded}, ""}, {fmt.Errorf("tenant 1: %w", errElsewhere), ""},
	} {
		w := httptest.NewRecorder()
		fail(w, x.err)
		require.Equal(t, http.StatusServiceUnavailable, w.Code, x.err)
		require.Equal(t, x.after, w.Header().Get("Retry-After"), x.err)
	}
}
