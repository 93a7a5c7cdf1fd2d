package migration

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// checkWithin is how long both sides may take to say whether they take a change of the schema: it
// waits for locks, briefly, and tries again.
const checkWithin = 2 * time.Minute

// changeWithin is how long a change may take on both sides together. Nothing else begins meanwhile,
// and an abort waits for it.
const changeWithin = time.Hour

// mayChange refuses a change of a schema that is not replicated, or while another is made.
func (m *run) mayChange(cmd migration.Command) error {
	if cmd.Schema == nil {
		return fmt.Errorf("%s: no change was given", migration.UpdateSchema)
	}
	if !m.running() || m.Aborted != nil || m.plan.Batches == nil {
		return m.notNow(migration.UpdateSchema)
	}
	d, err := m.databaseOf(cmd.Schema.Dataset)
	switch {
	case err != nil:
		return err
	case m.piece(d.Name).Phase != migration.PieceReady:
		return fmt.Errorf("%s: %s is %s: before it is set up change its schema on premises by hand, and else wait until it is ready",
			migration.UpdateSchema, d.Name, m.piece(d.Name).Phase)
	case m.amending != "":
		return fmt.Errorf("%s: %s amends the plan at this moment: ask again when that is done", migration.UpdateSchema, m.amending)
	case m.changing != "":
		return fmt.Errorf("%s: the change of %s is under way: wait until it is made", migration.UpdateSchema, m.changing)
	}
	return nil
}

func (m *run) schemasRest() bool { return m.changing == "" }

// databaseOf is the database of a name, or the only one that the plan has.
func (m *run) databaseOf(name string) (d migration.Dataset, err error) {
	var names []string
	for _, x := range m.plan.Datasets {
		if x.Postgres == nil || name != "" && x.Name != name {
			continue
		}
		names = append(names, x.Name)
		d = x
	}
	switch {
	case len(names) == 1:
		return d, nil
	case name != "":
		return d, fmt.Errorf("%s: the plan has no database %q", migration.UpdateSchema, name)
	default:
		return d, fmt.Errorf("%s: the plan has %d databases: name one of them with --dataset", migration.UpdateSchema, len(names))
	}
}

// changeSchema gives both sides of a database a change of their schema, or takes in what was made
// there by hand. What is refused touches nothing. From its first effect on it goes on until it is
// made, or changeWithin is over.
func (m *run) changeSchema(ctx workflow.Context, cmd migration.Command) (string, error) {
	c := *cmd.Schema
	m.changing = cmd.By
	defer func() { m.changing = "" }()
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	d, err := m.databaseOf(c.Dataset)
	if err != nil {
		return "", refusal(err.Error())
	}
	req := postgres.SchemaRequest{PostgresRef: m.refTo(d),
		Change: c, By: cmd.By, Reason: cmd.Reason}
	what := "schema change " + c.File + " of " + d.Name
	if c.Text == "" {
		what = "what was made by hand in " + d.Name
	}
	k := work.Survey.Within(checkWithin).At(ctx, d.Site(), "do both sides take "+what)
	var found postgres.SchemaFindings
	if err := workflow.ExecuteActivity(k, work.Postgres.CheckSchema, req).Get(k, &found); err != nil {
		return "", refusal(work.Reason(err))
	}
	if len(found.Findings) > 0 {
		return "", refusal(reasons(found.Findings))
	}
	b := work.BulkCopy.Within(changeWithin).At(ctx, d.Site(), what)
	if err := workflow.ExecuteActivity(b, work.Postgres.ApplySchema, req).Get(b, nil); err != nil {
		if work.Is(err, postgres.ErrorNotTakenIn) { // it says which side has it
			return "", refusal(work.Reason(err))
		}
		return "", refusal(work.Reason(err) + "; a side may have the change already: give the same file again, which goes on with it")
	}
	m.Note(ctx, what+" is on both sides", cmd)
	return what + " is on both sides, and what is new is replicated", nil
}
