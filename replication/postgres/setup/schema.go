package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/drover-migration/drover/replication/postgres"
)

// ErrNoPgDump says that pg_dump is not on this worker.
var ErrNoPgDump = errors.New("pg_dump was not found: install PostgreSQL's client programs on the site's worker, at least as new as the " +
	"database on premises, or set DROVER_PG_BIN to their folder")

// BinEnv names the folder of PostgreSQL's client programs.
const BinEnv = "DROVER_PG_BIN"

// FindPgDump looks in DROVER_PG_BIN, then in PATH, then where distributions put it, newest first.
func FindPgDump() (string, error) {
	if dir := os.Getenv(BinEnv); dir != "" {
		path := filepath.Join(dir, "pg_dump")
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s=%s: %w", BinEnv, dir, ErrNoPgDump)
		}
		return path, nil
	}
	if path, err := exec.LookPath("pg_dump"); err == nil {
		return path, nil
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/pg_dump", "/usr/pgsql-*/bin/pg_dump"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", ErrNoPgDump
}

// copySchema brings the schema to AWS if none of its tables is there, in one transaction.
func copySchema(ctx context.Context, p *postgres.Pair) error {
	here, err := postgres.ReadTables(ctx, p.OnPrem.Pool, p.Dataset)
	if err != nil {
		return fmt.Errorf("on premises: %w", err)
	}
	there, err := postgres.ReadTables(ctx, p.AWS.Pool, p.Dataset)
	if err != nil {
		return fmt.Errorf("on AWS: %w", err)
	}
	missing := postgres.Missing(here, there)
	if len(missing) == 0 {
		return nil
	}
	if len(there) > 0 {
		return fmt.Errorf("the database on AWS has tables already, but not %s: empty it, or bring its schema up to date",
			strings.Join(missing, ", "))
	}
	dir, err := os.MkdirTemp("", "drover-schema-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	dump := filepath.Join(dir, "schema")
	if err := dumpSchema(ctx, p, dump); err != nil {
		return err
	}
	return load(ctx, p, dump)
}

// dumpSchema writes an archive of the schema on premises.
func dumpSchema(ctx context.Context, p *postgres.Pair, to string) error {
	_, err := run(ctx, p, p.OnPrem, "pg_dump", "--format=custom", "--schema-only", "--no-tablespaces", "--no-publications",
		"--no-subscriptions",
		"--exclude-schema=drover", "--file="+to)
	return err
}

// load restores an archive on AWS, all of it or nothing. Objects are given to the roles that own
// them at home, if this one may act as each of them; otherwise they are its own, of which the
// preflight has warned.
func load(ctx context.Context, p *postgres.Pair, dump string) error {
	list, err := run(ctx, p, nil, "pg_restore", "--list", dump)
	if err != nil {
		return err
	}
	chosen := dump + ".list"
	if err := os.WriteFile(chosen, []byte(wanted(list)), 0o600); err != nil {
		return err
	}
	args := []string{"--single-transaction", "--exit-on-error", "--no-tablespaces", "--use-list=" + chosen, "--dbname=" + p.AWS.Database()}
	foreign, err := ForeignOwners(ctx, p)
	if err != nil {
		return err
	}
	if len(foreign) > 0 {
		args = append(args, "--no-owner")
	}
	_, err = run(ctx, p, p.AWS, "pg_restore", append(args, dump)...)
	return err
}

// run runs one of PostgreSQL's own programs, connected to a server. The password travels in the
// environment: a command line can be read by everybody.
func run(ctx context.Context, p *postgres.Pair, s *postgres.Server, program string, args ...string) (out string, err error) {
	dump := p.PgDump
	if dump == "" {
		if dump, err = FindPgDump(); err != nil {
			return "", err
		}
	}
	path, of := filepath.Join(filepath.Dir(dump), program), ""
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if s != nil {
		a, err := s.Login(ctx)
		if err != nil {
			return "", err
		}
		cmd.Env, of = append(cmd.Env, a.Env()...), " of the database "+s.Where()
	}
	var stdout, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s%s: %w: %s", path, of, err, strings.TrimSpace(complaint.String()))
	}
	return stdout.String(), nil
}

// unwanted are entries of an archive's list that AWS has already, that only the owner of an
// extension or of a schema may make, or that are Drover's own. An entry is a number, two object
// ids, what it is, its schema and its name.
var unwanted = regexp.MustCompile(
	`^\d+; \d+ \d+ (COMMENT - EXTENSION |SCHEMA - public |COMMENT - SCHEMA public |TRIGGER .* zzzz_drover_\w+ )`)

// wanted is an archive's list without the entries that are not to be restored.
func wanted(list string) string {
	var keep strings.Builder
	for line := range strings.Lines(list) {
		if !unwanted.MatchString(line) {
			keep.WriteString(line)
		}
	}
	return keep.String()
}

// owned are the roles that own what the schema on premises consists of, and those that have rights
// to it.
const owned = `SELECT DISTINCT pg_get_userbyid(o)::text AS owner, CASE WHEN a.grantee <> 0
	AND a.grantee <> o THEN pg_get_userbyid(a.grantee)::text END AS grantee FROM (
	SELECT c.relowner AS o, c.relacl AS acl, c.relnamespace AS ns, 'pg_class'::regclass AS class, c.oid FROM pg_class c
	WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
	UNION ALL SELECT c.relowner, x.attacl, c.relnamespace, 'pg_class'::regclass, c.oid
	FROM pg_attribute x JOIN pg_class c ON c.oid = x.attrelid WHERE x.attacl IS NOT NULL
	UNION ALL SELECT proowner, proacl, pronamespace, 'pg_proc'::regclass, oid FROM pg_proc
	UNION ALL SELECT typowner, typacl, typnamespace, 'pg_type'::regclass, t.oid FROM pg_type t
	WHERE typtype IN ('e', 'd', 'r') OR typtype = 'c' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = typrelid AND c.relkind = 'c')
	UNION ALL SELECT nspowner, nspacl, oid, 'pg_namespace'::regclass, oid FROM pg_namespace WHERE nspname <> 'public'
	UNION ALL SELECT n.nspowner, n.nspacl, n.oid, 'pg_namespace'::regclass, n.oid FROM pg_namespace n
	WHERE nspname = 'public' AND NOT EXISTS (SELECT FROM pg_init_privs i WHERE i.objoid = n.oid AND i.initprivs = n.nspacl)) x
	JOIN pg_namespace n ON n.oid = x.ns LEFT JOIN LATERAL aclexplode(x.acl) a ON true
	WHERE ` + postgres.NotOurs + ` AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = x.class AND e.objid = x.oid AND e.deptype = 'e')`

// ForeignOwners are the roles that own something on premises and that the role on AWS may not act
// as.
func ForeignOwners(ctx context.Context, p *postgres.Pair) ([]string, error) {
	return lacking(ctx, p, `SELECT array_agg(DISTINCT owner) FROM (`+owned+`) o WHERE owner <> 'pg_database_owner'`,
		`pg_has_role(r.oid, 'MEMBER')`)
}

// UnknownGrantees are the roles that have rights to something on premises and that AWS does not
// have: their rights could not be restored.
func UnknownGrantees(ctx context.Context, p *postgres.Pair) ([]string, error) {
	return lacking(ctx, p, `SELECT array_agg(DISTINCT grantee) FILTER (WHERE grantee IS NOT NULL) FROM (`+owned+`) o`, `true`)
}

// lacking are the roles that a question on premises answers and that do not pass a test on AWS.
func lacking(ctx context.Context, p *postgres.Pair, question, test string) (roles []string, err error) {
	if err := p.OnPrem.Pool.QueryRow(ctx, question).Scan(&roles); err != nil {
		return nil, fmt.Errorf("read the roles of the schema on premises: %w", err)
	}
	err = p.AWS.Pool.QueryRow(ctx,
		`SELECT coalesce(array_agg(n ORDER BY n), '{}') FROM unnest($1::text[]) n WHERE NOT EXISTS (SELECT FROM pg_roles r
			WHERE r.rolname = n AND `+test+`)`, roles).Scan(&roles)
	if err != nil {
		return nil, fmt.Errorf("read roles on AWS: %w", err)
	}
	return roles, nil
}
