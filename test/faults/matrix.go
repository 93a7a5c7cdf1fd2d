package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/drover-migration/drover/lab"
)

const (
	customers  = 8                // of the matrix's lab: each cell has two
	atOnce     = 3                // cells that disturb nobody
	soakLook   = 65 * time.Second // a customer that soaks is looked at within it
	aloftLimit = 4 * time.Minute  // from submit until every customer soaks
)

// matrix is a run of the matrix.
type matrix struct {
	options
	book     *book
	binaries binaries
	began    time.Time
	points   *points

	mu   sync.Mutex
	done map[string]bool // cells that this run has ended
}

// errSpent says that a lab has no customers left that no failed cell has harmed.
var errSpent = errors.New("every customer of the lab was harmed by a cell that failed")

// group is a part of the matrix with surroundings of its own.
type group struct {
	name  string
	cells func(*points) []cell // with the matrix's rig
}

// groups in the order in which they run: the later leave more behind.
func groups() []group {
	return []group{
		{"activities of Move and Customer", func(p *points) []cell { return cross(p.Moves, workerFaults) }},
		{"statements inside the freeze", func(p *points) []cell { return cross(p.Freezes, statementFaults) }},
		{"activities while a customer soaks", func(p *points) []cell { return cross(p.Soaks, workerFaults) }},
		{"hands", func(p *points) []cell { return byHand(p.Moves) }},
		{"Temporal's server", func(p *points) []cell { return atActivities(p.Moves, orchestrator(), "*") }},
		{"databases", func(p *points) []cell { return atStatements(p.Freezes, databases()) }},
		{"links", func(p *points) []cell { return atStatements(p.Freezes, links()) }},
		{"AWS", func(p *points) []cell { return atActivities(p.Moves, cloud(), "FreezeCustomer", "ReconcileRoute") }},
		{"what befalls a customer that soaks, bakes or is frozen, and a plan", func(*points) []cell { return soakCells() }},
		{"clocks", func(*points) []cell { return clockCells() }},
		{"left out", func(*points) []cell { return leftOut() }},
		{"messages out of order", func(*points) []cell { return protocolCells() }},
		{"S3", func(p *points) []cell { return atActivities(p.Moves, store(), "FreezeCustomer") }},
	}
}

// cells are all of the matrix's rig.
func (m *matrix) cells() (out []cell) {
	for _, g := range groups() {
		out = append(out, g.cells(m.points)...)
	}
	return out
}

// due are the cells to run: those that were named, or those that no earlier run has ended.
func (m *matrix) due() (out []cell) {
	for _, c := range m.cells() {
		if m.isDue(c.name) {
			out = append(out, c)
		}
	}
	return out
}

// isDue says whether a cell is to run: it was named, or no earlier run has ended it.
func (m *matrix) isDue(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, known := m.book.has(name)
	return !m.done[name] && matches(m.pattern, name) && (m.pattern != "" || !known)
}

// add writes a result down.
func (m *matrix) add(r result) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done[r.Cell] = true
	return m.book.add(r)
}

// over says that no further cell begins.
func (m *matrix) over(ctx context.Context) bool {
	return ctx.Err() != nil || m.limit > 0 && time.Since(m.began) > m.limit
}

func (m *matrix) loadPoints() error {
	b, err := os.ReadFile(filepath.Join(m.out, pointsFile))
	if err != nil {
		return err
	}
	m.points = &points{}
	return json.Unmarshal(b, m.points)
}

func (m *matrix) list() error {
	if err := m.loadPoints(); err != nil {
		return fmt.Errorf("the points are not derived yet: run the matrix once: %w", err)
	}
	for _, c := range m.cells() {
		fmt.Println(c.name, c.skip)
	}
	for _, c := range m.chains() {
		for _, name := range sorted(c.due) {
			fmt.Println(name)
		}
	}
	return nil
}

// runAll runs what is due.
func (m *matrix) runAll(ctx context.Context) error {
	err := m.loadPoints()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for (m.points == nil || len(m.due()) > 0) && !m.over(ctx) {
		if err := m.shared(ctx); err != nil && !errors.Is(err, errSpent) {
			return err
		}
	}
	for _, c := range m.chains() {
		for struck := -1; len(c.struck) > struck && len(c.struck) < len(c.due) && !m.over(ctx); {
			struck = len(c.struck)
			c.busy = false
			if err := m.runChain(ctx, c); err != nil {
				return err
			}
		}
		if err := m.unreached(ctx, c); err != nil {
			return err
		}
	}
	if err := m.failovers(ctx); err != nil {
		return err
	}
	return m.controls(ctx)
}

// unreached writes down the cells of a chain to which no plan came while no other strike was under
// way. A run that ends before has not tried them.
func (m *matrix) unreached(ctx context.Context, c *chain) error {
	var errs []error
	for _, name := range sorted(c.due) {
		if _, struck := c.struck[name]; !struck && !m.over(ctx) {
			errs = append(errs, m.add(result{Cell: name, At: time.Now(),
				Left: "two plans in a row did not come there while no other strike was under way"}))
		}
	}
	return errors.Join(errs...)
}

// pending are the names of all that is derived and has no result yet.
func (m *matrix) pending() (out []string) {
	if m.points == nil {
		return nil
	}
	names := []string{m.lastCell().name}
	for _, c := range m.cells() {
		names = append(names, c.name)
	}
	for _, f := range chainFaults() {
		for _, x := range m.points.Plans {
			names = append(names, chainCell(f, x))
		}
	}
	for _, f := range failovers() {
		names = append(names, f.name)
	}
	for _, c := range controls {
		names = append(names, c.result())
	}
	for _, n := range names {
		if _, known := m.book.has(n); !known {
			out = append(out, n)
		}
	}
	return out
}

// shared runs the cells that share one lab.
func (m *matrix) shared(ctx context.Context) error {
	if slices.ContainsFunc(clockCells(), func(c cell) bool { return m.isDue(c.name) }) {
		m.say("the product is built with a clock that can be off")
		skewable, clean, err := buildSkewable(ctx)
		if err != nil {
			return err
		}
		defer clean()
		m.binaries.skewable = skewable
	}
	r, err := startRig(ctx, m.tools, filepath.Join(m.out, "faults-lab"), m.binaries, shape(customers))
	if err != nil {
		return err
	}
	defer r.Close()
	m.say("the lab is up")
	if err := r.aloft(ctx, aloftLimit); err != nil {
		return errors.Join(err, r.Keep(context.WithoutCancel(ctx), filepath.Join(m.out, "faults-kept")))
	}
	m.say("%d customers soak on AWS", customers)
	if m.points == nil {
		if m.points, err = r.derive(ctx, soakLook); err != nil {
			return err
		}
		b, err := json.MarshalIndent(m.points, "", " ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(m.out, pointsFile), b, 0o644); err != nil {
			return err
		}
		m.say("derived %d points of Moves, %d statements, %d of the soak, %d of the plan", len(m.points.Moves), len(m.points.Freezes),
			len(m.points.Soaks), len(m.points.Plans))
	}
	if err := m.play(ctx, r, m.due()); err != nil {
		return err
	}
	last := m.lastCell()
	if m.over(ctx) || !m.isDue(last.name) {
		return nil
	}
	all := r.Shape.Customers()
	_, err = m.one(ctx, r, last, [2]lab.Customer{all[0], all[1]})
	return err
}

func (m *matrix) say(format string, args ...any) {
	fmt.Printf("%6.1fs  %s\n", time.Since(m.began).Seconds(), fmt.Sprintf(format, args...))
}

// play runs cells: several at once, or one alone where others would feel it.
func (m *matrix) play(ctx context.Context, r *rig, due []cell) error {
	slices.SortStableFunc(due, func(a, b cell) int { return cmp.Compare(number(a.alone), number(b.alone)) })
	free := make(chan [2]lab.Customer, customers/2)
	all := r.Shape.Customers()
	for i := 0; i+1 < len(all); i += 2 {
		free <- [2]lab.Customer{all[i], all[i+1]}
	}
	whole := len(all) / 2
	var under sync.RWMutex // a cell that is alone has it for itself
	slots := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	spent := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return whole == 0
	}
	for _, c := range due {
		slots <- struct{}{}
		if m.over(ctx) || spent() {
			break
		}
		running.Go(func() {
			defer func() { <-slots }()
			if c.alone {
				under.Lock()
				defer under.Unlock()
			} else {
				under.RLock()
				defer under.RUnlock()
			}
			if spent() {
				return
			}
			pair := <-free
			harmed, err := m.one(ctx, r, c, pair)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			if harmed {
				whole--
			}
			if !harmed || whole == 0 { // nobody waits for a pair that does not come
				free <- pair
			}
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil || whole > 0 {
		return err
	}
	return errSpent
}

// one runs a cell and writes its result down. It says whether the cell has harmed its customers so
// that they are of no use to another.
func (m *matrix) one(ctx context.Context, r *rig, c cell, pair [2]lab.Customer) (harmed bool, err error) {
	if m.over(ctx) {
		return false, nil
	}
	if c.skip != "" {
		return false, m.add(result{Cell: c.name, Left: c.skip, At: time.Now()})
	}
	res := r.run(ctx, c, pair[0], pair[1])
	if ctx.Err() != nil {
		return false, nil //nolint:nilerr // it was interrupted, and says nothing
	}
	if !res.Passed {
		_, rests := r.await(ctx, pair[0].ID, lease, resting)
		harmed = !rests || res.Lost+res.Doubled+res.Misplaced > 0
	}
	word := "ok"
	if !res.Passed {
		word = "FAILED"
	}
	m.say("%-6s %5.1fs  %s  %s", word, res.Seconds, c.name, res.Resolved)
	for _, b := range res.Broken {
		m.say("        %s", b)
	}
	return harmed, m.add(res)
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
