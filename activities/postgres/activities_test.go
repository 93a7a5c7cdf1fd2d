package postgres_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/setup"
)

// lab answers what the worker's secrets and RDS would.
type lab struct {
	secrets map[migration.SecretRef]string
	aws     *pg.Server
}

func (l lab) Resolve(_ context.Context, in migration.Target, ref migration.SecretRef) (string, error) {
	if strings.HasPrefix(string(ref), "awssm:") != (in.Name == "prod") {
		return "", fmt.Errorf("%s is not looked for in target %q", ref, in.Name)
	}
	return l.secrets[ref], nil
}

func (l lab) Endpoint(context.Context, migration.Target, string) (string, int, string, error) {
	return l.aws.Host, l.aws.Port, "", nil
}

// world is two servers, a plan's dataset over them, and the activities.
func world(t *testing.T) (*postgres.Activities, postgres.PostgresRef, *pg.Server, *engine.Connector) {
	bin := filepath.Join(tooltest.Dir(t, "pg/bin/postgres"), "pg", "bin")
	t.Setenv(setup.BinEnv, bin)
	dir, ctx := t.TempDir(), t.Context()
	var servers []*pg.Server
	for _, name := range []string{"onprem", "aws"} {
		s, err := pg.Start(ctx, pg.Options{Bin: bin, Dir: dir, Name: name})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		require.NoError(t, s.CreateDatabase(ctx, "app"))
		servers = append(servers, s)
	}
	require.NoError(t, servers[0].Exec(ctx, "app", pg.Schema+"; INSERT INTO acct SELECT g, g FROM generate_series(1, 5) g"))
	password, err := servers[1].CreateRole(ctx, "drover", "SUPERUSER")
	require.NoError(t, err)
	l := lab{aws: servers[1], secrets: map[migration.SecretRef]string{
		"env://ORDERS": servers[0].DSN("app"), "awssm://orders": `{"username": "drover", "password": "` + password +
			`", "sslmode": "disable"}`,
	}}
	pairs := &engine.Connector{Secrets: l, Instances: l}
	t.Cleanup(pairs.Close)
	return postgres.New(pairs), postgres.PostgresRef{Plan: "p", Target: migration.Target{Name: "prod"},
		Dataset: migration.Dataset{Name: "orders", Postgres: &migration.Postgres{
			DSN: "env://ORDERS", Credentials: "awssm://orders", RDS: "orders", AddressFromTarget: servers[0].Address(), Column: "tenant_id",
			Tables: []migration.Table{{Name: "ref_currency", Reference: migration.OnPrem}},
		}}}, servers[0], pairs
}

// twice runs an activity two times, as Temporal may, and answers what the second said.
func twice[T any](t *testing.T, env *testsuite.TestActivityEnvironment, activity, req any) (out T) {
	t.Helper()
	for range 2 {
		v, err := env.ExecuteActivity(activity, req)
		require.NoError(t, err)
		if v.HasValue() {
			require.NoError(t, v.Get(&out))
		}
	}
	return out
}

func TestEveryActivityMayRunTwice(t *testing.T) {
	a, ref, _, pairs := world(t)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(a)
	tenants := []int64{1, 2, 3}
	require.Empty(t, migration.Blockers(twice[postgres.CheckPostgresResult](t, env, a.CheckPostgres,
		postgres.CheckPostgresRequest{PostgresRef: ref, Tenants: tenants}).Findings))
	twice[any](t, env, a.PreparePostgres, postgres.PreparePostgresRequest{PostgresRef: ref, Tenants: tenants})
	twice[any](t, env, a.AwaitPostgresSync, ref)
	lag := twice[postgres.Lag](t, env, a.ReadLag, ref)
	require.Positive(t, lag.Forward)
	require.Positive(t, lag.Back)

	move := postgres.TenantMove{PostgresRef: ref, Customer: "acme", Tenant: 1, From: migration.OnPrem,
		Try: migration.Try{Token: 1, Owner: uuid.NewString()}}
	word := func(step any, req postgres.TenantMove) migration.Word {
		return twice[postgres.StepResult](t, env, step, req).Word
	}
	pair, err := pairs.Open(t.Context(), ref.Plan, ref.Dataset, ref.Target)
	require.NoError(t, err)
	frozen := func(req postgres.TenantMove) *engine.Freeze {
		f := pair.Freeze(engine.Attempt{From: req.From, Tenant: req.Tenant, Try: req.Try, Lease: 5 * time.Second})
		r, err := f.Fence(t.Context())
		require.NoError(t, err)
		require.Equal(t, migration.WordFenced, r.Word)
		found, err := f.Drain(t.Context(), 20*time.Second)
		require.NoError(t, err)
		require.Equal(t, migration.WordFenced, found.Word)
		require.Empty(t, found.Differences)
		return f
	}
	sealed := func(req postgres.TenantMove) {
		r, err := frozen(req).Seal(t.Context())
		require.NoError(t, err)
		require.Equal(t, migration.WordSealed, r.Word)
	}
	sealed(move)
	require.Equal(t, migration.WordOpen, word(a.OpenTenant, move))
	home := twice[migration.HomeRecord](t, env, a.ReadHome, postgres.TenantRequest{PostgresRef: ref, Customer: "acme", Tenant: 1})
	require.Equal(t, migration.AWS, home.Home())
	require.True(t, home.Settled())
	homes := twice[postgres.ReadHomesResult](t, env, a.ReadHomes, postgres.ReadHomesRequest{PostgresRef: ref, Tenants: []int64{1, 2}})
	require.Equal(t, []int64{2}, homes.New, "1 has moved")
	note := func(notes ...postgres.TenantNote) []int64 {
		return twice[postgres.NotesResult](t, env, a.NoteTenants,
			postgres.NotesRequest{PostgresRef: ref, Side: migration.AWS, Notes: notes}).Noted
	}
	stay := home.Stay(migration.AWS)
	require.Equal(t, []int64{1, 3}, note(
		postgres.TenantNote{Tenant: 1, Note: migration.Note{Stay: stay, N: 2, Words: "soaks"}},
		postgres.TenantNote{Tenant: 3, Note: migration.Note{N: 1, Words: "another"}}))
	late := postgres.TenantNote{Tenant: 1, Note: migration.Note{Stay: stay, N: 1, Words: "late"}}
	require.Empty(t, note(late), "a later note stands")
	require.Equal(t, map[int64]migration.Homed{1: {Side: migration.AWS, Token: home.Token()}, 2: {Side: migration.OnPrem}}, homes.Homes)

	back := move
	back.From, back.Try = migration.AWS, migration.Try{Token: 2, Owner: uuid.NewString()}
	frozen(back)
	require.Equal(t, migration.WordOpen, word(a.UnfenceTenant, back))
	_, err = env.ExecuteActivity(a.DropPostgres, ref)
	var failed *temporal.ApplicationError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, postgres.ErrorNotHome, failed.Type())
	require.True(t, failed.NonRetryable())

	back.Try = migration.Try{Token: 3, Owner: uuid.NewString()}
	sealed(back)
	repair := back
	repair.Try = migration.Try{Token: 4, Owner: uuid.NewString()}
	require.Equal(t, migration.WordSealed, word(a.ClaimTenant, repair))
	require.Equal(t, migration.WordPoisoned, word(a.PoisonTenant, repair))
	require.Equal(t, migration.WordOpen, word(a.ReopenTenant, repair))
	require.Equal(t, migration.WordSuperseded, word(a.OpenTenant, back), "a zombie")

	back.Try = migration.Try{Token: 5, Owner: uuid.NewString()}
	sealed(back)
	require.Equal(t, migration.WordOpen, word(a.OpenTenant, back))
	twice[any](t, env, a.DropPostgres, ref)
}

// A rule of the house refuses triggers, which no preflight can see: the failure comes when tables
// have other identities already.
func TestAPrepareThatIsRefusedLeavesPremisesAsTheyWere(t *testing.T) {
	a, ref, onprem, pairs := world(t)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(a)
	ctx := t.Context()
	p, err := pairs.Open(ctx, ref.Plan, ref.Dataset, ref.Target)
	require.NoError(t, err)
	shape := func() (is string) {
		require.NoError(t, p.OnPrem.Pool.QueryRow(ctx, `SELECT string_agg(concat_ws(' ', relname, relkind, relreplident), ',' ORDER BY relname)
			|| (SELECT count(*) FROM pg_namespace WHERE nspname = 'drover') || (SELECT count(*) FROM pg_publication)
			FROM pg_class WHERE relnamespace = 'public'::regnamespace`).Scan(&is))
		return is
	}
	require.NoError(t, onprem.Exec(ctx, "app", `CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
		RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'triggers are made by the owners of the house'; END $$;
		CREATE EVENT TRIGGER house ON ddl_command_start WHEN TAG IN ('CREATE TRIGGER') EXECUTE FUNCTION refuse()`))
	before := shape()
	req := postgres.PreparePostgresRequest{PostgresRef: ref, Tenants: []int64{1, 2, 3}}
	for range 2 {
		_, err := env.ExecuteActivity(a.PreparePostgres, req)
		var failed *temporal.ApplicationError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, postgres.ErrorRefused, failed.Type())
		require.ErrorContains(t, err, "triggers are made by the owners of the house")
		require.Equal(t, before, shape())
	}
	for _, s := range p.Both() {
		_, err := s.Pool.Exec(ctx, "DROP EVENT TRIGGER IF EXISTS house")
		require.NoError(t, err)
	}
	twice[any](t, env, a.PreparePostgres, req)
	twice[any](t, env, a.AwaitPostgresSync, ref)
	// What is at work is not taken back, whatever is refused then.
	require.NoError(t, onprem.Exec(ctx, "app", `CREATE TABLE later (tenant_id int NOT NULL, id uuid PRIMARY KEY);
		CREATE EVENT TRIGGER house ON ddl_command_start WHEN TAG IN ('CREATE TRIGGER') EXECUTE FUNCTION refuse()`))
	_, err = p.AWS.Pool.Exec(ctx, "CREATE TABLE public.later (tenant_id int NOT NULL, id uuid PRIMARY KEY)")
	require.NoError(t, err)
	_, err = env.ExecuteActivity(a.PreparePostgres, req)
	require.ErrorContains(t, err, "triggers are made by the owners of the house")
	twice[postgres.Lag](t, env, a.ReadLag, ref)
}

func TestADatabaseThatCannotBeReachedIsAFindingOfThePreflight(t *testing.T) {
	a, ref, onprem, _ := world(t)
	require.NoError(t, onprem.Stop(pg.Fast))
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(a)
	r := twice[postgres.CheckPostgresResult](t, env, a.CheckPostgres, postgres.CheckPostgresRequest{PostgresRef: ref})
	require.Len(t, migration.Blockers(r.Findings), 1)
	require.Equal(t, "postgres-connect", r.Findings[0].Check)
	require.NotContains(t, r.Findings[0].Reason, "password=")
}
