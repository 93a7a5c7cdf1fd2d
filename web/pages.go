package web

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/board"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// pages are the templates; each has a name for its live part or its whole content.
var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"planPath": planPath,
}).ParseFS(templateFiles, "templates/*.html"))

// layout is what stands around every page.
type layout struct {
	Title    string
	Who      access.Identity
	SignedIn bool
	Plan     string
	Tab      string        // of the plan's pages: "board", "data"
	Events   string        // address of the stream of events; empty: the page does not change by itself
	Above    template.HTML // what stays when the content changes: what somebody types into
	Content  template.HTML
	Assets   string // version of style and scripts
}

// show writes a page: its live part alone to a page that is there already.
func (s *Server) show(w http.ResponseWriter, r *http.Request, l layout, name string, data any) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		s.broken(w, r, err)
		return
	}
	s.showMade(w, r, http.StatusOK, l, b.Bytes(), nil)
}

// showMade writes a page whose content is made. Zip is the content once more, by gzip; nil: it is
// not there.
func (s *Server) showMade(w http.ResponseWriter, r *http.Request, status int, l layout, content, zip []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Vary", "HX-Request, Accept-Encoding, Cookie")
	if isFragment(r) && status == http.StatusOK {
		if zip != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			content = zip
		}
		_, _ = w.Write(content) // a browser that is gone needs nothing
		return
	}
	l.Content = template.HTML(content) //nolint:gosec // a template made it
	l.SignedIn, l.Assets = l.Who.Role != "", assetVersion
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "layout", l); err != nil {
		s.broken(w, r, err)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// broken is a mistake of the program's.
func (s *Server) broken(w http.ResponseWriter, r *http.Request, err error) {
	s.Log.Error("a page cannot be made", "path", pathOf(r), "error", err)
	http.Error(w, "this page cannot be made; the board's log says why", http.StatusInternalServerError)
}

// failure is what went wrong, for people.
type failure struct {
	Title, Why, Next string
	Back, Where      string // the way on, and what it is called
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, who access.Identity, status int, title, why, next string) {
	var b bytes.Buffer
	f := failure{Title: title, Why: why, Next: next, Back: "/", Where: "the plans"}
	if who.Role == access.Guest { // its link has no other page
		f.Back, f.Where = customerPath(who.Plan, who.Customer), "your page"
		if status == http.StatusForbidden || status == http.StatusNotFound { // nobody there knows what a lead is
			f.Next = "Ask whoever sent you the link, if you need it."
		}
	}
	if err := pages.ExecuteTemplate(&b, "failure", f); err != nil {
		s.broken(w, r, err)
		return
	}
	s.showMade(w, r, status, layout{Title: title, Who: who}, b.Bytes(), nil)
}

// failBy says why a migration cannot be shown.
func (s *Server) failBy(w http.ResponseWriter, r *http.Request, who access.Identity, err error) {
	var p *client.Problem
	next := ""
	if errors.As(err, &p) {
		next = p.Next
	}
	switch {
	case errors.Is(err, client.ErrNotFound):
		s.fail(w, r, who, http.StatusNotFound, "Not found", "There is no such plan here.", "See the list of plans.")
	case who.Role == access.Guest: // the words are for operators, and may name machines
		s.Log.Warn("a migration cannot be read", "path", pathOf(r), "error", err)
		s.fail(w, r, who, http.StatusServiceUnavailable, "Not known at this moment", "Where it stands cannot be read now.",
			"Try again in a few minutes.")
	case errors.Is(err, client.ErrUnreachable):
		s.fail(w, r, who, http.StatusServiceUnavailable, "Temporal or its workers do not answer",
			"The board has not read this migration yet, so it can show nothing of it: "+err.Error()+".", next)
	default:
		s.Log.Warn("a migration cannot be read", "path", pathOf(r), "error", err)
		s.fail(w, r, who, http.StatusBadGateway, "The migration cannot be read", err.Error()+".", next)
	}
}

func (s *Server) nothingThere(w http.ResponseWriter, r *http.Request, who access.Identity) {
	s.triedInVain(r, who, "there is no such page")
	s.fail(w, r, who, http.StatusNotFound, "Not found", "There is no such page.", "See the list of plans.")
}

// healthz answers whoever watches the board itself. It says nothing of a migration.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request, _ access.Identity) {
	_, _ = io.WriteString(w, "ok\n")
}

// asset serves the style, the scripts and the icon. Their addresses hold their version.
func (s *Server) asset(w http.ResponseWriter, r *http.Request, who access.Identity) {
	name := path.Join("assets", path.Clean("/"+r.PathValue("file")))
	b, err := fs.ReadFile(assetFiles, name)
	if err != nil {
		s.nothingThere(w, r, who)
		return
	}
	kind, ok := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
		".svg": "image/svg+xml"}[path.Ext(name)]
	if !ok {
		s.nothingThere(w, r, who)
		return
	}
	w.Header().Set("Content-Type", kind)
	if r.URL.Query().Get("v") == assetVersion {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(b)
}

// clock is the reader's: the browser says its zone in a cookie.
func clock(r *http.Request) board.Clock {
	c, err := r.Cookie("zone")
	if err != nil {
		return board.NewClock("")
	}
	return board.NewClock(c.Value)
}

func sizeOf(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, i := float64(n)/unit, 0
	for value >= unit && i < 4 {
		value, i = value/unit, i+1
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[i])
}
