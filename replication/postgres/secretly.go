package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// connectSecretly gives a subscription its connection string. It connects nowhere.
func connectSecretly(ctx context.Context, tx pgx.Tx, name string, a Address) error {
	return Secretly(ctx, tx, a, name, "ALTER SUBSCRIPTION "+pgx.Identifier{name}.Sanitize()+" CONNECTION ", "")
}

// Secretly executes a statement with a connection string in its middle, by which a subscription of
// that name connects. Neither the server's log nor its statistics have the password, whatever they
// take down and whatever the role may set:
//
//   - the string comes as the row of a COPY, which no setting logs, into a temporary table, which
//     is in no WAL;
//   - the statement is put together and executed inside a block, whose text is all that
//     log_statement, log_min_duration_statement, log_min_error_statement and pg_stat_activity have;
//   - it has to warn of nothing, or its warnings have to go nowhere: their context has the
//     statement;
//   - where it fails or is cancelled, the block raises the error anew, without the statement in its
//     context and without the password in its words.
//
// An extension may log what blocks execute (pgaudit, pg_stat_statements with track = all): the
// preflight looks at that.
func Secretly(ctx context.Context, tx pgx.Tx, a Address, name, before, after string) error {
	if _, err := tx.Exec(ctx, `CREATE TEMPORARY TABLE drover_conninfo (conninfo text, password text) ON COMMIT DROP`); err != nil {
		return fmt.Errorf("make a temporary table for the connection string: %w", err)
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"pg_temp", "drover_conninfo"}, []string{"conninfo", "password"},
		pgx.CopyFromRows([][]any{{a.Conninfo(name), a.Password}}))
	if err != nil {
		return fmt.Errorf("hand the connection string over: %w", err)
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(`DO $drover$
DECLARE it pg_temp.drover_conninfo; detail text; hint text;
BEGIN
  SELECT * INTO STRICT it FROM pg_temp.drover_conninfo;
  EXECUTE %s || quote_literal(it.conninfo) || %s;
EXCEPTION WHEN query_canceled OR others THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RAISE EXCEPTION USING ERRCODE = SQLSTATE, HINT = hint,
    MESSAGE = CASE WHEN it.password = '' THEN SQLERRM ELSE replace(SQLERRM, it.password, '***') END,
    DETAIL = CASE WHEN it.password = '' THEN detail ELSE replace(detail, it.password, '***') END;
END $drover$`, Literal(before), Literal(after)))
	return err
}

// Unfinished is the comment of a subscription that is being made.
const Unfinished = "Drover has not finished making this subscription"

// CreateSubscription makes a subscription that is not enabled and has no tables yet, with
// Unfinished as its comment. Connecting when it is made would need the password in that statement.
func CreateSubscription(ctx context.Context, c *pgx.Conn, name, publications, options string, peer Address) error {
	sub, unknown := pgx.Identifier{name}.Sanitize(), peer
	unknown.Password = "not-known-yet"
	return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		for _, sql := range []string{
			fmt.Sprintf("CREATE SUBSCRIPTION %s CONNECTION %s PUBLICATION %s WITH (connect = false, slot_name = %s, %s)",
				sub, Literal(unknown.Conninfo(name)), publications, Literal(name), options),
			fmt.Sprintf("COMMENT ON SUBSCRIPTION %s IS %s", sub, Literal(Unfinished)),
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return connectSecretly(ctx, tx, name, peer)
	})
}

// IsUnfinished says whether a subscription is being made, or was when its maker was cut off.
func IsUnfinished(ctx context.Context, c *pgx.Conn, name string) (is bool, err error) {
	err = c.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_subscription WHERE subname = $1
		AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND obj_description(oid, 'pg_subscription') = $2)`, name, Unfinished).Scan(&is)
	return is, err
}

// DropUnfinished drops a subscription that was not finished.
func DropUnfinished(ctx context.Context, c *pgx.Conn, name string) error {
	is, err := IsUnfinished(ctx, c, name)
	if err != nil || !is {
		return err
	}
	sub := pgx.Identifier{name}.Sanitize()
	for _, sql := range []string{" DISABLE", " SET (slot_name = NONE)"} {
		if _, err := c.Exec(ctx, "ALTER SUBSCRIPTION "+sub+sql); err != nil {
			return err
		}
	}
	_, err = c.Exec(ctx, "DROP SUBSCRIPTION "+sub)
	return err
}

// Literal quotes a string for SQL.
func Literal(s string) string {
	q := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		q = " E" + strings.ReplaceAll(q, `\`, `\\`)
	}
	return q
}
