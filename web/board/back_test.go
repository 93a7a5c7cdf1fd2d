package board_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/board"
	"github.com/drover-migration/drover/web/webtest"
)

func TestTheWayBackIsWhatItsMigrationAndItsDataSay(t *testing.T) {
	lost, halted := &migration.NoWayBack{Why: "the slot is gone", Lost: true}, &migration.NoWayBack{Why: "it is disabled"}
	blind := &migration.NoWayBack{Why: "its fences cannot be audited: no answer", Unknown: true}
	uses := func(names ...string) *migration.Customer { return &migration.Customer{ID: "acme", Datasets: names} }
	orders := func(n *migration.NoWayBack) migration.PieceStatus {
		return migration.PieceStatus{Name: "orders", NoWayBack: n}
	}
	ledger := func(n *migration.NoWayBack) migration.PieceStatus {
		return migration.PieceStatus{Name: "ledger", NoWayBack: n}
	}
	ended := migration.PieceStatus{Name: "orders", Workflow: "Terminated"}
	gone := migration.PieceStatus{Name: "orders", Workflow: "Terminated", NoWayBack: lost}
	runs := migration.PieceStatus{Name: "orders", Workflow: "Running"}
	through := migration.PieceStatus{Name: "orders", Workflow: "Completed"}
	for name, c := range map[string]struct {
		phase     migration.MigrationPhase
		pieces    []migration.PieceStatus
		planned   *migration.Customer
		finalised *migration.Finalised
		want      board.BackWay
		why       string
	}{
		"all is well": {pieces: []migration.PieceStatus{runs}, planned: uses("orders"),
			want: board.BackOpen},
		"its replication is through": {pieces: []migration.PieceStatus{through}, planned: uses("orders"),
			want: board.BackOpen},
		"the whole way back is being ended": {phase: migration.MigrationFinalising, planned: uses(),
			want: board.BackEnding},
		"the whole way back has ended": {phase: migration.MigrationDone, planned: uses(),
			want: board.BackEnded},
		"its batch's had ended before": {phase: migration.MigrationFinalising, finalised: &migration.Finalised{Cut: webtest.Start},
			want: board.BackEnded},
		"it uses no data": {pieces: []migration.PieceStatus{orders(lost)}, planned: uses(),
			want: board.BackOpen},
		"what it uses is not known": {pieces: []migration.PieceStatus{orders(lost)},
			want: board.BackLost,
			why:  "Dataset orders: the slot is gone."},
		"another's data": {pieces: []migration.PieceStatus{orders(lost)}, planned: uses("ledger"),
			want: board.BackOpen},
		"one halted, one lost": {pieces: []migration.PieceStatus{orders(halted), ledger(lost)}, planned: uses("orders", "ledger"),
			want: board.BackLost,
			why:  "Dataset orders: it is disabled. Dataset ledger: the slot is gone."},
		"one lost, one halted": {pieces: []migration.PieceStatus{orders(lost), ledger(halted)}, planned: uses("orders", "ledger"),
			want: board.BackLost,
			why:  "Dataset orders: the slot is gone. Dataset ledger: it is disabled."},
		"one halted, one cannot be audited": {pieces: []migration.PieceStatus{orders(halted), ledger(blind)},
			planned: uses("orders", "ledger"),
			want:    board.BackHalted,
			why:     "Dataset orders: it is disabled. Dataset ledger: its fences cannot be audited: no answer."},
		"the audit fails": {pieces: []migration.PieceStatus{orders(blind)}, planned: uses("orders"),
			want: board.BackUnknown,
			why:  "Dataset orders: its fences cannot be audited: no answer."},
		"its replication was terminated": {pieces: []migration.PieceStatus{ended}, planned: uses("orders"),
			want: board.BackUnknown,
			why:  "Dataset orders: its workflow was ended in Temporal (Terminated), and nobody looks after it."},
		"it was lost before it was terminated": {pieces: []migration.PieceStatus{gone}, planned: uses("orders"),
			want: board.BackLost,
			why:  "Dataset orders: the slot is gone."},
		"another's replication was terminated": {pieces: []migration.PieceStatus{ended}, planned: uses("ledger"),
			want: board.BackOpen},
	} {
		soaks := migration.CustomerStatus{ID: "acme", Home: migration.AWS, Phase: migration.CustomerSoaking}
		m := &migration.MigrationStatus{Phase: c.phase, Datasets: c.pieces}
		back := board.WayBackOf(soaks, m, c.planned, c.finalised)
		require.Equal(t, c.want, back.Way, name)
		require.Equal(t, c.why, back.Why, name)
		if c.want == board.BackUnknown {
			require.Equal(t, "Not known at this moment.", back.Answer(board.NewClock("")), name)
		}
		next, _ := (&board.Snapshot{}).Next(board.Customer{Status: soaks, Back: back}, board.NewClock(""))
		require.Equal(t, c.want == board.BackOpen, strings.Contains(next, "may move it back at any time"), name)
		soaks.Home = migration.OnPrem
		require.Equal(t, board.BackHome, board.WayBackOf(soaks, m, c.planned, c.finalised).Way, name)
	}
}
