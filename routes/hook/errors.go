package hook

import (
	"errors"
	"fmt"

	"github.com/drover-migration/drover/migration"
)

// What the callers of a peer tell apart.
var (
	errUnknown  = errors.New("the router does not know it")                    // 404
	errChanged  = errors.New("something else stands than was read")            // 412: look again
	errRefused  = errors.New("the router refused what it was told")            // 422
	errUnsigned = errors.New("the router does not take the route's signature") // 401, 403
)

// wrong names the route that an error is of.
func wrong(r migration.Route, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("route %q: %w", r.Name, err)
}
