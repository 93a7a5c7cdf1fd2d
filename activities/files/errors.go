package files

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/aws/smithy-go"

	"github.com/drover-migration/drover/internal/permanent"
	engine "github.com/drover-migration/drover/replication/files"
)

// classify makes errors permanent that only people can cure. A pass that another one overtook, a
// network and a slow store are not among them.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if permanent.Kind(err) != "" {
		return err // of the guard, from within the engine
	}
	var differ *engine.NotEqualError
	var api smithy.APIError
	switch {
	case errors.As(err, &differ):
		return permanent.New("FilesDiffer", err, "%s", err)
	case errors.Is(err, engine.ErrNoTree):
		return permanent.New("NoTree", err, "%s", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return permanent.New("AccessDenied", err, "%s: let the user of the site's worker read the tree, and write it for a way back", err)
	case errors.As(err, &api) && (api.ErrorCode() == "AccessDenied" || api.ErrorCode() == "NoSuchBucket"):
		return permanent.New(api.ErrorCode(), err,
			"%s: the bucket must exist and the plan's role must list, read, write and delete below the prefix", err)
	}
	return err
}
