package pg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"
)

// nobody is the user and group as which a root lab runs PostgreSQL: the overflow ids of every
// Linux.
const nobody = 65534

// home is where a server's files are.
type home struct {
	bin, data, log string

	base *base
}

func (h *home) pidfile() string { return filepath.Join(h.data, "postmaster.pid") }

// base is what the servers of one run share: a folder their user can reach, the binaries, an
// initialised data directory.
type base struct {
	key      string
	dir      string // holds everything; removed with the last server
	bin      string
	template string
	password string
	users    int
}

var (
	basesMu sync.Mutex
	bases   = map[string]*base{}
)

// openHome makes a data directory by copying the run's template, which the first server of a run
// initialises.
func openHome(ctx context.Context, o Options) (*home, string, error) {
	basesMu.Lock()
	defer basesMu.Unlock()
	key := o.Dir + "\x00" + o.Bin
	b := bases[key]
	if b == nil {
		var err error
		if b, err = newBase(ctx, key, o); err != nil {
			return nil, "", err
		}
		bases[key] = b
	}
	b.users++
	h := &home{bin: b.bin, data: filepath.Join(b.dir, o.Name), log: filepath.Join(b.dir, o.Name+".log"), base: b}
	if err := command(ctx, "cp", "-a", "--reflink=auto", b.template, h.data); err != nil {
		return nil, "", errors.Join(err, h.close())
	}
	if err := os.WriteFile(filepath.Join(h.data, "postgresql.conf"), []byte(conf(o)), 0o644); err != nil {
		return nil, "", errors.Join(err, h.close())
	}
	return h, b.password, nil
}

func newBase(ctx context.Context, key string, o Options) (b *base, err error) {
	parent := o.Dir
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 && !reachable(parent) {
		parent = os.TempDir()
	}
	dir, err := os.MkdirTemp(parent, "pg-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	b = &base{key: key, dir: dir, bin: o.Bin, template: filepath.Join(dir, "template"), password: secret()}
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			return nil, err
		}
		if !reachable(o.Bin) {
			// bin, lib and share: PostgreSQL finds the others from where its binary is.
			b.bin = filepath.Join(dir, "tools", "bin")
			// Copied by us: that the server's user cannot read them there is why they are copied.
			if out, err := exec.CommandContext(ctx, "cp", "-a", filepath.Dir(o.Bin),
				filepath.Join(dir, "tools")).CombinedOutput(); err != nil {
				return nil, fmt.Errorf("copy PostgreSQL to %s: %w: %s", dir, err, strings.TrimSpace(string(out)))
			}
		}
	}
	return b, b.initialise(ctx)
}

// initialise makes the template. The file with the password is gone before anything is copied from
// it.
func (b *base) initialise(ctx context.Context) error {
	secretFile := filepath.Join(b.dir, "secret")
	if err := os.WriteFile(secretFile, []byte(b.password), 0o600); err != nil {
		return err
	}
	defer func() { _ = os.Remove(secretFile) }()
	if os.Geteuid() == 0 {
		if err := os.Chown(secretFile, nobody, nobody); err != nil {
			return err
		}
	}
	err := command(ctx, filepath.Join(b.bin, "initdb"), "-D", b.template, "-U", Admin, "-A", "scram-sha-256", "--pwfile", secretFile,
		"-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.template, "pg_hba.conf"),
		[]byte("host all all 127.0.0.0/8 scram-sha-256\nhost replication all 127.0.0.0/8 scram-sha-256\n"), 0o644)
}

// close removes the server's files, and with the last server's the run's.
func (h *home) close() error {
	err := errors.Join(os.RemoveAll(h.data), os.RemoveAll(h.log))
	if h.base.users--; h.base.users == 0 {
		delete(bases, h.base.key)
		err = errors.Join(err, os.RemoveAll(h.base.dir))
	}
	return err
}

// conf is tuned for many small transactions on a small machine. Nothing that a crash could lose is
// switched off: crashes are tested.
func conf(o Options) string {
	set := map[string]string{
		"wal_level":                       "logical",
		"wal_retrieve_retry_interval":     "100ms",
		"wal_receiver_status_interval":    "1s",
		"max_replication_slots":           "20",
		"max_wal_senders":                 "20",
		"max_logical_replication_workers": "12",
		"max_worker_processes":            "24",
		"max_connections":                 "120",
		"max_prepared_transactions":       "10",
		"shared_buffers":                  "64MB",
		"max_wal_size":                    "512MB",
		"min_wal_size":                    "64MB",
		"wal_buffers":                     "4MB",
		"track_commit_timestamp":          "on",
		"unix_socket_directories":         "",
		"dynamic_shared_memory_type":      "mmap",
		"password_encryption":             "scram-sha-256",
		"log_min_messages":                "warning",
		"timezone":                        "UTC",
		"datestyle":                       "iso, mdy",
		"deadlock_timeout":                "1s",
	}
	for k, v := range o.Settings {
		set[k] = v
	}
	var lines []string
	for k, v := range set {
		lines = append(lines, fmt.Sprintf("%s = '%s'", k, strings.ReplaceAll(v, "'", "''")))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n") + "\n"
}

// reachable says whether any user may enter the directory: every folder above it has to let others
// through.
func reachable(dir string) bool {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return false
	}
	for ; ; abs = filepath.Dir(abs) {
		st, err := os.Stat(abs)
		if err != nil || st.Mode()&0o001 == 0 {
			return false
		}
		if abs == filepath.Dir(abs) {
			return true
		}
	}
}

// serverUser is the user that PostgreSQL may run as; nil: the lab's own.
func serverUser() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	return &syscall.Credential{Uid: nobody, Gid: nobody}
}

func serverEnv() []string { return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"} }

// command runs a command as the server's user.
func command(ctx context.Context, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: serverUser()}
	c.Dir, c.Env = "/", serverEnv()
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, strings.TrimSpace(string(out)))
	}
	return nil
}
