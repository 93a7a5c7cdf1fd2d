package migration

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
)

// catalogue is what changes of a schema ask of both databases.
type catalogue struct {
	found   []migration.Finding
	fails   int // attempts that a worker does not live to answer
	applied []postgres.SchemaRequest
	during  func()
}

func (c *catalogue) CheckSchema(context.Context, postgres.SchemaRequest) (postgres.SchemaFindings, error) {
	return postgres.SchemaFindings{Findings: c.found}, nil
}

func (c *catalogue) ApplySchema(_ context.Context, req postgres.SchemaRequest) error {
	c.applied = append(c.applied, req)
	if during := c.during; during != nil {
		c.during = nil
		during()
	}
	if c.fails--; c.fails >= 0 {
		return temporal.NewApplicationError("the connection was lost", "")
	}
	return nil
}

func (s *shop) change(id string, c *migration.SchemaChange) *answer {
	a := &answer{}
	s.env.UpdateWorkflow(migration.UpdateSchema, uuid.NewString(), &testsuite.TestUpdateCallback{
		OnReject: func(err error) { a.err = err }, OnAccept: func() {},
		OnComplete: func(v any, err error) {
			a.said, _ = v.(migration.Accepted)
			a.err = err
		},
	}, migration.Command{RequestID: id, By: "ann", Reason: "CHG-3010", Schema: c})
	return a
}

func TestAChangeOfTheSchemaIsCheckedMadeAndNoted(t *testing.T) {
	s := newShop(t)
	c := &catalogue{fails: 2}
	s.env.RegisterActivity(c)
	ddl := &migration.SchemaChange{File: "add.sql", Text: "ALTER TABLE orders ADD note text", Digest: "d"}
	var first, again, other, unknown, none, hand *answer
	c.during = func() { other = s.change("b", &migration.SchemaChange{File: "other.sql", Text: "x", Digest: "e"}) }
	s.at(time.Minute, func() { first = s.change("a", ddl) })
	s.at(3*time.Minute, func() {
		require.NoError(t, first.err)
		require.Equal(t, "schema change add.sql of orders is on both sides, and what is new is replicated", first.said.Message)
		require.Len(t, c.applied, 3, "it is tried until it is made")
		require.Equal(t, "orders", c.applied[0].Dataset.Name, "the only database")
		require.Equal(t, *ddl, c.applied[0].Change)
		require.ErrorContains(t, other.err, "the change of ann is under way")
		now := s.says()
		last := now.Timeline[len(now.Timeline)-1]
		require.Equal(t, "schema change add.sql of orders is on both sides", last.What)
		require.Equal(t, "ann", last.By)
		require.Equal(t, "CHG-3010", last.Why)
		require.NotContains(t, now.MayDo, migration.UpdateSchema, "it needs a file")
		again = s.change("a", ddl)
		unknown = s.change("u", &migration.SchemaChange{Dataset: "billing", Text: "x"})
		none = s.change("n", nil)
		hand = s.change("h", &migration.SchemaChange{})
	})
	s.at(4*time.Minute, func() {
		require.Equal(t, "schema was accepted before", again.said.Message)
		require.ErrorContains(t, unknown.err, `the plan has no database "billing"`)
		require.ErrorContains(t, none.err, "no change was given")
		require.Equal(t, "what was made by hand in orders is on both sides, and what is new is replicated", hand.said.Message)
		require.Len(t, c.applied, 4)
	})
	s.run()
}

func TestAChangeOfTheSchemaThatIsRefusedTouchesNothing(t *testing.T) {
	s := newShop(t)
	c := &catalogue{found: []migration.Finding{{Severity: migration.Blocker, Subject: "dataset orders, drop.sql",
		Reason: "line 1: table public.orders: it goes", Remedy: "add"}}}
	s.env.RegisterActivity(c)
	var a *answer
	s.at(time.Minute, func() {
		a = s.change("a", &migration.SchemaChange{File: "drop.sql", Text: "DROP TABLE orders", Digest: "d"})
	})
	s.at(2*time.Minute, func() {
		require.ErrorContains(t, a.err, "dataset orders, drop.sql: line 1: table public.orders: it goes (add)")
		require.Empty(t, c.applied)
	})
	s.run()
}
