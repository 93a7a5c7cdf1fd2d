package load_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab/app"
	"github.com/drover-migration/drover/lab/lb"
	"github.com/drover-migration/drover/lab/load"
	"github.com/drover-migration/drover/lab/machines"
	"github.com/drover-migration/drover/lab/pg"
)

// The test's own binary is the application, as the lab's own binary is in the lab.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "app" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := app.Main(ctx, os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// plane is a database, two machines (one a side, of one database) and the load balancer before
// them.
type plane struct {
	db        *pg.Server
	machines  *machines.Controller
	balancer  *lb.Balancer
	url       string
	customers []load.Customer
	on, aws   string // addresses of the machines
	files     string // folder of the customers' folders
}

func newPlane(t *testing.T) *plane {
	t.Helper()
	tools := tooltest.Dir(t, "pg/bin/postgres")
	var err error
	dir := t.TempDir()
	p := &plane{on: "127.201.128.10", aws: "127.201.0.10"}
	p.db, err = pg.Start(t.Context(), pg.Options{Tools: tools, Dir: dir, Name: "one"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.db.Close()) })
	require.NoError(t, p.db.CreateDatabase(t.Context(), "app"))
	require.NoError(t, p.db.Exec(t.Context(), "app", pg.Schema))

	table := map[string]app.Tenant{}
	for i := range 4 {
		c := load.Customer{ID: fmt.Sprintf("c%d", i), Tenant: int64(i + 1), Host: fmt.Sprintf("c%d.app.example.com", i)}
		p.customers = append(p.customers, c)
		table[c.Host] = app.Tenant{Customer: c.ID, Tenant: c.Tenant}
	}
	body, err := json.Marshal(table)
	require.NoError(t, err)
	tenants := filepath.Join(dir, "tenants.json")
	require.NoError(t, os.WriteFile(tenants, body, 0o600))

	p.files = filepath.Join(dir, "files")
	self, err := os.Executable()
	require.NoError(t, err)
	env := map[string]string{"DB_DSN": p.db.DSN("app"), "FILES": filepath.Join(p.files, "{customer}")}
	p.machines = machines.New(machines.Config{Command: []string{self, "app"}, Port: 18080, AdminPort: 18081, Tenants: tenants,
		Log: os.Stderr,
		VMs: machines.VMsFunc(func() []machines.Machine {
			return []machines.Machine{{ID: "vm/web-01", Name: "web-01", Side: "onprem", Address: p.on, Env: env},
				{ID: "i-1", Name: "web", Side: "aws", Address: p.aws, Env: env}}
		})})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); p.machines.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })

	l, err := net.Listen("tcp", "127.201.255.1:0")
	require.NoError(t, err)
	p.url = "http://" + l.Addr().String()
	p.balancer = lb.New("http://127.0.0.1:1", 80)
	served := make(chan struct{})
	go func() { defer close(served); _ = p.balancer.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-served })
	p.route(1, "onprem")
	require.Eventually(t, func() bool {
		res, err := http.Get("http://" + p.on + ":18080/healthz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	}, 10*time.Second, 20*time.Millisecond)
	return p
}

// route sends the first customer to a side and the others home.
func (p *plane) route(version int, first string) {
	p.balancer.Obey(lb.State{Version: version,
		Listeners: []lb.Listener{{Port: 80, Rules: []lb.Rule{
			{Priority: "default", Forward: []lb.Forward{{TargetGroup: "onprem", Weight: 1}}},
			{Priority: "10", Conditions: []lb.Condition{{Field: "host-header", Values: []string{p.customers[0].Host}}},
				Forward: []lb.Forward{{TargetGroup: first, Weight: 100}}},
		}}},
		TargetGroups: []lb.TargetGroup{
			{ARN: "onprem", HealthCheckPath: "/healthz", Targets: []lb.Target{{Address: p.on, Port: 18080}}},
			{ARN: "aws", HealthCheckPath: "/healthz", Targets: []lb.Target{{Address: p.aws, Port: 18080}}},
		}})
}

func (p *plane) fault(t *testing.T, mode, host string) {
	t.Helper()
	for _, at := range p.machines.Admin("aws") {
		body, err := json.Marshal(app.Fault{Host: host, Mode: mode})
		require.NoError(t, err)
		res, err := http.Post("http://"+at+"/fault", "application/json", bytes.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode)
	}
}

func TestTrafficSurvivesAFenceAndABreakAndEveryAcknowledgedWriteIsThereOnce(t *testing.T) {
	p := newPlane(t)
	// What Drover's guard does, in short: a refusal with its SQLSTATE, and the question the
	// application may ask.
	require.NoError(t, p.db.Exec(t.Context(), "app", `
		CREATE SCHEMA drover; CREATE TABLE drover.fence (tenant int PRIMARY KEY);
		CREATE FUNCTION drover.is_home(t int) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT NOT EXISTS (SELECT
		FROM drover.fence WHERE tenant = t) $$;
		CREATE FUNCTION drover.guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF NOT drover.is_home(NEW.tenant_id) THEN RAISE EXCEPTION 'no' USING ERRCODE = 'DR001'; END IF; RETURN NEW; END $$;
		CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION drover.guard();
		CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON blobs FOR EACH ROW EXECUTE FUNCTION drover.guard();
		CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON events FOR EACH ROW EXECUTE FUNCTION drover.guard();`))
	ledger := filepath.Join(t.TempDir(), "ledger.jsonl")
	l, err := load.Start(t.Context(), load.Options{URL: p.url, Customers: p.customers, Rate: 200, Ledger: ledger})
	require.NoError(t, err)
	acked := func(n int) {
		t.Helper()
		have := l.Summary().AckedWrites
		require.Eventually(t, func() bool { return l.Summary().AckedWrites >= have+n }, 20*time.Second, 10*time.Millisecond)
	}
	acked(100)
	require.NoError(t, p.db.Exec(t.Context(), "app", "INSERT INTO drover.fence VALUES (2)"))
	p.refuses(t, p.customers[1])
	acked(30)
	require.NoError(t, p.db.Exec(t.Context(), "app", "DELETE FROM drover.fence"))
	acked(30)
	p.route(2, "aws")
	acked(50)
	p.fault(t, "error500", p.customers[0].Host)
	l.FaultStart("c0")
	acked(50)
	require.Equal(t, []string{"c0"}, l.Summary().Unanswered)
	p.route(3, "onprem")
	require.Eventually(t, func() bool { return len(l.Summary().Unanswered) == 0 }, 10*time.Second, 10*time.Millisecond)
	p.fault(t, "off", p.customers[0].Host)
	l.FaultEnd("c0")
	acked(50)
	sum := l.Stop()
	out, err := json.Marshal(sum)
	require.NoError(t, err)
	t.Logf("%s", out)
	require.Zero(t, sum.FailedRequests, sum.Failures)
	require.Positive(t, sum.RetriedRequests)
	require.Greater(t, sum.Longest["c1"], 100, "the fenced customer waited")
	require.Less(t, sum.StallMax, int64(3000))
	require.Positive(t, sum.FaultedStallMax)
	p.compare(t, ledger)
}

// refuses wants a fenced customer's writes answered with 503 and without a second's wait, and no
// file of it written.
func (p *plane) refuses(t *testing.T, c load.Customer) {
	t.Helper()
	const token = "11111111-1111-4111-8111-111111111111"
	for _, w := range []struct{ method, path, body string }{
		{http.MethodPost, "/orders", `{"token": "` + token + `", "amount": 1, "sku": "x"}`},
		{http.MethodPost, "/api/events", `{"token": "` + token + `", "at": "2026-12-02T22:00:00Z", "kind": "click"}`},
		{http.MethodPut, "/files/late.txt", "late"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), w.method, p.url+w.path, strings.NewReader(w.body))
		require.NoError(t, err)
		req.Host = c.Host
		req.Header.Set("X-Token", token)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, w.path)
		require.Empty(t, res.Header.Get("Retry-After"), w.path)
	}
	require.NoFileExists(t, filepath.Join(p.files, c.ID, "late.txt"))
}

// compare counts the acknowledged tokens in the tables.
func (p *plane) compare(t *testing.T, ledger string) {
	entries, err := load.ReadLedger(ledger)
	require.NoError(t, err)
	want := map[string]int{}
	for _, e := range entries {
		want[string(e.Kind)+e.Token]++
	}
	db, err := pgx.Connect(t.Context(), p.db.DSN("app"))
	require.NoError(t, err)
	defer func() { _ = db.Close(context.Background()) }()
	rows, err := db.Query(t.Context(), `SELECT 'order' || token FROM orders UNION ALL SELECT 'event' || token FROM events
		UNION ALL SELECT CASE WHEN convert_from(data, 'UTF8') LIKE 'add%' THEN 'add' ELSE 'file' END || token FROM blobs`)
	require.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Len(t, got, len(entries))
	for _, token := range got {
		require.Equal(t, 1, want[token], token)
	}
}

func TestAMachineThatIsKilledComesBack(t *testing.T) {
	p := newPlane(t)
	pids, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	killed := 0
	for _, f := range pids {
		var pid int
		env, err := os.ReadFile(filepath.Join(filepath.Dir(f), "environ"))
		if err != nil || !strings.Contains(string(env), "LISTEN="+p.on+":18080") {
			continue
		}
		_, err = fmt.Sscanf(f, "/proc/%d/", &pid)
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		killed++
	}
	require.Equal(t, 1, killed)
	require.Eventually(t, func() bool {
		res, err := http.Get("http://" + p.on + ":18080/healthz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	}, 10*time.Second, 20*time.Millisecond)
}
