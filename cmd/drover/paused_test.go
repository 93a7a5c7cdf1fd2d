package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

func TestThatAPlanIsPausedIsSaidOnce(t *testing.T) {
	said := migration.Accepted{Message: "retry accepted; the plan is paused: nobody goes to AWS before `drover resume shop`"}
	got, err := whilePaused(t.Context(), nil, "shop", said, nil)
	require.NoError(t, err)
	require.Equal(t, said, got)
}
