package verify_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
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

// world is two databases with the same rows, a folder, a bucket and a ledger, all as they should be: acme is homed on AWS, beta on
// premises.
type world struct {
	t      *testing.T
	server *pg.Server
	s3     *s3.Client
	opts   verify.Options
	ledger *load.Ledger
	disk   []byte
}

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
	for side, home := range map[string]int{"onprem": 2, "aws": 1} {
		require.NoError(t, w.server.CreateDatabase(t.Context(), side))
		w.exec(side, pg.Schema)
		w.exec(side, fmt.Sprintf("CREATE SCHEMA drover; CREATE FUNCTION drover.is_home(t bigint) RETURNS boolean LANGUAGE sql AS 'SELECT t = %d'", home))
	}
	w.subscribe("onprem", "aws")
	w.subscribe("aws", "onprem")
	w.startS3(tools, dir)
	w.opts = verify.Options{
		Ledger: filepath.Join(dir, "ledger.jsonl"), Drain: time.Millisecond, OnPrem: w.server.DSN("onprem"), AWS: w.server.DSN("aws"),
		Customers: []load.Customer{{ID: "acme", Tenant: 1}, {ID: "beta", Tenant: 2}},
		Files:     &verify.Files{Folder: filepath.Join(dir, "files", "{customer}"), Client: w.s3, Bucket: bucket, Prefix: "{customer}/"},
		Disks: &verify.Disks{Snapshots: []verify.Snapshot{{ID: "snap-1", Bytes: int64(len(w.disk))}}, Exported: map[string]string{sum(w.disk): "web-01 disk 1"},
			Digest: func(string, int64) (string, int64, error) { return sum(w.disk), 2, nil }},
	}
	w.ledger, err = load.OpenLedger(w.opts.Ledger)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.ledger.Close() })
	for tenant, c := range map[int64]string{1: "acme", 2: "beta"} {
		w.write(tenant, c)
	}
	return w
}

// subscribe joins one side to the other as Drover does, but that nothing is carried: each side's rows are the test's own.
func (w *world) subscribe(from, to string) {
	name := "drover_" + to
	w.exec(from, "CREATE PUBLICATION "+name)
	w.exec(from, "SELECT pg_create_logical_replication_slot('"+name+"', 'pgoutput')")
	w.exec(to, fmt.Sprintf("CREATE SUBSCRIPTION %s CONNECTION '%s' PUBLICATION %[1]s WITH (create_slot = false, copy_data = false)", name, w.server.DSN(from)))
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
		return c.QueryRow(w.t.Context(), "SELECT active FROM pg_replication_slots WHERE slot_name = $1", slot).Scan(&active) == nil && active == is
	}, 20*time.Second, 10*time.Millisecond)
}

func (w *world) startS3(tools, dir string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	addr := l.Addr().String()
	require.NoError(w.t, l.Close())
	s, err := labaws.StartS3(w.t.Context(), labaws.S3Options{Tools: tools, Dir: dir, Listen: addr, AccessKey: "test", SecretKey: "testtest", Region: "us-east-1"})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { s.Close() })
	w.s3 = s3.New(s3.Options{Region: "us-east-1", UsePathStyle: true, BaseEndpoint: aws.String(s.Endpoint()), Credentials: credentials.NewStaticCredentialsProvider("test", "testtest", "")})
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

// write makes one write of each kind, as the application and replication would have left them.
func (w *world) write(tenant int64, customer string) {
	content := "content of " + customer
	e := load.Entry{Customer: customer, Tenant: tenant, Acked: time.Now(), Attempts: 1}
	for n, x := range []load.Entry{{Kind: load.KindOrder, Amount: 1234}, {Kind: load.KindEvent}, {Kind: load.KindAdd, Amount: 5}, {Kind: load.KindFile, Name: "doc.txt", SHA256: sum([]byte(content))}} {
		e.Kind, e.Amount, e.Name, e.SHA256, e.Token = x.Kind, x.Amount, x.Name, x.SHA256, token(tenant, n)
		require.NoError(w.t, w.ledger.Add(e))
	}
	for _, side := range []string{"onprem", "aws"} {
		w.exec(side, fmt.Sprintf(`
			INSERT INTO orders (tenant_id, token, amount, created_at) VALUES (%[1]d, '%[2]s', 12.34, '2026-01-01');
			INSERT INTO order_items (tenant_id, order_id, token) VALUES (%[1]d, 1, '%[2]s');
			INSERT INTO events (id, ts, tenant_id, token) VALUES ('%[3]s', '2026-01-01', %[1]d, '%[3]s');
			INSERT INTO audit (tenant_id, ts, token, msg) VALUES (%[1]d, '2026-01-01', '%[3]s', 'event');
			INSERT INTO blobs (tenant_id, id, token, data) VALUES (%[1]d, '%[4]s', '%[4]s', 'add 5'), (%[1]d, '%[5]s', '%[5]s', 'file %[6]s doc.txt');
			INSERT INTO acct VALUES (%[1]d, 5)`, tenant, token(tenant, 0), token(tenant, 1), token(tenant, 2), token(tenant, 3), sum([]byte(content))))
	}
	dir := filepath.Dir(filepath.Dir(w.opts.Files.Folder)) + "/files/" + customer
	require.NoError(w.t, os.MkdirAll(dir, 0o755))
	for name, body := range map[string]string{"doc.txt": content, "seed.txt": "was always there"} {
		require.NoError(w.t, os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600))
		w.put(customer+"/"+name, body)
	}
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
	require.Equal(t, 8, r.AckedWrites)
	require.EqualValues(t, 28, r.RowsVerified, "those of both sides")
	require.EqualValues(t, 4, r.ObjectsVerified)
	require.EqualValues(t, 2, r.DiskBlocksVerified)
	require.Equal(t, map[string]string{"acme": "aws", "beta": "onprem"}, r.Homes)
}

func TestBeforeDroverHasPreparedADatabaseNoSubscriptionIsMissed(t *testing.T) {
	w := newWorld(t)
	for _, side := range []string{"onprem", "aws"} {
		w.exec(side, "ALTER SUBSCRIPTION drover_"+side+" RENAME TO somebodys_own")
		w.exec(side, "DROP SCHEMA drover CASCADE")
	}
	r, err := verify.Run(t.Context(), w.opts)
	require.NoError(t, err)
	require.Empty(t, r.Violations)
	require.EqualValues(t, 14, r.RowsVerified, "those at home")
}

func TestEachThingThatIsWrongIsNamed(t *testing.T) {
	w := newWorld(t)
	beta0, beta1 := token(2, 0), token(2, 1)
	for _, c := range []struct {
		name                                string
		plant, undo                         func()
		lost, duplicate, misplaced, objects int
		says                                string
	}{
		{name: "a write that is lost at home and left behind", lost: 1, misplaced: 1, says: "customer beta: lost: order " + beta0,
			plant: func() {
				w.exec("onprem", "CREATE TABLE kept AS SELECT * FROM orders; DELETE FROM orders WHERE tenant_id = 2")
			},
			undo: func() {
				w.exec("onprem", "INSERT INTO orders (id, tenant_id, token, amount, created_at, ver) OVERRIDING SYSTEM VALUE SELECT id, tenant_id, token, amount, created_at, ver FROM kept WHERE tenant_id = 2; DROP TABLE kept")
			}},
		{name: "a write that is half there", lost: 1, misplaced: 1, says: "no row in audit on onprem",
			plant: func() { w.exec("onprem", "DELETE FROM audit WHERE tenant_id = 2") },
			undo: func() {
				w.exec("onprem", "INSERT INTO audit (tenant_id, ts, token, msg) VALUES (2, '2026-01-01', '"+beta1+"', 'event')")
			}},
		{name: "a write that is there twice", duplicate: 1, says: "customer beta: duplicate: token " + beta0 + " is 2 times in order_items on onprem",
			plant: func() {
				w.exec("onprem", "INSERT INTO order_items (id, tenant_id, order_id, token) VALUES (99, 2, 1, '"+beta0+"')")
			},
			undo: func() { w.exec("onprem", "DELETE FROM order_items WHERE id = 99") }},
		{name: "a write whose content changed", lost: 1, misplaced: 1, says: `it is "9900", acknowledged was "1234"`,
			plant: func() { w.exec("aws", "UPDATE orders SET amount = 99 WHERE tenant_id = 1") },
			undo:  func() { w.exec("aws", "UPDATE orders SET amount = 12.34 WHERE tenant_id = 1") }},
		{name: "a counter that was added to twice", duplicate: 1, misplaced: 1, says: "the counter on aws is 10, what was added is 5",
			plant: func() { w.exec("aws", "UPDATE acct SET n = 10 WHERE tenant_id = 1") },
			undo:  func() { w.exec("aws", "UPDATE acct SET n = 5 WHERE tenant_id = 1") }},
		{name: "a row on the wrong side", misplaced: 1, says: "customer acme: misplaced: a row of orders (token \"00000000-0000-4000-8000-999999999999\") is only on onprem, its home is aws",
			plant: func() {
				w.exec("onprem", "INSERT INTO orders (tenant_id, token, amount) VALUES (1, '00000000-0000-4000-8000-999999999999', 1)")
			},
			undo: func() { w.exec("onprem", "DELETE FROM orders WHERE token = '00000000-0000-4000-8000-999999999999'") }},
		{name: "a row that was not carried", says: `customer acme: not carried: a row of orders (token "") is on aws and not on onprem`,
			plant: func() { w.exec("aws", "INSERT INTO orders (tenant_id, amount) VALUES (1, 1)") },
			undo:  func() { w.exec("aws", "DELETE FROM orders WHERE token IS NULL") }},
		{name: "a subscription that is disabled", says: "replication from onprem to aws does not stand, so that the two sides were not compared: subscription drover_aws is disabled",
			plant: func() { w.exec("aws", "ALTER SUBSCRIPTION drover_aws DISABLE") },
			undo: func() {
				w.exec("aws", "ALTER SUBSCRIPTION drover_aws ENABLE")
				w.reads("drover_aws", true)
			}},
		{name: "a subscription that the other side refuses", says: `replication from aws to onprem does not stand, so that the two sides were not compared: subscription drover_onprem does not read its slot "drover_onprem"`,
			plant: func() {
				w.exec("onprem", "ALTER SUBSCRIPTION drover_onprem CONNECTION '"+w.server.DSNAs(pg.Admin, "wrong", "aws")+"'")
				w.reads("drover_onprem", false)
			},
			undo: func() {
				w.exec("onprem", "ALTER SUBSCRIPTION drover_onprem CONNECTION '"+w.server.DSN("aws")+"'")
				w.reads("drover_onprem", true)
			}},
		{name: "a subscription that is gone", says: "replication from onprem to aws does not stand, so that the two sides were not compared: there is no subscription",
			plant: func() { w.exec("aws", "ALTER SUBSCRIPTION drover_aws RENAME TO another") },
			undo: func() {
				w.exec("aws", "ALTER SUBSCRIPTION another RENAME TO drover_aws")
				w.reads("drover_aws", true)
			}},
		{name: "a customer whose writes both sides take", says: "customer acme: both sides take its writes",
			plant: func() {
				w.exec("onprem", "CREATE OR REPLACE FUNCTION drover.is_home(t bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true'")
			},
			undo: func() {
				w.exec("onprem", "CREATE OR REPLACE FUNCTION drover.is_home(t bigint) RETURNS boolean LANGUAGE sql AS 'SELECT t = 2'")
			}},
		{name: "a missing object", lost: 1, objects: -1, says: "customer acme: lost: file doc.txt is not in the bucket",
			plant: func() { w.remove("acme/doc.txt") }, undo: func() { w.put("acme/doc.txt", "content of acme") }},
		{name: "a missing object of which the ledger knows nothing", lost: 1, objects: -1, says: "customer acme: lost: file seed.txt is in the folder and not in the bucket",
			plant: func() { w.remove("acme/seed.txt") }, undo: func() { w.put("acme/seed.txt", "was always there") }},
		{name: "an object with old content", lost: 1, objects: -1, says: "customer acme: lost: file doc.txt in the bucket has SHA-256",
			plant: func() { w.put("acme/doc.txt", "older") }, undo: func() { w.put("acme/doc.txt", "content of acme") }},
		{name: "a flipped bit in a snapshot", says: "snapshot snap-1: its 2 blocks have SHA-256",
			plant: func() { w.disk[12345] ^= 4 }, undo: func() { w.disk[12345] ^= 4 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.plant()
			r, err := verify.Run(t.Context(), w.opts)
			require.NoError(t, err)
			require.NotEmpty(t, r.Violations)
			require.Contains(t, fmt.Sprint(r.Violations), c.says)
			require.Equal(t, []int{c.lost, c.duplicate, c.misplaced}, []int{r.LostWrites, r.DuplicateWrites, r.MisplacedRows}, r.Violations)
			require.EqualValues(t, 4+c.objects, r.ObjectsVerified)
			c.undo()
			r, err = verify.Run(t.Context(), w.opts)
			require.NoError(t, err)
			require.Empty(t, r.Violations)
		})
	}
}
