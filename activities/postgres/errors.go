package postgres

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	"go.temporal.io/sdk/temporal"

	engine "github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// Types of errors that a repeat does not cure.
const (
	ErrorNotPrepared = "PostgresNotPrepared"
	ErrorOtherPlan   = "PostgresOtherPlan"
	ErrorNotEmpty    = "PostgresTargetNotEmpty"
	ErrorNotHome     = "PostgresNotHome"
	ErrorNotFinal    = "PostgresNotFinal"
	ErrorFinal       = "PostgresFinal"
	ErrorBadRequest  = "PostgresBadRequest"
	ErrorTooOld      = "PostgresWorkerTooOld"
	ErrorNoPgDump    = "PostgresNoPgDump"
	ErrorOtherServer = "PostgresOtherServer"
	ErrorDoubted     = "PostgresDoubtedServer" // until somebody has looked
	ErrorAnswers     = "PostgresSideAnswers"   // it is not lost
	ErrorNotSound    = "PostgresNotSound"      // what one side alone has is not carried over as it is
	ErrorUnderWay    = "PostgresMoveUnderWay"
	ErrorNotTakenIn  = "PostgresSchemaNotTakenIn"
	ErrorBetween     = "PostgresCarriedOver"
	ErrorRefused     = "PostgresRefused" // privileges, features, conflicting definitions: the server's answer will be the same
)

var permanent = map[error]string{
	engine.ErrNotPrepared:   ErrorNotPrepared,
	engine.ErrOtherPlan:     ErrorOtherPlan,
	setup.ErrTargetNotEmpty: ErrorNotEmpty,
	setup.ErrNotHome:        ErrorNotHome,
	setup.ErrNotFinal:       ErrorNotFinal,
	engine.ErrNotOnAWS:      ErrorNotFinal,
	engine.ErrFinal:         ErrorFinal,
	setup.ErrNewerInstalled: ErrorTooOld,
	setup.ErrNoPgDump:       ErrorNoPgDump,
	engine.ErrDoubtedServer: ErrorDoubted,
	engine.ErrOtherServer:   ErrorOtherServer,
	engine.ErrAnswers:       ErrorAnswers,
	engine.ErrNotSound:      ErrorNotSound,
	engine.ErrUnderWay:      ErrorUnderWay,
	setup.ErrNotTakenIn:     ErrorNotTakenIn,
	setup.ErrBetween:        ErrorBetween,
}

// classify marks the errors that a repeat does not cure. Lost connections, restarts and time-outs
// are not among them, nor is anything unknown.
func classify(err error) error {
	if err == nil {
		return nil
	}
	for is, name := range permanent {
		if errors.Is(err, is) {
			return temporal.NewNonRetryableApplicationError(err.Error(), name, nil)
		}
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "42501", "0A000", "42P07", "42710", "55000": // privilege, feature, duplicate table or object, wrong state (wal_level)
			return temporal.NewNonRetryableApplicationError(err.Error(), ErrorRefused, nil)
		}
	}
	return err
}
