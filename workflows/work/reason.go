package work

import (
	"errors"
	"fmt"
	"strings"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/migration"
)

// Reason is an error as a person should read it: the innermost message, without Temporal's
// envelope.
func Reason(err error) string {
	var at *temporal.ActivityError
	if errors.As(err, &at) && err != error(at) { //nolint:errorlint // whether something of ours is around it
		around, _ := strings.CutSuffix(err.Error(), at.Error())
		return around + Reason(at)
	}
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Message()
	}
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		if cause := errors.Unwrap(timeout); cause != nil {
			return Reason(cause)
		}
		if timeout.TimeoutType() == enums.TIMEOUT_TYPE_START_TO_CLOSE {
			return "no answer in time"
		}
		return "no worker answered in time"
	}
	if errors.As(err, new(*temporal.CanceledError)) {
		return "canceled"
	}
	return err.Error()
}

// Unanswered says whether a question found nobody for as long as it was asked: what its last
// attempt failed with is not the answer.
func Unanswered(err error) bool {
	var asked *temporal.ActivityError
	return errors.As(err, new(*temporal.TimeoutError)) || errors.As(err, &asked) && asked.RetryState() == enums.RETRY_STATE_TIMEOUT
}

// Is says whether an activity failed for good with an error of this type.
func Is(err error, kind string) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.Type() == kind
}

// Away names the worker that is missing, where nobody took within its time what was asked of a site
// for a customer that may be closed; "": somebody did.
func Away(err error, site string) string {
	if !away(err) {
		return ""
	}
	return nobodyTakes(migration.SiteFreezeQueue(site), site)
}

func away(err error) bool {
	var timeout *temporal.TimeoutError
	return errors.As(err, &timeout) && timeout.TimeoutType() == enums.TIMEOUT_TYPE_SCHEDULE_TO_START
}

func nobodyTakes(queue, site string) string {
	return fmt.Sprintf("no worker takes work from %s: start `%s` next to the data of %s; all goes on by itself then", queue,
		migration.WorkerOf(queue), site)
}

// ReasonAt is Reason of what was asked of a site, for which no closed customer waits: it names a
// worker that is away.
func ReasonAt(err error, site string) string {
	if away(err) {
		return nobodyTakes(migration.SiteQueue(site), site)
	}
	return Reason(err)
}

// Refused turns blockers into the reason why something does not start; nil: there are none.
func Refused(findings []migration.Finding) error {
	var why []string
	for _, f := range migration.Blockers(findings) {
		why = append(why, fmt.Sprintf("%s: %s (%s)", f.Subject, f.Reason, f.Remedy))
	}
	if why == nil {
		return nil
	}
	return errors.New(strings.Join(why, "; "))
}

// OldTTL says in words until when names are not ready.
func OldTTL(until time.Time) string {
	return "resolvers may remember the old TTL of its records until " + until.UTC().Format("2006-01-02 15:04:05 MST")
}
