package main

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/activities/compute"
	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/activities/freeze"
	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/vsphere"
)

// unasked are activities that no run of the bench calls: it ends nothing, every VM has its
// instance, every customer a database, and no plan has hooks or names who counts requests.
var unasked = []string{
	"AgreeServer", "CheckFinal", "DropPostgres", "ExamineServers", "FinalisePostgres", "LaunchInstance", "RegisterImage", "RetireWorkload",
	"PowerOnVM", "RemoveVMSnapshot", "ShutdownVM", "MadeSnapshots", "MendPostgres", "RetireCopies", "SurveyTarget",
	"EndWayBack", "ListUnplanned", "MeasurePostgres", "CheckDestination", "CheckFreezeHooks", "AcceptLoss", "ApplySchema",
	"CarryOver", "CheckSchema", "CountRequests", "CheckRequests", "ObserveWriters", "ReadObservation", "ResolveObserved", "ListAddresses",
}

// Workflows call activities by name: a stand-in of another name or shape would fail at run time
// only.
func TestEveryActivityHasAStandInOfItsShape(t *testing.T) {
	mine := map[string]reflect.Method{}
	for _, s := range []any{&databases{}, &freezer{}, &doctor{}, &machines{}, &vcenter{}, &trees{}} {
		for m := range reflect.TypeOf(s).Methods() {
			mine[m.Name] = m
		}
	}
	for _, product := range []any{
		&compute.Activities{}, &files.Activities{}, &freeze.Activities{}, &health.Activities{},
		&postgres.Activities{}, &vsphere.Activities{},
	} {
		for m := range reflect.TypeOf(product).Methods() {
			s, ok := mine[m.Name]
			if slices.Contains(unasked, m.Name) {
				require.False(t, ok, "%s is asked: take it off the list", m.Name)
				continue
			}
			require.True(t, ok, "%s has no stand-in", m.Name)
			require.Equal(t, shapeOf(m), shapeOf(s), m.Name)
			delete(mine, m.Name)
		}
	}
	require.Empty(t, mine, "stand-ins of no activity")
}

// shapeOf is what a method takes and gives, without its receiver.
func shapeOf(m reflect.Method) (out []string) {
	for i := 1; i < m.Type.NumIn(); i++ {
		out = append(out, m.Type.In(i).String())
	}
	for i := range m.Type.NumOut() {
		out = append(out, m.Type.Out(i).String())
	}
	return out
}
