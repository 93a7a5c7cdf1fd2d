package preflight

import (
	"context"
	"fmt"
	"slices"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// checks are asked in this order, by the name that their findings have after "postgres-".
var checks = []struct {
	name string
	ask  scope
}{
	{"other-plan", side(otherPlan)},
	{"version", side(version)},
	{"clock", side(clock)},
	{"wal-level", side(walLevel)},
	{"commit-times", side(commitTimes)},
	{"slots", side(slots)},
	{"senders", side(senders)},
	{"workers", side(workers)},
	{"origins", side(origins)},
	{"slot-wal", side(slotWAL)},
	{"retry-interval", side(retryInterval)},
	{"privilege-create", side(privilegeCreate)},
	{"privilege-subscribe", side(privilegeSubscribe)},
	{"privilege-stats", side(privilegeStats)},
	{"privilege-owner", side(privilegeOwner)},
	{"prepared-transaction", side(preparedTransaction)},
	{"long-transactions", side(longTransactions)},
	{"other-subscription", side(otherSubscription)},
	{"lock-table", side(lockTable)},
	{"connections", side(room)},
	{"password-logged", side(passwordLogged)},
	{"session-limit", side(sessionLimit)},
	{"connectivity", side(connectivity)},

	{"tenant-id", once(tenantID)},
	{"no-tenant-tables", once(noTenantTables)},
	{"no-such-table", once(noSuchTable)},
	{"unclassified", once(unclassified)},
	{"pg-dump", once(pgDump)},
	{"target-schema", once(targetSchema)},
	{"target-not-empty", once(targetNotEmpty)},
	{"encoding", once(encoding)},
	{"extension", once(extension)},
	{"grantee", once(grantee)},
	{"database-setting", once(databaseSetting)},
	{"database-grant", once(databaseGrant)},
	{"user-mapping", once(userMapping)},
	{"schema-comes", once(schemaComes)},
	{"materialized-view", once(materializedView)},
	{"large-objects", once(largeObjectsExist)},
	{"sequence", once(sequenceAlone)},
	{"partition-later", once(partitionLater)},
	{"sign-up", once(signUp)},

	{"unlogged", table(unlogged)},
	{"inheritance", table(inheritance)},
	{"large-row", table(largeRow)},
	{"money", table(money)},
	{"trigger-name", table(triggerName)},
	{"trigger-fires", table(triggerFires)},
	{"large-objects", table(largeObjects)},
	{"row-security", table(rowSecurity)},
	{"reference-side", table(referenceSide)},
	{"reference-identity", table(referenceIdentity)},
	{"tenant-type", table(tenantType)},

	{"tenant-null", tenants(tenantNull)},
	{"tenant-index", tenants(tenantIndex)},
	{"replica-identity", tenants(replicaIdentity)},
	{"whole-row", tenants(wholeRow)},
	{"unique-across-tenants", tenants(uniqueAcrossTenants)},
	{"foreign-key", tenants(foreignKey)},
	{"foreign-rows", tenants(foreignRows)},
	{"privilege-sequence", tenants(privilegeSequence)},
	{"sequence", tenants(sequence)},
}

// scope is how often a check is asked.
type scope func(context.Context, *survey) error

// once asks of both databases together.
func once(ask func(context.Context, *survey) error) scope { return ask }

// side asks of each database.
func side(ask func(context.Context, *survey, *postgres.Server) error) scope {
	return func(ctx context.Context, s *survey) error {
		for _, at := range s.Both() {
			if err := ask(ctx, s, at); err != nil {
				return fmt.Errorf("%s: %w", at.Where(), err)
			}
		}
		return nil
	}
}

// table asks of each table on premises that takes part.
func table(ask func(context.Context, *survey, postgres.Table) error) scope {
	return func(ctx context.Context, s *survey) error {
		for _, t := range s.tables[migration.OnPrem] {
			if t.Class != postgres.Tenants && t.Class != postgres.Reference {
				continue
			}
			if err := ask(ctx, s, t); err != nil {
				return fmt.Errorf("table %s on premises: %w", t, err)
			}
		}
		return nil
	}
}

// tenants asks of each table on premises that has tenants' rows and a column that can tell them
// apart.
func tenants(ask func(context.Context, *survey, postgres.Table) error) scope {
	return table(func(ctx context.Context, s *survey, t postgres.Table) error {
		if t.Class != postgres.Tenants || !tenantTypes[t.ColumnType] {
			return nil
		}
		return ask(ctx, s, t)
	})
}

// Moves are how many customers a plan may have on their way at a time: to AWS, and back.
type Moves struct {
	Going int `json:"going"`
	Back  int `json:"back"`
}

// survey is one preflight: what was read, and what was found.
type survey struct {
	*postgres.Pair
	tenants  []int64
	moves    Moves
	versions map[migration.Side]int
	tables   map[migration.Side][]postgres.Table
	prepared bool // both subscriptions stand: what Prepare made is no obstacle

	asking string // the check that is asked now
	found  []migration.Finding
}

func (s *survey) add(severity migration.Severity, subject, reason, remedy string) {
	s.found = append(s.found, migration.Finding{Severity: severity, Check: "postgres-" + s.asking, Subject: subject, Reason: reason,
		Remedy: remedy})
}

func (s *survey) block(subject, reason, remedy string) {
	s.add(migration.Blocker, subject, reason, remedy)
}

func (s *survey) warn(subject, reason, remedy string) {
	s.add(migration.Warning, subject, reason, remedy)
}

// database is a finding's subject.
func (s *survey) database(at *postgres.Server) string { return "database " + s.Name + " " + at.Where() }

// setting says how a server's setting is changed.
func setting(at *postgres.Server) string {
	if at.Side == migration.AWS {
		return "set it in the DB parameter group and reboot the instance"
	}
	return "set it in postgresql.conf and restart the server"
}

// Check reads everything that must hold before Prepare, on both servers, and reports all of it at
// once. It changes nothing; what it tries, it rolls back. An error means that something could not
// be asked.
func Check(ctx context.Context, p *postgres.Pair, tenants []int64, moves Moves) ([]migration.Finding, error) {
	return check(ctx, p, tenants, moves, nil)
}

// Trying are the checks that do something on a server, and roll it back.
var Trying = []string{"connectivity", "schema-comes"}

// Look is Check without what is Trying.
func Look(ctx context.Context, p *postgres.Pair, tenants []int64, moves Moves) ([]migration.Finding, error) {
	return check(ctx, p, tenants, moves, Trying)
}

func check(ctx context.Context, p *postgres.Pair, tenants []int64, moves Moves, without []string) ([]migration.Finding, error) {
	s := &survey{Pair: p, tenants: tenants, moves: moves}
	if err := s.read(ctx); err != nil {
		return nil, fmt.Errorf("check dataset %s: %w", p.Name, err)
	}
	for _, c := range checks {
		if slices.Contains(without, c.name) {
			continue
		}
		s.asking = c.name
		if err := c.ask(ctx, s); err != nil {
			return nil, fmt.Errorf("check dataset %s: %s: %w", p.Name, c.name, err)
		}
	}
	return s.found, nil
}

func (s *survey) read(ctx context.Context) error {
	s.versions, s.tables = map[migration.Side]int{}, map[migration.Side][]postgres.Table{}
	subscribed := 0
	for _, at := range s.Both() {
		var v int
		if err := at.Pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&v); err != nil {
			return fmt.Errorf("%s: %w", at.Where(), err)
		}
		s.versions[at.Side] = v
		tables, err := postgres.ReadTables(ctx, at.Pool, s.Dataset)
		if err != nil {
			return fmt.Errorf("%s: %w", at.Where(), err)
		}
		s.tables[at.Side] = tables
		// Only a superuser may read all of pg_subscription; its name and database anyone may.
		exists, _, err := postgres.Subscription(ctx, at.Pool, s.Names.Outgoing(at.Side.Other()))
		if err != nil {
			return err
		}
		if exists {
			subscribed++
		}
	}
	s.prepared = subscribed == 2
	return nil
}
