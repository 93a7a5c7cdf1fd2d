package setup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// ErrNewerInstalled says that a newer Drover has been here: upgrade this worker.
var ErrNewerInstalled = errors.New("a newer version of Drover's functions is installed; upgrade this worker")

// install puts move.sql on a server and makes the database the plan's own, or does nothing if that
// is done. One at a time; all or nothing: a plan that is refused changes no function of the plan
// that the database belongs to.
func install(ctx context.Context, p *postgres.Pair, s *postgres.Server) error {
	return installFile(ctx, p, s, postgres.MoveSQL())
}

func installFile(ctx context.Context, p *postgres.Pair, s *postgres.Server, file string) error {
	err := postgres.Patiently(ctx, func() error {
		return pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
			if err := lockDatabase(ctx, tx); err != nil {
				return err
			}
			if err := installIn(ctx, tx, s.Side, file); err != nil {
				return err
			}
			return claim(ctx, p, tx)
		})
	})
	if err != nil {
		return fmt.Errorf("install Drover's functions in the database %s: %w", s.Where(), err)
	}
	return nil
}

func installIn(ctx context.Context, tx pgx.Tx, side migration.Side, file string) error {
	sum := sha256.Sum256([]byte(file))
	digest := hex.EncodeToString(sum[:])
	version, there, err := postgres.Installed(ctx, tx)
	switch {
	case err != nil:
		return err
	case version > postgres.MoveVersion:
		return fmt.Errorf("version %d, this is %d: %w", version, postgres.MoveVersion, ErrNewerInstalled)
	case there == digest:
		return nil
	}
	if _, err := tx.Exec(ctx, file); err != nil {
		return err
	}
	if version == 0 {
		// Everybody is at home on premises until publish knows better. An application asks is_home
		// from the moment that the function is there.
		if _, err := tx.Exec(ctx, `UPDATE drover.config SET newcomers = $1`, side == migration.OnPrem); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `INSERT INTO drover.installed (version, digest) VALUES ($1, $2)
		ON CONFLICT (one) DO UPDATE SET version = excluded.version, digest = excluded.digest, at = clock_timestamp()`, postgres.MoveVersion, digest)
	return err
}

// claim makes the database the plan's own, or fails with ErrOtherPlan. Claims, installations and
// removals of one database follow each other: each holds the lock until its transaction ends.
func claim(ctx context.Context, p *postgres.Pair, tx pgx.Tx) error {
	if err := lockOwn(ctx, p, tx); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO drover.plan (plan, dataset) VALUES ($1, $2) ON CONFLICT DO NOTHING`, p.Plan, p.Name)
	return err
}

// lockOwn locks a database that no other plan replicates: ErrOtherPlan.
func lockOwn(ctx context.Context, p *postgres.Pair, tx pgx.Tx) error {
	if err := lockDatabase(ctx, tx); err != nil {
		return err
	}
	other, err := p.OtherOwner(ctx, tx)
	if err != nil {
		return err
	}
	if other != "" {
		return fmt.Errorf("it is replicated by %s already: %w", other, postgres.ErrOtherPlan)
	}
	return nil
}

// lockDatabase is taken by whoever installs Drover in a database, gives it to a plan, admits
// tenants or takes Drover away.
func lockDatabase(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(726, 0)`); err != nil {
		return err
	}
	// A session that once looked in vain for a schema goes on believing it, until it locks a table:
	// to_regclass alone would not see what the last holder made.
	_, err := tx.Exec(ctx, `SELECT FROM pg_namespace WHERE nspname = 'drover'`)
	return err
}
