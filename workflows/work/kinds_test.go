package work

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What is asked of many, what lasts and what nobody waits for never lies before a Move.
func TestOnlyWhatAClosedCustomerWaitsForIsOnTheQueuesOfAFreeze(t *testing.T) {
	ordinary := map[string]work{
		"Question": Question.work, "Launch": Launch.work, "Collection": Collection.work, "Watch": Watch.work, "Soak": Soak.work,
		"RollCall": RollCall.work, "Post": Post.work, "PostPlan": PostPlan.work, "HookBefore": HookBefore.work,
		"HookAfter": HookAfter.work, "Count": Count.work, "SiteQuestion": SiteQuestion.work, "DataNote": DataNote.work,
		"Beginning": Beginning.work, "Survey": Survey.work, "Examination": Examination.work, "Observation": Observation.work,
		"BulkCopy": BulkCopy.work, "DiskCopy": DiskCopy.work,
		"Shutdown": Shutdown.work, "Audit": Audit.work, "Pass": Pass.work, "Preparation": Preparation.work, "Records": Records.work,
	}
	inAFreeze := map[string]work{
		"DataQuestion": DataQuestion.work, "Freeze": Freeze.work, "FreezeStep": FreezeStep.work, "Resolution": Resolution.work,
		"RouteStep": RouteStep.work, "NameStep": NameStep.work, "Record": Record.work, "Machines": Machines.work,
	}
	for _, name := range kinds(t) {
		_, here := ordinary[name]
		_, there := inAFreeze[name]
		require.True(t, here != there, "%s is in one of the lists", name)
	}
	require.Len(t, kinds(t), len(ordinary)+len(inAFreeze))
	for name, k := range ordinary {
		require.NotContains(t, k.queue("dc1"), "freeze", name)
	}
	for name, k := range inAFreeze {
		require.True(t, strings.HasSuffix(k.queue("dc1"), "freeze"), name)
	}
	for name, k := range ordinary {
		if name != "DiskCopy" {
			require.NotEqual(t, DiskCopy.queue("dc1"), k.queue("dc1"), "%s waits behind the copies of hundreds of disks", name)
		}
	}
	require.NotEqual(t, Watch.queue(""), Question.queue(""), "a bake lasts, and takes a slot of its queue for that long")
}

// After the seal nothing waits longer than it must, and a worker that is lost is soon missed.
func TestAStepThatAClosedCustomerWaitsForIsTriedAgainWithinTenthsOfASecond(t *testing.T) {
	for name, k := range map[string]work{"FreezeStep": FreezeStep.work, "Resolution": Resolution.work, "RouteStep": RouteStep.work,
		"DataQuestion": DataQuestion.work} {
		require.LessOrEqual(t, k.heartbeat, FreezeHeartbeat, name)
		require.LessOrEqual(t, k.retry.first, 200*time.Millisecond, name)
		require.Zero(t, k.retry.attempts, name)
		require.LessOrEqual(t, k.retry.most, time.Second, name)
	}
	require.Equal(t, FreezeHeartbeat, Freeze.heartbeat)
}

// What is made beside a customer's data, or while it is closed, is removed or settled only when no
// attempt at making it goes on.
func TestWorkThatMakesThingsIsWaitedForWhereItIsCanceled(t *testing.T) {
	for name, k := range map[string]work{"Launch": Launch.work, "Survey": Survey.work, "Observation": Observation.work,
		"BulkCopy": BulkCopy.work, "DiskCopy": DiskCopy.work, "Pass": Pass.work, "Freeze": Freeze.work} {
		require.True(t, k.finishes, name)
		require.NotZero(t, k.heartbeat, "%s: by its heartbeats it hears of the cancel, and a lost worker is not waited for", name)
	}
}

// kinds are the names of all kinds of work, as kinds.go declares them.
func kinds(t *testing.T) (out []string) {
	f, err := parser.ParseFile(token.NewFileSet(), "kinds.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			lit, ok := v.Values[0].(*ast.CompositeLit)
			if !ok {
				continue
			}
			if name, ok := lit.Type.(*ast.Ident); ok && (name.Name == "Here" || name.Name == "There") {
				out = append(out, v.Names[0].Name)
			}
		}
	}
	require.NotEmpty(t, out)
	return out
}
