package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
)

// database is what the application's database is called on both sides, archive what its second one
// is, for shapes that have it.
const (
	database = "orders"
	archive  = "archive"
)

// databases of the shape.
func (l *Lab) databases() []string {
	if l.Shape.Archive {
		return []string{database, archive}
	}
	return []string{database}
}

// ArchiveDSN connects to the second database on a side as the application does. It has one table,
// entries (tenant_id, id, token), and nobody writes there but its caller.
func (l *Lab) ArchiveDSN(side migration.Side) string {
	if side == migration.AWS {
		return l.rds.DSNAs(l.app[1].name, l.app[1].password, archive)
	}
	return l.onprem.DSNAs(l.app[0].name, l.app[0].password, archive)
}

// role of a database.
type role struct{ name, password string }

// startDatabases starts both servers: one with the application's data, one empty, as RDS would hand
// it over.
func (l *Lab) startDatabases(ctx context.Context) (err error) {
	o := pg.Options{Tools: l.opts.Tools, Dir: l.opts.Dir, Listen: l.net.database(), Port: l.ports.database, Name: "onprem"}
	if l.onprem, err = pg.Start(ctx, o); err != nil {
		return err
	}
	l.later(func() { _ = l.onprem.Close() })
	o.Listen, o.Name = l.net.rds(), "rds"
	if l.rds, err = pg.Start(ctx, o); err != nil {
		return err
	}
	l.later(func() { _ = l.rds.Close() })
	for i, s := range []*pg.Server{l.onprem, l.rds} {
		for _, name := range l.databases() {
			if err := s.CreateDatabase(ctx, name); err != nil {
				return err
			}
		}
		for _, r := range []struct {
			at         *role
			name, with string
		}{{&l.drover[i], "drover", "SUPERUSER REPLICATION"}, {&l.app[i], "app", ""}} {
			r.at.name = r.name
			if r.at.password, err = s.CreateRole(ctx, r.name, r.with); err != nil {
				return err
			}
		}
		for _, name := range l.databases() {
			if err := s.Exec(ctx, name, grants); err != nil {
				return err
			}
		}
	}
	return l.seed(ctx)
}

// grants let the application's role read and write what is there and what a migration will bring.
const grants = `ALTER DEFAULT PRIVILEGES FOR ROLE drover IN SCHEMA public GRANT ALL ON TABLES TO app;
ALTER DEFAULT PRIVILEGES FOR ROLE drover IN SCHEMA public GRANT ALL ON SEQUENCES TO app`

// EmptyRDS drops what a migration has copied into the databases on AWS.
func (l *Lab) EmptyRDS(ctx context.Context) error {
	for _, name := range l.databases() {
		if err := l.rds.Exec(ctx, name, "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC; "+
			grants); err != nil {
			return err
		}
	}
	return nil
}

// rowsEach is how many orders a customer has before the load begins.
const rowsEach = 200

// seed fills the database on premises and the file tree: what customers have brought with them over
// the years.
func (l *Lab) seed(ctx context.Context) error {
	n := len(l.Shape.Customers())
	sql := pg.Schema + fmt.Sprintf(`;
GRANT ALL ON ALL TABLES IN SCHEMA public TO app;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app;
INSERT INTO ref_currency SELECT 'C' || g, g * 1.01 FROM generate_series(1, 50) g;
INSERT INTO tenants SELECT g, 'tenant ' || g, jsonb_build_object('plan', g %% 3) FROM generate_series(1, %[1]d) g;
INSERT INTO acct SELECT g, 0 FROM generate_series(1, %[1]d) g;
INSERT INTO orders (tenant_id, token, amount, body, created_at)
  SELECT 1 + g %% %[1]d, gen_random_uuid(), (g %% 10000) / 100.0, jsonb_build_object('sku', md5(g::text)), now() - (g %% 500) * interval
  '1 hour' FROM generate_series(1, %[2]d) g;
INSERT INTO order_items (tenant_id, order_id, sku, qty) SELECT tenant_id, id, md5(id::text), (id %% 9)::int FROM orders;
INSERT INTO events (ts, tenant_id, token, doc) SELECT '2024-06-01'::timestamptz + (g %% 900) * interval '1 day', 1 + g %% %[1]d,
gen_random_uuid(), jsonb_build_object('k', g) FROM generate_series(1, %[2]d) g;
INSERT INTO audit SELECT 1 + g %% %[1]d, now(), gen_random_uuid(), md5(g::text) FROM generate_series(1, %[2]d / 2) g;
INSERT INTO blobs (tenant_id, data) SELECT 1 + g %% %[1]d, decode(repeat(md5(g::text), 64), 'hex') FROM generate_series(1, %[1]d * 4) g;
ANALYZE`, n, n*rowsEach)
	if err := l.onprem.Exec(ctx, database, sql); err != nil {
		return err
	}
	if l.Shape.Archive {
		const entries = `CREATE TABLE entries (tenant_id int NOT NULL, id bigserial, token text NOT NULL, PRIMARY KEY (tenant_id, id));
			GRANT ALL ON ALL TABLES IN SCHEMA public TO app;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app; INSERT INTO entries (tenant_id, token) SELECT 1 + g %% %d, 'old ' || g FROM
generate_series(1, %d) g; ANALYZE`
		if err := l.onprem.Exec(ctx, archive, fmt.Sprintf(entries, n, n*rowsEach)); err != nil {
			return err
		}
	}
	for _, c := range l.Shape.Customers() {
		dir := filepath.Join(l.FilesDir, c.ID, "invoices")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for i := range 5 {
			body := fmt.Sprintf("invoice %d of %s\n", i, c.Name)
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d.txt", i)), []byte(body), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
