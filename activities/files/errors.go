package files

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/aws/smithy-go"
	"go.temporal.io/sdk/temporal"

	engine "github.com/drover-migration/drover/replication/files"
)

// permanent is an error that trying again does not help.
func permanent(kind string, cause error, format string, args ...any) error {
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf(format, args...), kind, cause)
}

// classify makes errors permanent that only people can cure. A pass that another one overtook, a network and a slow store are not
// among them.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var already *temporal.ApplicationError
	if errors.As(err, &already) {
		return err // of the guard, from within the engine
	}
	var differ *engine.NotEqualError
	var api smithy.APIError
	switch {
	case errors.As(err, &differ):
		return permanent("FilesDiffer", err, "%s", err)
	case errors.Is(err, engine.ErrNoTree):
		return permanent("NoTree", err, "%s", err)
	case errors.Is(err, fs.ErrPermission):
		return permanent("AccessDenied", err, "%s: let the user of the site's worker read the tree, and write it for a way back", err)
	case errors.As(err, &api) && (api.ErrorCode() == "AccessDenied" || api.ErrorCode() == "NoSuchBucket"):
		return permanent(api.ErrorCode(), err, "%s: the bucket must exist and the plan's role must list, read, write and delete below the prefix", err)
	}
	return err
}
