package web_test

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/webtest"
)

// TestManyViewersOfALargeMigration is the board under load. Alone it is small; `make test-web`
// makes it 500 viewers on 10,000 customers.
func TestManyViewersOfALargeMigration(t *testing.T) {
	viewers, customers := sized(t)
	w := webtest.New("shop", customers, customers/100)
	w.SetBatch(0, func(b *migration.BatchStatus) { b.Phase = migration.BatchCuttingOver })
	s := serve(t, w, plenty)
	mustGet(t, s, s.as(t, access.Viewer), "/m/shop") // the first reading is not what a viewer waits for

	crowd := make([]*viewer, viewers)
	for i := range crowd {
		crowd[i] = &viewer{site: s, heard: make(chan time.Duration, 1)}
		crowd[i].open(t)
	}
	var all sync.WaitGroup
	paints := make([]time.Duration, viewers)
	for i, v := range crowd { // fifty a second come, while those before them stay
		time.Sleep(20 * time.Millisecond)
		all.Go(func() { paints[i] = v.paint() })
	}
	all.Wait()
	slices.Sort(paints)

	asked, from := w.Asked.Load(), time.Now()
	changed.Store(time.Now().UnixNano())
	w.SetCustomer("cust-00000", func(c *migration.CustomerStatus) { moved(c, time.Now()) })
	seen := make([]time.Duration, viewers)
	for i, v := range crowd {
		select {
		case seen[i] = <-v.heard:
		case <-time.After(30 * time.Second):
			t.Fatalf("viewer %d has not seen the change", i)
		}
	}
	slices.Sort(seen)
	rounds := int64(time.Since(from)/(50*time.Millisecond)) + 2
	each := (w.Asked.Load() - asked) / rounds
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	t.Logf("%d viewers, %d customers: first paint p50 %s p99 %s max %s; a change seen p50 %s p99 %s max %s; "+
		"%d questions a reading; heap %d MiB",
		viewers, customers, paints[viewers/2], paints[viewers*99/100], paints[viewers-1], seen[viewers/2], seen[viewers*99/100],
		seen[viewers-1],
		each, memory.HeapAlloc>>20)
	require.LessOrEqual(t, each, int64(4), "one reader, however many look: the execution, the status, the batch that moves")
	require.Less(t, memory.HeapAlloc, uint64(512<<20))
	if os.Getenv("DROVER_WEB_VIEWERS") != "" { // times mean nothing where other tests run beside
		require.Less(t, paints[viewers*99/100], time.Second)
		require.Less(t, seen[viewers-1], 2*time.Second)
	}
}

// changed is when the change was made.
var changed atomic.Int64

func sized(t *testing.T) (viewers, customers int) {
	t.Helper()
	viewers, customers = 40, 1000
	for name, to := range map[string]*int{"DROVER_WEB_VIEWERS": &viewers, "DROVER_WEB_CUSTOMERS": &customers} {
		if v := os.Getenv(name); v != "" {
			n, err := strconv.Atoi(v)
			require.NoError(t, err, name)
			*to = n
		}
	}
	return viewers, customers
}

// viewer is somebody whose page is open: it hears of changes and asks for the new content, as the
// page's scripts do.
type viewer struct {
	site  *site
	http  *http.Client
	heard chan time.Duration
}

func (v *viewer) open(t *testing.T) {
	t.Helper()
	b := v.site.as(t, access.Viewer)
	v.http = &http.Client{Jar: b.Jar, Transport: &http.Transport{}}
	t.Cleanup(v.http.CloseIdleConnections)
}

// paint loads the page and begins to listen; it says how long the page took.
func (v *viewer) paint() time.Duration {
	from := time.Now()
	if _, err := v.fetch(false); err != nil {
		return time.Hour
	}
	took := time.Since(from)
	res, err := v.http.Get(v.site.URL + "/m/shop/events?v=1") //nolint:bodyclose // the stream ends with the board
	if err != nil {
		return time.Hour
	}
	go func() {
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			if !strings.HasPrefix(lines.Text(), "event: changed") {
				continue
			}
			page, err := v.fetch(true)
			if at := changed.Load(); err == nil && at > 0 && strings.Contains(page, "on AWS, can go back") {
				v.heard <- time.Since(time.Unix(0, at))
				return
			}
		}
	}()
	return took
}

func (v *viewer) fetch(part bool) (string, error) {
	r, err := http.NewRequest(http.MethodGet, v.site.URL+"/m/shop?state=can-go-back", nil)
	if err != nil {
		return "", err
	}
	if part {
		r.Header.Set("HX-Request", "true")
	}
	res, err := v.http.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}
