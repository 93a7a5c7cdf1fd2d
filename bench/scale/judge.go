package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/drover-migration/drover/migration"
)

// settling is how long the last reports may take.
const settling = time.Minute

// judge holds every customer's status against its data and its route. Nobody may be missing, and
// nobody who is not healthy on AWS may be there.
func (r *run) judge(ctx context.Context) error {
	var wrong []string
	for begun := time.Now(); ; {
		s, err := r.drover.Status(ctx, planName)
		if err != nil {
			return err
		}
		if wrong = r.misplaced(s); len(wrong) == 0 || time.Since(begun) > settling {
			break
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
	const most = 20
	if n := len(wrong); n > most {
		wrong = append(wrong[:most], fmt.Sprintf("and %d more", n-most))
	}
	r.found.Wrong = append(append(r.found.Wrong, wrong...), r.world.violations()...)
	return nil
}

func (r *run) misplaced(s migration.MigrationStatus) (wrong []string) {
	r.found.OnAWS, r.found.RolledBack, r.found.Held = 0, 0, 0
	seen := map[string]bool{}
	for _, b := range s.Batches {
		for _, c := range b.Customers {
			seen[c.ID] = true
			if w := r.world.judge(c); w != "" {
				wrong = append(wrong, c.ID+": "+w)
			}
			n := tenantOf(c.ID)
			ill := sick(n, false) || sick(n, true)
			switch {
			case c.Phase == migration.CustomerHeld:
				r.found.Held++
			case c.Phase == migration.CustomerFinished && c.Home == migration.AWS && !ill:
				r.found.OnAWS++
			case c.Phase == migration.CustomerRolledBack && c.Home == migration.OnPrem && ill:
				r.found.RolledBack++
			default:
				wrong = append(wrong, fmt.Sprintf("%s: it is %s on %q, healthy there: %t: %s", c.ID, c.Phase, c.Home, !ill, c.Reason))
			}
		}
	}
	if len(seen) != r.customers {
		wrong = append(wrong, fmt.Sprintf("the status shows %d of %d customers", len(seen), r.customers))
	}
	return wrong
}

// tenantOf is the tenant of a customer, whose id counts from zero.
func tenantOf(id string) int64 {
	n, _ := strconv.ParseInt(strings.TrimPrefix(id, "c"), 10, 64)
	return n + 1
}
