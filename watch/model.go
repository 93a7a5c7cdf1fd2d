package watch

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web"
	"github.com/drover-migration/drover/web/board"
)

// Reader is what is watched; board.Follower is one. It reads Temporal at its own pace: a Snapshot
// asks nobody.
type Reader interface {
	Snapshot(ctx context.Context) *board.Snapshot
	Customer(ctx context.Context, c board.Customer) (migration.CustomerStatus, time.Time, error)
	Hurry()
}

// Options are what a watch is made of.
type Options struct {
	Reader   Reader
	Commands web.Commands
	Zone     *time.Location // of the times on the screen

	// Command is a command under the name of whoever watches.
	Command func(reason string, token int64) migration.Command
	// Signed refuses a sign-in that is not good, before a command is sent; nil: none is checked.
	Signed func() error
	// Patience bounds a command and its answer.
	Patience time.Duration
}

// every is how often the screen is renewed. It shows what the reader has read: nothing is asked for
// it.
const every = time.Second

// Model is what is on the screen. It is a value: Update gives another.
type Model struct {
	opts  Options
	life  context.Context // of everything that is asked and sent
	clock board.Clock

	width, height int
	now           time.Time
	snap          *board.Snapshot

	focus    focus
	batch    int    // place of the chosen batch, from 0
	customer string // id of the chosen customer; empty: the first that is listed
	filter   string // words that the listed customers have, of all batches; empty: those of the chosen batch
	scroll   int    // lines that the open customer is scrolled down
	open     *opened
	help     bool

	asks *question // a question at the foot of the screen, which takes all keys
	said string    // what was answered last
	bad  bool      // it was a refusal or a failure
	busy string    // the command whose answer is awaited

	log   []migration.Event // changes that were seen, oldest first
	known map[string]board.State
}

// focus is the list that the keys move in.
type focus int

const (
	onBatches focus = iota
	onCustomers
)

// opened is a customer that is shown in full.
type opened struct {
	id     string
	status migration.CustomerStatus // with its timeline
	read   bool
	err    error
}

// Messages.
type (
	seen struct { // what was read last
		snap *board.Snapshot
		now  time.Time
	}
	detailed struct { // a customer in full
		id     string
		status migration.CustomerStatus
		err    error
	}
	answered struct { // a command
		offer web.Offer
		said  string
		err   error
	}
)

// New is a watch before its first screen. Life ends what it asks and sends.
func New(life context.Context, o Options) Model {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	return Model{opts: o, life: life, clock: board.Clock{Zone: o.Zone}, width: 80, height: 24}
}

// Init implements tea.Model.
func (m Model) Init() tea.Cmd { return m.look }

// look takes what the reader has read last.
func (m Model) look() tea.Msg { return seen{m.opts.Reader.Snapshot(m.life), time.Now()} }

// Update implements tea.Model.
func (m Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		return m, nil
	case seen:
		m = m.saw(msg)
		return m, tea.Batch(m.details(), tea.Tick(every, func(time.Time) tea.Msg { return m.look() }))
	case detailed:
		if m.open != nil && m.open.id == msg.id {
			next := opened{id: msg.id, status: msg.status, read: true, err: msg.err}
			if msg.err != nil && msg.status.ID == "" {
				next.status, next.read = m.open.status, m.open.read
			}
			m.open = &next
		}
		return m, nil
	case answered:
		m.busy = ""
		m.said, m.bad = msg.offer.Words+" "+msg.offer.What+": "+msg.said, false
		if msg.err != nil {
			m.said, m.bad = refusal(msg.err), true
		}
		return m, nil
	case tea.KeyPressMsg:
		return m.pressed(msg)
	default:
		return m, nil
	}
}

// View implements tea.Model.
func (m Model) View() tea.View {
	v := tea.NewView(m.Screen())
	v.AltScreen = true
	if m.snap != nil {
		v.WindowTitle = "drover " + m.snap.Status.Plan
	}
	return v
}

// saw takes a snapshot, and writes down what has changed since the one before.
func (m Model) saw(s seen) Model {
	m.now = s.now
	switch {
	case s.snap == nil:
		return m
	case m.snap != nil && m.snap.Version == s.snap.Version:
		m.snap = s.snap
		return m
	}
	first := m.known == nil
	known := make(map[string]board.State, len(s.snap.Customers))
	log := m.log[:len(m.log):len(m.log)]
	for _, c := range s.snap.Customers {
		id, state := c.Status.ID, c.State()
		known[id] = state
		if was, there := m.known[id]; !first && there && was != state {
			log = append(log, migration.Event{At: changedAt(c, s.snap.At), What: "customer " + id + ": " + state.Words(),
				Why: c.Status.Reason})
		}
	}
	if m.snap != nil {
		log = append(log, batchesChanged(m.snap, s.snap)...)
	}
	m.log, m.known, m.snap = log[max(0, len(log)-mostLog):], known, s.snap
	m.batch = min(m.batch, max(0, len(m.snap.Batches)-1))
	return m
}

// mostLog is how many changes are remembered.
const mostLog = 1000

// changedAt is when a customer came into its phase: the workflow's time, or when it was seen.
func changedAt(c board.Customer, seen time.Time) time.Time {
	if c.Status.Since.IsZero() {
		return seen
	}
	return c.Status.Since
}

func batchesChanged(was, is *board.Snapshot) (out []migration.Event) {
	for _, b := range is.Batches {
		old, there := was.Batch(b.Name)
		if there && (old.Phase != b.Phase || old.WaitingFor != b.WaitingFor) {
			e := migration.Event{At: is.At, What: "batch " + b.Name + ": " + string(b.Phase), Why: b.Reason}
			if b.Phase == migration.BatchDone && e.Why == "" {
				e.Why = b.Counts.Summary()
			}
			if b.WaitingFor != "" && b.WaitingFor != migration.WaitNothing {
				e.What += ", waits for " + string(b.WaitingFor)
			}
			out = append(out, e)
		}
	}
	return out
}

// details asks for the customer that is open. The reader asks Temporal only where it has changed.
func (m Model) details() tea.Cmd {
	if m.open == nil || m.snap == nil {
		return nil
	}
	c, ok := m.snap.Customer(m.open.id)
	if !ok {
		return nil
	}
	id, reader, life := m.open.id, m.opts.Reader, m.life
	return func() tea.Msg {
		status, _, err := reader.Customer(life, c)
		return detailed{id, status, err}
	}
}
