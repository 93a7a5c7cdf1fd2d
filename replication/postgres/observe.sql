-- Drover: who writes a database on premises, while nothing of it is replicated yet. Only premises
-- have this file, in a schema of its own that goes without a trace. It refuses nothing, waits for
-- nothing and changes no row of the application's.
--
-- A writer meets one trigger a statement (see cover). What would be refused once customers have
-- moved it writes down as a note: an INSERT into a table without an index, which meets no lock of
-- another writer. Nothing that a writer shares with others is ever updated by it, and above READ
-- COMMITTED it reads nothing of this schema, so that it never fails with 40001 because of it.
--
-- What is kept is bounded. A session notes the same thing once a minute, and one time in a hundred
-- where it is known. It tells some 200 statements apart in a minute; what comes then is one finding
-- for each table. Between two folds there is room for 10,000 notes of plain writers and for as many
-- of all others: sequences count, which wait for nobody. A fold makes of the notes at most 500
-- findings of each kind. Nothing is left out uncounted: what had no room, what an error or a crash
-- has cost, is counted, and is a finding itself.
--
-- No value of the application's is kept: of a statement its shape, where every literal is "?", and
-- of tenants how many.

CREATE SCHEMA IF NOT EXISTS drover_observe;

CREATE TABLE IF NOT EXISTS drover_observe.observation (
  one     boolean PRIMARY KEY DEFAULT true CHECK (one),
  plan    text NOT NULL,
  dataset text NOT NULL,
  digest  text NOT NULL,                        -- SHA-256 of this file
  since   timestamptz,                          -- when the last table was covered for the first time; NULL: not yet
  folded  timestamptz,
  ended   timestamptz                           -- the triggers are gone; what was found stays
);

ALTER TABLE drover_observe.observation ADD COLUMN IF NOT EXISTS missed bigint NOT NULL DEFAULT 0;   -- of the sequence, that is told

CREATE TABLE IF NOT EXISTS drover_observe.finding (
  id       text PRIMARY KEY,
  kind     text NOT NULL CHECK (kind IN ('writer', 'many', 'nobody', 'truncate', 'ddl', 'missed')),
  role     text NOT NULL,                       -- who has connected
  app      text NOT NULL,                       -- application_name, each number in it as "#"
  client   text NOT NULL,                       -- address, or local; the first one where several did the same
  shape    text NOT NULL,
  rel      text NOT NULL,
  op       text NOT NULL,
  tenants  int NOT NULL,                        -- most that one statement or transaction touched
  noted    bigint NOT NULL,                     -- at least so often
  first    timestamptz NOT NULL,
  last     timestamptz NOT NULL,
  resolved_by text, resolved_why text, resolved_at timestamptz
);

-- A crash of the server, or a failover, empties it.
CREATE UNLOGGED TABLE IF NOT EXISTS drover_observe.note (
  at timestamptz NOT NULL DEFAULT clock_timestamp(), id text, kind text, role text, app text, client text, shape text, rel text, op text,
  tenants int
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- Has a row from the first fold until the notes are emptied so.
CREATE UNLOGGED TABLE IF NOT EXISTS drover_observe.alive (one boolean PRIMARY KEY);

CREATE SEQUENCE IF NOT EXISTS drover_observe.room_plain;
CREATE SEQUENCE IF NOT EXISTS drover_observe.room;
CREATE SEQUENCE IF NOT EXISTS drover_observe.missed;   -- notes that were left out

-- Columns of the tables as they were at the last fold, where the server lets Drover make no event
-- trigger.
CREATE TABLE IF NOT EXISTS drover_observe.form (rel oid PRIMARY KEY, name text NOT NULL, digest text NOT NULL);

-- ---------------------------------------------------------------- what a writer meets

-- No MD5: a server in FIPS mode has none.
CREATE OR REPLACE FUNCTION drover_observe.hash(x text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT encode(sha256(convert_to(x, getdatabaseencoding())), 'hex') $$;

-- What is the same for statements that differ in their values only, or in how many they have, at a
-- tenth of the price of shape(). It is not kept: it may hold values where shape() leaves off.
CREATE OR REPLACE FUNCTION drover_observe.rough(q text) RETURNS text LANGUAGE sql AS $f$
  SELECT regexp_replace(regexp_replace(left(q, 2000), $r$("(?:[^"]|"")*")|--[^\n]*|/\*(?:[^*]|\*+[^*/])*\*+/|$r$
    || $r$[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\m\d[\w.]*$r$, '\1?', 'g'), '[(), ]*\?[?(), ]*', '?', 'g') $f$;

-- A statement without its values: literals and parameters are "?", lists of them "?..", comments
-- are left out. What cannot be told apart for certain, such as the rest of a statement that is
-- longer than 2,000 characters, a dollar-quoted text and all after it, is left out as well. It has
-- no backslash in a string: the session decides how those are read.
CREATE OR REPLACE FUNCTION drover_observe.shape(q text) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
  plain text := CASE current_setting('standard_conforming_strings') WHEN 'on' THEN $r$'(?:[^']|'')*'$r$
      ELSE $r$'(?:[^'\\]|\\.|'')*'$r$ END;
  token text; shape text := '';
BEGIN
  FOR token IN SELECT m[1] FROM regexp_matches(left(q, 2000), $r$(--[^\n]*|/\*(?:[^*]|\*+[^*/])*\*+/|/\*|[eE]'(?:[^'\\]|\\.|'')*'|$r$
      || '[nNbBxX]?' || plain
      || $r$|'|"(?:[^"]|"")*"|"|\$[A-Za-z_]*[A-Za-z_0-9]*\$|\$\d+|\d[\w.]*|\.\d[\w.]*|[A-Za-z_][\w$]*|\s+|.)$r$, 'g') m LOOP
    CASE
      WHEN token ~ $r$^(--|/\*.)$r$ THEN
        EXIT WHEN strpos(substr(token, 3), '/*') > 0;   -- comments within comments
        shape := shape || ' ';
      WHEN token ~ $r$^\$[^$]*\$\Z$r$ OR token IN ('''', '"', '/*') THEN EXIT;
      WHEN token ~ $r$^[eEnNbBxX]?'$r$ OR token ~ $r$^(\$\d+|\.?\d)$r$ THEN shape := shape || '?';
      WHEN token ~ '^[A-Za-z_]' THEN shape := shape || lower(token);
      WHEN token ~ $r$^\s$r$ THEN shape := shape || ' ';
      ELSE shape := shape || token;
    END CASE;
  END LOOP;
  shape := btrim(regexp_replace(shape, $r$\s+$r$, ' ', 'g'));
  shape := regexp_replace(shape, $r$\?(?: ?, ?-? ?\?)+$r$, '?..', 'g');
  shape := regexp_replace(shape, $r$(\(\?(?:\.\.)?\))(?: ?, ?\(\?(?:\.\.)?\))+$r$, $r$\1..$r$, 'g');
  RETURN left(shape, 300);
END $f$;

-- Writes down that something was seen. A session remembers for a minute what it has noted, as
-- drover.noted: hashes. Whatever goes wrong here is not the writer's affair.
CREATE OR REPLACE FUNCTION drover_observe.note(p_kind text, p_rel text, p_op text, p_tenants int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  who text := regexp_replace(left(current_setting('application_name'), 60), '[0-9]+', '#', 'g');
  plain boolean := p_kind = 'writer';
  shaped boolean := p_kind IN ('many', 'nobody');
  what text := concat_ws('|', p_kind, session_user, who);
  minute text := (extract(epoch FROM clock_timestamp())::bigint / 60)::text;
  heard text := coalesce(current_setting('drover.noted', true), '');
  short text; v_shape text := ''; v_id text; v_client text; known boolean;
BEGIN
  IF split_part(heard, ' ', 1) <> minute THEN heard := minute; END IF;
  IF NOT plain THEN
    what := concat_ws('|', what, p_rel, p_op, width_bucket(p_tenants, ARRAY[5, 10, 20, 50, 100, 200, 500, 1000]));
  END IF;
  short := ' ' || hashtext(what || CASE WHEN shaped THEN drover_observe.rough(current_query()) ELSE '' END) || ' ';
  IF strpos(heard, short) > 0 THEN RETURN; END IF;
  IF shaped AND length(heard) > 2400 THEN
    v_shape := '(one of many)';
    short := ' ' || hashtext(what) || ' ';
    IF strpos(heard, short) > 0 THEN RETURN; END IF;
  END IF;
  IF length(heard) > 4800 THEN
    PERFORM nextval('drover_observe.missed');
    RETURN;
  END IF;
  PERFORM set_config('drover.noted', heard || short, false);
  BEGIN
    IF shaped AND v_shape = '' THEN v_shape := drover_observe.shape(current_query()); END IF;
    v_client := coalesce(host(inet_client_addr()), 'local');
    v_id := left(drover_observe.hash(concat_ws('|', p_kind, session_user, who, CASE WHEN plain THEN v_client
        ELSE concat_ws('|', v_shape, p_rel, p_op) END)), 8);
    IF current_setting('transaction_isolation') IN ('read committed', 'read uncommitted') THEN
      SELECT tenants >= p_tenants AND last > clock_timestamp() - interval '1 hour' INTO known FROM drover_observe.finding WHERE id = v_id;
      IF known AND random() > 0.01 THEN RETURN; END IF;
    END IF;
    IF nextval(CASE WHEN plain THEN 'drover_observe.room_plain' ELSE 'drover_observe.room' END::regclass) > 10000 THEN
      PERFORM nextval('drover_observe.missed');
      RETURN;
    END IF;
    INSERT INTO drover_observe.note (id, kind, role, app, client, shape, rel, op, tenants)
      VALUES (v_id, p_kind, session_user, who, v_client, v_shape, left(p_rel, 200), p_op, p_tenants);
  EXCEPTION WHEN OTHERS THEN PERFORM nextval('drover_observe.missed');
  END;
END $$;

-- Covers a table: one trigger a kind of statement, which sees the statement's rows together. What
-- writes a partition directly meets the partition's own. The function's name has the column's in
-- full or as a hash. A trigger's arguments say of which version of this file it is, and of which
-- column: what is of another is replaced.
--
-- A transaction remembers as drover.tenants, in hashes, for which tenants it has written.
CREATE OR REPLACE FUNCTION drover_observe.cover(p_rel regclass, p_col name) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  fn text := format('drover_observe.%I', 'seen_' || CASE WHEN octet_length(p_col) <= 58 THEN p_col
      ELSE left(drover_observe.hash(p_col), 40) END);
  version text; x record;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('drover_observe.cover')); -- two attempts at once would meet in the catalogue
  SELECT digest INTO version FROM drover_observe.observation WHERE ended IS NULL FOR SHARE;
  IF NOT FOUND THEN RETURN; END IF; -- an attempt that comes late covers nothing anew
  EXECUTE format($f$ CREATE OR REPLACE FUNCTION %1$s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog,
      pg_temp AS $g$
    DECLARE
      lo text; hi text; filled bigint; total bigint; n int; hash text; heard text; now_is text;
      rel text := format('%%I.%%I', TG_TABLE_SCHEMA, TG_TABLE_NAME);
    BEGIN
      BEGIN
        IF TG_OP = 'UPDATE' THEN
          SELECT min(c), max(c), count(c), count(*) INTO lo, hi, filled, total FROM (SELECT %2$I::text COLLATE "C" c FROM drover_rows
              UNION ALL SELECT %2$I::text COLLATE "C" FROM drover_were) r;
        ELSE
          SELECT min(c), max(c), count(c), count(*) INTO lo, hi, filled, total
          FROM (SELECT %2$I::text COLLATE "C" c FROM drover_rows) r;
        END IF;
        IF total = 0 THEN RETURN NULL; END IF;
        now_is := (extract(epoch FROM statement_timestamp())::bigint / 60)::text || current_setting('application_name');
        IF current_setting('drover.writes', true) IS DISTINCT FROM now_is THEN
          PERFORM set_config('drover.writes', now_is, false);
          PERFORM drover_observe.note('writer', rel, TG_OP, 1);
        END IF;
        IF filled < total THEN PERFORM drover_observe.note('nobody', rel, TG_OP, 0); END IF;
        IF lo <> hi THEN
          IF TG_OP = 'UPDATE' THEN
            SELECT count(*) INTO n FROM (SELECT %2$I FROM drover_rows UNION SELECT %2$I FROM drover_were LIMIT 1000) r
            WHERE %2$I IS NOT NULL;
          ELSE
            SELECT count(*) INTO n FROM (SELECT DISTINCT %2$I FROM drover_rows WHERE %2$I IS NOT NULL LIMIT 1000) r;
          END IF;
          PERFORM drover_observe.note('many', rel, TG_OP, n);
        ELSIF lo IS NOT NULL THEN
          hash := ' ' || hashtext(lo) || ' ';
          heard := coalesce(current_setting('drover.tenants', true), '');
          IF strpos(heard, hash) = 0 AND length(heard) < 2000 THEN
            heard := heard || hash;
            PERFORM set_config('drover.tenants', heard, true);
            n := (length(heard) - length(replace(heard, ' ', ''))) / 2;
            IF n IN (2, 5, 10, 20, 50, 100) THEN PERFORM drover_observe.note('many', rel, TG_OP, n); END IF;
          END IF;
        END IF;
      EXCEPTION WHEN OTHERS THEN -- such as a column that was renamed since: the writer goes on
        BEGIN PERFORM nextval('drover_observe.missed'); EXCEPTION WHEN OTHERS THEN NULL; END;
      END;
      RETURN NULL;
    END $g$ $f$, fn, p_col);
  FOR x IN VALUES ('insert', 'REFERENCING NEW TABLE AS drover_rows', fn), ('delete', 'REFERENCING OLD TABLE AS drover_rows', fn),
      ('update', 'REFERENCING NEW TABLE AS drover_rows OLD TABLE AS drover_were', fn), ('truncate', '', 'drover_observe.seen_truncate') LOOP
    EXECUTE format('CREATE OR REPLACE TRIGGER zzzz_drover_seen_%1$s AFTER %1$s ON %2$s %3$s FOR EACH STATEMENT EXECUTE FUNCTION '
        '%4$s(%5$L, %6$L)', x.column1, p_rel, x.column2, x.column3, version, p_col);
  END LOOP;
  FOR x IN SELECT tgname FROM pg_trigger WHERE tgrelid = p_rel AND tgname LIKE 'zzzz\_drover\_seen\_%' AND tgenabled <> 'O' LOOP
    EXECUTE format('ALTER TABLE %s ENABLE TRIGGER %I', p_rel, x.tgname);
  END LOOP;
END $$;

CREATE OR REPLACE FUNCTION drover_observe.seen_truncate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  BEGIN
    PERFORM drover_observe.note('truncate', format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME), 'TRUNCATE', 0);
  EXCEPTION WHEN OTHERS THEN
    BEGIN PERFORM nextval('drover_observe.missed'); EXCEPTION WHEN OTHERS THEN NULL; END;
  END;
  RETURN NULL;
END $$;

-- Of event triggers, which only some roles may make. Of a change its command and what it changes
-- are kept.
CREATE OR REPLACE FUNCTION drover_observe.seen_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $$
DECLARE c record;
BEGIN
  IF TG_EVENT = 'sql_drop' THEN
    FOR c IN SELECT object_identity AS name FROM pg_event_trigger_dropped_objects() WHERE original AND NOT is_temporary
        AND schema_name IS DISTINCT FROM 'drover_observe' AND strpos(object_identity, 'zzzz_drover_') = 0 LOOP
      PERFORM drover_observe.note('ddl', c.name, TG_TAG, 0);
    END LOOP;
    RETURN;
  END IF;
  FOR c IN SELECT DISTINCT object_identity AS name, command_tag AS tag FROM pg_event_trigger_ddl_commands()
      WHERE schema_name IS DISTINCT FROM 'pg_temp' AND schema_name IS DISTINCT FROM 'drover_observe' AND NOT in_extension
        AND object_identity IS NOT NULL AND strpos(object_identity, 'zzzz_drover_') = 0 AND strpos(object_identity, 'drover_observe') <> 1
        AND command_tag NOT IN ('GRANT', 'REVOKE', 'COMMENT', 'REFRESH MATERIALIZED VIEW', 'ALTER DEFAULT PRIVILEGES') LOOP
    PERFORM drover_observe.note('ddl', c.name, c.tag, 0);
  END LOOP;
EXCEPTION WHEN OTHERS THEN
  BEGIN PERFORM nextval('drover_observe.missed'); EXCEPTION WHEN OTHERS THEN NULL; END;
END $$;

-- ---------------------------------------------------------------- folding

-- Notes a table whose columns are not those of the last fold, where no event trigger says who
-- changed them.
CREATE OR REPLACE FUNCTION drover_observe.compare_forms() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  WITH t AS (SELECT c.oid AS rel, format('%I.%I', n.nspname, c.relname) AS name, drover_observe.hash(string_agg(concat_ws(' ', a.attname,
        a.atttypid, a.atttypmod, a.attnotnull), ',' ORDER BY a.attnum)) AS digest
      FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE g.tgname = 'zzzz_drover_seen_insert' GROUP BY 1, 2),
  noted AS (INSERT INTO drover_observe.note (id, kind, role, app, client, shape, rel, op, tenants)
      SELECT left(drover_observe.hash('ddl|' || f.name), 8), 'ddl', '', '', '', '', f.name,
        CASE WHEN t.rel IS NULL THEN 'dropped' ELSE 'changed' END, 0
      FROM drover_observe.form f LEFT JOIN t USING (rel)
      WHERE t.digest IS DISTINCT FROM f.digest AND NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'drover_observe_ddl')),
  gone AS (DELETE FROM drover_observe.form WHERE rel NOT IN (SELECT rel FROM t))
  INSERT INTO drover_observe.form SELECT * FROM t ON CONFLICT (rel) DO UPDATE SET name = excluded.name, digest = excluded.digest;
END $$;

-- Makes findings of the notes, and makes room for more.
CREATE OR REPLACE FUNCTION drover_observe.fold() RETURNS void LANGUAGE plpgsql AS $$
DECLARE lost bigint := 0; so_far bigint; room record;
BEGIN
  PERFORM pg_advisory_xact_lock(728, 0);
  IF EXISTS (SELECT FROM drover_observe.observation WHERE ended IS NULL) THEN PERFORM drover_observe.compare_forms(); END IF;
  WITH taken AS (DELETE FROM drover_observe.note RETURNING *),
  sums AS (SELECT id, min(kind) AS kind, min(role) AS role, min(app) AS app, min(client) AS client, min(shape) AS shape,
      (array_agg(rel ORDER BY at))[1] AS rel, (array_agg(op ORDER BY at))[1] AS op, max(tenants) AS tenants, count(*) AS noted,
      min(at) AS first, max(at) AS last FROM taken GROUP BY id),
  ranked AS (SELECT s.*, f.id IS NOT NULL AS known, row_number() OVER (PARTITION BY s.kind, f.id IS NULL ORDER BY s.first)
      + (SELECT count(*) FROM drover_observe.finding k WHERE k.kind = s.kind) AS place
      FROM sums s LEFT JOIN drover_observe.finding f ON f.id = s.id),
  kept AS (INSERT INTO drover_observe.finding AS f (id, kind, role, app, client, shape, rel, op, tenants, noted, first, last)
      SELECT id, kind, role, app, client, shape, rel, op, tenants, noted, first, last FROM ranked WHERE known OR place <= 500
    ON CONFLICT (id) DO UPDATE SET tenants = greatest(f.tenants, excluded.tenants), noted = f.noted + excluded.noted, last = excluded.last)
  SELECT coalesce(sum(noted), 0) INTO lost FROM ranked WHERE NOT known AND place > 500;
  -- While an old transaction keeps the space of notes from being used again, there is no room.
  FOR room IN VALUES ('drover_observe.room_plain'::regclass), ('drover_observe.room') LOOP
    PERFORM setval(room.column1, CASE WHEN pg_relation_size('drover_observe.note') < 64 << 20 THEN 1 ELSE 10000 END,
        pg_relation_size('drover_observe.note') >= 64 << 20);
  END LOOP;
  SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO so_far FROM drover_observe.missed;
  SELECT lost + so_far - missed INTO lost FROM drover_observe.observation;
  INSERT INTO drover_observe.alive VALUES (true) ON CONFLICT DO NOTHING;
  IF FOUND AND EXISTS (SELECT FROM drover_observe.observation WHERE folded IS NOT NULL) THEN
    lost := lost + 1; -- at least: a crash has emptied what was noted since the last fold
  END IF;
  IF lost > 0 THEN
    INSERT INTO drover_observe.finding AS f (id, kind, role, app, client, shape, rel, op, tenants, noted, first, last)
      VALUES ('missed', 'missed', '', '', '', '', '', '', 0, lost, clock_timestamp(), clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET noted = f.noted + excluded.noted, last = excluded.last, resolved_by = NULL, resolved_why = NULL,
      resolved_at = NULL;
  END IF;
  UPDATE drover_observe.observation SET folded = clock_timestamp(), missed = so_far;
END $$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA drover_observe FROM PUBLIC;
