package pairtest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// Vault answers for a connector.
type Vault struct {
	server *pg.Server

	mu      sync.Mutex
	Secrets map[migration.SecretRef]string
}

// Resolve is postgres.Secrets.
func (v *Vault) Resolve(_ context.Context, in migration.Target, ref migration.SecretRef) (string, error) {
	if strings.HasPrefix(string(ref), "awssm:") != (in.Name == "prod") {
		return "", fmt.Errorf("%s is not looked for in target %q", ref, in.Name)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.Secrets[ref], nil
}

// Set keeps a secret.
func (v *Vault) Set(ref migration.SecretRef, secret string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Secrets[ref] = secret
}

// Endpoint is postgres.Instances.
func (v *Vault) Endpoint(context.Context, migration.Target, string) (string, int, string, error) {
	return v.server.Host, v.server.Port, "", nil
}

// Planned are the two sides as a plan names them, each with a role that is no superuser.
type Planned struct {
	*Rig
	*postgres.Connector
	Vault   *Vault
	Role    string
	Dataset migration.Dataset
}

// Planned gives both sides a role that is no superuser and owns the tables.
func (r *Rig) Planned() *Planned {
	r.Helper()
	ctx := r.Context()
	if r.Num(migration.OnPrem, "SELECT current_setting('server_version_num')::int") < 160000 {
		r.Skip("only a superuser may subscribe before 16")
	}
	m := &Planned{Rig: r, Vault: &Vault{server: r.Dst, Secrets: map[migration.SecretRef]string{}}, Role: r.DB + "_mover"}
	for _, x := range []*pg.Server{r.Src, r.Dst} {
		password, err := x.CreateRole(ctx, m.Role, "REPLICATION")
		require.NoError(r, err)
		require.NoError(r, x.Exec(ctx, "postgres",
			fmt.Sprintf("GRANT pg_create_subscription TO %s; GRANT CREATE ON DATABASE %s TO %[1]s", m.Role, r.DB)))
		require.NoError(r, x.Exec(ctx, r.DB, "GRANT CREATE, USAGE ON SCHEMA public TO "+m.Role))
		r.Cleanup(func() {
			ctx := context.Background()
			_ = x.Exec(ctx, r.DB, "DROP OWNED BY "+m.Role+" CASCADE")
			_ = x.Exec(ctx, "postgres", "DROP ROLE "+m.Role)
		})
		m.Keep(x, password)
	}
	require.NoError(r, r.Src.Exec(ctx, r.DB, `DO $$ DECLARE t record; BEGIN FOR t IN SELECT oid::regclass AS r
		FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') LOOP
		EXECUTE format('ALTER TABLE %s OWNER TO `+m.Role+`', t.r); END LOOP; END $$`))
	plan := Orders
	plan.DSN, plan.Credentials, plan.AddressFromTarget = "env://ORDERS", "awssm://orders", r.Src.Address()
	m.Dataset = migration.Dataset{Name: "orders", Postgres: &plan}
	m.Connector = &postgres.Connector{Secrets: m.Vault, Instances: m.Vault}
	r.Cleanup(m.Connector.Close)
	return m
}

// Connected are the two sides as a plan names them, reached as superuser, in every version.
func (r *Rig) Connected() *Planned {
	r.Helper()
	m := &Planned{Rig: r, Vault: &Vault{server: r.Dst, Secrets: map[migration.SecretRef]string{}}, Role: pg.Admin}
	there, err := pgx.ParseConfig(r.Dst.DSN(r.DB))
	require.NoError(r, err)
	m.Vault.Set("env://ORDERS", r.Src.DSN(r.DB))
	m.Keep(r.Dst, there.Password)
	plan := Orders
	plan.DSN, plan.Credentials, plan.AddressFromTarget = "env://ORDERS", "awssm://orders", r.Src.Address()
	m.Dataset = migration.Dataset{Name: "orders", Postgres: &plan}
	m.Connector = &postgres.Connector{Secrets: m.Vault, Instances: m.Vault}
	r.Cleanup(m.Connector.Close)
	return m
}

// Half is the pair without the side that does not answer.
func (m *Planned) Half() *postgres.Pair {
	m.Helper()
	p, err := m.Connector.Half(m.Context(), m.DB, m.Dataset, migration.Target{Name: "prod"})
	require.NoError(m, err)
	return p
}

// Keep stores a server's password where the plan says it is.
func (m *Planned) Keep(x *pg.Server, password string) {
	if x == m.Src {
		m.Vault.Set("env://ORDERS", x.DSNAs(m.Role, password, m.DB))
		return
	}
	b, err := json.Marshal(map[string]string{"username": m.Role, "password": password, "sslmode": "disable"})
	require.NoError(m, err)
	m.Vault.Set("awssm://orders", string(b))
}

// Opened is the pair, which is the rig's until the test ends.
func (m *Planned) Opened() *postgres.Pair {
	m.Helper()
	p, err := m.Open(m.Context(), m.DB, m.Dataset, migration.Target{Name: "prod"})
	require.NoError(m, err)
	old := m.Pair
	m.Pair = p
	m.Cleanup(func() { m.Pair = old })
	return p
}

// Rotate gives the role a new password on both servers and ends what the old one had opened, the
// connections of subscriptions too.
func (m *Planned) Rotate(password string) {
	m.Helper()
	for _, x := range []*pg.Server{m.Src, m.Dst} {
		require.NoError(m, x.Exec(m.Context(), "postgres", fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", m.Role, password)))
		m.Keep(x, password)
		require.NoError(m, x.Exec(m.Context(), "postgres",
			fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '%s'", m.Role)))
	}
}
