package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/lab/inbox"
	"github.com/drover-migration/drover/lab/load"
	"github.com/drover-migration/drover/lab/verify"
	"github.com/drover-migration/drover/migration"
)

var update = flag.Bool("update", false, "write the golden files anew")

// demonstration is what product, load and lab say in the end of one in which all went as it should.
type demonstration struct {
	shape  lab.Shape
	busy   busy
	told   map[string]migration.CustomerStatus
	sum    load.Summary
	truth  verify.Result
	people told
	wall   float64
}

// theEnd is when a demonstration is judged.
var theEnd = time.Date(2026, 12, 2, 22, 30, 0, 0, time.UTC)

func whole() *demonstration {
	d := &demonstration{
		shape: lab.DemoShape(), told: map[string]migration.CustomerStatus{}, wall: 151.5,
		sum: load.Summary{Requests: 17000, RetriedRequests: 80, AckedWrites: 12000, StallP99: 1200, StallMax: 1300,
			FaultedStallMax: 4100},
		truth:  verify.Result{AckedWrites: 12000, RowsVerified: 40000, ObjectsVerified: 300, DiskBlocksVerified: 96},
		people: told{came: []inbox.Message{{Key: "a", Times: 1}, {Key: "b", Times: 1}}, acks: 1, bundles: 4, verified: 4},
	}
	for _, c := range d.shape.Customers() {
		d.told[c.ID] = migration.CustomerStatus{ID: c.ID, Home: migration.AWS, Phase: migration.CustomerSoaking,
			Moves: []migration.MoveResult{move(migration.AWS, 80*time.Millisecond)}}
	}
	early, wave := d.shape.Batches[1].Customers, d.shape.Batches[2].Customers
	d.goHome(early[1].ID)
	for _, c := range wave {
		d.goHome(c.ID)
		st := d.told[c.ID]
		st.Home, st.Moves = migration.AWS, append(st.Moves, move(migration.AWS, 90*time.Millisecond))
		d.told[c.ID] = st
	}
	return d
}

func move(to migration.Side, freeze time.Duration) migration.MoveResult {
	fenced := time.Date(2026, 12, 2, 22, 0, 0, 0, time.UTC)
	return migration.MoveResult{Outcome: migration.MoveDone, From: to.Other(), To: to, Freeze: migration.Duration(freeze),
		Fenced: fenced, Opened: fenced.Add(freeze), Routed: fenced.Add(freeze + 30*time.Millisecond)}
}

func (d *demonstration) goHome(id string) {
	st := d.told[id]
	st.Home, st.Phase, st.RollbackMS = migration.OnPrem, migration.CustomerRolledBack, []int64{900}
	st.Moves = append(st.Moves, move(migration.OnPrem, 100*time.Millisecond))
	d.told[id] = st
}

// stayed takes back that a customer ever went home.
func (d *demonstration) stayed(id string) {
	st := d.told[id]
	st.Home, st.RollbackMS, st.Moves = migration.AWS, nil, st.Moves[:1]
	d.told[id] = st
}

func (d *demonstration) board() *board {
	b := newBoard(d.shape, d.told, d.sum, &d.truth)
	b.people(d.people, theEnd)
	b.WallS, b.machine = d.wall, d.busy
	return b
}

func TestTheFileOfTheScoreHasTheKeysThatItIsReadBy(t *testing.T) {
	d := whole()
	d.truth.Violations = []string{"what is wrong is shown, and is no key"}
	path := filepath.Join(t.TempDir(), "out", "demo.json")
	require.NoError(t, d.board().write(path))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	golden := filepath.Join("testdata", "demo.json.golden")
	if *update {
		require.NoError(t, os.WriteFile(golden, got, 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestAFreezeThatNobodyMeasuredIsNotTheShortest(t *testing.T) {
	d := whole()
	for id, st := range d.told {
		st.Moves[0].Freeze = 0
		d.told[id] = st
	}
	require.EqualValues(t, 100, *d.board().FreezeMS.P50)
}

func TestADemonstrationIsJudgedByWhatNoMachinesSpeedExcuses(t *testing.T) {
	require.NoError(t, whole().board().judge())
	for name, c := range map[string]struct {
		spoil func(*demonstration)
		says  string
	}{
		"a write is lost":            {func(d *demonstration) { d.truth.LostWrites = 1 }, "1 lost writes"},
		"a write is doubled":         {func(d *demonstration) { d.truth.DuplicateWrites = 2 }, "2 duplicate writes"},
		"a row is on the wrong side": {func(d *demonstration) { d.truth.MisplacedRows = 3 }, "3 misplaced rows"},
		"a request failed":           {func(d *demonstration) { d.sum.FailedRequests = 4 }, "4 failed requests"},
		"something else is wrong": {func(d *demonstration) { d.truth.Violations = []string{"replication does not stand"} },
			"1 violations"},
		"a broken customer never answered": {func(d *demonstration) { d.sum.Unanswered = []string{"birch"} },
			"1 customers without an answer"},
		"a row is nobody's": {func(d *demonstration) { d.truth.UnknownRows = 5 }, "5 unknown rows"},
		"no customer went home alone": {func(d *demonstration) { d.stayed(d.shape.Batches[1].Customers[1].ID) },
			"0 customers that went home by themselves: at least 1"},
		"a batch went home but for one": {func(d *demonstration) { d.stayed(d.shape.Batches[2].Customers[3].ID) },
			"0 batches that went home whole: at least 1"},
		"a message came twice": {func(d *demonstration) { d.people.came[1].Times = 2 }, "1 messages that came twice"},
		"nobody was told":      {func(d *demonstration) { d.people.came = nil }, "0 messages acknowledged: at least 1"},
		"a message is on its way": {func(d *demonstration) {
			d.people.status.Pending = []migration.Delivery{{Due: theEnd}, {Due: theEnd.Add(time.Minute), Step: 1}}
		}, "1 messages that their receivers have not acknowledged"},
		"a message was given up": {func(d *demonstration) {
			d.people.status.Past = []migration.Delivery{{State: migration.DeliveryGivenUp}, {State: migration.DeliveryDelivered}}
		}, "1 messages that their receivers have not acknowledged"},
		"nobody looked after what waited": {func(d *demonstration) { d.people.acks = 0 }, "0 things looked after: at least 1"},
		"a bundle of evidence does not verify": {func(d *demonstration) { d.people.verified = 3 },
			"1 batches whose evidence does not verify\n1 bundles of evidence that do not verify"},
		"a batch has no evidence": {func(d *demonstration) { d.people.bundles, d.people.verified = 3, 3 },
			"1 batches whose evidence does not verify"},
		"too few writes":          {func(d *demonstration) { d.sum.AckedWrites = 9_999 }, "9999 acknowledged writes: at least 10000"},
		"no disk was looked at":   {func(d *demonstration) { d.truth.DiskBlocksVerified = 0 }, "0 disk blocks verified: at least 1"},
		"no object was looked at": {func(d *demonstration) { d.truth.ObjectsVerified = 0 }, "0 objects verified: at least 1"},
		"no row was looked at":    {func(d *demonstration) { d.truth.RowsVerified = 0 }, "0 rows verified: at least 1"},
	} {
		t.Run(name, func(t *testing.T) {
			d := whole()
			c.spoil(d)
			require.EqualError(t, d.board().judge(), c.says)
		})
	}
}

func TestABusyMachineIsAWarningAndNoFailure(t *testing.T) {
	printed := func(d *demonstration) string {
		b := d.board()
		require.NoError(t, b.judge())
		var out strings.Builder
		b.print(&out)
		return strings.Join(strings.Fields(out.String()), " ")
	}
	require.NotContains(t, printed(whole()), "warning")
	for says, slow := range map[string]func(*demonstration){
		"warning: freeze p99 took 500 ms; on an otherwise idle machine it is under 500 ms": func(d *demonstration) {
			st := d.told[d.shape.Batches[0].Customers[0].ID]
			st.Moves[0].Freeze = migration.Duration(500 * time.Millisecond)
		},
		"warning: the longest wait of a client took 3000 ms; on an otherwise idle machine it is under 3000 ms": func(
			d *demonstration) {
			d.sum.StallMax = 3000
		},
		"warning: the longest wait of a broken customer's client took 8000 ms; on an otherwise idle machine it is under 8000 ms": func(
			d *demonstration) {
			d.sum.FaultedStallMax = 8000
		},
		"warning: the whole run took 300500 ms; on an otherwise idle machine it is under 300000 ms": func(
			d *demonstration) {
			d.wall = 300.5
		},
	} {
		d := whole()
		slow(d)
		require.Contains(t, printed(d), says)
	}
}

func TestWhatDidNotComeInTimeOnABusyMachineIsAVerdictOfItsOwn(t *testing.T) {
	others := busy{Others: 0.71, Load: 29, Cores: 2}
	for name, c := range map[string]struct {
		machine busy
		spoil   func(*demonstration)
		code    int
		says    string
	}{
		"requests failed, others kept the machine busy": {others, func(d *demonstration) { d.sum.FailedRequests = 4 }, exitBusy,
			"machine too busy (load 29 on 2 cores, others took 71 % of them): figures void (4 failed requests)"},
		"requests failed, the machine was ours": {busy{Load: 29, Cores: 2}, func(d *demonstration) { d.sum.FailedRequests = 4 },
			exitFailed, "4 failed requests"},
		"a write was lost, others kept the machine busy": {others, func(d *demonstration) {
			d.sum.FailedRequests, d.truth.LostWrites = 4,
				1
		}, exitFailed,
			"1 lost writes\n4 failed requests"},
		"something is where it should not be, others kept the machine busy": {others,
			func(d *demonstration) { d.truth.Violations = []string{"a route"} }, exitFailed, "1 violations"},
	} {
		t.Run(name, func(t *testing.T) {
			d := whole()
			d.busy = c.machine
			c.spoil(d)
			err := d.board().judge()
			require.EqualError(t, err, c.says)
			require.Equal(t, c.code, exitCode(err))
		})
	}
	d := whole()
	d.busy = others
	require.NoError(t, d.board().judge(), "all came in time all the same")
	var out strings.Builder
	d.board().print(&out)
	require.Contains(t, out.String(), "figures void")
}

func TestALineOfTheStoryIsBrokenAtSpacesAndKeepsItsColumns(t *testing.T) {
	require.Equal(t, " 90.7s    cedar            baking\n", broken(" 90.7s  ", "  cedar            baking"))
	require.Equal(t, " 90.7s    cedar            moving-back: probe http /api/healthz expecting 200\n            failed 3 times in a "+
		"row, last: HTTP 500\n",
		broken(" 90.7s  ", "  cedar            moving-back: probe http /api/healthz expecting 200 failed 3 times in a row, last: HTTP 500"))
	long := strings.Repeat("x", 100)
	require.Equal(t, " 90.7s  "+long+"\n", broken(" 90.7s  ", long))
}
