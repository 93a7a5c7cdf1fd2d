package postgres

import (
	"context"
	_ "embed"
	"errors"

	"github.com/jackc/pgx/v5"
)

//go:embed move.sql
var moveSQL string

//go:embed observe.sql
var observeSQL string

// ObserveSQL is the file that is installed on premises while writers are observed.
func ObserveSQL() string { return observeSQL }

// MoveSQL is the file that is installed on both servers.
func MoveSQL() string { return moveSQL }

// MoveVersion grows with every released change of move.sql, so that a worker that is older than the
// database leaves it alone.
const MoveVersion = 2

// Installed reads the stamp of move.sql; version 0 means that nothing is installed.
func Installed(ctx context.Context, q Querier) (version int, digest string, err error) {
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
