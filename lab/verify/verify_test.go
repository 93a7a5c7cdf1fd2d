package verify_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/tooltest"
	labaws "github.com/drover-migration/drover/lab/aws"
	"github.com/drover-migration/drover/lab/load"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/lab/verify"
)

// world is two databases with the same rows, a folder, a bucket, an edge and a ledger, all as they
// should be: acme is homed on AWS, beta and gamma on premises. Each has what was there before the
// load, and one write of each kind.
type world struct {
	t      *testing.T
	server *pg.Server
	s3     *s3.Client
	opts   verify.Options
	ledger *load.Ledger
	disk   []byte
	routes map[string]string // host -> side
	stale  []string
}

var homes = map[string]string{"acme": "aws", "beta": "onprem", "gamma": "onprem"}

const bucket = "attachments"

func newWorld(t *testing.T) *world {
	t.Helper()
	tools := tooltest.Dir(t, "pg/bin/postgres", "bin/versitygw")
	w := &world{t: t, disk: bytes.Repeat([]byte("disk"), 1<<18)}
	dir := t.TempDir()
	var err error
	w.server, err = pg.Start(t.Context(), pg.Options{Tools: tools, Dir: dir, Name: "both"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.server.Close()) })
	for side, home := range map[string]string{"onprem": "(2, 3)", "aws": "(1)"} {
		require.NoError(t, w.server.CreateDatabase(t.Context(), side))
		w.exec(side, pg.Schema)
		w.exec(side, fences(home))
	}
	w.subscribe("onprem", "aws")
	w.subscribe("aws", "onprem")
	w.startS3(tools, dir)
	w.routes = map[string]string{"acme.app": "aws", "beta.app": "onprem", "gamma.app": "onprem"}
	w.opts = verify.Options{
		Ledger: filepath.Join(dir, "ledger.jsonl"), Drain: time.Millisecond, OnPrem: w.server.DSN("onprem"), AWS: w.server.DSN("aws"),
		Customers: []load.Customer{{ID: "acme", Tenant: 1, Host: "acme.app"}, {ID: "beta", Tenant: 2, Host: "beta.app"}, {ID: "gamma",
			Tenant: 3, Host: "gamma.app"}},
		Files: &verify.Files{Folder: filepath.Join(dir, "files", "{customer}"), Client: w.s3, Bucket: bucket, Prefix: "{customer}/"},
		Disks: &verify.Disks{Snapshots: []verify.Snapshot{{ID: "snap-1", Bytes: int64(len(w.disk))}},
			Exported: map[string]string{sum(w.disk): "web-01 disk 1"},
			Digest:   func(string, int64) (string, int64, error) { return sum(w.disk), 2, nil }},
		Edge: &verify.Edge{Sides: w.answering, Stale: func(context.Context) ([]string, error) { return w.stale, nil }},
	}
	w.ledger, err = load.OpenLedger(w.opts.Ledger)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.ledger.Close() })
	w.seed()
	w.opts.Before, err = verify.Look(t.Context(), w.opts)
	require.NoError(t, err)
	for _, c := range w.opts.Customers {
		w.write(c.Tenant, c.ID)
	}
	return w
}

func (w *world) answering(_ context.Context, host string) ([]string, error) {
	if w.routes[host] == "" {
		return nil, errors.New("503 Service Unavailable")
	}
	return []string{w.routes[host]}, nil
}

// fences are Drover's schema as far as the judge reads it: who is home, the guard, and whom the
// publications carry.
func fences(home string) string {
	sql := `CREATE SCHEMA drover;
		CREATE FUNCTION drover.is_home(t bigint) RETURNS boolean LANGUAGE sql AS 'SELECT t IN ` + home + `';
		CREATE TABLE drover.fence (tenant int);
		CREATE TABLE drover.direction (tenant int, is_on boolean); INSERT INTO drover.direction SELECT t,
			t IN ` + home + ` FROM generate_series(1, 3) t;
		CREATE FUNCTION drover.guard() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN IF TG_OP = ''DELETE'' THEN RETURN old; END IF; RETURN new; END';
		CREATE PUBLICATION drover_filtered WITH (publish = 'insert', publish_via_partition_root);`
	for _, name := range tenanted {
		sql += fmt.Sprintf(`CREATE TRIGGER zzzz_drover_guard BEFORE INSERT OR UPDATE OR DELETE ON %[1]s FOR EACH ROW EXECUTE FUNCTION
			drover.guard();
			ALTER PUBLICATION drover_filtered ADD TABLE %[1]s WHERE (tenant_id IN %[2]s);`, name, home)
	}
	return sql
}

var tenanted = []string{"tenants", "acct", "orders", "order_items", "events", "audit", "blobs"}

// subscribe joins one side to the other as Drover does, but that nothing is carried: each side's
// rows are the test's own.
func (w *world) subscribe(from, to string) {
	name := "drover_" + to
	w.exec(from, "CREATE PUBLICATION carrier_"+to)
	w.exec(from, "SELECT pg_create_logical_replication_slot('"+name+"', 'pgoutput')")
	w.exec(to, fmt.Sprintf("CREATE SUBSCRIPTION %s CONNECTION '%s' PUBLICATION carrier_%[3]s WITH (create_slot = false, copy_data = "+
		"false, slot_name = %[1]s)", name, w.server.DSN(from), to))
	w.reads(name, true)
}

// reads waits until a slot is read, or is not.
func (w *world) reads(slot string, is bool) {
	w.t.Helper()
	c, err := pgx.Connect(w.t.Context(), w.server.DSN("postgres"))
	require.NoError(w.t, err)
	defer func() { _ = c.Close(w.t.Context()) }()
	require.Eventually(w.t, func() bool {
		var active bool
		return c.QueryRow(w.t.Context(), "SELECT active FROM pg_replication_slots WHERE slot_name = $1", slot).Scan(&active) == nil &&
			active == is
	}, 20*time.Second, 10*time.Millisecond)
}

func (w *world) startS3(tools, dir string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	addr := l.Addr().String()
	require.NoError(w.t, l.Close())
	s, err := labaws.StartS3(w.t.Context(), labaws.S3Options{Tools: tools, Dir: dir, Listen: addr, AccessKey: "test", SecretKey: "testtest",
		Region: "us-east-1"})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { s.Close() })
	w.s3 = s3.New(s3.Options{Region: "us-east-1", UsePathStyle: true, BaseEndpoint: aws.String(s.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider("test", "testtest", "")})
	_, err = w.s3.CreateBucket(w.t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)})
	require.NoError(w.t, err)
}

func (w *world) exec(side, sql string) {
	w.t.Helper()
	require.NoError(w.t, w.server.Exec(w.t.Context(), side, sql))
}

func token(tenant int64, n int) string {
	return fmt.Sprintf("00000000-0000-4000-8000-%06d%06d", tenant, n)
}

// seed is what was there before the load: rows and a file of each customer, and a table that is the
// same for everybody.
func (w *world) seed() {
	for _, side := range []string{"onprem", "aws"} {
		w.exec(side, `INSERT INTO ref_currency VALUES ('EUR', 1), ('UAH', 0.02)`)
		for _, c := range w.opts.Customers {
			w.exec(side, fmt.Sprintf(`
				INSERT INTO tenants VALUES (%[1]d, '%[2]s', '{}');
				INSERT INTO acct VALUES (%[1]d, 7);
				INSERT INTO orders (tenant_id, token, amount, body, created_at) VALUES (%[1]d, '%[3]s', 1, '{"sku": "old"}', '2025-01-01')`, c.Tenant, c.ID, token(c.Tenant, 900)))
		}
	}
	for _, c := range w.opts.Customers {
		path := w.path(c.ID, "seed.txt")
		require.NoError(w.t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(w.t, os.WriteFile(path, []byte("was always there"), 0o600))
		w.putLike(c.ID, "seed.txt", "was always there")
	}
}

func (w *world) path(customer, name string) string {
	return filepath.Join(filepath.Dir(w.opts.Files.Folder), customer, name)
}

// putLike puts an object with the looks of the customer's file, as Drover carries it.
func (w *world) putLike(customer, name, body string) {
	w.t.Helper()
	info, err := os.Stat(w.path(customer, name))
	require.NoError(w.t, err)
	st := info.Sys().(*syscall.Stat_t)
	_, err = w.s3.PutObject(w.t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(customer + "/" + name),
		Body: bytes.NewReader([]byte(body)),
		Metadata: map[string]string{"drover-mode": fmt.Sprintf("%o", info.Mode().Perm()),
			"drover-mtime": fmt.Sprintf("%d.%09d", info.ModTime().Unix(), info.ModTime().Nanosecond()), "drover-uid": fmt.Sprint(st.Uid),
			"drover-gid": fmt.Sprint(st.Gid)}})
	require.NoError(w.t, err)
}

// at is when the client of write says that its event was.
var at = time.Date(2026, 1, 1, 10, 0, 0, 123456000, time.UTC)

// write makes one write of each kind, as the application and replication would have left them.
func (w *world) write(tenant int64, customer string) {
	content := "content of " + customer
	for n, e := range []load.Entry{
		{Kind: load.KindOrder, Amount: 1234, What: "sku-1"}, {Kind: load.KindEvent, What: "click", At: at}, {Kind: load.KindAdd,
			Amount: 5}, {Kind: load.KindFile, Name: "doc.txt", SHA256: sum([]byte(content))},
	} {
		e.Customer, e.Tenant, e.Token, e.Acked, e.Attempts = customer, tenant, token(tenant, n), time.Now(), 1
		require.NoError(w.t, w.ledger.Add(e))
	}
	for _, side := range []string{"onprem", "aws"} {
		w.exec(side, fmt.Sprintf(`
			INSERT INTO orders (tenant_id, token, amount, body, created_at) VALUES (%[1]d, '%[2]s', 12.34, '{"sku": "sku-1"}',
				'2026-01-01');
			INSERT INTO order_items (tenant_id, order_id, sku, qty, token) VALUES (%[1]d, 1, 'sku-1', 1, '%[2]s');
			INSERT INTO events (id, ts, tenant_id, token, doc, raw) VALUES ('%[3]s', '2026-01-01 10:00:00.123456+00', %[1]d, '%[3]s',
				'{"kind": "click"}', decode(md5('click'), 'hex'));
			INSERT INTO audit (tenant_id, ts, token, msg) VALUES (%[1]d, '2026-01-01 10:00:00.123456+00', '%[3]s', 'event click');
			INSERT INTO blobs (tenant_id, id, token, data) VALUES (%[1]d, '%[4]s', '%[4]s', 'add 5'), (%[1]d, '%[5]s', '%[5]s',
			'file %[6]s doc.txt');
			UPDATE acct SET n = 12 WHERE tenant_id = %[1]d`, tenant, token(tenant, 0), token(tenant, 1), token(tenant, 2), token(tenant, 3), sum([]byte(content))))
	}
	require.NoError(w.t, os.WriteFile(w.path(customer, "doc.txt"), []byte(content), 0o600))
	w.put(customer+"/doc.txt", content)
}

func (w *world) put(key, body string) {
	w.t.Helper()
	_, err := w.s3.PutObject(w.t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader([]byte(body))})
	require.NoError(w.t, err)
}

func (w *world) remove(key string) {
	w.t.Helper()
	_, err := w.s3.DeleteObject(w.t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key})
	require.NoError(w.t, err)
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func TestWhatIsWholeIsFoundWhole(t *testing.T) {
	r, err := verify.Run(t.Context(), newWorld(t).opts)
	require.NoError(t, err)
	require.Empty(t, r.Violations)
	require.Equal(t, 12, r.AckedWrites)
	require.EqualValues(t, 3*9*2+2, r.RowsVerified, "those of both sides, and those of everybody")
	require.EqualValues(t, 6, r.ObjectsVerified)
	require.EqualValues(t, 2, r.DiskBlocksVerified)
	require.Equal(t, homes, r.Homes)
}

func TestBeforeDroverHasPreparedADatabaseNoSubscriptionIsMissed(t *testing.T) {
	w := newWorld(t)
	for _, side := range []string{"onprem", "aws"} {
		w.exec(side, "ALTER SUBSCRIPTION drover_"+side+" RENAME TO somebodys_own")
		w.exec(side, "DROP SCHEMA drover CASCADE")
	}
	w.routes["acme.app"] = "onprem"
	r, err := verify.Run(t.Context(), w.opts)
	require.NoError(t, err)
	require.Empty(t, r.Violations)
	require.EqualValues(t, 3*9+2, r.RowsVerified, "those at home")
}

func TestNobodyIsJudgedWithoutALookBeforeTheLoad(t *testing.T) {
	_, err := verify.Run(t.Context(), verify.Options{})
	require.ErrorContains(t, err, "nobody has looked before the load began")
}

// fault is something that is planted, what the judge must say of it, and how it is undone.
type fault struct {
	name                                         string
	plant, undo                                  func()
	lost, duplicate, misplaced, unknown, objects int
	says                                         string
}

// sql plants a fault by SQL on a side, or on both as replication would have carried it, with every
// trigger and foreign key left out.
func (w *world) sql(side, plant, undo string) (func(), func()) {
	do := func(sql string) func() {
		return func() {
			for _, s := range map[string][]string{"both": {"onprem", "aws"}}[side] {
				w.exec(s, "SET session_replication_role = replica; "+sql)
			}
			if side != "both" {
				w.exec(side, "SET session_replication_role = replica; "+sql)
			}
		}
	}
	return do(plant), do(undo)
}

// planted is a fault of SQL.
func (w *world) planted(f fault, side, plant, undo string) fault {
	f.plant, f.undo = w.sql(side, plant, undo)
	return f
}

// gone deletes rows, and keeps them to be put back.
func gone(table, where string) (plant, undo string) {
	return fmt.Sprintf("CREATE TABLE drover.kept AS SELECT * FROM %s WHERE %s; DELETE FROM %[1]s WHERE %[2]s", table, where),
		fmt.Sprintf("INSERT INTO %s OVERRIDING SYSTEM VALUE SELECT * FROM drover.kept; DROP TABLE drover.kept", table)
}

func TestEachFaultOfRowsIsNamed(t *testing.T) {
	w := newWorld(t)
	beta0, beta1, acme0, stranger := token(2, 0), token(2, 1), token(1, 0), "00000000-0000-4000-8000-999999999999"
	const columns = "id, tenant_id, token, amount, ver, body, created_at"
	orderGone := func(where string) (string, string) {
		return "CREATE TABLE drover.kept AS SELECT " + columns + " FROM orders WHERE " + where + "; DELETE FROM orders WHERE " + where,
			"INSERT INTO orders (" + columns + ") OVERRIDING SYSTEM VALUE SELECT " + columns + " FROM drover.kept; DROP TABLE drover.kept"
	}
	lostOrder, orderBack := orderGone("token = '" + beta0 + "'")
	oldOrder, oldBack := orderGone("token = '" + token(2, 900) + "'")
	noAudit, auditBack := gone("audit", "tenant_id = 2")
	noTenant, tenantBack := gone("tenants", "tenant_id = 2")
	w.judge([]fault{
		w.planted(fault{name: "a write that is lost at home and left behind", lost: 1, misplaced: 1, says: "customer beta: lost: order " +
			beta0}, "onprem", lostOrder, orderBack),
		w.planted(fault{name: "a write that is half there", lost: 1, misplaced: 1, says: "no row in audit on onprem"}, "onprem", noAudit,
			auditBack),
		w.planted(fault{name: "a write that is there twice", duplicate: 1, says: "customer beta: duplicate: token " + beta0 +
			" is 2 times in order_items on onprem"}, "both",
			"INSERT INTO order_items (id, tenant_id, order_id, sku, qty, token) VALUES (99, 2, 1, 'sku-1', 1, '"+beta0+"')",
			"DELETE FROM order_items WHERE id = 99"),
		w.planted(fault{name: "a write whose amount changed", lost: 1, says: `it is "9900 sku-1", acknowledged was "1234 sku-1"`}, "both",
			"UPDATE orders SET amount = 99 WHERE token = '"+acme0+"'", "UPDATE orders SET amount = 12.34 WHERE token = '"+acme0+"'"),
		w.planted(fault{name: "an acknowledged order of another article", lost: 1, says: `acknowledged was "1234 sku-1"`}, "both",
			"UPDATE orders SET body = '{}' WHERE token = '"+acme0+"'",
			`UPDATE orders SET body = '{"sku": "sku-1"}' WHERE token = '`+acme0+"'"),
		w.planted(fault{name: "an acknowledged event whose content changed, carried", lost: 1, says: "customer beta: lost: event " +
			beta1}, "both",
			"UPDATE events SET doc = '{\"kind\": \"open\"}' WHERE token = '"+beta1+"'",
			"UPDATE events SET doc = '{\"kind\": \"click\"}' WHERE token = '"+beta1+"'"),
		w.planted(fault{name: "an acknowledged event whose bytes changed, carried", lost: 1, says: "customer beta: lost: event " + beta1},
			"both",
			"UPDATE events SET raw = '\\x00' WHERE token = '"+beta1+"'",
			"UPDATE events SET raw = decode(md5('click'), 'hex') WHERE token = '"+beta1+"'"),
		w.planted(fault{name: "an acknowledged item of another quantity, carried", lost: 1,
			says: `in order_items on onprem it is "sku-1 9", acknowledged was "sku-1 1"`}, "both",
			"UPDATE order_items SET qty = 9 WHERE token = '"+beta0+"'", "UPDATE order_items SET qty = 1 WHERE token = '"+beta0+"'"),
		w.planted(fault{name: "a counter that was added to twice", duplicate: 1,
			says: "the counter on aws grew by 10, what was added is 5"}, "both",
			"UPDATE acct SET n = 17 WHERE tenant_id = 1", "UPDATE acct SET n = 12 WHERE tenant_id = 1"),
		w.planted(fault{name: "a counter that lost what it had before the load", lost: 1,
			says: "the counter on aws grew by -2, what was added is 5"}, "both",
			"UPDATE acct SET n = 5 WHERE tenant_id = 1", "UPDATE acct SET n = 12 WHERE tenant_id = 1"),
		w.planted(fault{name: "a row on the wrong side", misplaced: 1, says: `customer acme: misplaced: a row of orders (token "` +
			stranger + `") is only on onprem, its home is aws`}, "onprem",
			"INSERT INTO orders (tenant_id, token, amount) VALUES (1, '"+stranger+"', 1)",
			"DELETE FROM orders WHERE token = '"+stranger+"'"),
		w.planted(fault{name: "a row that was not carried", unknown: 1,
			says: `customer acme: not carried: a row of orders (token "") is on aws and not on onprem`}, "aws",
			"INSERT INTO orders (tenant_id, amount) VALUES (1, 1)", "DELETE FROM orders WHERE token IS NULL"),

		w.planted(fault{name: "an order of before the load that another customer has, carried", lost: 1, unknown: 1,
			says: `customer beta: lost: a row of orders (token "` + token(2, 900) + `") of before the load is not on onprem as it was`},
			"both",
			"UPDATE orders SET tenant_id = 3 WHERE token = '"+token(2, 900)+"'",
			"UPDATE orders SET tenant_id = 2 WHERE token = '"+token(2, 900)+"'"),
		w.planted(fault{name: "an order of before the load that is gone, carried", lost: 1,
			says: "of before the load is not on onprem as it was"}, "both", oldOrder, oldBack),
		w.planted(fault{name: "an order of before the load that changed, carried", lost: 1, unknown: 1,
			says: "of before the load is not on onprem as it was"}, "both",
			"UPDATE orders SET amount = 2 WHERE token = '"+token(2, 900)+"'", "UPDATE orders SET amount = 1 WHERE token = '"+token(2,
				900)+"'"),
		w.planted(fault{name: "an order that nobody sent", unknown: 1,
			says: `customer beta: unknown: a row of orders (token "` + stranger +
				`") on onprem was there neither before the load nor is it in the ledger`}, "both",
			"INSERT INTO orders (id, tenant_id, token, amount, created_at) OVERRIDING SYSTEM VALUE VALUES (77, 2, '"+stranger+
				"', 1, '2026-01-01')", "DELETE FROM orders WHERE id = 77"),
		w.planted(fault{name: "a customer's row in tenants that is gone on both sides", lost: 1,
			says: "customer beta: lost: a row of tenants"}, "both", noTenant, tenantBack),
		w.planted(fault{name: "a currency that changed on AWS",
			says: "reference table ref_currency on aws is not as it was before the load: 1 rows are missing or changed, 1 are new or " +
				"changed"}, "aws",
			"UPDATE ref_currency SET rate = 9 WHERE code = 'EUR'", "UPDATE ref_currency SET rate = 1 WHERE code = 'EUR'"),
		w.planted(fault{name: "a currency that is missing on AWS",
			says: "reference table ref_currency on aws is not as it was before the load: 1 rows are missing or changed, 0"}, "aws",
			"DELETE FROM ref_currency WHERE code = 'EUR'", "INSERT INTO ref_currency VALUES ('EUR', 1)"),
		w.planted(fault{name: "a currency that changed on premises", says: "reference table ref_currency on onprem is not as it was"},
			"onprem",
			"UPDATE ref_currency SET rate = 9 WHERE code = 'EUR'", "UPDATE ref_currency SET rate = 1 WHERE code = 'EUR'"),
	})
}

func TestEachFaultOfFencesIsNamed(t *testing.T) {
	w := newWorld(t)
	home := func(is string) string {
		return "CREATE OR REPLACE FUNCTION drover.is_home(t bigint) RETURNS boolean LANGUAGE sql AS 'SELECT " + is + "'"
	}
	w.judge([]fault{
		{name: "a subscription that is disabled", says: "replication from onprem to aws does not stand, so that the two sides were not " +
			"compared: subscription drover_aws is disabled",
			plant: func() { w.exec("aws", "ALTER SUBSCRIPTION drover_aws DISABLE") },
			undo: func() {
				w.exec("aws", "ALTER SUBSCRIPTION drover_aws ENABLE")
				w.reads("drover_aws", true)
			}},
		{name: "a subscription that the other side refuses",
			says: `replication from aws to onprem does not stand, so that the two sides were not compared: subscription drover_onprem does not read its slot "drover_onprem"`,
			plant: func() {
				w.exec("onprem", "ALTER SUBSCRIPTION drover_onprem CONNECTION '"+w.server.DSNAs(pg.Admin, "wrong", "aws")+"'")
				w.reads("drover_onprem", false)
			},
			undo: func() {
				w.exec("onprem", "ALTER SUBSCRIPTION drover_onprem CONNECTION '"+w.server.DSN("aws")+"'")
				w.reads("drover_onprem", true)
			}},
		{name: "a subscription that is gone", says: "replication from onprem to aws does not stand, so that the two sides were not " +
			"compared: there is no subscription",
			plant: func() { w.exec("aws", "ALTER SUBSCRIPTION drover_aws RENAME TO another") },
			undo: func() {
				w.exec("aws", "ALTER SUBSCRIPTION another RENAME TO drover_aws")
				w.reads("drover_aws", true)
			}},
		w.planted(fault{name: "a customer whose writes both sides take", says: "customer acme: both sides take its writes"}, "onprem",
			home("true"), home("t IN (2, 3)")),
		w.planted(fault{name: "a customer whose writes no side takes", says: "customer beta: no side takes its writes"}, "onprem",
			home("t = 3"), home("t IN (2, 3)")),
		w.planted(fault{name: "a filter that somebody edited",
			says: "publication of orders on onprem: what it carries is not whose home this is, for beta"}, "onprem",
			"ALTER PUBLICATION drover_filtered DROP TABLE orders; ALTER PUBLICATION drover_filtered ADD TABLE orders WHERE (tenant_id "+
				"IN (3))",
			"ALTER PUBLICATION drover_filtered DROP TABLE orders; ALTER PUBLICATION drover_filtered ADD TABLE orders WHERE (tenant_id "+
				"IN (2, 3))"),
		w.planted(fault{name: "a filter that carries a customer whose home is the other side",
			says: "publication of orders on onprem: what it carries is not whose home this is, for acme"}, "onprem",
			"ALTER PUBLICATION drover_filtered DROP TABLE orders; ALTER PUBLICATION drover_filtered ADD TABLE orders",
			"ALTER PUBLICATION drover_filtered DROP TABLE orders; ALTER PUBLICATION drover_filtered ADD TABLE orders WHERE (tenant_id "+
				"IN (2, 3))"),
		w.planted(fault{name: "a table that is published no more",
			says: "publication of audit on aws: what it carries is not whose home this is, for acme"}, "aws",
			"ALTER PUBLICATION drover_filtered DROP TABLE audit",
			"ALTER PUBLICATION drover_filtered ADD TABLE audit WHERE (tenant_id IN (1))"),
		w.planted(fault{name: "both directions of a customer on",
			says: "customer acme: its home is aws, and on onprem its direction to the other side is on"}, "onprem",
			"UPDATE drover.direction SET is_on = true WHERE tenant = 1", "UPDATE drover.direction SET is_on = false WHERE tenant = 1"),
		w.planted(fault{name: "no direction of a customer on",
			says: "customer beta: its home is onprem, and on onprem its direction to the other side is off"}, "onprem",
			"UPDATE drover.direction SET is_on = false WHERE tenant = 2", "UPDATE drover.direction SET is_on = true WHERE tenant = 2"),
		w.planted(fault{name: "a guard whose trigger is disabled", says: "table orders on onprem is not guarded"}, "onprem",
			"ALTER TABLE orders DISABLE TRIGGER zzzz_drover_guard", "ALTER TABLE orders ENABLE TRIGGER zzzz_drover_guard"),
		w.planted(fault{name: "a partition whose trigger is disabled", says: "table events_c on aws is not guarded"}, "aws",
			"ALTER TABLE events_c DISABLE TRIGGER zzzz_drover_guard", "ALTER TABLE events_c ENABLE TRIGGER zzzz_drover_guard"),
	})
}

func TestEachFaultOfFilesDisksAndRoutesIsNamed(t *testing.T) {
	w := newWorld(t)
	write := func(customer, name, body string) func() {
		return func() { require.NoError(t, os.WriteFile(w.path(customer, name), []byte(body), 0o600)) }
	}
	// looking keeps a file's looks while do changes it.
	looking := func(customer, name string, do func()) func() {
		return func() {
			info, err := os.Stat(w.path(customer, name))
			require.NoError(t, err)
			do()
			require.NoError(t, os.Chtimes(w.path(customer, name), time.Time{}, info.ModTime()))
		}
	}
	seed := w.path("beta", "seed.txt")
	remove := func(path string) {
		require.NoError(t, os.Rename(path, filepath.Join(filepath.Dir(w.opts.Ledger), "aside")))
	}
	restore := func(path string) {
		require.NoError(t, os.Rename(filepath.Join(filepath.Dir(w.opts.Ledger), "aside"), path))
	}
	chmod := func(mode os.FileMode) func() { return func() { require.NoError(t, os.Chmod(seed, mode)) } }
	info, err := os.Stat(seed)
	require.NoError(t, err)
	w.judge([]fault{
		{name: "a missing object", lost: 1, objects: -1, says: "customer acme: lost: file doc.txt is not in the bucket",
			plant: func() { w.remove("acme/doc.txt") }, undo: func() { w.put("acme/doc.txt", "content of acme") }},
		{name: "an object with old content", lost: 1, objects: -1, says: "customer acme: lost: file doc.txt in the bucket has SHA-256",
			plant: func() { w.put("acme/doc.txt", "older") }, undo: func() { w.put("acme/doc.txt", "content of acme") }},
		{name: "an object of before the load that is gone", lost: 1, objects: -1,
			says:  "customer acme: lost: file seed.txt of before the load is not in the bucket",
			plant: func() { w.remove("acme/seed.txt") }, undo: func() { w.putLike("acme", "seed.txt", "was always there") }},
		{name: "an object of before the load that is gone on both sides", lost: 1, objects: -1,
			says:  "customer acme: lost: file seed.txt of before the load is not in the bucket",
			plant: func() { w.remove("acme/seed.txt"); remove(w.path("acme", "seed.txt")) },
			undo:  func() { restore(w.path("acme", "seed.txt")); w.putLike("acme", "seed.txt", "was always there") }},
		{name: "an object of before the load with a byte changed", lost: 1, objects: -1,
			says:  "customer acme: lost: file seed.txt in the bucket has SHA-256",
			plant: func() { w.putLike("acme", "seed.txt", "was always here!") }, undo: func() {
				w.putLike("acme", "seed.txt",
					"was always there")
			}},
		{name: "an object that lost its looks", objects: -1,
			says:  `customer acme: file seed.txt in the bucket looks "", before the load it was "600 `,
			plant: func() { w.remove("acme/seed.txt"); w.put("acme/seed.txt", "was always there") }, undo: func() {
				w.putLike("acme",
					"seed.txt", "was always there")
			}},
		{name: "an object that nobody wrote", says: "customer acme: unknown: file more.txt in the bucket",
			plant: func() { w.put("acme/more.txt", "x") }, undo: func() { w.remove("acme/more.txt") }},
		{name: "a file of before the load that is gone at home", lost: 1, objects: -1,
			says:  "customer beta: lost: file seed.txt of before the load is not in the folder",
			plant: func() { remove(seed) }, undo: func() { restore(seed) }},
		{name: "a file of before the load with a byte changed", lost: 1, objects: -1,
			says:  "customer beta: lost: file seed.txt in the folder has SHA-256",
			plant: looking("beta", "seed.txt", write("beta", "seed.txt", "was always here!")), undo: looking("beta", "seed.txt",
				write("beta", "seed.txt", "was always there"))},
		{name: "a file of before the load with another mode", objects: -1, says: `customer beta: file seed.txt in the folder looks "644 `,
			plant: chmod(0o644), undo: chmod(0o600)},
		{name: "a file of before the load with another time", objects: -1, says: "customer beta: file seed.txt in the folder looks ",
			plant: func() { require.NoError(t, os.Chtimes(seed, time.Time{}, info.ModTime().Add(time.Second))) },
			undo:  func() { require.NoError(t, os.Chtimes(seed, time.Time{}, info.ModTime())) }},
		{name: "a file of the ledger that is gone", lost: 1, objects: -1, says: "customer beta: lost: file doc.txt is not in the folder",
			plant: func() { remove(w.path("beta", "doc.txt")) }, undo: func() { restore(w.path("beta", "doc.txt")) }},
		{name: "a flipped bit in a snapshot", says: "snapshot snap-1: its 2 blocks have SHA-256",
			plant: func() { w.disk[12345] ^= 4 }, undo: func() { w.disk[12345] ^= 4 }},
		{name: "a route to the wrong side", says: "customer acme: its requests are answered on onprem, its home is aws",
			plant: func() { w.routes["acme.app"] = "onprem" }, undo: func() { w.routes["acme.app"] = "aws" }},
		{name: "a route that leads nowhere", says: "customer acme: its route was not answered: 503 Service Unavailable",
			plant: func() { w.routes["acme.app"] = "" }, undo: func() { w.routes["acme.app"] = "aws" }},
		{name: "a target that is gone", says: "target 10.0.0.9:8080 of group aws-web: nobody listens there",
			plant: func() { w.stale = []string{"10.0.0.9:8080 of group aws-web"} }, undo: func() { w.stale = nil }},
	})
}

// judge plants each fault alone, wants it named and counted, and nothing to be wrong any more when
// it is undone.
func (w *world) judge(faults []fault) {
	for _, c := range faults {
		w.t.Run(c.name, func(t *testing.T) {
			c.plant()
			r, err := verify.Run(t.Context(), w.opts)
			require.NoError(t, err)
			require.NotEmpty(t, r.Violations)
			require.Contains(t, strings.Join(r.Violations, "\n"), c.says)
			require.Equal(t, []int{c.lost, c.duplicate, c.misplaced, c.unknown}, []int{r.LostWrites, r.DuplicateWrites, r.MisplacedRows,
				r.UnknownRows}, r.Violations)
			require.EqualValues(t, 6+c.objects, r.ObjectsVerified)
			c.undo()
			r, err = verify.Run(t.Context(), w.opts)
			require.NoError(t, err)
			require.Empty(t, r.Violations)
		})
	}
}
