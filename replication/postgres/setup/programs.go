package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/drover-migration/drover/replication/postgres"
)

// ErrNoPgDump says that this worker has no programs of PostgreSQL's by which the schema can come to
// AWS.
var ErrNoPgDump = errors.New("no pg_dump that fits was found, with pg_restore and psql beside it")

// BinEnv names the folder of PostgreSQL's client programs.
const BinEnv = "DROVER_PG_BIN"

// Programs are all that are run.
var Programs = []string{"pg_dump", "pg_restore", "psql"}

// setsTransactionLimit is the first version whose pg_restore sets what older servers refuse.
const setsTransactionLimit = 17

// FindPrograms answers the folder of programs that can read the schema on premises and bring it to
// AWS. It looks in DROVER_PG_BIN, else in PATH, then where distributions put them, newest first.
func FindPrograms(ctx context.Context, p *postgres.Pair) (dir string, err error) {
	if p.PgDump != "" {
		return filepath.Dir(p.PgDump), nil
	}
	home, aws := p.OnPrem.Major(), p.AWS.Major()
	var seen []string
	for _, dir := range folders() {
		major, err := versionIn(ctx, dir)
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case err != nil:
			seen = append(seen, err.Error())
		case fit(major, home, aws):
			return dir, nil
		default:
			seen = append(seen, fmt.Sprintf("those in %s are of version %d", dir, major))
		}
	}
	want := fmt.Sprintf("%d or newer", home)
	if aws < setsTransactionLimit {
		want = fmt.Sprintf("%d to %d, since the server on AWS is of version %d", home, setsTransactionLimit-1, aws)
	}
	return "", fmt.Errorf("%w: it has to be of version %s; install PostgreSQL's client programs on the site's worker, or set %s to their "+
		"folder (%s)", ErrNoPgDump, want, BinEnv, strings.Join(seen, "; "))
}

// fit says whether programs of a version can read one server and write to another: pg_dump reads no
// newer one.
func fit(major, home, aws int) bool {
	return major >= home && (major < setsTransactionLimit || aws >= setsTransactionLimit)
}

func folders() (dirs []string) {
	if dir := os.Getenv(BinEnv); dir != "" {
		return []string{dir}
	}
	if path, err := exec.LookPath("pg_dump"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"} {
		found, _ := filepath.Glob(pattern)
		slices.Reverse(found)
		dirs = append(dirs, found...)
	}
	return dirs
}

// versionIn is the version of the programs in a folder that has them all.
func versionIn(ctx context.Context, dir string) (major int, err error) {
	for _, name := range Programs {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return 0, fmt.Errorf("there is no %s in %s", name, dir)
		}
	}
	said, err := exec.CommandContext(ctx, filepath.Join(dir, "pg_dump"), "--version").Output() // "pg_dump (PostgreSQL) 16.10 (Debian)"
	if err == nil {
		_, number, _ := strings.Cut(string(said), ") ")
		major, err = strconv.Atoi(number[:len(number)-len(strings.TrimLeft(number, "0123456789"))])
	}
	if err != nil {
		return 0, fmt.Errorf("the pg_dump in %s does not say its version: %w", dir, err)
	}
	return major, nil
}

// run runs one of PostgreSQL's own programs, connected to a server. The password travels in the
// environment: a command line can be read by everybody.
func run(ctx context.Context, p *postgres.Pair, s *postgres.Server, program string, args ...string) (out string, err error) {
	dir, err := FindPrograms(ctx, p)
	if err != nil {
		return "", err
	}
	path, of := filepath.Join(dir, program), ""
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
