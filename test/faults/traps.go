package main

import (
	"encoding/binary"
	"regexp"
	"strings"
	"sync"

	"github.com/drover-migration/drover/lab/gate"
	pggate "github.com/drover-migration/drover/lab/pg/gate"
	"github.com/drover-migration/drover/migration"
)

// trap waits for a point and acts there, once. While do runs, what has come there is held; do says
// whether it passes.
type trap struct {
	activity func(gate.Event) bool // one of the two
	sql      func(statement, pggate.When) bool
	do       func(*hand) bool // the worker is nil at a statement that no freeze has begun
	hit      chan struct{}
	sprung   bool
}

// set sets a trap.
func (r *rig) set(t *trap) *trap {
	t.hit = make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.traps = append(r.traps, t)
	return t
}

// unset takes a trap away. One that has sprung goes on.
func (r *rig) unset(t *trap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, x := range r.traps {
		if x == t {
			r.traps = append(r.traps[:i], r.traps[i+1:]...)
			return
		}
	}
}

// spring finds the trap that something has come to.
func (r *rig) spring(meets func(*trap) bool) *trap {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.traps {
		if !t.sprung && meets(t) {
			t.sprung = true
			return t
		}
	}
	return nil
}

// passed is the hook of a worker's gate.
func (r *rig) passed(h *hand, e gate.Event) bool {
	if _, customer := kindOf(e.WorkflowID); e.Activity == "FreezeCustomer" && e.When == gate.Delivery {
		r.mu.Lock()
		r.runner[customer] = h
		r.mu.Unlock()
	}
	t := r.spring(func(t *trap) bool { return t.activity != nil && t.activity(e) })
	if t == nil {
		return true
	}
	defer close(t.hit)
	return t.do(h)
}

// statement is one inside a freeze: the nth with this text at a side since the fence.
type statement struct {
	Tenant int            `json:"-"`
	At     migration.Side `json:"at"`
	SQL    string         `json:"sql"`
	Nth    int            `json:"nth"`
}

// name is short: the function of move.sql, or the table that is read, or the first word.
func (s statement) name() string {
	text := strings.NewReplacer(`"public".`, "", `"`, "").Replace(strings.ToLower(strings.Join(strings.Fields(s.SQL), " ")))
	for _, mark := range []string{"drover.", " from "} {
		if i := strings.Index(text, mark); i >= 0 {
			text = text[i+len(mark):]
			break
		}
	}
	if i := strings.IndexAny(text, "( "); i > 0 {
		text = text[:i]
	}
	return text
}

// lanes follow the connections on which freezes run. A try rehearses its steps under token 0 on
// both sides. From its true fence on until its open every statement there is inside the freeze.
type lanes struct {
	mu     sync.Mutex
	of     map[lane]int           // tenant
	frozen map[int]map[string]int // tenant -> statement -> how often
}

type lane struct {
	at   migration.Side
	conn int64
}

func (l *lanes) reset() { l.of, l.frozen = map[lane]int{}, map[int]map[string]int{} }

// stepOf finds the step of a Move that a statement is.
var stepOf = regexp.MustCompile(`drover\.(fence|arrived|seal|open)\(\$1`)

// follow says which statement of a freeze an event is; false: of none.
func (l *lanes) follow(at migration.Side, e pggate.Event) (statement, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	on := lane{at, e.Conn}
	if step := stepOf.FindStringSubmatch(e.SQL); step != nil && len(e.Args) > 1 {
		tenant, token := firstID(e.Args[0]), integer(e.Args[1])
		l.of[on] = tenant
		if step[1] == "fence" && token != 0 && e.When == pggate.Before {
			l.frozen[tenant] = map[string]int{}
		}
	}
	tenant, known := l.of[on]
	seen := l.frozen[tenant]
	if !known || seen == nil {
		return statement{}, false
	}
	key := string(at) + e.SQL
	if e.When == pggate.Before {
		seen[key]++
	}
	s := statement{Tenant: tenant, At: at, SQL: e.SQL, Nth: seen[key]}
	if strings.Contains(e.SQL, "drover.open($1") && e.When == pggate.After {
		delete(l.frozen, tenant)
	}
	return s, s.Nth > 0
}

// firstID is the first element of an array of int4, as it travels.
func firstID(b []byte) int {
	const head = 24
	if len(b) < head+4 {
		return 0
	}
	return int(binary.BigEndian.Uint32(b[head:]))
}

func integer(b []byte) int64 {
	if len(b) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b)) //nolint:gosec // it is one
}

// stated is the hook of a database's door.
func (r *rig) stated(at migration.Side, e pggate.Event) bool {
	s, inside := r.lanes.follow(at, e)
	if !inside {
		return true
	}
	t := r.spring(func(t *trap) bool { return t.sql != nil && t.sql(s, e.When) })
	if t == nil {
		return true
	}
	defer close(t.hit)
	return t.do(r.runnerOf(s.Tenant))
}

func (r *rig) runnerOf(tenant int) *hand {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.Shape.Customers() {
		if c.Tenant == tenant {
			return r.runner[c.ID]
		}
	}
	return nil
}
