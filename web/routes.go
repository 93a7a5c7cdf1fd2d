package web

import (
	"net/http"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
)

// need is who a route answers.
type need int

const (
	everybody need = iota // also whoever has not signed in
	ownGuest              // viewers and up, and the guest of the plan and customer in the path
	viewers               // viewers and up
	helpers               // customer-success and up; of each command the one whose rank it needs
	operators             // operators and up
)

const (
	// healthRoute is not slowed: behind a proxy everybody has one address, and a balancer that is
	// not answered takes the board out for all.
	healthRoute = "GET /healthz"
	linkPath    = "/link/"
)

// route is one line of the table below.
type route struct {
	Pattern string
	Need    need
	handle  func(w http.ResponseWriter, r *http.Request, who access.Identity)
}

// routes is everything that the board answers, and to whom. There is no other way in.
func (s *Server) routes() []route {
	return []route{
		{healthRoute, everybody, s.healthz},
		{"GET /assets/{file...}", everybody, s.asset},
		{"GET /signin", everybody, s.signInPage},
		{"POST /signin/token", everybody, s.signInByToken},
		{"GET /signin/oidc", everybody, s.signInByProvider},
		{"GET /signin/oidc/back", everybody, s.backFromProvider},
		{"POST /signout", everybody, s.signOut},
		{"POST /login/token", everybody, s.lendByToken},
		{"GET " + linkPath + "{link}", everybody, s.openLink},

		{"GET /m/{plan}/c/{customer}", ownGuest, s.customerPage},
		{"GET /m/{plan}/c/{customer}/events", ownGuest, s.customerEvents},
		{"GET /m/{plan}/c/{customer}/table/{file}", ownGuest, s.customerTable},

		{"GET /m/{plan}/c/{customer}/slot.ics", ownGuest, s.invite},
		{"POST /m/{plan}/c/{customer}/slot", ownGuest, s.takeSlot},

		{"GET /login", viewers, s.loginPage},
		{"POST /login", viewers, s.lend},
		{"GET /{$}", viewers, s.plansPage},
		{"GET /plans/{file}", viewers, s.plansTable},
		{"GET /m/{plan}", viewers, s.boardPage},
		{"GET /m/{plan}/events", viewers, s.boardEvents},
		{"GET /m/{plan}/data", viewers, s.dataPage},
		{"GET /m/{plan}/table/{file}", viewers, s.boardTable},

		{"GET /m/{plan}/do/{action}", helpers, s.askPage},
		{"POST /m/{plan}/do/{action}", helpers, s.act},

		{"OPTIONS " + decodePath, everybody, s.allowDecoding},
		{"POST " + decodePath, operators, s.decode},

		{"/", viewers, s.nothingThere},
	}
}

// lets says whether a route answers somebody who has signed in.
func (n need) lets(who access.Identity, r *http.Request) bool {
	switch n {
	case everybody:
		return true
	case ownGuest:
		return who.Role.Sees() || who.Role == access.Guest && who.Plan == r.PathValue("plan") && who.Customer == r.PathValue("customer")
	case viewers:
		return who.Role.Sees()
	case helpers:
		return who.Role.Gives(migration.UpdateNote)
	case operators:
		return who.Role.Gives(migration.UpdateHold)
	default:
		return false
	}
}

// Patterns are the patterns of all routes, in the form of http.ServeMux.
func Patterns() (out []string) {
	for _, r := range (&Server{}).routes() {
		out = append(out, r.Pattern)
	}
	return out
}
