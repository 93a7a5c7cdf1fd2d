package preflight

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/replication/postgres"
)

// connectivity lets each server connect to the other as its subscription will, and rolls that back.
func connectivity(ctx context.Context, s *survey, to *postgres.Server) error {
	peer, err := s.Side(to.Side.Other()).Peer(ctx)
	if err != nil {
		return err
	}
	err = tryToSubscribe(ctx, to, peer)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		s.block(fmt.Sprintf("%s -> %s", s.database(to), peer), "it cannot subscribe: "+postgres.WithoutSecret(err, peer).Error(),
			"let this server reach that address; give the role there REPLICATION (rds_replication) and the one here the right to subscribe (rds_superuser, pg_create_subscription)")
	}
	return nil
}

func tryToSubscribe(ctx context.Context, at *postgres.Server, source postgres.Address) error {
	return at.Unhurried(ctx, func(conn *pgx.Conn) error {
		postgres.Quietly(ctx, conn)
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
		_, err = tx.Exec(ctx, fmt.Sprintf(`CREATE SUBSCRIPTION drover_check CONNECTION %s PUBLICATION drover_check WITH (connect = true, create_slot = false, enabled = false, slot_name = NONE)`,
			postgres.Literal(source.Conninfo("drover_check"))))
		return err
	})
}
