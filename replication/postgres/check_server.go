package postgres

import (
	"context"
	"fmt"

	"github.com/drover-migration/drover/migration"
)

// firstGoodMinor is, of each major version, the first minor that hands invalidations to running transactions: older ones can decode
// under a filter that is out of date. Before 15 there are no row filters.
var firstGoodMinor = map[int]int{15: 14, 16: 10, 17: 6}

// filtersWork says whether a server's row filters can be trusted.
func filtersWork(version int) bool {
	major, minor := version/10000, version%10000
	least, listed := firstGoodMinor[major]
	return major >= 15 && (!listed || minor >= least)
}

// server checks one server's settings, room and roles.
func (c *checkRun) server(s *Server) func(context.Context) error {
	return func(ctx context.Context) error {
		if v := c.versions[s.Side]; !filtersWork(v) {
			c.block("version", c.database(s), fmt.Sprintf("version %d.%d may decode under out-of-date row filters", v/10000, v%10000), "upgrade to 15.14, 16.10, 17.6, 18 or newer")
		}
		var walLevel, keep string
		var slots, senders, workers, applies, tables int
		err := s.Pool.QueryRow(ctx, `SELECT current_setting('wal_level'), current_setting('max_slot_wal_keep_size'),
			  current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots WHERE slot_name <> $1)::int,
			  current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication WHERE application_name IS DISTINCT FROM $1)::int,
			  current_setting('max_worker_processes')::int, current_setting('max_logical_replication_workers')::int
			    - (SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL AND subname NOT IN ($2))::int,
			  current_setting('max_sync_workers_per_subscription')::int`, c.Names.Outgoing(s.Side), c.Names.Outgoing(s.Side.Other())).
			Scan(&walLevel, &keep, &slots, &senders, &workers, &applies, &tables)
		if err != nil {
			return fmt.Errorf("read settings %s: %w", s.where(), err)
		}
		remedy := map[migration.Side]string{migration.OnPrem: "set it in postgresql.conf and restart the server", migration.AWS: "set it in the DB parameter group and reboot the instance"}[s.Side]
		if walLevel != "logical" {
			what := "set wal_level = logical and restart the server"
			if s.Side == migration.AWS {
				what = "set rds.logical_replication = 1 in the DB parameter group and reboot the instance"
			}
			c.block("wal-level", c.database(s), "wal_level is "+walLevel+"; logical replication needs logical", what)
		}
		// One slot for the way out, and while the first copy runs one for each table worker.
		need := 1
		if s.Side == migration.OnPrem {
			need += tables
		}
		if slots < need {
			c.block("slots", c.database(s), fmt.Sprintf("%d replication slots are free, %d are needed", max(slots, 0), need), "raise max_replication_slots: "+remedy)
		}
		if senders < need {
			c.block("senders", c.database(s), fmt.Sprintf("%d WAL senders are free, %d are needed", max(senders, 0), need), "raise max_wal_senders: "+remedy)
		}
		if applies < 1+tables || workers <= tables {
			c.block("workers", c.database(s), fmt.Sprintf("%d logical replication workers are free of %d worker processes, %d are needed", max(applies, 0), workers, 1+tables), "raise max_logical_replication_workers and max_worker_processes: "+remedy)
		}
		if err := c.origins(ctx, s, tables, remedy); err != nil {
			return err
		}
		if keep != "-1" {
			c.warn("slot-wal", c.database(s), "max_slot_wal_keep_size is "+keep+": a slot that falls behind by more is lost, and with it this direction", "raise it, or set -1 and watch the disk")
		}
		if err := c.retry(ctx, s, remedy); err != nil {
			return err
		}
		return c.role(ctx, s)
	}
}

// origins wants room for what a subscriber keeps of each source: one for the way in, and while the first copy runs one for each table
// worker. Without it a worker fails over and over.
func (c *checkRun) origins(ctx context.Context, s *Server, tables int, remedy string) error {
	setting, need := "max_active_replication_origins", 1
	if c.versions[s.Side] < 180000 {
		setting = "max_replication_slots"
	}
	if s.Side == migration.AWS {
		need += tables
	}
	// A subscription's are called pg_OID, those of its table workers pg_OID_TABLE.
	var free int
	err := s.Pool.QueryRow(ctx, `SELECT current_setting($1)::int - (SELECT count(*) FROM pg_replication_origin o
		  WHERE NOT EXISTS (SELECT FROM pg_subscription u WHERE u.subname = $2 AND split_part(o.roname, '_', 2) = u.oid::text))::int`, setting, c.Names.Outgoing(s.Side.Other())).Scan(&free)
	if err != nil {
		return fmt.Errorf("read replication origins %s: %w", s.where(), err)
	}
	if free < need {
		c.block("origins", c.database(s), fmt.Sprintf("%d replication origins are free, %d are needed to subscribe", max(free, 0), need), "raise "+setting+": "+remedy)
	}
	return nil
}

func (c *checkRun) retry(ctx context.Context, s *Server, remedy string) error {
	var ms int
	if err := s.Pool.QueryRow(ctx, `SELECT setting::int FROM pg_settings WHERE name = 'wal_retrieve_retry_interval'`).Scan(&ms); err != nil {
		return fmt.Errorf("read settings %s: %w", s.where(), err)
	}
	if ms > 1000 {
		c.warn("retry-interval", c.database(s), fmt.Sprintf("wal_retrieve_retry_interval is %d ms: a replication worker that was restarted waits as long", ms), "set it to 100ms: "+remedy)
	}
	return nil
}

// role checks what the role that Drover connects as may do.
func (c *checkRun) role(ctx context.Context, s *Server) error {
	var super, create, subscribe, stats bool
	var who string
	err := s.Pool.QueryRow(ctx, `SELECT current_user::text, r.rolsuper, has_database_privilege(current_database(), 'CREATE'),
		  r.rolsuper OR EXISTS (SELECT FROM pg_roles g WHERE g.rolname IN ('pg_create_subscription', 'rds_superuser') AND pg_has_role(r.oid, g.oid, 'MEMBER')),
		  pg_has_role(r.oid, 'pg_read_all_stats', 'USAGE')
		FROM pg_roles r WHERE r.rolname = current_user`).Scan(&who, &super, &create, &subscribe, &stats)
	if err != nil {
		return fmt.Errorf("read the role %s: %w", s.where(), err)
	}
	subject := "role " + who + " " + s.where()
	if !create {
		c.block("privilege-create", subject, "it may not create schemas and publications in this database", "GRANT CREATE ON DATABASE ... TO "+who)
	}
	if !subscribe {
		c.block("privilege-subscribe", subject, "it may not create subscriptions", "make it a member of pg_create_subscription (16 and newer) or rds_superuser, or a superuser")
	}
	if !stats {
		c.warn("privilege-stats", subject, "it may not see what other roles' sessions do: old transactions that would hold up a fence are not found beforehand", "GRANT pg_read_all_stats TO "+who)
	}
	if super {
		return nil
	}
	for _, t := range c.tables[s.Side] {
		if t.Class != Tenants && t.Class != Reference {
			continue
		}
		var owns bool
		if err := s.Pool.QueryRow(ctx, `SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = $1`, t.OID).Scan(&owns); err != nil {
			return fmt.Errorf("read the owner of %s %s: %w", t, s.where(), err)
		}
		if !owns {
			c.block("privilege-owner", "table "+t.String()+" "+s.where(), subject+" does not own it: it could neither guard nor publish it", "GRANT the owning role TO "+who)
		}
	}
	return nil
}
