package report_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/goldenfile"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/board"
	"github.com/drover-migration/drover/web/report"
	"github.com/drover-migration/drover/web/webtest"
)

// story is a plan of two batches: in the first, freezes of 10, 20, ... 100 ms, a customer that went
// back, one that is held with a reason that is no markup; in the second nobody has moved.
func story(t *testing.T) *board.Snapshot {
	w := webtest.New("shop", 20, 2)
	w.SetPlan(func(m *migration.MigrationStatus) {
		m.Workloads[0].Copied = []migration.Copied{{VM: "web-01", Disks: []migration.DiskImage{{Blocks: 12_345, AsOf: webtest.Start}}}}
	})
	w.SetBatch(0, func(b *migration.BatchStatus) {
		b.Phase = migration.BatchDone
		b.Approvals = []migration.Event{{At: webtest.Start.Add(time.Hour), What: "approve", By: "ann", Why: "CHG-1040"}}
	})
	for i, id := range w.IDs()[:10] {
		w.SetCustomer(id, func(c *migration.CustomerStatus) {
			opened := webtest.Start.Add(2*time.Hour + time.Duration(i)*time.Minute)
			freeze := time.Duration(i+1) * 10 * time.Millisecond
			c.Phase, c.Home, c.Token, c.Tries, c.Until = migration.CustomerSoaking, migration.AWS, 1, 1, opened.Add(72*time.Hour)
			c.Moves = []migration.MoveResult{{Outcome: migration.MoveDone, Try: migration.Try{Token: 1}, From: migration.OnPrem,
				To: migration.AWS, Fenced: opened.Add(-freeze), Opened: opened, Routed: opened.Add(300 * time.Millisecond),
				Freeze: migration.Duration(freeze), Predicted: migration.Duration(95 * time.Millisecond), Rows: 100_000, Objects: 7}}
			c.Verdict = &migration.Verdict{Outcome: migration.Pass, Samples: 100, Errors: i % 2, At: opened.Add(10 * time.Minute)}
			requests := &migration.Requests{Failed: &migration.Count{N: int64(i % 3)}, Retried: &migration.Count{N: 1_000}}
			if c.Moves[0].Requests = requests; i == 7 {
				requests.Failed, requests.Retried = &migration.Count{Why: "it answers 503"}, nil
			}
			switch i {
			case 3:
				c.Phase, c.Home, c.Tries = migration.CustomerHeld, migration.OnPrem, 3
				c.Moves, c.Verdict, c.Reason = nil, nil, "<script>alert(1)</script> stops it"
			case 5:
				c.Phase, c.Home, c.Cause = migration.CustomerRolledBack, migration.OnPrem, migration.ByVerdict
				c.Moves = append(c.Moves, migration.MoveResult{Outcome: migration.MoveDone, Try: migration.Try{Token: 2},
					From: migration.AWS, To: migration.OnPrem, Fenced: opened.Add(time.Minute),
					Opened: opened.Add(time.Minute + time.Second),
					Freeze: migration.Duration(time.Second), Rows: 100_001, Objects: 7, Reason: "3 probes of 3 failed"})
			}
		})
	}
	f, err := board.NewHub(t.Context(), w, time.Hour).Follow(t.Context(), "shop")
	require.NoError(t, err)
	s := *f.Snapshot(t.Context())
	s.At = webtest.Start.Add(4 * time.Hour)
	s.Status.Digest = "0123456789abcdef" // that of the plan changes with every field that plans get
	return &s
}

func write(t *testing.T, s *board.Snapshot, batch string) (string, *html.Node) {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, report.Write(&b, s, report.Options{Batch: batch, Clock: board.Clock{Zone: time.FixedZone("EET", 2*60*60)}}))
	page, err := html.Parse(bytes.NewReader(b.Bytes()))
	require.NoError(t, err)
	return b.String(), page
}

// walk visits every element.
func walk(n *html.Node, visit func(*html.Node)) {
	if n.Type == html.ElementNode {
		visit(n)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		walk(c, visit)
	}
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	var down func(*html.Node)
	down = func(n *html.Node) {
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			down(c)
		}
	}
	down(n)
	return strings.ReplaceAll(strings.Join(strings.Fields(strings.ReplaceAll(b.String(), "\u202f", "_")), " "), "_", ",")
}

// section is the part of the page with an id.
func section(t *testing.T, page *html.Node, id string) (found *html.Node) {
	t.Helper()
	walk(page, func(n *html.Node) {
		if attr(n, "id") == id {
			found = n
		}
	})
	require.NotNil(t, found, "no section %s", id)
	return found
}

// rows are the rows of a section's table, each as the text of its cells.
func rows(t *testing.T, page *html.Node, id string) (out [][]string) {
	walk(section(t, page, id), func(n *html.Node) {
		if n.Data != "tr" || n.Parent.Data != "tbody" {
			return
		}
		var cells []string
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			if c.Type == html.ElementNode {
				cells = append(cells, text(c))
			}
		}
		out = append(out, cells)
	})
	return out
}

func TestTheScoreIsWhatTheMovesMeasured(t *testing.T) {
	_, page := write(t, story(t), "")
	got := map[string]string{}
	walk(section(t, page, "score"), func(n *html.Node) {
		if n.Data == "div" {
			var words []string
			for c := n.FirstChild; c != nil; c = c.NextSibling {
				words = append(words, text(c))
			}
			got[words[0]] = words[1]
		}
	})
	// Ten Moves: 10 to 100 ms without the 40 of the one that is held, and 1 s back.
	require.Equal(t, map[string]string{
		"On AWS": "8 of 20", "Freeze, p50": "60ms", "Freeze, p99": "1s", "Freeze, longest": "1s 8 of 9 not longer than predicted",
		"Longest stall": "400ms from the fence until the route follows", "Went back": "1", "Held": "1", "More than one try": "1 customers",
		"Disk blocks compared": "12,345 of all workloads: written and read back",
		"Rows compared":        "1,000,001", "Objects compared": "70", "Bytes copied": "5.0 GiB by all workloads and datasets",
		"Probes failed":   "4 of 900 after the Moves to AWS",
		"Requests failed": "8 counted in 8 of 10 Moves", "Requests retried": "8,000 counted in 8 of 10 Moves",
	}, got)
}

// Nobody has counted is no number, and not 0.
func TestTheScoreSaysThatRequestsOfUsersAreNotMeasured(t *testing.T) {
	s := story(t)
	for i := range s.Customers {
		c := &s.Customers[i]
		c.Status.Moves = slices.Clone(c.Status.Moves)
		for j := range c.Status.Moves {
			c.Status.Moves[j].Requests = nil
		}
	}
	_, page := write(t, s, "")
	score := text(section(t, page, "score"))
	require.Contains(t, score, "Requests failed – not measured: the plan names no query")
	require.Contains(t, score, "Requests retried – not measured: the plan names no query")
	require.Equal(t, []string{"–", "–"}, rows(t, page, "customers")[1][8:10])
}

func TestTheTablesSayWhoWhenAndWhy(t *testing.T) {
	_, page := write(t, story(t), "")
	batches := rows(t, page, "batches")
	require.Len(t, batches, 2)
	require.Equal(t, []string{"wave-01 CHG-1040", "It is through: 8 on AWS, 1 back on premises, 1 held.",
		"Wed 2 Dec 2026 22:00 to Thu 3 Dec 02:00 EET kept: its last Move to AWS ended at Thu 3 Dec 2026 00:09:00 EET", "8 of 10", "1", "1",
		"60ms", "1s", "1s", "400ms", "8", "8,000", "8 of 9", "1,000,001", "70"}, batches[0])
	require.Equal(t, []string{"0 of 10", "0", "0", "–", "–", "–", "–", "–", "–", "–", "0", "0"}, batches[1][3:])
	require.Equal(t, [][]string{{"cust-00005 Customer 5", "wave-01", "Thu 3 Dec 2026 00:06:01 EET", "its own health",
		"3 probes of 3 failed", "1s"}}, rows(t, page, "back"))
	customers := rows(t, page, "customers")
	require.Len(t, customers, 20)
	require.Equal(t, []string{"cust-00001 Customer 1", "wave-01", "aws", "● on AWS, can go back", "Thu 3 Dec 2026 00:01:00 EET", "20ms",
		"95ms", "320ms", "1", "1,000", "1", "100,000", "7", "pass: 1 of 100 samples failed", ""}, customers[1])
	require.Equal(t, "<script>alert(1)</script> stops it", customers[3][14], "a reason is text")
	require.Equal(t, "onprem", customers[19][2])
	require.Equal(t, [][]string{
		{"workload web", "replicating", "2.0 GiB of 8.0 GiB", "2m30s", "1 disk as of Wed 2 Dec 2026 22:00 EET, 12345 blocks written and " +
			"read back", ""},
		{"dataset orders", "ready", "3.0 GiB of 3.0 GiB", "–", "all that was written before Thu 3 Dec 2026 01:00 EET is on both sides",
			"lag under 0.1s"},
	}, rows(t, page, "copies"))
	decisions := rows(t, page, "decisions")
	require.Equal(t, []string{"Wed 2 Dec 2026 23:00:00 EET", "batch wave-01 approved", "ann", "CHG-1040"}, decisions[0])
}

// TestTheChartHasEveryMove holds the pictures to the numbers.
func TestTheChartHasEveryMove(t *testing.T) {
	_, page := write(t, story(t), "")
	moves, charts := 0, 0
	walk(section(t, page, "freezes"), func(n *html.Node) {
		switch n.Data {
		case "svg":
			charts++
		case "title":
			if _, after, ok := strings.Cut(text(n), ": Moves "); ok {
				count, err := strconv.Atoi(after)
				require.NoError(t, err)
				moves += count
			}
		case "rect":
			require.NotEmpty(t, attr(n, "width"))
			require.NotContains(t, attr(n, "width"), "-", "a bar is not narrower than nothing")
		}
	})
	require.Equal(t, 2, charts)
	require.Equal(t, 10, moves)
}

// TestThePageNeedsNothingBesidesItself: no script, and nothing that a browser would fetch.
func TestThePageNeedsNothingBesidesItself(t *testing.T) {
	source, page := write(t, story(t), "")
	walk(page, func(n *html.Node) {
		require.NotContains(t, []string{"script", "link", "img", "iframe", "object", "image", "use", "form", "base"}, n.Data)
		for _, a := range n.Attr {
			require.NotContains(t, []string{"src", "href", "srcset", "action", "background", "onload", "style"}, a.Key)
		}
	})
	require.NotContains(t, source, "url(")
	require.NotContains(t, source, "@import")
	require.NotContains(t, source, "://")
	require.NotContains(t, source, "ZgotmplZ", "the template refused a value")
	require.Contains(t, source, `content="default-src 'none'; style-src 'unsafe-inline'"`)
	require.NotContains(t, source, "cs-0@example.com", "contacts are nobody's business here")
}

func TestAReportOfOneBatchHasItsCustomersOnly(t *testing.T) {
	source, page := write(t, story(t), "wave-02")
	require.Len(t, rows(t, page, "batches"), 1)
	require.Len(t, rows(t, page, "customers"), 10)
	require.NotContains(t, source, "cust-00001")
	require.Contains(t, source, "Nobody has moved yet.")

	err := report.Write(&bytes.Buffer{}, story(t), report.Options{Batch: "nonsense", Clock: board.NewClock("")})
	require.True(t, errors.Is(err, client.ErrNotFound), "%v", err)
}

// TestThePageAsItIs holds the whole page; UPDATE_GOLDEN=1 writes it, to be looked at in a browser.
func TestThePageAsItIs(t *testing.T) {
	source, _ := write(t, story(t), "")
	goldenfile.Equal(t, filepath.Join("testdata", "report.html"), source)
}

func TestTenThousandCustomersAreOnePage(t *testing.T) {
	f, err := board.NewHub(t.Context(), webtest.New("shop", 10_000, 20), time.Hour).Follow(t.Context(), "shop")
	require.NoError(t, err)
	source, page := write(t, f.Snapshot(t.Context()), "")
	require.Len(t, rows(t, page, "customers"), 10_000)
	require.Less(t, len(source), 8<<20)
}
