package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

func TestWithoutATerminalEveryChangeIsOneLine(t *testing.T) {
	var out bytes.Buffer
	l := &lines{out: &out, plan: "shop", last: map[string]string{}}
	l.print(shop(), now)
	first := out.String()
	require.Contains(t, first, "2026-12-03T00:00:00+02:00 customer acme: soaking, homed on aws, waits for health\n")

	out.Reset()
	l.print(shop(), now.Add(time.Second))
	require.Empty(t, out.String(), "nothing changed")

	s := shop()
	s.Batches[1].Customers[1].Phase = migration.CustomerBaking
	s.Batches[1].Customers[1].Home = migration.AWS
	l.print(s, now.Add(2*time.Second))
	require.Equal(t, "2026-12-03T00:00:02+02:00 customer customer-with-a-rather-long-identifier: baking, homed on aws\n", out.String())
}

func TestAScreenShowsWhoMovesAndWhoNeedsSomebody(t *testing.T) {
	golden(t, "screen.txt", look.screen(shop(), 24))
}

func TestAScreenKeepsToTheHeightOfTheTerminal(t *testing.T) {
	s := shop()
	for range 200 {
		s.Batches[1].Customers = append(s.Batches[1].Customers, held())
	}
	got := look.screen(s, 24)
	require.Less(t, strings.Count(got, "\n"), 24)
	require.Contains(t, got, "more: drover status shop")
}

func TestARedrawLeavesNothingOfTheScreenBefore(t *testing.T) {
	var out bytes.Buffer
	redraw(&out, "one\ntwo\n", true)
	require.Equal(t, "\x1b[2J\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J", out.String())
}

func TestTheExitCodeSaysHowAPlanEnded(t *testing.T) {
	for name, c := range map[string]struct {
		phase     migration.MigrationPhase
		counts    migration.Counts
		execution string
		want      int
	}{
		"all moved":           {migration.MigrationSoak, migration.Counts{OnAWS: 3}, client.Running, exitDone},
		"done after the soak": {migration.MigrationDone, migration.Counts{OnAWS: 3}, "Completed", exitDone},
		"some went back": {migration.MigrationSoak, migration.Counts{OnAWS: 2, RolledBack: 1}, client.Running,
			exitRolledBack},
		"some are held, some went back": {migration.MigrationSoak, migration.Counts{RolledBack: 1, Held: 1}, client.Running, exitHeld},
		"failed":                        {migration.MigrationFailed, migration.Counts{}, "Failed", exitFailed},
		"aborted":                       {migration.MigrationAborted, migration.Counts{}, "Completed", exitAborted},
		"terminated in Temporal":        {migration.MigrationReleasing, migration.Counts{}, "Terminated", exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			a := &app{out: &bytes.Buffer{}}
			s := migration.MigrationStatus{Phase: c.phase, Batches: []migration.BatchStatus{{Counts: c.counts}}}
			require.Equal(t, c.want, exitCode(a.finish("shop", s, c.execution)))
		})
	}
}

func TestTheEndCountsThoseWhoWereSkipped(t *testing.T) {
	var out bytes.Buffer
	s := migration.MigrationStatus{Phase: migration.MigrationSoak, Batches: []migration.BatchStatus{
		{Counts: migration.Counts{OnAWS: 3, Skipped: 1}}, {Counts: migration.Counts{OnAWS: 2, Skipped: 2}}}}
	require.NoError(t, (&app{out: &out}).finish("shop", s, client.Running))
	require.Equal(t, "plan shop: every batch is through: 5 on AWS, 0 rolled back, 0 held, 3 skipped\n", out.String())
}

// Whether going back loses nothing the audits of the data say, and no phase.
func TestASoakPromisesNothingByItself(t *testing.T) {
	s := shop()
	s.Paused, s.Phase, s.WaitingFor = false, migration.MigrationSoak, migration.WaitHealth
	s.Reason = "going back still loses nothing"
	var out bytes.Buffer
	(&lines{out: &out, plan: "shop", last: map[string]string{}}).print(s, now)
	require.NotContains(t, out.String()+look.migration(s), "loses nothing")
}

func TestAStatusSaysThatAWorkflowWasTerminated(t *testing.T) {
	require.Contains(t, stopped("shop", shop(), "Terminated"),
		"WORKFLOW TERMINATED: the migration's workflow has ended before the plan did.")
	require.Empty(t, stopped("shop", shop(), client.Running))
	s := shop()
	s.Batches[1].Workflow, s.Workloads[0].Workflow = "Terminated", "Terminated"
	require.Contains(t, batchTable(s.Batches, true).String(), "TERMINATED")
	require.Contains(t, pieceTable(s).String(), "TERMINATED")
}
