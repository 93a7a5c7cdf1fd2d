package postgres

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

//go:embed move.sql
var moveSQL string

// moveVersion grows with every released change of move.sql, so that a worker that is older than the database leaves it alone.
const moveVersion = 1

// ErrNewerInstalled says that a newer Drover has been here: upgrade this worker.
var ErrNewerInstalled = errors.New("a newer version of Drover's functions is installed; upgrade this worker")

// install puts move.sql on a server and makes the database the plan's own, or does nothing if that is done. One at a time; all or
// nothing: a plan that is refused changes no function of the plan that the database belongs to.
func (p *Pair) install(ctx context.Context, s *Server) error { return p.installFile(ctx, s, moveSQL) }

func (p *Pair) installFile(ctx context.Context, s *Server, file string) error {
	err := patiently(ctx, func() error {
		return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
			if err := lockDatabase(ctx, tx); err != nil {
				return err
			}
			if err := installIn(ctx, tx, file); err != nil {
				return err
			}
			return p.claim(ctx, tx)
		})
	})
	if err != nil {
		return fmt.Errorf("install Drover's functions in the database %s: %w", s.where(), err)
	}
	return nil
}

func installIn(ctx context.Context, tx pgx.Tx, file string) error {
	sum := sha256.Sum256([]byte(file))
	digest := hex.EncodeToString(sum[:])
	version, there, err := installed(ctx, tx)
	switch {
	case err != nil:
		return err
	case version > moveVersion:
		return fmt.Errorf("version %d, this is %d: %w", version, moveVersion, ErrNewerInstalled)
	case there == digest:
		return nil
	}
	if _, err := tx.Exec(ctx, file); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO drover.installed (version, digest) VALUES ($1, $2)
		ON CONFLICT (one) DO UPDATE SET version = excluded.version, digest = excluded.digest, at = clock_timestamp()`, moveVersion, digest)
	return err
}

// installed reads the stamp; version 0 means that nothing is installed.
func installed(ctx context.Context, q querier) (version int, digest string, err error) {
	var is bool
	if err := q.QueryRow(ctx, `SELECT to_regclass('drover.installed') IS NOT NULL`).Scan(&is); err != nil || !is {
		return 0, "", err
	}
	err = q.QueryRow(ctx, `SELECT version, digest FROM drover.installed`).Scan(&version, &digest)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, "", nil
	}
	return version, digest, err
}
