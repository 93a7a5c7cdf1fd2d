package health

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
)

// during says what an error of Backends was met by. Wrapped alone, one that trying again does not help would be tried again: Temporal
// looks at the outermost error only.
func during(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf(format+": %w", append(args, err)...)
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.NonRetryable() {
		return temporal.NewNonRetryableApplicationError(err.Error(), app.Type(), err)
	}
	return err
}
