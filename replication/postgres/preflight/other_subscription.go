package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/drover-migration/drover/replication/postgres"
)

// otherSubscription looks for tables that somebody else's subscription writes: what it brings is
// not passed on, and passes the guard.
func otherSubscription(ctx context.Context, s *survey, at *postgres.Server) error {
	for _, t := range s.tables[at.Side] {
		if t.Class != postgres.Tenants && t.Class != postgres.Reference {
			continue
		}
		subs, err := names(ctx, at.Pool, `SELECT DISTINCT u.subname::text FROM pg_subscription_rel r JOIN pg_subscription u ON u.oid =
			r.srsubid
			WHERE (r.srrelid = $1 OR r.srrelid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass)))
			AND u.subname NOT IN ($2, $3, $4) ORDER BY 1`,
			t.OID, s.Names.Forward, s.Names.Back, s.Names.Joining)
		if err != nil {
			return fmt.Errorf("read subscriptions to %s: %w", t, err)
		}
		if len(subs) > 0 {
			s.block("table "+t.String()+" "+at.Where(), "subscription "+strings.Join(subs, ", ")+" writes it: its rows would not reach "+
				"the other side, and it goes on writing after a Move, past the guard",
				"end that subscription, or exclude the table")
		}
	}
	// Subscriptions have origins called pg_OID. Which tables another replicator writes only it
	// knows.
	others, err := names(ctx, at.Pool, `SELECT roname FROM pg_replication_origin WHERE roname !~ '^pg_[0-9]+' ORDER BY 1`)
	if err != nil {
		return fmt.Errorf("read replication origins: %w", err)
	}
	if len(others) > 0 {
		s.warn(s.database(at), "something else than a subscription replicates into this server (origins "+strings.Join(others, ", ")+"): "+
			"if it writes tables of this database, its rows would not reach the other side, and it goes on writing after a Move, past "+
			"the guard",
			"end it, or exclude its tables")
	}
	return nil
}
