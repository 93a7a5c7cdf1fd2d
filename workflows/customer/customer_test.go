package customer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// Both come in one workflow task, in which the customer has not acted on either.
func TestATakeBackIsTheLastWordOverARetryOfTheSameMoment(t *testing.T) {
	c := newCustomer(Input{ID: "acme"})
	c.Phase = migration.CustomerHeld
	require.NoError(t, c.allowed(migration.UpdateRetry, migration.Command{By: "ann"}))
	c.retry = &mail.Wish{By: "ann"}
	c.takeBack(mail.Wish{By: "bob"})
	require.Nil(t, c.retry)
	require.ErrorContains(t, c.allowed(migration.UpdateRetry, migration.Command{By: "ann"}), "retry does not apply")
}
