// Command haproxy is an adapter between Drover and HAProxy: docs/route-hook.md. It is an example to
// copy: the standard library is all it needs.
//
// It keeps nothing itself. What stands for a host is one entry of a map of HAProxy's,
//
//	HOST SHARE:NOTE
//
// where SHARE is the percentage of the host's requests that goes to AWS, and NOTE what Drover keeps
// beside it, in base64. HAProxy's runtime API replaces an entry as a whole, and haproxy.cfg beside
// this file goes by it from the next request on. Each change is written to the map's file first, so
// that HAProxy begins with it after a reload or a restart. It has one HAProxy process to talk to.
package main

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8443", "where Drover asks")
	cert := flag.String("cert", "", "PEM file of the certificate; empty: http, for Drover on this machine")
	key := flag.String("key", "", "PEM file of the certificate's key")
	secret := flag.String("secret-file", "", "file with the route's secret, whsec_...")
	a := &adapter{}
	flag.StringVar(&a.socket, "socket", "/run/haproxy/admin.sock", "HAProxy's runtime API")
	flag.StringVar(&a.file, "map", "/etc/haproxy/drover.map", "the map, as haproxy.cfg names it")
	flag.Parse()
	text, err := os.ReadFile(*secret)
	if err == nil {
		a.key, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(string(text)), "whsec_"))
	}
	if err != nil || len(a.key) < 24 {
		log.Fatal("-secret-file has no secret: whsec_ and base64 of at least 24 bytes")
	}
	s := &http.Server{Addr: *listen, Handler: a, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	if *cert == "" {
		log.Fatal(s.ListenAndServe())
	}
	log.Fatal(s.ListenAndServeTLS(*cert, *key))
}

// adapter answers Drover.
type adapter struct {
	key          []byte
	socket, file string
	mu           sync.Mutex // one change looks, compares and writes at a time
}

// The backends of haproxy.cfg.
const (
	onprem = "onprem"
	onAWS  = "aws"
)

// hostForm keeps what is put into HAProxy's commands to what a host may be.
var hostForm = regexp.MustCompile(`^[a-z0-9_][a-z0-9_.-]{0,127}$`)

const (
	mostBody = 64 << 10
	mostNote = 4 << 10 // HAProxy takes commands of 16 KiB
)

func (a *adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, mostBody))
	what := strings.TrimPrefix(r.URL.Path, "/")
	if err != nil || !a.signed(r, what, body) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	host, isHost := strings.CutPrefix(what, "hosts/")
	switch {
	case what == "backends" && r.Method == http.MethodGet:
		answer(w, map[string]any{"protocol": "drover-route-1", "backends": []string{onprem, onAWS}})
	case !isHost || !hostForm.MatchString(host):
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodGet:
		a.get(w, host)
	case r.Method == http.MethodPut:
		w.WriteHeader(a.put(host, r.Header.Get("If-Match"), body))
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// signed says whether the route's secret has signed this method, this path, this condition and this
// body within the last five minutes.
func (a *adapter) signed(r *http.Request, what string, body []byte) bool {
	id, at := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute ||
		id != strings.TrimSpace(r.Method+" "+what+" "+r.Header.Get("If-Match")) {
		return false
	}
	mac := hmac.New(sha256.New, a.key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	for _, one := range strings.Fields(r.Header.Get("webhook-signature")) {
		theirs, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(one, "v1,"))
		if err == nil && hmac.Equal(theirs, mac.Sum(nil)) {
			return true
		}
	}
	return false
}

// standing is what stands for a host, as Drover reads and writes it.
type standing struct {
	Weights map[string]int  `json:"weights"`
	Note    json.RawMessage `json:"note"`
}

func (a *adapter) get(w http.ResponseWriter, host string) {
	entry, known, err := a.entry(host)
	switch {
	case err != nil:
		log.Printf("GET %s: %v", host, err)
		w.WriteHeader(http.StatusBadGateway)
	case !known:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("ETag", etag(entry))
		answer(w, read(entry))
	}
}

// put changes a host if all stands that etag was of. It answers a status.
func (a *adapter) put(host, condition string, body []byte) int {
	var to standing
	if json.Unmarshal(body, &to) != nil {
		return http.StatusBadRequest
	}
	next, ok := write(to)
	if !ok {
		return http.StatusUnprocessableEntity
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	entry, known, err := a.entry(host)
	switch {
	case err != nil:
	case !known:
		return http.StatusNotFound
	case condition == "":
		return http.StatusPreconditionRequired
	case condition != etag(entry):
		return http.StatusPreconditionFailed
	default:
		if err = a.set(host, next); err == nil {
			log.Printf("%s: %v", host, to.Weights)
			return http.StatusNoContent
		}
	}
	log.Printf("PUT %s: %v", host, err)
	return http.StatusBadGateway // Drover looks, and tries again
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// etag is of all that stands for a host. Two notes of Drover's are never the same.
func etag(entry string) string {
	sum := sha256.Sum256([]byte(entry))
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// read is what an entry says. One that this adapter has not written is something else to Drover,
// which leaves it.
func read(entry string) standing {
	share, note, _ := strings.Cut(entry, ":")
	n, err := strconv.Atoi(share)
	text, noNote := base64.RawURLEncoding.DecodeString(note)
	if err != nil || noNote != nil || n < 0 || n > 100 || len(text) > 0 && !json.Valid(text) {
		return standing{Weights: map[string]int{"other": 1}}
	}
	s := standing{Weights: map[string]int{onprem: 100 - n, onAWS: n}}
	if len(text) > 0 {
		s.Note = text
	}
	return s
}

// write is the entry that says so; false: HAProxy cannot do that.
func write(s standing) (entry string, ok bool) {
	all := 0
	for name, weight := range s.Weights {
		if name != onprem && name != onAWS || weight < 0 || weight > 1e6 {
			return "", false
		}
		all += weight
	}
	if all == 0 || 100*s.Weights[onAWS]%all != 0 || len(s.Note) > mostNote {
		return "", false
	}
	entry = strconv.Itoa(100 * s.Weights[onAWS] / all)
	if len(s.Note) > 0 && string(s.Note) != "null" {
		var note bytes.Buffer
		if json.Compact(&note, s.Note) != nil {
			return "", false
		}
		entry += ":" + base64.RawURLEncoding.EncodeToString(note.Bytes())
	}
	return entry, true
}

var found = regexp.MustCompile(`found=yes.* value="([^"]*)"`)

// entry is what the map has for a host.
func (a *adapter) entry(host string) (entry string, known bool, err error) {
	says, err := a.tell("get map " + a.file + " " + host)
	if err != nil {
		return "", false, err
	}
	m := found.FindStringSubmatch(says)
	if m == nil && !strings.Contains(says, "found=no") {
		return "", false, errors.New("HAProxy says: " + says)
	}
	if m == nil {
		return "", false, nil
	}
	return m[1], true, nil
}

// set replaces an entry. The map's file has it first: whatever ends here, HAProxy begins the next
// time with all that Drover was told has been done. Where HAProxy then refuses, the file says again
// what HAProxy has; where it does not answer, Drover looks when it does.
func (a *adapter) set(host, entry string) error {
	all, err := a.tell("show map " + a.file)
	if err == nil {
		err = a.keep(all, host, entry)
	}
	if err != nil {
		return err
	}
	says, err := a.tell("set map " + a.file + " " + host + " " + entry)
	if err == nil && says == "" {
		return nil
	}
	if err == nil {
		err = errors.New("HAProxy says: " + says)
	}
	now, known, unknown := a.entry(host)
	switch {
	case unknown != nil || !known:
		return err
	case now == entry: // only its answer was lost
		return nil
	}
	return errors.Join(err, a.keep(all, host, now))
}

// keep writes the file anew: the map as HAProxy shows it, but for one host. It is there whole or as
// it was.
func (a *adapter) keep(all, host, entry string) error {
	var b strings.Builder
	for line := range strings.Lines(all) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 3) // an address in memory, the key, the value
		if len(f) < 3 {
			continue
		}
		if f[1] == host {
			f[2] = entry
		}
		b.WriteString(f[1] + " " + f[2] + "\n")
	}
	f, err := os.OpenFile(a.file+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(b.String())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(a.file+".new", a.file); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(a.file))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// tell gives HAProxy one command and answers what it says.
func (a *adapter) tell(command string) (string, error) {
	conn, err := net.DialTimeout("unix", a.socket, time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := fmt.Fprintln(conn, command); err != nil {
		return "", err
	}
	says, err := io.ReadAll(bufio.NewReader(conn)) // it hangs up after the answer, which ends in a line's end
	if err == nil && len(says) == 0 {
		err = errors.New("HAProxy hung up without an answer")
	}
	return strings.TrimSpace(string(says)), err
}
