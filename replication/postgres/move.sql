-- Drover: Moves of tenants between two PostgreSQL databases. The same file is installed on BOTH
-- sides, and may be installed again over itself at any time: tables are made once, functions are
-- replaced. install.go stamps it and refuses to go back to an older one.
--
-- The rule that keeps the sides apart: a side opens at token p only after the OTHER side was
-- recorded closed at token p (by seal(p), or by poison(p)), and only while its own stored token is
-- lower than p. Tokens never go down.
-- The rule that keeps the data whole: a side opens only if the mark that fence() wrote on the other
-- side, in the transaction that committed after the last writer, has ARRIVED HERE BY REPLICATION,
-- read in the very transaction that opens.
--
-- Order of locks, everywhere: tenant advisory locks (ascending) < fence rows (ascending) <
-- direction rows < publication lock < catalogs. An owner is a fresh uuid per try. Every function is
-- one READ COMMITTED transaction and is idempotent; it answers with a word (the caller decides) and
-- raises only for errors. All ids of a call get the same answer, or nothing changes.
--
-- A customer waits for these functions. They are PL/pgSQL, whose sessions keep the plans of their
-- statements, and _begin() has the server use a kept plan as it is. Otherwise the server plans a
-- list of ids anew at each call, which took a third of a freeze.

CREATE SCHEMA IF NOT EXISTS drover;

-- A tenant without a fence is a newcomer: it may write on one side, from which its rows go to the
-- other, and is refused there.
CREATE TABLE IF NOT EXISTS drover.config (
  one       boolean PRIMARY KEY DEFAULT true CHECK (one),
  newcomers boolean NOT NULL DEFAULT false      -- this is the side where they write
);
INSERT INTO drover.config DEFAULT VALUES ON CONFLICT DO NOTHING;

-- Ids that were in the data before the plan began and are not in it: they stay where they are, here
-- or on the other side.
CREATE TABLE IF NOT EXISTS drover.elsewhere (first bigint PRIMARY KEY, last bigint NOT NULL CHECK (last >= first), here boolean NOT NULL);

-- Whether a tenant without a fence writes on this side.
CREATE OR REPLACE FUNCTION drover._at_home(t bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT t IS NOT NULL AND coalesce((SELECT here FROM (SELECT last, here FROM drover.elsewhere WHERE first <= t
      ORDER BY first DESC LIMIT 1) e WHERE last >= t),
                                    (SELECT newcomers FROM drover.config)) $$;

CREATE TABLE IF NOT EXISTS drover.installed (   -- which version of this file stands here
  one     boolean PRIMARY KEY DEFAULT true CHECK (one),
  version int NOT NULL,
  digest  text NOT NULL,                        -- SHA-256 of the file
  at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS drover.plan (        -- the one plan, and its dataset, that this database belongs to
  one     boolean PRIMARY KEY DEFAULT true CHECK (one),
  plan    text NOT NULL,
  dataset text NOT NULL,
  since   timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS drover.identity (    -- replica identities as they were before Drover changed them, to be put back
  rel regclass PRIMARY KEY, was text NOT NULL, idx name, made name
);

CREATE TABLE IF NOT EXISTS drover.fence (
  tenant       int PRIMARY KEY,
  state        text NOT NULL CHECK (state IN ('open', 'fenced', 'sealed')),
  token        bigint NOT NULL DEFAULT 0,
  owner        uuid,
  lease_until  timestamptz,                     -- only while fenced; this server's clock decides
  patience     interval NOT NULL DEFAULT '0',   -- of the last fence(): how long a write may wait here for its end
  sealed_token bigint NOT NULL DEFAULT 0,       -- token of the last seal() here: of two sealed sides the higher was home last
  CHECK ((state = 'fenced') = (lease_until IS NOT NULL))
) WITH (fillfactor = 50);

-- The tenant stays on AWS for good: no way leads back. On both sides.
ALTER TABLE drover.fence ADD COLUMN IF NOT EXISTS final boolean NOT NULL DEFAULT false;

CREATE TABLE IF NOT EXISTS drover.direction (                 -- the truth about outgoing replication; publications are derived from it
  pub    text NOT NULL,                         -- publication on this side
  peer   text NOT NULL,                         -- publication of the other side that carries the same tables the other way
  tenant int  NOT NULL REFERENCES drover.fence,
  is_on  boolean NOT NULL,
  token  bigint NOT NULL DEFAULT 0,
  owner  uuid,
  PRIMARY KEY (pub, tenant)
) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS direction_tenant ON drover.direction (tenant);

CREATE TABLE IF NOT EXISTS drover.member (                    -- which tables a publication carries, and their tenant column
  pub text NOT NULL, rel regclass NOT NULL, col name NOT NULL, PRIMARY KEY (pub, rel)
);

-- replicated both ways, filtered by pub. tenant 0: heartbeats; else marks of fence()
CREATE TABLE IF NOT EXISTS drover.beat (
  pub text NOT NULL, tenant int NOT NULL, token bigint NOT NULL, owner uuid, at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (pub, tenant)
) WITH (fillfactor = 50);

-- Changes of the schema made on this side, by the SHA-256 of their files: none is made twice.
CREATE TABLE IF NOT EXISTS drover.schema_change (
  digest text PRIMARY KEY, file text NOT NULL, by text NOT NULL, why text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- ---------------------------------------------------------------- guard

-- The shared lock lives until the writer's transaction ends (prepared transactions keep it too);
-- fence() and seal() take it exclusively. Under READ COMMITTED the next statement has a snapshot
-- younger than the lock. Under any other level the snapshot may be older than the fence: FOR SHARE
-- turns that into 40001 (FOR KEY SHARE would not). A fence that may still be taken back raises
-- DR009 where the caller can wait for that, else DR001.
CREATE OR REPLACE FUNCTION drover._enter(t int, rc boolean, may_wait boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE f drover.fence;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(724, t);
  IF rc THEN SELECT * INTO f FROM drover.fence WHERE tenant = t;
  ELSE       SELECT * INTO f FROM drover.fence WHERE tenant = t FOR SHARE; END IF;
  IF f.state = 'open' THEN RETURN; END IF;
  IF f.state = 'fenced' AND f.lease_until <= clock_timestamp() THEN
    -- The lease has run out: open. The first writer writes it down if it can do so without waiting,
    -- so that a clock that is later set back cannot bring the fence back to life under a committed
    -- write.
    PERFORM 1 FROM drover.fence WHERE tenant = t AND state = 'fenced' AND token = f.token FOR UPDATE SKIP LOCKED;
    IF FOUND THEN UPDATE drover.fence SET state = 'open', lease_until = NULL WHERE tenant = t; END IF;
    RETURN;
  END IF;
  IF may_wait AND f.state = 'fenced' AND f.patience > '0' THEN RAISE EXCEPTION USING ERRCODE = 'DR009'; END IF;
  RAISE EXCEPTION 'tenant % is not writable here (%)', t, coalesce(f.state, 'unknown tenant')
    USING ERRCODE = 'DR001', HINT = 'refresh the route and retry';
END $$;

-- Waits for the end of a tenant's fence: until the side is sealed or open again, the fence's
-- patience ends, or its lease does. A quarter of the server's connections may wait at once
-- (pg_locks shows them: advisory, classid 727); the next one does not. The server's log has a line
-- for each. Whoever waits holds none of the locks above: a subtransaction that is rolled back lets
-- go what it has locked, here as in check_write().
CREATE OR REPLACE FUNCTION drover._await(t int, rc boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE f drover.fence; until timestamptz; nap float8 := 0.002;
BEGIN
  SELECT * INTO f FROM drover.fence WHERE tenant = t;
  IF f.state <> 'fenced' THEN RETURN; END IF;
  until := least(statement_timestamp() + f.patience, f.lease_until);   -- writes of one row queue for it before they come here
  PERFORM 1 FROM generate_series(1, greatest(1, current_setting('max_connections')::int / 4)) n
      WHERE pg_try_advisory_xact_lock(727, n) LIMIT 1;
  IF NOT FOUND THEN RETURN; END IF;
  RAISE LOG 'drover: a write of tenant % waits for the end of a fence, until % at the latest', t, until;
  WHILE clock_timestamp() < until LOOP
    PERFORM pg_sleep(least(nap, extract(epoch FROM until - clock_timestamp())));
    nap := least(1.5 * nap, 0.02);
    IF rc THEN
      SELECT * INTO f FROM drover.fence WHERE tenant = t;
      EXIT WHEN f.state <> 'fenced' OR f.lease_until <= clock_timestamp();
    ELSE
      BEGIN
        PERFORM 1 FROM drover.fence WHERE tenant = t FOR SHARE SKIP LOCKED;   -- 40001 once the row is another than this snapshot's
        RAISE EXCEPTION USING ERRCODE = 'DR009';
      EXCEPTION WHEN SQLSTATE 'DR009' THEN NULL;
      END;
    END IF;
  END LOOP;
  RAISE EXCEPTION USING ERRCODE = 'DR009';
EXCEPTION WHEN SQLSTATE 'DR009' THEN RETURN;
END $$;

-- Called by the guard_* triggers only, which are SECURITY DEFINER: a role that writes needs no
-- privilege on this schema. READ COMMITTED looks in a subtransaction, which costs about a
-- microsecond and no transaction id. FOR SHARE would cost it an id for every row: under any other
-- level only a snapshot that shows a fence looks so; one that is older than the fence fails with
-- 40001 and never waits.
CREATE OR REPLACE FUNCTION drover.check_write(t int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE rc boolean := current_setting('transaction_isolation') = 'read committed';
BEGIN
  IF NOT rc THEN
    PERFORM 1 FROM drover.fence WHERE tenant = t AND state = 'fenced' AND lease_until > clock_timestamp();
    IF NOT FOUND THEN PERFORM drover._enter(t, rc, false); RETURN; END IF;
  END IF;
  BEGIN
    PERFORM drover._enter(t, rc, true);
    RETURN;
  EXCEPTION WHEN SQLSTATE 'DR009' THEN NULL;
  END;
  PERFORM drover._await(t, rc);
  PERFORM drover._enter(t, rc, false);
END $$;

-- What the guard_* triggers ask. Only a tenant of a plan has a fence, and its id fits an int. A
-- newcomer takes the shared lock too, in case it gets a fence while the writer's transaction lasts.
CREATE OR REPLACE FUNCTION drover.check_tenant(t bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE fits boolean := t BETWEEN -2147483648 AND 2147483647;
BEGIN
  IF fits AND EXISTS (SELECT FROM drover.fence WHERE tenant = t::int) THEN PERFORM drover.check_write(t::int); RETURN; END IF;
  IF fits THEN
    PERFORM pg_advisory_xact_lock_shared(724, t::int);
    IF EXISTS (SELECT FROM drover.fence WHERE tenant = t::int) THEN PERFORM drover.check_write(t::int); RETURN; END IF;
  END IF;
  IF drover._at_home(t) THEN RETURN; END IF;
  RAISE EXCEPTION 'tenant % is not writable here (unknown tenant)', t USING ERRCODE = 'DR001', HINT = 'refresh the route and retry';
END $$;

CREATE OR REPLACE FUNCTION drover.no_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'TRUNCATE ignores row filters and is blocked on %', TG_RELID::regclass USING ERRCODE = 'DR003'; END $$;

-- No MD5: a server in FIPS mode has none.
CREATE OR REPLACE FUNCTION drover._hash(x text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT left(encode(sha256(convert_to(x, getdatabaseencoding())), 'hex'), 32) $$;

-- Guards a table and adds it to a publication's list. The trigger's name sorts last: it sees the
-- row after all other BEFORE triggers. It does not fire for replicated rows
-- (session_replication_role = replica). The column may be of any integer type. The function's name
-- has the column's in full or as a hash: the server would cut off what is longer than 63 bytes.
CREATE OR REPLACE FUNCTION drover.protect(p_pub text, p_rel regclass, p_col name) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  fn text := format('drover.%I', 'guard_' || CASE WHEN octet_length(p_col) <= 57 THEN p_col ELSE drover._hash(p_col) END);
  leaf regclass;
BEGIN
  INSERT INTO drover.member VALUES (p_pub, p_rel, p_col) ON CONFLICT DO NOTHING;
  EXECUTE format($f$ CREATE OR REPLACE FUNCTION %1$s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog,
      pg_temp AS $g$
    BEGIN
      IF TG_OP = 'DELETE' THEN PERFORM drover.check_tenant(OLD.%2$I); RETURN OLD; END IF;
      PERFORM drover.check_tenant(NEW.%2$I);
      IF TG_OP = 'UPDATE' THEN
        IF OLD.%2$I IS DISTINCT FROM NEW.%2$I THEN PERFORM drover.check_tenant(OLD.%2$I); END IF;
      END IF;
      RETURN NEW;
    END $g$ $f$, fn, p_col);
  EXECUTE format('CREATE OR REPLACE TRIGGER zzzz_drover_guard BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION %s()',
      p_rel, fn);
  -- A row trigger reaches the partitions by itself, a statement trigger does not.
  FOR leaf IN SELECT p_rel UNION SELECT t.relid FROM pg_partition_tree(p_rel) t LOOP
    EXECUTE format('CREATE OR REPLACE TRIGGER zzzz_drover_truncate BEFORE TRUNCATE ON %s EXECUTE FUNCTION drover.no_truncate()', leaf);
  END LOOP;
END $$;

-- Refuses every write on the side that does not own a table of no tenant. Rows that replication
-- brings pass.
CREATE OR REPLACE FUNCTION drover.not_owned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'table % is written on premises only, and copied here', TG_RELID::regclass
    USING ERRCODE = 'DR005', HINT = 'write it on premises: a row that both sides make would stop replication';
END $$;

CREATE OR REPLACE FUNCTION drover.protect_reference(p_rel regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE leaf regclass;
BEGIN
  EXECUTE format('CREATE OR REPLACE TRIGGER zzzz_drover_owner BEFORE INSERT OR UPDATE OR DELETE ON %s '
    'FOR EACH ROW EXECUTE FUNCTION drover.not_owned()', p_rel);
  FOR leaf IN SELECT p_rel UNION SELECT t.relid FROM pg_partition_tree(p_rel) t LOOP
    EXECUTE format('CREATE OR REPLACE TRIGGER zzzz_drover_truncate BEFORE TRUNCATE ON %s EXECUTE FUNCTION drover.not_owned()', leaf);
  END LOOP;
END $$;

-- For reads and for jobs that write for many tenants, of whatever integer type their column is.
DROP FUNCTION IF EXISTS drover.is_home(int);
CREATE OR REPLACE FUNCTION drover.is_home(t bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog,
    pg_temp AS
$$ SELECT coalesce((SELECT state = 'open' OR state = 'fenced' AND lease_until <= clock_timestamp() FROM drover.fence WHERE tenant = t),
                   drover._at_home(t)) $$;

-- ---------------------------------------------------------------- publications

-- The ids that a publication sends, as few ranges. Where newcomers write, all ids but those that
-- are at home on the other side or stay: no newcomer makes the filter longer, and none waits for
-- it. On the other side, those that are at home there.
CREATE OR REPLACE FUNCTION drover.row_filter(p_pub text, p_col name) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN (WITH side AS (SELECT newcomers FROM drover.config),
  ids AS (SELECT tenant::bigint a, tenant::bigint b FROM drover.direction JOIN drover.fence f USING (tenant), side
            WHERE pub = p_pub AND (is_on AND NOT f.final) <> newcomers
          UNION ALL SELECT first, last FROM drover.elsewhere, side WHERE newcomers),
  -- A range begins where no earlier one reaches the id before it.
  begins AS (SELECT a, b, coalesce(a > max(b) OVER (ORDER BY a, b ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) + 1, true) AS new
      FROM ids),
  runs AS (SELECT a, b, count(*) FILTER (WHERE new) OVER (ORDER BY a, b) g FROM begins),
  listed AS (SELECT string_agg(CASE WHEN a = b THEN format('%I = %s', p_col, a) ELSE format('%I BETWEEN %s AND %s', p_col, a, b) END,
      ' OR ' ORDER BY a) l
             FROM (SELECT min(a) a, max(b) b FROM runs GROUP BY g) r)
  SELECT CASE WHEN newcomers THEN coalesce('NOT (' || l || ')', format('%I IS NOT NULL', p_col)) ELSE coalesce(l, format('%I = %s', p_col,
      -2147483648)) END
  FROM listed, side);
END $$;

-- Rewrites a publication from the truth. The statement that reads the truth starts after the lock
-- is held, so it sees what every earlier holder committed; tables in one order (oid), since ALTER
-- PUBLICATION locks them until commit.
CREATE OR REPLACE FUNCTION drover.rebuild(p_pub text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE list text;
BEGIN
  PERFORM pg_advisory_xact_lock(725, hashtext(p_pub));
  SELECT string_agg(format('%s WHERE (%s)', m.rel, c.f), ', ' ORDER BY m.rel::oid) INTO list
    FROM drover.member m JOIN (SELECT col, drover.row_filter(p_pub, col) f FROM (SELECT DISTINCT col FROM drover.member
        WHERE pub = p_pub) d) c USING (col)
   WHERE m.pub = p_pub AND EXISTS (SELECT FROM pg_class t WHERE t.oid = m.rel);   -- one that was dropped stops nobody's Move
  list := concat_ws(', ', list, format('drover.beat WHERE (pub = %L)', p_pub));
  IF EXISTS (SELECT FROM pg_publication WHERE pubname = p_pub) THEN
    EXECUTE format('ALTER PUBLICATION %I SET TABLE %s', p_pub, list);
  ELSE
    EXECUTE format('CREATE PUBLICATION %I FOR TABLE %s WITH (publish = ''insert,update,delete'', publish_via_partition_root = true)',
        p_pub, list);
  END IF;
END $$;

-- Doctor: the filters as the server evaluates them against the truth. No rows: all is well. STABLE:
-- one snapshot for both, or a Move that commits in between looks like a hand.
CREATE OR REPLACE FUNCTION drover.publication_drift() RETURNS TABLE (pub text, rel regclass, tenant int,
    published boolean) LANGUAGE plpgsql STABLE AS $$
DECLARE m record;
BEGIN
  FOR m IN SELECT d.pub, d.rel, d.col, pg_get_expr(r.prqual, r.prrelid) q FROM drover.member d
             JOIN pg_class t ON t.oid = d.rel JOIN pg_publication p ON p.pubname = d.pub LEFT
                 JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = d.rel LOOP
    RETURN QUERY EXECUTE format('SELECT %L::text, %L::regclass, x.%3$I, NOT is_on '
      'FROM (SELECT tenant AS %3$I, is_on AND NOT f.final AS is_on FROM drover.direction JOIN drover.fence f USING (tenant) '
      'WHERE pub = %1$L) x WHERE (%4$s) <> is_on',
      m.pub, m.rel, m.col, coalesce(m.q, 'true'));
  END LOOP;
END $$;

-- ---------------------------------------------------------------- protocol: helpers

CREATE OR REPLACE FUNCTION drover._begin(ids int[], wait_ms int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('plan_cache_mode', 'force_generic_plan', true);
  IF current_setting('transaction_isolation') <> 'read committed' THEN RAISE EXCEPTION 'drover functions need READ COMMITTED'; END IF;
  IF coalesce(cardinality(ids), 0) = 0 OR EXISTS (SELECT FROM unnest(ids) i WHERE NOT EXISTS (SELECT FROM drover.fence
      WHERE tenant = i)) THEN
    RAISE EXCEPTION 'unknown tenant among %', ids USING ERRCODE = 'DR002';
  END IF;
  PERFORM set_config('lock_timeout', wait_ms::text, true);
  IF current_setting('synchronous_commit') IN ('off', 'local') THEN PERFORM set_config('synchronous_commit', 'on', true); END IF;
END $$;

CREATE OR REPLACE FUNCTION drover._lock_rows(ids int[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN PERFORM 1 FROM drover.fence WHERE tenant = ANY (ids) ORDER BY tenant FOR UPDATE; END $$;

CREATE OR REPLACE FUNCTION drover._turn(ids int[], p_on boolean, p_token bigint, p_owner uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE p text;
BEGIN
  UPDATE drover.direction SET is_on = p_on, token = p_token, owner = p_owner WHERE tenant = ANY (ids);
  FOR p IN SELECT DISTINCT pub FROM drover.direction WHERE tenant = ANY (ids) ORDER BY pub LOOP PERFORM drover.rebuild(p); END LOOP;
END $$;

-- One answer for all ids: the word itself if they agree, 'superseded' if any is, else 'mixed'.
CREATE OR REPLACE FUNCTION drover._agree(words text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN CASE WHEN 'superseded' = ANY (words) THEN 'superseded' WHEN words[1] = ALL (words) THEN words[1] ELSE 'mixed' END;
END $$;

CREATE OR REPLACE FUNCTION drover._newer(f drover.fence, p_token bigint, p_owner uuid) RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT f.token > p_token OR f.token = p_token AND f.owner IS DISTINCT FROM p_owner $$;

CREATE OR REPLACE FUNCTION drover._fence_word(ids int[], p_token bigint, p_owner uuid,
    seal boolean) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT drover._agree(array_agg(CASE
    WHEN drover._newer(f, p_token, p_owner)                       THEN 'superseded'
    WHEN f.token < p_token AND seal                               THEN 'not_fenced'
    WHEN f.token < p_token AND f.state = 'sealed'                 THEN 'sealed'
    WHEN f.token < p_token                                        THEN 'go'
    WHEN f.state = 'sealed' AND f.sealed_token = p_token          THEN 'sealed'
    WHEN f.state = 'sealed'                                       THEN 'superseded'     -- poisoned by the same try
    WHEN f.state = 'open' OR f.lease_until <= clock_timestamp()   THEN 'expired'
    WHEN seal                                                     THEN 'go'
    ELSE 'fenced' END)) FROM drover.fence f WHERE tenant = ANY (ids));
END $$;

-- ---------------------------------------------------------------- protocol: steps

CREATE OR REPLACE FUNCTION drover._not_final(ids int[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM drover.fence WHERE tenant = ANY (ids) AND final) THEN
    RAISE EXCEPTION 'the way back has ended for tenants among %', ids USING ERRCODE = 'DR006';
  END IF;
END $$;

-- fenced | expired | sealed | superseded | mixed. Writes that meet the fence wait for its end, for
-- p_patience at most; '0' refuses them. Writers of these tenants queue from the moment this waits:
-- keep wait_ms short, below deadlock_timeout, and call again. The answer is looked up before the
-- wait too, so that a zombie stalls nobody.
CREATE OR REPLACE FUNCTION drover.fence(ids int[], p_token bigint, p_owner uuid, lease interval, wait_ms int DEFAULT 500,
    p_patience interval DEFAULT '0') RETURNS text LANGUAGE plpgsql AS $$
DECLARE w text;
BEGIN
  PERFORM drover._begin(ids, wait_ms);
  w := drover._fence_word(ids, p_token, p_owner, false);
  IF w <> 'go' THEN RETURN w; END IF;
  PERFORM pg_advisory_xact_lock(724, t) FROM (SELECT DISTINCT t FROM unnest(ids) t ORDER BY t) o;
  PERFORM drover._lock_rows(ids);
  PERFORM drover._not_final(ids);
  w := drover._fence_word(ids, p_token, p_owner, false);
  IF w <> 'go' THEN RETURN w; END IF;
  INSERT INTO drover.beat(pub, tenant, token, owner) SELECT pub, tenant, p_token, p_owner FROM drover.direction
      WHERE tenant = ANY (ids) ORDER BY 1, 2
    ON CONFLICT (pub, tenant) DO UPDATE SET token = excluded.token, owner = excluded.owner, at = clock_timestamp();
  UPDATE drover.fence SET state = 'fenced', token = p_token, owner = p_owner, lease_until = clock_timestamp() + lease,
      patience = p_patience WHERE tenant = ANY (ids);
  RETURN 'fenced';
END $$;

-- Has the mark of fence(token, owner) on the other side arrived here, on every publication that
-- feeds these tenants?
CREATE OR REPLACE FUNCTION drover.arrived(ids int[], p_token bigint, p_owner uuid) RETURNS boolean LANGUAGE plpgsql
  SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN (SELECT count(d.tenant) > 0 AND count(DISTINCT d.tenant) = (SELECT count(DISTINCT i) FROM unnest(ids) i)
     AND bool_and(EXISTS (SELECT FROM drover.beat b WHERE b.pub = d.peer AND b.tenant = d.tenant AND b.token = p_token
         AND b.owner = p_owner))
  FROM drover.direction d WHERE d.tenant = ANY (ids));
END $$;

-- sealed | expired | not_fenced | superseded | mixed. The exclusive locks are held when the clock
-- is read and until commit: whoever passed the guard on an expired lease is finished by then and
-- its clock was past the lease, so this one's is as well.
CREATE OR REPLACE FUNCTION drover.seal(ids int[], p_token bigint, p_owner uuid,
    wait_ms int DEFAULT 3000) RETURNS text LANGUAGE plpgsql AS $$
DECLARE w text;
BEGIN
  -- above deadlock_timeout: only then does autovacuum yield to ALTER
  PERFORM drover._begin(ids, wait_ms);
  w := drover._fence_word(ids, p_token, p_owner, true);
  IF w <> 'go' THEN RETURN w; END IF;
  PERFORM pg_advisory_xact_lock(724, t) FROM (SELECT DISTINCT t FROM unnest(ids) t ORDER BY t) o;
  PERFORM drover._lock_rows(ids);
  w := drover._fence_word(ids, p_token, p_owner, true);
  IF w <> 'go' THEN RETURN w; END IF;
  UPDATE drover.fence SET state = 'sealed', lease_until = NULL, sealed_token = p_token WHERE tenant = ANY (ids);
  PERFORM drover._turn(ids, false, p_token, p_owner);
  RETURN 'sealed';
END $$;

-- open | behind | not_sealed | superseded | mixed. THE COMMIT POINT of a Move. Only after seal() on
-- the other side said 'sealed'.
CREATE OR REPLACE FUNCTION drover.open(ids int[], p_token bigint, p_owner uuid,
    wait_ms int DEFAULT 3000) RETURNS text LANGUAGE plpgsql AS $$
DECLARE w text;
BEGIN
  PERFORM drover._begin(ids, wait_ms);
  PERFORM drover._lock_rows(ids);
  SELECT drover._agree(array_agg(CASE
    WHEN drover._newer(f, p_token, p_owner)               THEN 'superseded'
    WHEN f.token = p_token AND f.state = 'open'           THEN 'open'
    WHEN f.token = p_token                                THEN 'superseded'
    WHEN f.state = 'sealed'                               THEN 'go'
    ELSE 'not_sealed' END)) INTO w FROM drover.fence f WHERE tenant = ANY (ids);
  IF w <> 'go' THEN RETURN w; END IF;
  PERFORM drover._not_final(ids);
  IF NOT drover.arrived(ids, p_token, p_owner) THEN RETURN 'behind'; END IF;
  UPDATE drover.fence SET state = 'open', token = p_token, owner = p_owner WHERE tenant = ANY (ids);
  PERFORM drover._turn(ids, true, p_token, p_owner);
  RETURN 'open';
END $$;

-- opened | poisoned | superseded | mixed. On the destination, with a token above the one in doubt.
CREATE OR REPLACE FUNCTION drover.poison(ids int[], p_token bigint, p_owner uuid,
    wait_ms int DEFAULT 3000) RETURNS text LANGUAGE plpgsql AS $$
DECLARE w text;
BEGIN
  PERFORM drover._begin(ids, wait_ms);
  PERFORM drover._lock_rows(ids);
  SELECT drover._agree(array_agg(CASE
    WHEN drover._newer(f, p_token, p_owner) THEN 'superseded'
    WHEN f.state <> 'sealed'                THEN 'opened'
    ELSE 'poisoned' END)) INTO w FROM drover.fence f WHERE tenant = ANY (ids);
  IF w = 'poisoned' THEN UPDATE drover.fence SET token = p_token, owner = p_owner WHERE tenant = ANY (ids); END IF;
  RETURN w;
END $$;

-- open | fenced | superseded | mixed. On the origin, only after poison(token, owner) on the
-- destination said 'poisoned'.
CREATE OR REPLACE FUNCTION drover.reopen(ids int[], p_token bigint, p_owner uuid,
    wait_ms int DEFAULT 3000) RETURNS text LANGUAGE plpgsql AS $$
DECLARE w text;
BEGIN
  PERFORM drover._begin(ids, wait_ms);
  PERFORM drover._lock_rows(ids);
  SELECT drover._agree(array_agg(CASE
    WHEN drover._newer(f, p_token, p_owner)                THEN 'superseded'
    WHEN f.state = 'sealed' AND f.token = p_token          THEN 'superseded'
    WHEN f.state = 'sealed'                                THEN 'go'
    ELSE f.state END)) INTO w FROM drover.fence f WHERE tenant = ANY (ids);
  IF w = 'go' THEN
    UPDATE drover.fence SET state = 'open', token = p_token, owner = p_owner WHERE tenant = ANY (ids);
    PERFORM drover._turn(ids, true, p_token, p_owner);
    RETURN 'open';
  ELSIF w = 'open' THEN
    UPDATE drover.fence SET token = p_token, owner = p_owner WHERE tenant = ANY (ids) AND token < p_token;
  END IF;
  RETURN w;
END $$;

-- open | sealed | superseded | mixed. Whatever was under way below this token is over; a sealed
-- side stays as it is.
CREATE OR REPLACE FUNCTION drover.claim(ids int[], p_token bigint, p_owner uuid,
    wait_ms int DEFAULT 3000) RETURNS text LANGUAGE plpgsql AS $$
DECLARE w text;
BEGIN
  PERFORM drover._begin(ids, wait_ms);
  PERFORM drover._lock_rows(ids);
  SELECT drover._agree(array_agg(CASE
    WHEN drover._newer(f, p_token, p_owner) THEN 'superseded'
    WHEN f.state = 'sealed'                 THEN 'sealed'
    ELSE 'open' END)) INTO w FROM drover.fence f WHERE tenant = ANY (ids);
  IF w = 'open' THEN UPDATE drover.fence SET state = 'open', lease_until = NULL, token = p_token, owner = p_owner
      WHERE tenant = ANY (ids); END IF;
  RETURN w;
END $$;

-- The owner's own way back before the seal. It stores the token even if fence() never ran, so that
-- a late fence() is refused.
CREATE OR REPLACE FUNCTION drover.unfence(ids int[], p_token bigint, p_owner uuid, wait_ms int DEFAULT 3000) RETURNS text LANGUAGE sql AS
$$ SELECT drover.claim(ids, p_token, p_owner, wait_ms) $$;

-- final | not_home. Ends the way back of tenants that are at home on AWS: first on premises, where
-- p_state is 'sealed', then on AWS, where it is 'open'. The guard on premises goes on refusing
-- them, and what they write on AWS is not sent home any more. No token is needed: nothing turns it
-- around.
CREATE OR REPLACE FUNCTION drover.finalise(ids int[], p_state text, wait_ms int DEFAULT 3000) RETURNS text LANGUAGE plpgsql AS $$
DECLARE p text;
BEGIN
  PERFORM drover._begin(ids, wait_ms);
  PERFORM drover._lock_rows(ids);
  IF EXISTS (SELECT FROM drover.fence WHERE tenant = ANY (ids) AND state <> p_state) THEN RETURN 'not_home'; END IF;
  IF NOT EXISTS (SELECT FROM drover.fence WHERE tenant = ANY (ids) AND NOT final) THEN RETURN 'final'; END IF;
  UPDATE drover.fence SET final = true WHERE tenant = ANY (ids) AND NOT final;
  FOR p IN SELECT DISTINCT pub FROM drover.direction WHERE tenant = ANY (ids) ORDER BY pub LOOP PERFORM drover.rebuild(p); END LOOP;
  RETURN 'final';
END $$;

-- ---------------------------------------------------------------- servers and stale sides

-- The server of each side as it was when somebody last vouched for it, and how far its WAL had
-- come. Both servers keep both rows, and a server's own row is always written before its row on the
-- peer: a server that was restored or failed over has forgotten rows that its peer still has.
CREATE TABLE IF NOT EXISTS drover.server (
  side      text PRIMARY KEY CHECK (side IN ('onprem', 'aws')),
  system_id text NOT NULL,                      -- pg_control_system()
  timeline  int NOT NULL,
  lsn       pg_lsn NOT NULL,                    -- flushed: a crash does not take it back
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  agreed_by text, agreed_why text               -- who looked, where the identity changed
) WITH (fillfactor = 50);

-- Which server this is now. The control file's timeline is that of the last checkpoint, which a
-- promotion does not wait for; the name of the WAL file is right at once.
CREATE OR REPLACE FUNCTION drover.this_server() RETURNS TABLE (system_id text, timeline int, written pg_lsn, flushed pg_lsn)
  LANGUAGE sql VOLATILE AS $$
  SELECT (pg_control_system()).system_identifier::text, ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int,
         pg_current_wal_insert_lsn(), pg_current_wal_flush_lsn() $$;

-- Remembers how far a side's WAL had come. It never changes an identity: only agree_server does.
CREATE OR REPLACE FUNCTION drover.remember_server(p_side text, p_system text, p_timeline int, p_lsn pg_lsn) RETURNS void LANGUAGE sql AS $$
  INSERT INTO drover.server (side, system_id, timeline, lsn) VALUES (p_side, p_system, p_timeline, p_lsn)
    ON CONFLICT (side) DO UPDATE SET lsn = greatest(server.lsn, excluded.lsn), at = clock_timestamp()
    WHERE server.system_id = excluded.system_id AND server.timeline = excluded.timeline $$;

CREATE OR REPLACE FUNCTION drover.agree_server(p_side text, p_system text, p_timeline int, p_lsn pg_lsn, p_by text,
    p_why text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO drover.server (side, system_id, timeline, lsn, agreed_by, agreed_why) VALUES (p_side, p_system, p_timeline, p_lsn, p_by,
      p_why)
    ON CONFLICT (side) DO UPDATE SET system_id = excluded.system_id, timeline = excluded.timeline, lsn = excluded.lsn,
      agreed_by = excluded.agreed_by, agreed_why = excluded.agreed_why, at = clock_timestamp() $$;

-- Sides that were closed because the other was open under a later Move, and what had been written
-- here meanwhile.
CREATE TABLE IF NOT EXISTS drover.stale (
  tenant int NOT NULL, token bigint NOT NULL,   -- the token under which the other side is open
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  writes text,                                  -- NULL: not compared yet
  PRIMARY KEY (tenant, token)
);

-- sealed | superseded. Closes a side that forgot a seal: the OTHER side is open under p_token, by
-- p_owner. What is closed is exactly the fence that the caller saw (p_seen, p_seen_owner): a Move
-- that has come home since has another. Closing is safe.
CREATE OR REPLACE FUNCTION drover.seal_stale(t int, p_seen bigint, p_seen_owner uuid, p_token bigint, p_owner uuid,
    wait_ms int DEFAULT 3000) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM drover._begin(ARRAY[t], wait_ms);
  PERFORM pg_advisory_xact_lock(724, t);
  PERFORM drover._lock_rows(ARRAY[t]);
  UPDATE drover.fence SET state = 'sealed', lease_until = NULL, sealed_token = greatest(sealed_token, p_token), token = greatest(token,
      p_token),
         owner = CASE WHEN token > p_token THEN owner ELSE p_owner END
   WHERE tenant = t AND state <> 'sealed' AND token = p_seen AND owner IS NOT DISTINCT FROM p_seen_owner;
  IF NOT FOUND THEN RETURN 'superseded'; END IF;
  PERFORM drover._turn(ARRAY[t], false, p_token, p_owner);
  INSERT INTO drover.stale (tenant, token) VALUES (t, p_token) ON CONFLICT (tenant, token) DO UPDATE SET at = clock_timestamp(),
      writes = NULL;
  RETURN 'sealed';
END $$;

-- ---------------------------------------------------------------- carrying over

-- Rows that were written on one side while the other was their tenant's home, on their way there.
-- One transaction takes them out of their tables here and writes them down in carried. Another
-- puts them in at home, with a row of carrying: whoever finds that one there does not put them in
-- again.
CREATE TABLE IF NOT EXISTS drover.carrying (
  id      uuid PRIMARY KEY,
  tenant  int NOT NULL,
  rows    int NOT NULL,
  words   text NOT NULL,                        -- which rows
  by      text NOT NULL, why text NOT NULL,
  at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  arrived boolean NOT NULL                      -- at home; always true there
);
CREATE TABLE IF NOT EXISTS drover.carried (     -- each value as text, as replication sends it
  id uuid NOT NULL REFERENCES drover.carrying, n int NOT NULL, rel text NOT NULL, cols text[] NOT NULL, vals text[] NOT NULL,
  PRIMARY KEY (id, n)
);

-- ---------------------------------------------------------------- a side that is lost

-- That somebody gave the OTHER side up for a tenant, with all that it had not sent. This side goes
-- on under a token above every one that is known.
CREATE TABLE IF NOT EXISTS drover.loss (
  tenant int NOT NULL, token bigint NOT NULL,
  lost   text NOT NULL CHECK (lost IN ('onprem', 'aws')),
  by     text NOT NULL, why text NOT NULL,
  at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  heard  timestamptz,                           -- the last beat of the lost side, by its clock: all that was written there before is here
  newest timestamptz,                           -- when the newest of the tenant's rows here was written; NULL: this server does not say
  PRIMARY KEY (tenant, token)
);

-- open | superseded. Opens this side, or leaves it open, without the other one: only after somebody
-- has said that the other is gone for good. Its directions carry the token too, so that of two open
-- sides this one opened later, should the other ever come back.
CREATE OR REPLACE FUNCTION drover.accept_loss(t int, p_token bigint, p_owner uuid, p_lost text, p_by text, p_why text,
    p_heard timestamptz, p_newest timestamptz, wait_ms int DEFAULT 3000) RETURNS text LANGUAGE plpgsql AS $$
DECLARE f drover.fence;
BEGIN
  PERFORM drover._begin(ARRAY[t], wait_ms);
  PERFORM drover._lock_rows(ARRAY[t]);
  SELECT * INTO f FROM drover.fence WHERE tenant = t;
  IF drover._newer(f, p_token, p_owner) THEN RETURN 'superseded'; END IF;
  IF f.token = p_token AND f.state = 'open' THEN RETURN 'open'; END IF;
  IF f.state <> 'open' THEN PERFORM drover._not_final(ARRAY[t]); END IF;
  INSERT INTO drover.loss (tenant, token, lost, by, why, heard, newest) VALUES (t, p_token, p_lost, p_by, p_why, p_heard, p_newest)
    ON CONFLICT DO NOTHING;
  -- Who was here already is still remembered: nobody can raise the number of its stay on the
  -- other side.
  UPDATE drover.note SET stay = p_token WHERE tenant = t AND f.state = 'open'
     AND stay = (SELECT max(token) FROM drover.direction WHERE tenant = t AND is_on);
  UPDATE drover.fence SET state = 'open', lease_until = NULL, token = p_token, owner = p_owner WHERE tenant = t;
  PERFORM drover._turn(ARRAY[t], true, p_token, p_owner);
  RETURN 'open';
END $$;

-- The loss by which a tenant is at home here. It ends when the tenant leaves this side again.
CREATE OR REPLACE FUNCTION drover.loss_of(t int) RETURNS SETOF drover.loss LANGUAGE sql STABLE AS $$
  SELECT l.* FROM drover.loss l JOIN drover.fence f USING (tenant) WHERE l.tenant = t AND l.token > f.sealed_token
    ORDER BY l.token DESC LIMIT 1 $$;

-- Keeps what a lost side had not sent away from a tenant that goes on here, should that side come
-- back: an old row would be written over a newer one. It fires for replicated rows only; what
-- doctor carries over passes.
CREATE OR REPLACE FUNCTION drover.not_from_lost(t bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN t BETWEEN -2147483648 AND 2147483647 AND coalesce(current_setting('drover.carries', true), '') <> 'on'
     AND EXISTS (SELECT FROM drover.loss_of(t::int));
END $$;

CREATE OR REPLACE FUNCTION drover.shield(p_rel regclass, p_col name) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  fn text := format('drover.%I', 'shield_' || CASE WHEN octet_length(p_col) <= 56 THEN p_col ELSE drover._hash(p_col) END);
  leaf regclass;
BEGIN
  EXECUTE format($f$ CREATE OR REPLACE FUNCTION %1$s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog,
      pg_temp AS $g$
    BEGIN
      IF TG_OP = 'DELETE' THEN
        IF drover.not_from_lost(OLD.%2$I) THEN RETURN NULL; END IF;
        RETURN OLD;
      END IF;
      IF drover.not_from_lost(NEW.%2$I) THEN RETURN NULL; END IF;
      RETURN NEW;
    END $g$ $f$, fn, p_col);
  EXECUTE format('CREATE OR REPLACE TRIGGER zzzz_drover_shield BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION %s()',
      p_rel, fn);
  -- Not every version hands this on to the partitions.
  FOR leaf IN SELECT p_rel UNION SELECT t.relid FROM pg_partition_tree(p_rel) t LOOP
    EXECUTE format('ALTER TABLE %s ENABLE REPLICA TRIGGER zzzz_drover_shield', leaf);
  END LOOP;
END $$;

-- ---------------------------------------------------------------- notes

-- What Drover remembers of a tenant, beside its fence, on the side that is home: whether it has
-- finished, why it rests, that it is to come home. A note is of one stay: stay is the other side's
-- sealed_token, which every Move to this side raises. A note of an earlier stay counts for nothing.
-- Drover numbers the notes of a stay (n), so that a late writer does not bring an older one back.
CREATE TABLE IF NOT EXISTS drover.note (
  tenant int PRIMARY KEY, stay bigint NOT NULL, n bigint NOT NULL, words text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

-- noted | superseded: a note of a later stay, or a later one of this stay, stands.
CREATE OR REPLACE FUNCTION drover.write_note(t int, p_stay bigint, p_n bigint, p_words text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO drover.note AS o (tenant, stay, n, words) VALUES (t, p_stay, p_n, p_words)
    ON CONFLICT (tenant) DO UPDATE SET stay = excluded.stay, n = excluded.n, words = excluded.words, at = clock_timestamp()
    WHERE (o.stay, o.n) < (excluded.stay, excluded.n) OR (o.stay, o.n, o.words) = (excluded.stay, excluded.n, excluded.words);
  RETURN CASE WHEN FOUND THEN 'noted' ELSE 'superseded' END;
END $$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA drover FROM PUBLIC;
GRANT USAGE ON SCHEMA drover TO PUBLIC;
GRANT EXECUTE ON FUNCTION drover.is_home(bigint) TO PUBLIC;
