package dns

import (
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/smithy-go"

	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/migration"
)

// wrong names the route that an error is of.
func wrong(r migration.Route, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("route %q: %w", r.Name, err)
}

// raced says whether a batch was refused because something else stands than was read: look again.
func raced(err error) bool {
	var invalid *types.InvalidChangeBatch
	return errors.As(err, &invalid)
}

// explain says what was being done, and what to do about errors that an operator can do something
// about.
func explain(err error, doing string, args ...any) error {
	what := fmt.Sprintf(doing, args...)
	var missing *types.NoSuchHostedZone
	var api smithy.APIError
	switch {
	case errors.As(err, &missing):
		return permanent.New("NoZone", err, "%s: there is no such zone in the target's account; correct the route's zone", what)
	case errors.As(err, &api) && (api.ErrorCode() == "AccessDenied" || api.ErrorCode() == "AccessDeniedException"):
		return fmt.Errorf("%s: %w; allow it to the target's role, as drover iam-policy prints it", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
