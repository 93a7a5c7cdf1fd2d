package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// A customer's workflow may be no more, or not yet: what the plan says counts.
func TestALinkIsRefusedOnlyWhereThePlanWasReadAndDoesNotNameTheCustomer(t *testing.T) {
	missing, unread := errors.New("there is no such customer"), errors.New("no worker answers")
	plan := &migration.Spec{Plan: "shop", Customers: []migration.Customer{{ID: "acme"}}}
	refused, warn := leadsNowhere(plan, nil, "acme", missing)
	require.NoError(t, refused)
	require.NoError(t, warn)
	refused, warn = leadsNowhere(plan, nil, "nobody", missing)
	require.Equal(t, missing, refused)
	require.NoError(t, warn)
	refused, warn = leadsNowhere(nil, unread, "nobody", missing)
	require.NoError(t, refused)
	require.Equal(t, unread, warn)
}
