package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/drover-migration/drover/replication/postgres"
)

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
	return dumped(ctx, p, func(a archive) error {
		_, err := run(ctx, p, p.AWS, "pg_restore", a.with("--single-transaction", "--exit-on-error", "--dbname="+p.AWS.Database())...)
		return err
	})
}

// Rehearse brings the schema to AWS as Prepare would, and rolls that back. It says what a server
// answered where the schema cannot be read or brought; "": it can.
func Rehearse(ctx context.Context, p *postgres.Pair) (why string, err error) {
	err = dumped(ctx, p, func(a archive) error {
		script := a.path + ".sql"
		if _, err := run(ctx, p, nil, "pg_restore", a.with("--file="+script)...); err != nil {
			return err
		}
		// Of an error no more is said than its words: a statement may hold what nobody should read.
		_, err := run(ctx, p, p.AWS, "psql", "--no-psqlrc", "--quiet", "--output="+os.DevNull, "--set=ON_ERROR_STOP=1",
			"--set=VERBOSITY=terse", "--set=SHOW_CONTEXT=never", "--command=BEGIN", "--file="+script, "--command=ROLLBACK")
		return err
	})
	if !errors.As(err, new(*exec.ExitError)) || ctx.Err() != nil {
		return "", err
	}
	if why = answered.FindString(err.Error()); why == "" {
		why = err.Error()
	}
	return strings.Join(strings.Fields(why), " "), nil
}

// answered is the answer of a server in what one of the programs says.
var answered = regexp.MustCompile(`ERROR: .*`)

// archive is a dump of the schema on premises, and with what pg_restore reads it.
type archive struct {
	path    string
	options []string
}

func (a archive) with(options ...string) []string {
	return append(slices.Concat(a.options, options), a.path)
}

// dumped hands over an archive of the schema on premises. Objects are given to the roles that own
// them at home, if this one may act as each of them on AWS; otherwise they are its own, of which
// the preflight has warned.
func dumped(ctx context.Context, p *postgres.Pair, do func(archive) error) error {
	dir, err := os.MkdirTemp("", "drover-schema-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	a := archive{path: filepath.Join(dir, "schema")}
	if err := dumpSchema(ctx, p, a.path); err != nil {
		return err
	}
	list, err := run(ctx, p, nil, "pg_restore", "--list", a.path)
	if err != nil {
		return err
	}
	foreign, err := ForeignOwners(ctx, p)
	if err != nil {
		return err
	}
	chosen := a.path + ".list"
	if err := os.WriteFile(chosen, []byte(wanted(list, len(foreign) > 0)), 0o600); err != nil {
		return err
	}
	a.options = []string{"--no-tablespaces", "--use-list=" + chosen}
	if len(foreign) > 0 {
		a.options = append(a.options, "--no-owner")
	}
	return do(a)
}

// dumpSchema writes an archive of the schema on premises.
func dumpSchema(ctx context.Context, p *postgres.Pair, to string) error {
	_, err := run(ctx, p, p.OnPrem, "pg_dump", "--format=custom", "--schema-only", "--no-tablespaces", "--no-publications",
		"--no-subscriptions",
		"--exclude-schema=drover", "--exclude-schema=drover_observe", "--file="+to)
	return err
}

// unwanted are entries of an archive's list that AWS has already, that only the owner of an
// extension or of a schema may make, that hold a password, or that are Drover's own. An entry is a
// number, two object ids, what it is, its schema and its name.
var unwanted = regexp.MustCompile(`^\d+; \d+ \d+ (COMMENT - EXTENSION |SCHEMA - public |COMMENT - SCHEMA public |USER MAPPING |` +
	`TRIGGER .* zzzz_drover_\w+ |EVENT TRIGGER - drover_\w+ )`)

// ofOwners are entries that say what other roles give to others of what they will make.
var ofOwners = regexp.MustCompile(`^\d+; \d+ \d+ DEFAULT ACL `)

// wanted is an archive's list without the entries that are not to be restored. Where no role but
// the restoring one will own anything, nor are those of other owners.
func wanted(list string, allMine bool) string {
	var keep strings.Builder
	for line := range strings.Lines(list) {
		if unwanted.MatchString(line) || allMine && ofOwners.MatchString(line) {
			continue
		}
		keep.WriteString(line)
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
	UNION ALL SELECT collowner, NULL, collnamespace, 'pg_collation'::regclass, oid FROM pg_collation
	UNION ALL SELECT oprowner, NULL, oprnamespace, 'pg_operator'::regclass, oid FROM pg_operator
	UNION ALL SELECT stxowner, NULL, stxnamespace, 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext
	UNION ALL SELECT cfgowner, NULL, cfgnamespace, 'pg_ts_config'::regclass, oid FROM pg_ts_config
	UNION ALL SELECT dictowner, NULL, dictnamespace, 'pg_ts_dict'::regclass, oid FROM pg_ts_dict
	UNION ALL SELECT srvowner, srvacl, 0, 'pg_foreign_server'::regclass, oid FROM pg_foreign_server
	UNION ALL SELECT evtowner, NULL, 0, 'pg_event_trigger'::regclass, oid FROM pg_event_trigger
	UNION ALL SELECT defaclrole, defaclacl, defaclnamespace, 'pg_default_acl'::regclass, oid FROM pg_default_acl
	UNION ALL SELECT nspowner, nspacl, oid, 'pg_namespace'::regclass, oid FROM pg_namespace WHERE nspname <> 'public'
	UNION ALL SELECT n.nspowner, n.nspacl, n.oid, 'pg_namespace'::regclass, n.oid FROM pg_namespace n
	WHERE nspname = 'public' AND NOT EXISTS (SELECT FROM pg_init_privs i WHERE i.objoid = n.oid AND i.initprivs = n.nspacl)) x
	LEFT JOIN pg_namespace n ON n.oid = x.ns LEFT JOIN LATERAL aclexplode(x.acl) a ON true
	WHERE (x.ns = 0 OR ` + postgres.NotOurs + `) AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = x.class AND e.objid = x.oid
	AND e.deptype = 'e')`

// policied are the roles that a policy of a row security names.
const policied = `SELECT pg_get_userbyid(r)::text FROM pg_policy y JOIN pg_class c ON c.oid = y.polrelid
	JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN unnest(y.polroles) r WHERE r <> 0 AND ` + postgres.NotOurs

// ForeignOwners are the roles that own something on premises and that the role on AWS may not act
// as.
func ForeignOwners(ctx context.Context, p *postgres.Pair) ([]string, error) {
	return lacking(ctx, p, `SELECT array_agg(DISTINCT owner) FROM (`+owned+`) o WHERE owner <> 'pg_database_owner'`,
		`pg_has_role(r.oid, 'MEMBER')`)
}

// UnknownGrantees are the roles that have rights to something on premises, or that a policy names,
// and that AWS does not have: their rights could not be restored.
func UnknownGrantees(ctx context.Context, p *postgres.Pair) ([]string, error) {
	return lacking(ctx, p, `SELECT array_agg(DISTINCT grantee) FILTER (WHERE grantee IS NOT NULL)
		FROM (SELECT grantee FROM (`+owned+`) o UNION ALL `+policied+`) g`, `true`)
}

// Roles are all that own something on premises or have rights to it.
func Roles(ctx context.Context, p *postgres.Pair) (roles []string, err error) {
	err = p.OnPrem.Pool.QueryRow(ctx, `SELECT coalesce(array_agg(DISTINCT n), '{}') FROM (`+owned+`) o, unnest(ARRAY[owner, grantee]) n
		WHERE n IS NOT NULL`).Scan(&roles)
	if err != nil {
		return nil, fmt.Errorf("read the roles of the schema on premises: %w", err)
	}
	return roles, nil
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
