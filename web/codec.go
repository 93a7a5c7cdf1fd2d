package web

import (
	"net/http"

	"github.com/drover-migration/drover/web/access"
)

// Decoding lets the Temporal UI show what is encrypted: it sends what it has read here, with the
// session of the operator who looks.
type Decoding struct {
	Codec  http.Handler // answers what is posted to it at .../decode
	Origin string       // of the Temporal UI: scheme, host and port
}

// decodePath is where: the Temporal UI is given the address without its last word.
const decodePath = "/codec/decode"

// mostEncoded bounds a request: what Temporal's UI sends at once, a page of a history.
const mostEncoded = 32 << 20

// allowDecoding answers the browser's question whether the Temporal UI's page may ask.
func (s *Server) allowDecoding(w http.ResponseWriter, r *http.Request, who access.Identity) {
	if !s.fromUI(w, r) {
		s.nothingThere(w, r, who)
		return
	}
	w.Header().Set("Access-Control-Allow-Methods", http.MethodPost)
	w.Header().Set("Access-Control-Allow-Headers", "Content-Type, X-Namespace")
	w.WriteHeader(http.StatusNoContent)
}

// decode undoes the codecs, for whoever may give commands as an operator.
func (s *Server) decode(w http.ResponseWriter, r *http.Request, who access.Identity) {
	if !s.fromUI(w, r) {
		s.nothingThere(w, r, who)
		return
	}
	if s.limits.allow("audit decode "+who.Session, 0.1) {
		if err := s.Audit.write(entry{What: "decoding for the Temporal UI", Who: who.String(), Role: who.Role, How: who.How,
			From: remote(r), Outcome: accepted}); err != nil {
			s.broken(w, r, err)
			return
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, mostEncoded)
	s.Decoding.Codec.ServeHTTP(w, r)
}

// fromUI says whether the request comes from a page of the Temporal UI, and lets that page read the
// answer.
func (s *Server) fromUI(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Origin")
	if s.Decoding == nil || r.Header.Get("Origin") != s.Decoding.Origin {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", s.Decoding.Origin)
	w.Header().Set("Access-Control-Allow-Credentials", "true")
	return true
}
