-- The schema of the orders application: every kind of key and table that a migration must cope
-- with.

-- The same for everybody: written on premises, copied to AWS.
CREATE TABLE ref_currency (code text PRIMARY KEY, rate numeric);

CREATE TABLE tenants (tenant_id int PRIMARY KEY, name text, settings jsonb);
CREATE TABLE acct (tenant_id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0);

-- An identity key and a generated column. The token is the client's: a write that is tried again is
-- taken once.
CREATE TABLE orders (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id  int NOT NULL,
  token      uuid,
  amount     numeric(12, 2),
  total      numeric GENERATED ALWAYS AS (amount * 1.2) STORED,
  ver        int DEFAULT 0,
  body       jsonb,
  created_at timestamptz DEFAULT now(),
  UNIQUE (tenant_id, token)
);

-- A serial key.
CREATE TABLE order_items (id serial PRIMARY KEY, tenant_id int NOT NULL, order_id bigint, sku text, qty int, token uuid);

-- Partitioned, with a UUID key.
CREATE TABLE events (
  id        uuid NOT NULL DEFAULT gen_random_uuid(),
  ts        timestamptz NOT NULL,
  tenant_id int NOT NULL,
  token     uuid,
  doc       jsonb,
  raw       bytea,
  PRIMARY KEY (id, ts)
) PARTITION BY RANGE (ts);
CREATE TABLE events_a PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_b PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_c PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2040-01-01');

-- No key at all.
CREATE TABLE audit (tenant_id int NOT NULL, ts timestamptz, token uuid, msg text);

-- A key that begins with the tenant.
CREATE TABLE blobs (tenant_id int NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), token uuid, data bytea,
    PRIMARY KEY (tenant_id, id));

CREATE INDEX ON orders (tenant_id, created_at);
CREATE INDEX ON order_items (tenant_id, order_id);
CREATE INDEX ON events (tenant_id, ts);
CREATE INDEX ON audit (tenant_id);
