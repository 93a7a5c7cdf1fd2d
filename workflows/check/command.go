package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

const (
	commandWithin = time.Minute     // after which a doctor that waits for a command gives up
	carryWithin   = 4 * time.Minute // of all rows of a customer
	lossWithin    = time.Minute     // to open a customer without a side
)

// awaitCommand waits for the command that this doctor was started for, as an update, so that who
// gives it can be proved, and carries it out.
func (d *doctor) awaitCommand(ctx workflow.Context) error {
	carry := map[string]func(workflow.Context, migration.Command) error{
		migration.UpdateAcceptLoss: d.acceptLoss, migration.UpdateCarryOver: d.carryOver,
	}[d.in.Awaits]
	if carry == nil {
		return temporal.NewNonRetryableApplicationError(fmt.Sprintf("doctor: no command is called %q", d.in.Awaits), "BadRequest", nil)
	}
	var cmd *migration.Command
	err := workflow.SetUpdateHandlerWithOptions(
		ctx,
		d.in.Awaits,
		func(_ workflow.Context, c migration.Command) (migration.Accepted, error) {
			if cmd == nil {
				cmd = &c
			}
			return migration.Accepted{Message: d.in.Awaits + " accepted"}, nil
		},
		workflow.UpdateHandlerOptions{Description: "By customers' names, with a reason.",
			Validator: func(ctx workflow.Context, c migration.Command) error {
				if err := c.Late(workflow.Now(ctx)); err != nil {
					return err
				}
				return d.allowed(c)
			}},
	)
	if err != nil {
		return err
	}
	work.AwaitFor(ctx, commandWithin, "for "+d.in.Awaits, func() bool { return cmd != nil })
	if cmd == nil {
		return temporal.NewNonRetryableApplicationError("doctor: nobody gave the command that it was started for: "+d.in.Awaits,
			"NoCommand", nil)
	}
	return carry(ctx, *cmd)
}

// allowed refuses a command that names nobody, or somebody whom it cannot be about.
func (d *doctor) allowed(cmd migration.Command) error {
	switch {
	case cmd.By == "":
		return fmt.Errorf("%s: say who asks (by)", d.in.Awaits)
	case strings.TrimSpace(cmd.Reason) == "":
		return fmt.Errorf("%s: say why (reason): it is kept in the customer's data", d.in.Awaits)
	case len(cmd.Customers) == 0:
		return fmt.Errorf("%s: name the customers", d.in.Awaits)
	}
	if err := cmd.Fits(); err != nil {
		return fmt.Errorf("%s: %w", d.in.Awaits, err)
	}
	for _, id := range cmd.Customers {
		slice, ok := d.in.Spec.Slice(id)
		switch {
		case !ok:
			return fmt.Errorf("%s: the plan has no customer %q", d.in.Awaits, id)
		case slice.Stateless():
			return fmt.Errorf("%s: customer %s has no database: its home record is in the state bucket, and no side of it can be lost",
				d.in.Awaits, id)
		}
	}
	return nil
}

func tenantOf(spec *migration.Spec, slice migration.CustomerSlice, d migration.Dataset) postgres.TenantRequest {
	return postgres.TenantRequest{PostgresRef: database(spec, d), Customer: slice.Customer.ID, Tenant: slice.Customer.Tenant}
}

// acceptLoss has customers go on at the side that is left, with the route there. Who of several
// cannot is said, and the others go on.
func (d *doctor) acceptLoss(ctx workflow.Context, cmd migration.Command) error {
	var owner string
	if err := workflow.SideEffect(ctx, func(workflow.Context) any { return uuid.NewString() }).Get(&owner); err != nil {
		return err
	}
	var routes []traffic.WantedRoute
	within := mendWithin
	for _, id := range slices.Compact(slices.Sorted(slices.Values(cmd.Customers))) {
		slice, _ := d.in.Spec.Slice(id)
		losses, err := d.loseOne(ctx, slice, owner, cmd)
		for _, l := range losses {
			d.mended("customer %s, dataset %s: %s", id, l.dataset, l.Loss)
		}
		if err != nil {
			d.unseen("customer "+id+" does not go on without a side", err)
		} else if len(slice.Routes) > 0 {
			if slice.ByName() {
				within = mendWithin + work.NameSpreads
			}
			routes = append(routes, traffic.WantedRoute{Customer: id, Side: losses[0].Side.Other(), Token: losses[0].Token})
		}
	}
	if len(routes) == 0 {
		return nil
	}
	l := work.Question.Within(within).In(ctx, "route those who go on without a side")
	if err := workflow.ExecuteActivity(l, work.Traffic.ReconcileRoute,
		traffic.ReconcileRouteRequest{Spec: d.ref, Wanted: routes}).Get(l, nil); err != nil {
		d.unseen("routes were not set", err)
	}
	return nil
}

// lostIn is a database of a customer that goes on without a side.
type lostIn struct {
	dataset string
	migration.Loss
}

// loseOne opens one customer. It looks at all of its databases first: they go on at one side. One
// of which both sides answer has to be at home there already, and loses nothing.
func (d *doctor) loseOne(
	ctx workflow.Context,
	slice migration.CustomerSlice,
	owner string,
	cmd migration.Command,
) (out []lostIn, err error) {
	ask := func(data migration.Dataset, look bool) (r postgres.AcceptLossResult, err error) {
		c := work.Examination.Within(lossWithin).At(ctx, data.Site(), slice.Customer.ID+" goes on without a side of "+data.Name)
		err = workflow.ExecuteActivity(c, work.Postgres.AcceptLoss, postgres.AcceptLossRequest{
			TenantRequest: tenantOf(d.in.Spec, slice, data), Owner: owner, By: cmd.By, Reason: cmd.Reason, Look: look}).Get(c, &r)
		if err != nil {
			err = fmt.Errorf("database %s: %w", data.Name, err)
		}
		return r, err
	}
	var lost []migration.Dataset
	homes := map[migration.Side][]string{} // where each of its databases goes on
	for _, data := range slice.Databases {
		r, err := ask(data, true)
		if err != nil {
			return nil, err
		}
		if homes[r.Home] = append(homes[r.Home], data.Name); !r.Both {
			lost = append(lost, data)
		}
	}
	switch {
	case len(lost) == 0:
		return nil, errors.New(
			"both sides of its databases answer: look at them with drover doctor, agree to a server that is another now, " +
				"and have it repaired",
		)
	case len(homes) > 1:
		return nil, fmt.Errorf("its databases would not go on at one side (premises: %s; AWS: %s): they move together",
			strings.Join(homes[migration.OnPrem], ", "), strings.Join(homes[migration.AWS], ", "))
	}
	for _, data := range lost {
		r, err := ask(data, false)
		if err != nil {
			return out, err
		}
		out = append(out, lostIn{data.Name, *r.Loss})
	}
	return out, nil
}

// carryOver brings home what one side alone has of some customers, where that is sound.
func (d *doctor) carryOver(ctx workflow.Context, cmd migration.Command) error {
	for _, id := range slices.Compact(slices.Sorted(slices.Values(cmd.Customers))) {
		slice, _ := d.in.Spec.Slice(id)
		for _, data := range slice.Databases {
			c := work.Survey.Within(carryWithin).At(ctx, data.Site(), "carry over what one side alone has of "+id+" in "+data.Name)
			var r postgres.CarryResult
			err := workflow.ExecuteActivity(c, work.Postgres.CarryOver, postgres.CarryRequest{
				TenantRequest: tenantOf(d.in.Spec, slice, data), By: cmd.By, Reason: cmd.Reason}).Get(c, &r)
			for _, x := range r.Done {
				d.mended(
					"customer %s, dataset %s: %d rows that were written on side %s alone are at home now, for %s (%s): %s",
					id,
					data.Name,
					x.Rows,
					x.From,
					cmd.By,
					cmd.Reason,
					x.Words,
				)
			}
			if err != nil {
				d.unseen("customer "+id+", dataset "+data.Name+": nothing more was carried over", err)
			}
		}
	}
	return nil
}
