package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// connectivity lets each server connect to the other as its subscription will, and rolls that back.
// A superuser connects as it will. Any other role cannot keep a warning, and the statement with it,
// out of the server's log, and connects with a made-up password: that the other server refuses it
// shows that it answers.
func connectivity(ctx context.Context, s *survey, to *postgres.Server) error {
	from := s.Side(to.Side.Other())
	peer, err := from.Peer(ctx)
	if err != nil {
		return err
	}
	r, err := readRole(ctx, to)
	if err != nil {
		return err
	}
	tried := peer
	if !r.super {
		tried.Password = "not-a-password"
	}
	err = tryToSubscribe(ctx, to, tried, r.super)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && !r.super && strings.Contains(err.Error(), "authentication failed") {
		err = nil
	}
	const remedy = "let this server reach that address; give the role there REPLICATION (rds_replication) and the one here the right to " +
		"subscribe (rds_superuser, pg_create_subscription)"
	if err != nil {
		s.block(fmt.Sprintf("%s -> %s", s.database(to), peer), "it cannot subscribe: "+without(tried.Password, err), remedy)
		return nil
	}
	var may bool
	err = from.Pool.QueryRow(ctx, `SELECT coalesce(bool_or(rolsuper OR rolreplication OR EXISTS (SELECT FROM pg_roles g
		WHERE g.rolname IN ('rds_replication', 'rds_superuser') AND pg_has_role(r.oid, g.oid, 'MEMBER'))), false)
		FROM pg_roles r WHERE rolname = $1`, peer.User).Scan(&may)
	if err == nil && !may {
		s.block(fmt.Sprintf("%s -> %s", s.database(to), peer), "it cannot subscribe: role "+peer.User+" may not replicate from there",
			remedy)
	}
	return err
}

// without makes sure that no word of the server repeats a password.
func without(password string, err error) string {
	if password == "" {
		return err.Error()
	}
	return strings.ReplaceAll(err.Error(), password, "***")
}

func tryToSubscribe(ctx context.Context, at *postgres.Server, source postgres.Address, quiet bool) error {
	return at.Unhurried(ctx, func(conn *pgx.Conn) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
		if quiet { // the server warns that there is no such publication
			if _, err := tx.Exec(ctx, `SET LOCAL log_min_messages = 'panic'; SET LOCAL log_min_error_statement = 'panic'`); err != nil {
				return err
			}
		}
		return postgres.Secretly(ctx, tx, source, "drover_check", "CREATE SUBSCRIPTION drover_check CONNECTION ",
			" PUBLICATION drover_check WITH (connect = true, create_slot = false, enabled = false, slot_name = NONE)")
	})
}
