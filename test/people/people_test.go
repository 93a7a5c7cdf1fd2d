package people

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/evidence"
	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/notify/notifytest"
)

// settleLimit is far more than the longest of what is waited for: a step of an escalation, which is
// a minute, or a look at the soak.
const settleLimit = 150 * time.Second

func eventually(ok func() bool) bool {
	for deadline := time.Now().Add(settleLimit); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}

// world is a lab whose plan tells people, and those who are told.
type world struct {
	*testing.T
	ctx    context.Context
	lab    *lab.Lab
	client *client.Client
	drover string
	dir    string

	hook   *notifytest.Receiver   // fails, hangs up, then takes what comes
	office *notifytest.PostOffice // puts off the first letter
	pager  *subscriber
	public string // file of the key that evidence is verified with
	board  string // address
	token  string // of somebody of customer-success
}

// subscriber is somebody to whom a topic sends.
type subscriber struct {
	*httptest.Server
	mu   sync.Mutex
	came []string
}

func (s *subscriber) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.came, "\n")
}

func newSubscriber(t *testing.T) *subscriber {
	s := &subscriber{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.came = append(s.came, string(body))
	}))
	t.Cleanup(s.Close)
	return s
}

// said is what the plan says beside the lab's.
const said = `
evidence: {key: "file://KEY"}
notify:
  channels:
    hook: {webhook: {url: "HOOK", secret: env://HOOK}}
    mail: {email: {server: "SMTP", from: drover@example.com, credentials: env://SMTP, caFile: "CA"}}
    pager: {sns: {target: prod, topic: "TOPIC"}}
  contacts:
    room: {channel: hook}
    oncall: {channel: pager}
    lead: {channel: mail, address: lead@example.com}
    customer: {channel: mail, address: "{contact}"}
  rules:
    - {audience: operators, events: [batch-waits], to: [room, oncall], escalate: [{after: 1m, to: [lead]}, {after: 1m, to: [oncall]}]}
    - {audience: operators, events: [batch-done], to: [room]}
    - {audience: customers, events: [done], to: [customer]}
`

func newWorld(ctx context.Context, t *testing.T) *world {
	tools, bin := tooltest.Dir(t, "bin/temporal", "bin/versitygw", "pg/bin/postgres"), tooltest.Binaries(t)
	w := &world{T: t, ctx: ctx, drover: filepath.Join(bin, "drover"), dir: t.TempDir(),
		hook:  notifytest.NewReceiver(t, http.StatusServiceUnavailable, 0, http.StatusOK),
		pager: newSubscriber(t),
		office: (&notifytest.PostOffice{Refuse: []error{&smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1},
			Message: "greylisted, come again"}}}).Open(t, "starttls"),
	}
	shape := lab.SmallShape(2)
	shape.Soak, shape.Batches[0].Approvals = "3s", 1
	var err error
	w.lab, err = lab.Start(ctx, lab.Options{Shape: shape, Tools: tools, Dir: filepath.Join(t.TempDir(), "lab"),
		Self: filepath.Join(bin, "lab")})
	require.NoError(t, err)
	t.Cleanup(w.lab.Close)
	w.client, err = w.lab.Client(ctx)
	require.NoError(t, err)
	require.NoError(t, w.client.EnsureSearchAttributes(ctx, "default"))

	topics := sns.NewFromConfig(w.lab.AWSConfig())
	name, protocol := "drover", "http"
	topic, err := topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: &name})
	require.NoError(t, err)
	_, err = topics.Subscribe(ctx, &sns.SubscribeInput{TopicArn: topic.TopicArn, Protocol: &protocol, Endpoint: &w.pager.URL})
	require.NoError(t, err)

	private := filepath.Join(w.dir, "evidence.pem")
	w.public = filepath.Join(w.dir, "evidence-public.pem")
	require.NoError(t, os.WriteFile(w.public, []byte(w.run("evidence", "key", private)), 0o600))
	t.Setenv("HOOK", "whsec_"+base64.StdEncoding.EncodeToString([]byte("a secret of more than 24 bytes")))
	t.Setenv("SMTP", `{"username": "drover", "password": "hunter2"}`)
	w.addToPlan(strings.NewReplacer("KEY", private, `"HOOK"`, `"`+w.hook.URL+`"`, `"SMTP"`, `"`+w.office.Address+`"`, `"CA"`,
		`"`+w.office.CAFile+`"`, `"TOPIC"`, `"`+*topic.TopicArn+`"`).Replace(said))
	_, err = w.lab.StartWorker("worker", w.drover, "", "--site", "dc1", "--metrics-listen", "127.0.0.1:0", "--log-level", "info")
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.lab.WorkerLog(40))
		}
	})
	w.openBoard()
	return w
}

func (w *world) addToPlan(text string) {
	f, err := os.OpenFile(w.lab.Plan, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(w, err)
	_, err = f.WriteString(text)
	require.NoError(w, errors.Join(err, f.Close()))
}

// openBoard serves the board, for somebody of customer-success.
func (w *world) openBoard() {
	made := regexp.MustCompile(`alone: (\S+)\nline for the file: +(.+)`).FindStringSubmatch(w.run("web", "token", "cs", "--role", "success"))
	require.Len(w, made, 3)
	w.token = made[1]
	tokens := filepath.Join(w.dir, "tokens")
	require.NoError(w, os.WriteFile(tokens, []byte(made[2]+"\n"), 0o600))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w, err)
	at := l.Addr().String()
	require.NoError(w, l.Close())
	w.board = "http://" + at
	_, err = w.lab.StartCommand("board", w.drover, "web", "--listen", at, "--tokens", tokens)
	require.NoError(w, err)
}

// exec runs the product's command in the lab, and answers what it printed and its exit code.
func (w *world) exec(env []string, args ...string) (string, int) {
	w.Helper()
	cmd := exec.CommandContext(w.ctx, w.drover, args...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil {
		require.ErrorAs(w, err, &exit, "drover %v: %s", args, out)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func (w *world) run(args ...string) string {
	w.Helper()
	out, code := w.exec(w.lab.Environ(), args...)
	require.Zero(w, code, "drover %v: %s", args, out)
	return out
}

// page is a page of the board, as somebody of customer-success sees it.
func (w *world) page(path string) string {
	w.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(w, err)
	b := &http.Client{Jar: jar}
	var body []byte
	require.True(w, eventually(func() bool {
		res, err := b.PostForm(w.board+"/signin/token", url.Values{"token": {w.token}, "back": {path}})
		if err != nil {
			return false
		}
		defer func() { _ = res.Body.Close() }()
		body, err = io.ReadAll(res.Body)
		return err == nil && res.StatusCode == http.StatusOK
	}), "%s", body)
	return string(body)
}

// TestPeopleAreToldAndCanProveWhatWasDone is a batch's evening: it waits for an approval, of which
// people are told until somebody looks after it; it moves, its customers hear that, and its
// evidence is verified by somebody who has nothing but the bundle and the public key.
func TestPeopleAreToldAndCanProveWhatWasDone(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
	defer cancel()
	w := newWorld(ctx, t)
	preview := w.run("notify", "preview", w.lab.Plan)
	require.Contains(t, preview, "== done of acme, for customers\nTo:      customer, by email to it@acme.example")
	w.run("submit", w.lab.Plan, "--by", "lead")
	id := w.untilSomebodyLooksAfterIt()

	w.run("approve", w.lab.Shape.Name, "all", "--by", "head-of-operations", "--reason", "CHG-1042")
	for _, c := range w.lab.Shape.Customers() {
		require.True(t, eventually(func() bool {
			s, err := w.client.Customer(ctx, w.lab.Shape.Name, c.ID)
			return err == nil && s.Phase == migration.CustomerFinished && s.Home == migration.AWS
		}), "customer %s is not through", c.ID)
	}
	t.Run("customers and the room are told", func(t *testing.T) { w.told(t, id) })
	t.Run("the page answers who looks at it", func(t *testing.T) { w.answered(t) })
	t.Run("messages are counted", func(t *testing.T) { w.counted(t) })
	t.Run("evidence", func(t *testing.T) { w.proved(t) })
}

// untilSomebodyLooksAfterIt is how people are told that the batch waits, until one of them says
// that they look after it. It answers what that has as its id.
func (w *world) untilSomebodyLooksAfterIt() (id string) {
	plan := w.lab.Shape.Name
	var ask migration.Ask
	var is migration.MessagesStatus
	read := func() bool {
		s, err := w.client.Messages(w.ctx, plan, "")
		if is = s; err != nil || len(is.Asks) != 1 {
			return false
		}
		ask = is.Asks[0]
		return true
	}
	require.True(w, eventually(func() bool { return read() && len(ask.Told) == 3 }), "not all are told: %+v", is)
	id = ask.ID
	require.ElementsMatch(w, []string{"room", "oncall", "lead"}, ask.Told, "the lead after a minute without an answer")
	require.Equal(w, migration.NoticeBatchWaits, ask.Kind)

	bodies, headers := w.hook.Posts()
	require.Len(w, bodies, 3, "it failed, hung up, and took it")
	for i, h := range headers {
		require.Equal(w, headers[0].Get("Idempotency-Key"), h.Get("Idempotency-Key"))
		require.Contains(w, bodies[i], "drover ack "+plan+" "+id)
	}
	require.Contains(w, w.pager.heard(), "drover ack "+plan+" "+id)
	letters, texts := w.office.Taken()
	require.Len(w, letters, 1, "it was put off once")
	require.Contains(w, letters[0].Header.Get("To"), "lead@example.com")
	require.Contains(w, letters[0].Header.Get("Subject"), "Nobody has answered yet")
	require.Contains(w, texts[0], id)

	require.Contains(w, w.run("status", plan), "drover ack "+plan+" "+id)
	require.Contains(w, w.page("/m/"+plan), "Told: ", "the board says who was told")
	w.run("ack", plan, id, "--by", "ann")
	out, code := w.exec(w.lab.Environ(), "ack", plan, id, "--by", "bob")
	require.Equal(w, 4, code, "refused: %s", out)
	require.Contains(w, out, "ann looks after")
	require.True(w, read())
	require.Equal(w, "ann", ask.Taken.By)
	require.Zero(w, is.Waiting, "nobody else is told: %+v", is.Pending)
	return id
}

func (w *world) told(t *testing.T, id string) {
	var to []string
	require.True(t, eventually(func() bool {
		letters, _ := w.office.Taken()
		bodies, _ := w.hook.Posts()
		to = nil
		for _, l := range letters {
			to = append(to, strings.Trim(l.Header.Get("To"), "<>"))
		}
		return len(to) == 3 && strings.Contains(bodies[len(bodies)-1], `"drover.batch-done"`)
	}), "told: %v", to)
	require.ElementsMatch(t, []string{"lead@example.com", "it@acme.example", "it@birch.example"}, to)
	seen := map[string]bool{}
	letters, _ := w.office.Taken()
	for _, l := range letters {
		require.False(t, seen[l.Header.Get("Message-ID")], "each letter once")
		seen[l.Header.Get("Message-ID")] = true
	}
	require.Equal(t, 1, strings.Count(w.pager.heard(), "drover ack "+w.lab.Shape.Name+" "+id),
		"what somebody looks after escalates no further")
	require.Contains(t, w.run("status", w.lab.Shape.Name, "--customer", "acme"), "done of acme: told customer")
}

// answered reads the page until the board, which reads a batch every few seconds, has read that it
// is through.
func (w *world) answered(t *testing.T) {
	want := []string{"Yes, it is on AWS.", "Writes waited for ", "customer (it@acme.example), that it has moved, on ",
		"No longer by itself: its soak has ended."}
	var page string
	require.True(t, eventually(func() bool {
		page = w.page("/m/" + w.lab.Shape.Name + "/c/acme")
		return !slices.ContainsFunc(want, func(s string) bool { return !strings.Contains(page, s) })
	}), "it does not say all of %q: %s", want, page)
}

func (w *world) counted(t *testing.T) {
	at := regexp.MustCompile(`http://\S+/metrics`).FindString(w.lab.WorkerLog(1 << 20))
	require.NotEmpty(t, at)
	res, err := http.Get(at)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	require.NoError(t, err)
	counted := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^drover_messages_total\{channel="(.+)",plan="orders",result="(.+)"\} (\d+)$`).
		FindAllStringSubmatch(string(body), -1) {
		counted[m[1]+" "+m[2]] = m[3]
	}
	// Who hangs up has failed, or is asked again at once by Go's own transport: it may repeat what
	// has an Idempotency-Key.
	require.Contains(t, []string{"1", "2"}, counted["hook failed"])
	delete(counted, "hook failed")
	require.Equal(t, map[string]string{"hook delivered": "2", "hook refused": "0", "mail failed": "1", "mail delivered": "3",
		"mail refused": "0", "pager delivered": "1", "pager failed": "0", "pager refused": "0"}, counted)
}

// proved holds the bundle that the batch left: in the state bucket, fetched by the command, and in
// the hands of somebody who has no network and no Temporal.
func (w *world) proved(t *testing.T) {
	var wrote string
	file := filepath.Join(w.dir, w.lab.Shape.Name+"-all-evidence.jsonl")
	require.True(t, eventually(func() bool {
		wrote = w.run("evidence", w.lab.Shape.Name, "--dir", w.dir)
		return strings.Contains(wrote, "as kept in s3://drover-state/")
	}), "the batch has ended, and left no evidence: %s", wrote)
	text, err := os.ReadFile(file)
	require.NoError(t, err)

	key := strings.TrimPrefix(regexp.MustCompile(`s3://\S+jsonl`).FindString(wrote), "s3://drover-state/")
	require.NotEmpty(t, key, wrote)
	bucket := "drover-state"
	got, err := w.lab.S3().GetObject(w.ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	require.NoError(t, err)
	stored, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	require.Equal(t, string(stored), string(text))

	offline := []string{"PATH=/nowhere", "HOME=" + w.dir}
	out, code := w.exec(offline, "evidence", "verify", file, "--key", w.public)
	require.Zero(t, code, out)
	require.Contains(t, out, "batch all: done at ")
	w.holds(t, string(text))

	other, err := identity.WriteKey(filepath.Join(t.TempDir(), "another.pem")) // which nobody trusts
	require.NoError(t, err)
	lines := slices.Collect(bytes.Lines(text))
	records := lines[:len(lines)-1]
	var again [][]byte
	for _, l := range records {
		again = append(again, bytes.TrimSuffix(l, []byte("\n")))
	}
	resigned, err := evidence.Seal(again, other)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		text []byte
		line string // that is named
	}{
		"a changed line": {bytes.Replace(text, []byte("head-of-operations"), []byte("head-of-marketing"), 1), "line "},
		"a missing line": {bytes.Join(append(append([][]byte{}, lines[:2]...), lines[3:]...), nil), "line 3"},
		"a moved line":   {bytes.Join(append([][]byte{lines[1], lines[0]}, lines[2:]...), nil), "line 1"},
		"an added line":  {bytes.Join(append([][]byte{lines[0], lines[0]}, lines[1:]...), nil), "line 2"},
		"no signature":   {bytes.Join(records, nil), "signature"},
		"another's key":  {resigned, "sign"},
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			require.NotEqual(t, string(text), string(c.text))
			forged := filepath.Join(w.dir, "forged.jsonl")
			require.NoError(t, os.WriteFile(forged, c.text, 0o600))
			out, code := w.exec(offline, "evidence", "verify", forged, "--key", w.public)
			require.Equal(t, 1, code, out)
			require.Contains(t, out, c.line)
		})
	}
}

// holds wants in a bundle what an auditor asks for, and nothing of customers beyond their ids.
func (w *world) holds(t *testing.T, text string) {
	kinds := map[string]int{}
	for line := range strings.Lines(text) {
		var r struct {
			Kind string `json:"kind"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &r))
		kinds[r.Kind]++
		if r.Kind == "approval" {
			require.Contains(t, line, "head-of-operations")
		}
	}
	require.Equal(t, map[string]int{"batch": 1, "software": 2, "approval": 1, "customer": 2, "move": 2, "verdict": 2, "copy": kinds["copy"],
		"event": kinds["event"], "": 1}, kinds)
	for _, personal := range []string{"it@acme.example", "Acme Ltd"} {
		require.NotContains(t, text, personal)
	}
}
