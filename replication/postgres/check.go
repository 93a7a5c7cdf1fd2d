package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
)

// checkRun is one preflight: what was read, and what was found.
type checkRun struct {
	*Pair
	tenants  []int64
	found    []migration.Finding
	versions map[migration.Side]int
	tables   map[migration.Side][]Table
	prepared bool // both subscriptions stand: what Prepare made is no obstacle
}

func (c *checkRun) add(severity migration.Severity, check, subject, reason, remedy string) {
	c.found = append(c.found, migration.Finding{Severity: severity, Check: "postgres-" + check, Subject: subject, Reason: reason, Remedy: remedy})
}

func (c *checkRun) block(check, subject, reason, remedy string) {
	c.add(migration.Blocker, check, subject, reason, remedy)
}

func (c *checkRun) warn(check, subject, reason, remedy string) {
	c.add(migration.Warning, check, subject, reason, remedy)
}

func (c *checkRun) database(s *Server) string { return "database " + c.Name + " " + s.where() }

// Check reads everything that must hold before Prepare, on both servers, and reports all of it at once. It changes nothing; what it
// tries, it rolls back. An error means that something could not be asked.
func (p *Pair) Check(ctx context.Context, tenants []int64) ([]migration.Finding, error) {
	c := &checkRun{Pair: p, tenants: tenants, versions: map[migration.Side]int{}, tables: map[migration.Side][]Table{}}
	if err := c.read(ctx); err != nil {
		return nil, fmt.Errorf("check dataset %s: %w", p.Name, err)
	}
	for _, part := range []func(context.Context) error{
		c.owner, c.server(p.OnPrem), c.server(p.AWS), c.tenancy, c.schemas, c.each(p.OnPrem, c.table), c.alone, c.transactions, c.connectivity,
	} {
		if err := part(ctx); err != nil {
			return nil, fmt.Errorf("check dataset %s: %w", p.Name, err)
		}
	}
	return c.found, nil
}

func (c *checkRun) read(ctx context.Context) error {
	subscribed := 0
	for _, s := range c.servers() {
		var v int
		if err := s.Pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&v); err != nil {
			return fmt.Errorf("%s: %w", s.where(), err)
		}
		c.versions[s.Side] = v
		tables, err := readTables(ctx, s.Pool, c.Dataset)
		if err != nil {
			return fmt.Errorf("%s: %w", s.where(), err)
		}
		c.tables[s.Side] = tables
		// Only a superuser may read all of pg_subscription; its name and database anyone may.
		exists, _, err := subscription(ctx, s.Pool, c.Names.Outgoing(s.Side.Other()))
		if err != nil {
			return err
		}
		if exists {
			subscribed++
		}
	}
	c.prepared = subscribed == 2
	return nil
}

// owner wants both databases to be nobody's, or this plan's already.
func (c *checkRun) owner(ctx context.Context) error {
	for _, s := range c.servers() {
		other, err := c.otherOwner(ctx, s.Pool)
		if isCode(err, "42501") {
			other, err = "a plan that connects as another role", nil
		}
		if err != nil {
			return fmt.Errorf("read whose the database %s is: %w", s.where(), err)
		}
		if other != "" {
			c.block("other-plan", c.database(s), "it is replicated by "+other+" already; a second plan would copy its rows twice and take away the first one's way back",
				"wait until that plan has ended, or end it with `drover abort`; another name for this plan does not help")
		}
	}
	return nil
}

// tenancy looks at who is to move and at the tables nobody classified.
func (c *checkRun) tenancy(context.Context) error {
	for _, t := range c.tenants {
		if _, err := tenantID(t); err != nil {
			c.block("tenant-id", fmt.Sprintf("tenant %d", t), err.Error(), "give the customer's integer key as customers[].tenant")
		}
	}
	for _, t := range of(c.tables[migration.OnPrem], Unclassified) {
		c.block("unclassified", "table "+t.String(), fmt.Sprintf("it has no column %q, and the plan says neither reference nor exclude: its rows would stay behind unseen", c.Dataset.Column),
			fmt.Sprintf("add it to the dataset's tables: %s: {column: NAME}, {reference: onprem} or {exclude: true}", t.Name))
	}
	for _, t := range of(c.tables[migration.OnPrem], Reference) {
		if t.Side == migration.AWS {
			c.block("reference-side", "table "+t.String(), "reference tables are written on premises and copied to AWS; the other way is not supported", "say reference: onprem")
		}
	}
	for _, rule := range c.Dataset.Tables {
		named := false
		for _, t := range c.tables[migration.OnPrem] {
			named = named || ruleNames(rule.Name, t)
		}
		if !named {
			c.warn("no-such-table", "table "+rule.Name, "the plan names it and the database does not have it", "correct the name, or take it out of the plan")
		}
	}
	if len(of(c.tables[migration.OnPrem], Tenants)) == 0 {
		c.block("no-tenant-tables", c.database(c.OnPrem), fmt.Sprintf("no table has the tenant column %q", c.Dataset.Column), "name the column that tells customers apart as tenancy.column")
	}
	return nil
}

// transactions looks for what is under way and would hold up an index build, a slot or a fence.
func (c *checkRun) transactions(ctx context.Context) error {
	for _, s := range c.servers() {
		rows, err := s.Pool.Query(ctx, `SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::float8 FROM pg_prepared_xacts`)
		if err != nil {
			return fmt.Errorf("read prepared transactions %s: %w", s.where(), err)
		}
		type prepared struct {
			GID string
			Age float64
		}
		list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[prepared])
		if err != nil {
			return fmt.Errorf("read prepared transactions %s: %w", s.where(), err)
		}
		for _, x := range list {
			c.block("prepared-transaction", fmt.Sprintf("prepared transaction %q %s", x.GID, s.where()), fmt.Sprintf("it is %.0f s old and holds its locks until somebody ends it; a slot cannot be made and a fence would wait for it", x.Age),
				"COMMIT PREPARED or ROLLBACK PREPARED it")
		}
		var long int
		if err := s.Pool.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND xact_start < now() - interval '5 minutes'`).Scan(&long); err != nil {
			return fmt.Errorf("read sessions %s: %w", s.where(), err)
		}
		if long > 0 {
			c.warn("long-transactions", c.database(s), fmt.Sprintf("%d transactions are older than five minutes: index builds and slots wait for them, and fences for those that write", long), "see pg_stat_activity")
		}
	}
	return nil
}

// connectivity lets each server connect to the other as its subscription will, and rolls that back.
func (c *checkRun) connectivity(ctx context.Context) error {
	for _, to := range c.servers() {
		from := c.Side(to.Side.Other())
		peer, err := from.with(ctx, from.peer)
		if err != nil {
			return err
		}
		err = tryToSubscribe(ctx, to, peer)
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.block("connectivity", fmt.Sprintf("%s -> %s", c.database(to), peer), "it cannot subscribe: "+withoutSecret(err, peer).Error(),
				"let this server reach that address; give the role there REPLICATION (rds_replication) and the one here the right to subscribe (rds_superuser, pg_create_subscription)")
		}
	}
	return nil
}

func tryToSubscribe(ctx context.Context, at *Server, source Address) error {
	return at.unhurried(ctx, func(conn *pgx.Conn) error {
		quietly(ctx, conn)
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
		_, err = tx.Exec(ctx, fmt.Sprintf(`CREATE SUBSCRIPTION drover_check CONNECTION %s PUBLICATION drover_check WITH (connect = true, create_slot = false, enabled = false, slot_name = NONE)`, literal(source.conninfo("drover_check"))))
		return err
	})
}

func (c *checkRun) each(s *Server, check func(context.Context, *Server, Table) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, t := range c.tables[s.Side] {
			if t.Class == Tenants || t.Class == Reference {
				if err := check(ctx, s, t); err != nil {
					return fmt.Errorf("table %s %s: %w", t, s.where(), err)
				}
			}
		}
		return nil
	}
}
