package migration_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

func TestARouteWithLabelsTakesItsCustomersFromThoseWithout(t *testing.T) {
	balanced := &migration.ALB{Workloads: map[string]string{"web": "group"}}
	spec := &migration.Spec{
		Routes: []migration.Route{
			{Name: "other", ALB: &migration.ALB{Workloads: map[string]string{"portal": "group"}}},
			{Name: "plain", ALB: balanced}, {Name: "secure", ALB: balanced},
			{Name: "vanity", Labels: map[string]string{"entry": "own"},
				DNS: &migration.DNS{Workloads: map[string]migration.Named{"web": {}}}},
		},
		Customers: []migration.Customer{
			{ID: "acme", Workloads: []string{"web"}}, {ID: "birch", Workloads: []string{"web"}, Labels: map[string]string{"entry": "own"}},
			{ID: "cedar", Workloads: []string{"worker"}},
			{ID: "delta", Workloads: []string{"web", "portal"}, Labels: map[string]string{"entry": "own"}},
		},
	}
	for i, want := range [][]string{{"plain", "secure"}, {"vanity"}, nil, {"other", "vanity"}} {
		c := spec.Customers[i]
		var got []string
		for _, r := range spec.RoutesOf(c) {
			got = append(got, r.Name)
		}
		require.Equal(t, want, got, c.ID)
		slice, ok := spec.Slice(c.ID)
		require.True(t, ok)
		require.Len(t, slice.Routes, len(want))
		require.Equal(t, slices.Contains(want, "vanity"), slice.ByName())
	}
	require.Equal(t, []string{"birch", "delta"}, spec.ByName())
	require.True(t, spec.Carries("vanity", spec.Customers[1]))
	require.False(t, spec.Carries("plain", spec.Customers[1]))
}

func TestHostsOfOneDomainHaveOnePattern(t *testing.T) {
	require.Equal(t, []string{"*.app.example.com", "*.example.org", "example.com"},
		migration.HostPatterns([]string{"acme.app.example.com", "Birch.App.example.com", "www.example.org", "example.com", "EXAMPLE.com"}))
}
