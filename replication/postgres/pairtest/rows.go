package pairtest

import "github.com/drover-migration/drover/migration"

// Rows gives every table rows of the first n tenants.
func (r *Rig) Rows(n int) {
	r.Helper()
	for _, sql := range []string{
		"INSERT INTO tenants SELECT g, 't' || g, '{}' FROM generate_series(1, $1::int) g",
		"INSERT INTO acct SELECT g, 0 FROM generate_series(1, $1::int) g",
		"INSERT INTO orders (tenant_id, token, amount, body) SELECT 1 + g % $1::int, gen_random_uuid(), g / 7.0, " +
			"jsonb_build_object('n', g) FROM generate_series(1, 200) g",
		"INSERT INTO order_items (tenant_id, order_id, sku, qty) SELECT 1 + g % $1::int, g, md5(g::text), 1 FROM generate_series(1, 200) g",
		"INSERT INTO events (ts, tenant_id, doc, raw) SELECT '2024-06-01'::timestamptz + g * interval '3 days', 1 + g % $1::int, '{}', " +
			"decode(md5(g::text), 'hex') FROM generate_series(1, 200) g",
		"INSERT INTO audit SELECT 1 + g % $1::int, now(), NULL, 'm' || g FROM generate_series(1, 100) g",
		"INSERT INTO blobs (tenant_id, data) SELECT 1 + g % $1::int, 'x' FROM generate_series(1, 100) g",
	} {
		r.Must(migration.OnPrem, sql, n)
	}
}
