package customer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// given are orders of these kinds, one after the other.
func given(kinds ...kind) (o orders) {
	for _, k := range kinds {
		o = o.add(k, order{Wish: mail.Wish{By: string(k)}})
	}
	return o
}

func TestTheFirstOrderIsTheOneThatMeansMostInThePhase(t *testing.T) {
	all := []kind{retry, hold, abort, back}
	for _, c := range []struct {
		phase migration.CustomerPhase
		home  migration.Side
		given []kind
		first kind
	}{
		{migration.CustomerFinding, migration.NoHome, all, none},
		{migration.CustomerWaiting, migration.OnPrem, all, abort},
		{migration.CustomerWaiting, migration.OnPrem, []kind{back, hold}, hold},
		{migration.CustomerWaiting, migration.OnPrem, []kind{retry}, none},
		{migration.CustomerMoving, migration.OnPrem, all, abort},
		{migration.CustomerMoving, migration.OnPrem, []kind{hold, back}, back},
		{migration.CustomerBaking, migration.AWS, all, back},
		{migration.CustomerSoaking, migration.AWS, []kind{hold, abort}, abort},
		{migration.CustomerSoaking, migration.AWS, []kind{retry}, none},
		{migration.CustomerMovingBack, migration.AWS, all, hold},
		{migration.CustomerMovingBack, migration.AWS, []kind{back, abort}, none},
		{migration.CustomerHeld, migration.OnPrem, all, abort},
		{migration.CustomerHeld, migration.OnPrem, []kind{retry, back}, back},
		{migration.CustomerHeld, migration.AWS, []kind{retry, abort}, retry},
		{migration.CustomerHeld, migration.AWS, []kind{retry, hold}, hold}, // a side was given up: its home may be another
		{migration.CustomerHeld, migration.AWS, []kind{abort}, none},       // the migration takes everyone home first
		{migration.CustomerRolledBack, migration.OnPrem, []kind{hold, retry}, retry},
		{migration.CustomerRolledBack, migration.OnPrem, []kind{hold}, hold},
		{migration.CustomerFinished, migration.AWS, all, none},
		{migration.CustomerAborted, migration.OnPrem, all, none},
	} {
		require.Equal(t, c.first, given(c.given...).first(c.phase, c.home), "%s on %s, given %v", c.phase, c.home, c.given)
	}
}

// Both come in one workflow task, in which the customer has not acted on either.
func TestATakeBackIsTheLastWordOverARetryOfTheSameMoment(t *testing.T) {
	c := newCustomer(Input{ID: "acme"})
	c.Phase = migration.CustomerHeld
	require.NoError(t, c.allowed(migration.UpdateRetry, migration.Command{By: "ann"}))
	c.Orders = given(retry, back)
	require.Nil(t, c.Orders.Retry)
	require.ErrorContains(t, c.allowed(migration.UpdateRetry, migration.Command{By: "ann"}), "retry does not apply")
}

func TestAnOrderIsTakenOnce(t *testing.T) {
	o := given(hold)
	require.Equal(t, "hold", o.take(hold).By)
	require.Equal(t, order{}, o.take(hold))
}

func TestACustomerWhoseHomeIsFoundGoesOnWhereItWas(t *testing.T) {
	at := func(p migration.CustomerPhase) memory { return memory{Phase: p} }
	for _, c := range []struct {
		name   string
		home   migration.Side
		resume migration.CustomerPhase
		memory memory
		next   migration.CustomerPhase
	}{
		{"nobody remembers anything, at home", migration.OnPrem, "", memory{}, migration.CustomerWaiting},
		{"nobody remembers anything, on AWS", migration.AWS, "", memory{}, migration.CustomerBaking},
		{"it baked", migration.AWS, "", at(migration.CustomerBaking), migration.CustomerBaking},
		{"it soaked", migration.AWS, "", at(migration.CustomerSoaking), migration.CustomerSoaking},
		{"it had finished", migration.AWS, "", at(migration.CustomerFinished), migration.CustomerFinished},
		{"it was to come home", migration.AWS, "", at(migration.CustomerMovingBack), migration.CustomerMovingBack},
		{"it was to come home, and has", migration.OnPrem, "", at(migration.CustomerMovingBack), migration.CustomerRolledBack},
		{"it was held on AWS", migration.AWS, "", at(migration.CustomerHeld), migration.CustomerHeld},
		{"it was held at home", migration.OnPrem, "", at(migration.CustomerHeld), migration.CustomerHeld},
		{"it was rolled back", migration.OnPrem, "", at(migration.CustomerRolledBack), migration.CustomerRolledBack},
		{"it soaked, and is at home", migration.OnPrem, "", at(migration.CustomerSoaking), migration.CustomerRolledBack},
		{"its batch had sent it out", migration.OnPrem, "", at(migration.CustomerMoving), migration.CustomerMoving},
		{"its batch had sent it out, and it has arrived", migration.AWS, "", at(migration.CustomerMoving), migration.CustomerBaking},
		{"a try out is not known to have arrived, and has", migration.AWS, migration.CustomerMoving, memory{}, migration.CustomerBaking},
		{"a try out is not known to have arrived, and has not", migration.OnPrem, migration.CustomerMoving, memory{},
			migration.CustomerMoving},
		{"a try back is not known to have arrived, and has", migration.OnPrem, migration.CustomerMovingBack, memory{},
			migration.CustomerRolledBack},
		{"a try back is not known to have arrived, and has not", migration.AWS, migration.CustomerMovingBack, memory{},
			migration.CustomerMovingBack},
		{"a retry of who was held on AWS", migration.AWS, migration.CustomerHeld, at(migration.CustomerHeld), migration.CustomerBaking},
		{"a retry of who was held on AWS, and is at home", migration.OnPrem, migration.CustomerHeld, at(migration.CustomerHeld),
			migration.CustomerRolledBack},
	} {
		require.Equal(t, c.next, next(c.home, c.resume, c.memory), c.name)
	}
}
