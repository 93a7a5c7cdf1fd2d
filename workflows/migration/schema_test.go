package migration

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
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
	refuses error
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
	if c.refuses != nil {
		return c.refuses
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

// Each of them looks at the plan and its databases as they are, and changes both.
func TestASchemaAndAPlanAreNotChangedAtOnce(t *testing.T) {
	s := newShop(t)
	c := &catalogue{}
	s.env.RegisterActivity(c)
	ddl := &migration.SchemaChange{File: "add.sql", Text: "ALTER TABLE orders ADD note text", Digest: "d"}
	var changed, amended, both, late *answer
	c.during = func() { both = s.amend("b", "bob", "second", 1) }
	s.at(time.Minute, func() { changed = s.change("a", ddl) })
	s.at(2*time.Minute, func() {
		require.NoError(t, changed.err)
		require.ErrorContains(t, both.err, "ann changes the schema at this moment: ask again when that is made")
		s.b.judging = func() {
			if late == nil {
				late = s.change("l", &migration.SchemaChange{File: "other.sql", Text: "x", Digest: "e"})
			}
		}
		amended = s.amend("c", "bob", "second", 1)
	})
	s.at(3*time.Minute, func() {
		require.NoError(t, amended.err)
		require.ErrorContains(t, late.err, "schema: bob amends the plan at this moment: ask again when that is done")
		require.Len(t, c.applied, 1)
	})
	s.run()
}

// A change has an hour. A finalise waits for it, and takes nothing away from under it.
func TestAChangeOfTheSchemaHasAnHourAndAFinaliseWaitsForIt(t *testing.T) {
	s := newShop(t)
	c := &catalogue{}
	s.env.RegisterActivity(c)
	s.env.OnActivity("ApplySchema", mock.Anything, mock.Anything).After(40 * time.Minute).Return(nil)
	var has time.Duration
	s.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		if info.ActivityType.Name == "ApplySchema" {
			has = info.ScheduleToCloseTimeout
		}
	})
	var begun, ended time.Time
	s.at(time.Minute, func() {
		begun = s.env.Now()
		s.change("a", &migration.SchemaChange{File: "add.sql", Text: "ALTER TABLE orders ADD note text", Digest: "d"})
	})
	s.b.ending = func() { ended = s.env.Now() }
	s.run()
	require.Equal(t, time.Hour, has)
	require.GreaterOrEqual(t, ended.Sub(begun), 40*time.Minute)
}

func TestAnAbortWaitsForAChangeOfTheSchema(t *testing.T) {
	s := newShop(t)
	s.env.RegisterActivity(&catalogue{})
	s.env.OnActivity("ApplySchema", mock.Anything, mock.Anything).After(40 * time.Minute).Return(nil)
	var made *answer
	stopped := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.over
	}
	s.at(time.Minute, func() {
		made = s.change("a", &migration.SchemaChange{File: "add.sql", Text: "ALTER TABLE orders ADD note text", Digest: "d"})
	})
	s.at(2*time.Minute, func() { abort(t, s.env) })
	s.at(30*time.Minute, func() {
		require.Equal(t, migration.MigrationAborting, s.says().Phase)
		require.False(t, stopped(), "what copies goes on until the change is made")
	})
	s.play() // it ends where databases are taken out, of which there are none here
	require.NoError(t, made.err)
	require.Contains(t, made.said.Message, "is on both sides")
	require.True(t, stopped())
}

// Premises refused what AWS has: the engine's words say who has it, and what to do.
func TestAChangeThatOneSideRefusesIsSaidInTheEnginesWords(t *testing.T) {
	s := newShop(t)
	c := &catalogue{refuses: temporal.NewNonRetryableApplicationError("line 1: no; the change is made on AWS and not on premises",
		postgres.ErrorNotTakenIn, nil)}
	s.env.RegisterActivity(c)
	var a *answer
	s.at(time.Minute, func() { a = s.change("a", &migration.SchemaChange{File: "add.sql", Text: "x", Digest: "d"}) })
	s.at(2*time.Minute, func() {
		require.ErrorContains(t, a.err, "the change is made on AWS and not on premises")
		require.NotContains(t, a.err.Error(), "a side may have the change already")
		require.Len(t, c.applied, 1)
	})
	s.run()
}
