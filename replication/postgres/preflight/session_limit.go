package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// sessionLimit wants no limit that would cut a first copy off for ever. One on transactions holds
// also for who applies changes: a first copy of a table is one, and so is what a peer has committed
// as one. Of who reads the other server Drover takes the limits away, where that is possible.
func sessionLimit(ctx context.Context, s *survey, at *postgres.Server) error {
	limits, err := limitsOf(ctx, at)
	if err != nil {
		return fmt.Errorf("read the limits of a session: %w", err)
	}
	var stop []string
	lifted := liftsLimits(s.versions[at.Side.Other()])
	for name, value := range limits {
		if name == "transaction_timeout" || !lifted {
			stop = append(stop, name+" is "+value)
		}
	}
	if len(stop) == 0 {
		return nil
	}
	role, err := readRole(ctx, at)
	if err != nil {
		return err
	}
	s.block(role.subject(at), strings.Join(stop, ", ")+" in its sessions: what is copied or applied at once and takes longer is begun "+
		"anew, for ever", "ALTER ROLE "+role.name+" SET "+strings.SplitN(stop[0], " ", 2)[0]+" = 0")
	return nil
}

// limitsOf are the limits that sessions of the role have.
func limitsOf(ctx context.Context, at *postgres.Server) (map[string]string, error) {
	c, err := at.Plain(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	rows, err := c.Query(ctx, `SELECT name, current_setting(name) FROM pg_settings WHERE setting <> '0'
		AND name IN ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')`)
	if err != nil {
		return nil, err
	}
	limits := map[string]string{}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error { limits[name] = value; return nil })
	return limits, err
}

// firstLifting is, of each major version, the first minor whose subscriptions hand the settings in
// their connection string over to the server that they read.
var firstLifting = map[int]int{15: 16, 16: 12, 17: 8, 18: 2}

func liftsLimits(version int) bool {
	least, listed := firstLifting[version/10000]
	return !listed || version%10000 >= least
}
