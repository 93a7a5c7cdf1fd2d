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

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// ErrNoPgDump says that pg_dump is not on this worker.
var ErrNoPgDump = errors.New("pg_dump was not found: install PostgreSQL's client programs on the site's worker, at least as new as the database on premises, or set DROVER_PG_BIN to their folder")

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
		return fmt.Errorf("the database on AWS has tables already, but not %s: empty it, or bring its schema up to date", strings.Join(missing, ", "))
	}
	dump, err := dumpSchema(ctx, p)
	if err != nil {
		return err
	}
	return load(ctx, p.AWS, dump)
}

// dumpSchema runs pg_dump. The password travels in the environment: a command line can be read by everybody.
func dumpSchema(ctx context.Context, p *postgres.Pair) (string, error) {
	path := p.PgDump
	if path == "" {
		var err error
		if path, err = FindPgDump(); err != nil {
			return "", err
		}
	}
	a, err := p.OnPrem.Login(ctx)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, "--schema-only", "--no-publications", "--no-subscriptions", "--exclude-schema=drover")
	cmd.Env = append(os.Environ(), a.Env()...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s of the database on premises: %w: %s", path, err, strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}

// load runs a dump in one transaction on a connection of its own, since a dump changes the session's settings.
func load(ctx context.Context, s *postgres.Server, dump string) error {
	pool := s.Pool.Config()
	conf := pool.ConnConfig.Copy()
	if err := pool.BeforeConnect(ctx, conf); err != nil {
		return err
	}
	c, err := pgx.ConnectConfig(ctx, conf)
	if err != nil {
		return fmt.Errorf("connect %s: %w", s.Where(), err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	roles, err := usableRoles(ctx, s, c)
	if err != nil {
		return err
	}
	if _, err := c.PgConn().Exec(ctx, "BEGIN;\n"+portable(dump, roles)+"\nCOMMIT;").ReadAll(); err != nil {
		return fmt.Errorf("load the schema %s: %w", s.Where(), err)
	}
	return nil
}

// usableRoles are the roles that this one may act as.
func usableRoles(ctx context.Context, s *postgres.Server, q postgres.Querier) (map[string]bool, error) {
	rows, err := q.Query(ctx, `SELECT rolname::text, pg_has_role(oid, 'MEMBER') FROM pg_roles`)
	if err != nil {
		return nil, fmt.Errorf("read roles %s: %w", s.Where(), err)
	}
	defer rows.Close()
	out := map[string]bool{"PUBLIC": false}
	for rows.Next() {
		var name string
		var member bool
		if err := rows.Scan(&name, &member); err != nil {
			return nil, err
		}
		out[name] = member
	}
	return out, rows.Err()
}

var (
	ownerLine = regexp.MustCompile(`^ALTER .* OWNER TO (.+);$`)
	grantLine = regexp.MustCompile(`^(?:ALTER DEFAULT PRIVILEGES FOR ROLE (\S+) .*)?(?:GRANT|REVOKE) .* (?:TO|FROM) (\S+?)(?: WITH GRANT OPTION)?;$`)
)

// portable leaves out of a dump what another server cannot have: psql's own commands, Drover's triggers, schemas that exist, and
// owners and grants of roles that are not there. roles says of each role there whether this one may act as it.
func portable(dump string, roles map[string]bool) string {
	var keep []string
	for line := range strings.Lines(dump) {
		text := strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(text, `\`), strings.HasPrefix(text, "SET transaction_timeout"):
			continue
		case strings.HasPrefix(text, "CREATE TRIGGER zzzz_drover_"):
			continue
		case text == "CREATE SCHEMA public;":
			continue
		}
		if m := ownerLine.FindStringSubmatch(text); m != nil && !roles[bare(m[1])] {
			continue
		}
		if m := grantLine.FindStringSubmatch(text); m != nil {
			_, known := roles[bare(m[2])]
			if !known || m[1] != "" && !roles[bare(m[1])] {
				continue
			}
		}
		keep = append(keep, text)
	}
	return strings.Join(keep, "\n")
}

func bare(role string) string { return strings.ReplaceAll(strings.Trim(role, `"`), `""`, `"`) }
