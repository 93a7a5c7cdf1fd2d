package web

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/board"
)

// dataView is the workloads and datasets of a migration.
type dataView struct {
	Head   headView
	Pieces []pieceView
	Path   string
}

// pieceView is a workload or a dataset on its way.
type pieceView struct {
	Kind, Name string
	Phase      string
	Detail     string
	Failed     bool
	Done       string // bytes, in words
	Total      string
	Rate       string
	Left       string
	Percent    int // of Total; -1: not known
	Consistent string
	Trying     []string
	Ended      string // what somebody did to its workflow; empty: it goes on
}

func (s *Server) dataPage(w http.ResponseWriter, r *http.Request, who access.Identity) {
	f, err := s.Hub.Follow(r.Context(), r.PathValue("plan"))
	if err != nil {
		s.failBy(w, r, who, err)
		return
	}
	snap, k := f.Snapshot(r.Context()), clock(r)
	plan := snap.Status.Plan
	key := fmt.Sprintf("data|%s|%s", who.Role, k.Zone)
	plain, zip, err := s.cache.get(plan, snap.Version, key, func(b *bytes.Buffer) error {
		return pages.ExecuteTemplate(b, "data", dataView{Head: viewHead(snap, k, who.Role), Pieces: piecesOf(snap, k),
			Path: planPath(plan)})
	})
	if err != nil {
		s.broken(w, r, err)
		return
	}
	l := layout{Title: plan + ": workloads and data", Who: who, Plan: plan, Tab: "data", Events: fmt.Sprintf("%s/events?v=%d",
		planPath(plan), snap.Version)}
	s.showMade(w, r, http.StatusOK, l, plain, zip)
}

func piecesOf(snap *board.Snapshot, k board.Clock) (out []pieceView) {
	for _, p := range snap.Status.Datasets {
		out = append(out, viewPiece("dataset", p, k))
	}
	for _, p := range snap.Status.Workloads {
		out = append(out, viewPiece("workload", p, k))
	}
	return out
}

// usedBy are the workloads and datasets of one customer; none where the plan is not known.
func usedBy(snap *board.Snapshot, c board.Customer, k board.Clock) []pieceView {
	return slices.DeleteFunc(piecesOf(snap, k), func(p pieceView) bool {
		if p.Kind == "dataset" {
			return !slices.Contains(c.Spec.Datasets, p.Name)
		}
		return !slices.Contains(c.Spec.Workloads, p.Name)
	})
}

func viewPiece(kind string, p migration.PieceStatus, k board.Clock) pieceView {
	g := p.Progress
	v := pieceView{Kind: kind, Name: p.Name, Phase: string(p.Phase), Detail: p.Detail, Failed: p.Phase == migration.PieceFailed,
		Percent: -1,
		Done:    "not known", Total: "not known", Rate: "not known", Left: "not known"}
	v.Consistent, v.Trying = board.Consistent(p, k.At), board.Trying(p.Trying, k)
	if p.Workflow != "" && p.Workflow != client.Running && p.Workflow != client.Completed {
		v.Failed, v.Ended = true, "Its workflow was ended in Temporal ("+p.Workflow+"), and is started again within a minute."
	}
	if g == (migration.Progress{}) {
		return v
	}
	v.Done = sizeOf(g.Done)
	if g.Total > 0 {
		v.Total, v.Percent = sizeOf(g.Total), int(min(100, 100*g.Done/g.Total))
	}
	switch {
	case g.Measuring:
		v.Rate, v.Left = "measuring", "measuring"
	case g.Total > 0 && g.Done >= g.Total:
		v.Rate, v.Left = "none now", "nothing"
	case g.Rate > 0:
		v.Rate = sizeOf(int64(g.Rate)) + " a second"
		if g.Total > 0 {
			v.Left = printer.Duration(g.ETA.D())
		}
	}
	return v
}
