package web

import (
	"net/http"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/web/access"
)

// plansView is the list of plans.
type plansView struct {
	Plans   []planView
	Trouble *troubleView
	Read    momentView
}

type planView struct {
	Plan, Phase, Execution, Link string
	Started, Closed              momentView
}

func (s *Server) plansPage(w http.ResponseWriter, r *http.Request, who access.Identity) {
	k := clock(r)
	plans, at, err := s.Hub.Plans(r.Context())
	v := plansView{Read: moment(k, at)}
	if err != nil {
		v.Trouble = &troubleView{Words: "Temporal does not answer, so the list of plans cannot be read.", Read: v.Read}
		v.Trouble.Why, v.Trouble.Next = problemOf(err)
	}
	for _, p := range plans {
		one := planView{Plan: p.Plan, Phase: string(p.Phase), Execution: p.Execution, Link: planPath(p.Plan), Started: moment(k, p.Started)}
		if !p.Closed.IsZero() {
			one.Closed = moment(k, p.Closed)
		}
		v.Plans = append(v.Plans, one)
	}
	s.show(w, r, layout{Title: "Plans", Who: who}, "plans", v)
}

func (s *Server) plansTable(w http.ResponseWriter, r *http.Request, who access.Identity) {
	plans, _, err := s.Hub.Plans(r.Context())
	if err != nil {
		s.failBy(w, r, who, err)
		return
	}
	s.export(w, r, who, "", map[string]func() table{"plans": func() table { return tableOfPlans(plans) }})
}

func tableOfPlans(plans []client.PlanSummary) table {
	t := table{columns: []string{"plan", "phase", "workflow", "started", "ended"}}
	for _, p := range plans {
		t.add(p.Plan, p.Phase, p.Execution, p.Started, p.Closed)
	}
	return t
}
