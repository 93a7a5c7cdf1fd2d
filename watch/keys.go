package watch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web"
	"github.com/drover-migration/drover/web/board"
)

// question is what is asked at the foot of the screen. A command is given in two steps: its reason,
// which enter ends, and then y. Any other key leaves it.
type question struct {
	offer  web.Offer
	token  int64  // of the try that the command means; 0: the last
	typed  string // the reason, or the words of a filter
	sure   bool   // the reason is there: only y sends it
	filter bool   // it asks for the words of a filter, and for no command
}

// order is a key that gives a command.
type order struct {
	key, name string
	about     func(m Model) client.Aim
}

// orders are the keys of commands, in the order in which the foot names them.
var orders = []order{
	{"a", migration.UpdateApprove, Model.chosenBatch},
	{"p", migration.UpdatePause, Model.plan},
	{"c", migration.UpdateResume, Model.plan},
	{"h", migration.UpdateHold, Model.chosenCustomer},
	{"t", migration.UpdateRetry, Model.chosen},
	{"b", migration.UpdateRollback, Model.chosen},
	{"B", migration.UpdateRollback, Model.plan},
	{"l", migration.UpdateAck, Model.chosenAsk},
}

// pressed is what a key does.
func (m Model) pressed(key tea.KeyPressMsg) (tea.Model, tea.Cmd) {
	name := key.String()
	switch {
	case name == "ctrl+c":
		return m, tea.Quit
	case m.asks != nil:
		return m.answers(key)
	case m.help:
		m.help = false
		return m, nil
	}
	i := slices.IndexFunc(orders, func(o order) bool { return o.key == name })
	if i >= 0 && m.snap != nil {
		return m.ask(orders[i].name, orders[i].about(m)), nil
	}
	switch name {
	case "q":
		return m, tea.Quit
	case "?":
		m.help = true
	case "tab", "shift+tab", "left", "right":
		m.focus = onCustomers - m.focus
	case "/":
		m.asks = &question{filter: true, typed: m.filter}
	case "esc", "backspace":
		m = m.back()
	case "enter":
		return m.enter()
	case "up", "k":
		m = m.move(-1)
	case "down", "j":
		m = m.move(1)
	case "pgup":
		m = m.move(-10)
	case "pgdown", "space":
		m = m.move(10)
	case "home", "g":
		m = m.move(-1 << 30)
	case "end", "G":
		m = m.move(1 << 30)
	}
	return m, nil
}

// back leaves the open customer, then the filter, then what was said.
func (m Model) back() Model {
	switch {
	case m.open != nil:
		m.open, m.scroll = nil, 0
	case m.filter != "":
		m.filter, m.customer = "", ""
	case m.focus == onCustomers:
		m.focus = onBatches
	default:
		m.said = ""
	}
	return m
}

// enter goes from a batch to its customers, and from a customer to its page.
func (m Model) enter() (tea.Model, tea.Cmd) {
	if m.focus == onBatches {
		m.focus = onCustomers
		return m, nil
	}
	if c, ok := m.at(); ok && m.open == nil {
		m.open, m.scroll = &opened{id: c.Status.ID}, 0
		return m, m.details()
	}
	return m, nil
}

// move goes so many lines down where the keys move.
func (m Model) move(by int) Model {
	if m.snap == nil {
		return m
	}
	switch {
	case m.open != nil:
		m.scroll = max(0, min(m.scroll+by, len(m.page(m.width))-1))
	case m.focus == onBatches:
		if len(m.snap.Batches) > 0 {
			m.batch = max(0, min(m.batch+by, len(m.snap.Batches)-1))
			m.customer = ""
		}
	default:
		list := m.listed()
		if len(list) > 0 {
			m.customer = list[max(0, min(m.index(list)+by, len(list)-1))].Status.ID
		}
	}
	return m
}

// listed are the customers that the list shows: those of the chosen batch, or what the filter finds
// in all of them.
func (m Model) listed() []board.Customer {
	switch {
	case m.snap == nil || len(m.snap.Batches) == 0:
		return nil
	case m.filter != "":
		return m.snap.All(board.Filter{Text: m.filter})
	default:
		return m.snap.Of(m.snap.Batches[m.batch])
	}
}

// index is the place of the chosen customer in the list.
func (m Model) index(list []board.Customer) int {
	return max(0, slices.IndexFunc(list, func(c board.Customer) bool { return c.Status.ID == m.customer }))
}

// at is the chosen customer.
func (m Model) at() (board.Customer, bool) {
	list := m.listed()
	if len(list) == 0 {
		return board.Customer{}, false
	}
	return list[m.index(list)], true
}

// plan is the aim of what is about the whole migration.
func (m Model) plan() client.Aim { return client.Aim{Plan: m.snap.Status.Plan} }

// chosenBatch is the chosen batch; where a customer is chosen from a filter, its batch.
func (m Model) chosenBatch() client.Aim {
	at := m.plan()
	if c, ok := m.at(); ok && m.focus == onCustomers {
		at.Batch = c.Status.Batch
	} else if len(m.snap.Batches) > 0 {
		at.Batch = m.snap.Batches[m.batch].Name
	}
	return at
}

func (m Model) chosenCustomer() client.Aim {
	at := m.plan()
	if c, ok := m.at(); ok && m.focus == onCustomers {
		at.Customer = c.Status.ID
	}
	return at
}

// chosen is what the keys stand on: a batch or a customer.
func (m Model) chosen() client.Aim {
	if m.focus == onCustomers {
		return m.chosenCustomer()
	}
	return m.chosenBatch()
}

// chosenAsk is what messages ask for of the chosen customer or batch, or else of the migration.
func (m Model) chosenAsk() client.Aim {
	at := m.chosen()
	ask := m.snap.Ask(at.Batch, at.Customer)
	if ask.ID == "" {
		ask = m.snap.Ask("", "")
	}
	if ask.Taken != nil {
		ask.ID = "" // somebody looks after it already
	}
	return client.Aim{Plan: at.Plan, Message: ask.ID}
}

// may are the commands that would be accepted now, and the try that they mean.
func (m Model) may(at client.Aim) ([]web.Offer, int64) {
	if m.snap == nil || !m.snap.GoesOn() {
		return nil, 0
	}
	switch {
	case at.Message != "":
		return web.Offers(at, []string{migration.UpdateAck}), 0
	case at.Customer != "":
		c, _ := m.snap.Customer(at.Customer)
		return web.Offers(at, c.Status.MayDo), c.Status.Token
	case at.Batch != "":
		b, _ := m.snap.Batch(at.Batch)
		return web.Offers(at, b.MayDo), 0
	default:
		return web.Offers(at, m.snap.Status.MayDo), 0
	}
}

// ask begins a command, if it would be accepted now.
func (m Model) ask(name string, at client.Aim) Model {
	offers, token := m.may(at)
	for _, o := range offers {
		if o.Name == name {
			m.asks, m.said = &question{offer: o, token: token}, ""
			return m
		}
	}
	m.said, m.bad = name+" does not apply to "+at.String()+" now", true
	switch {
	case name == migration.UpdateHold && at.Customer == "":
		m.said = "choose a customer first: tab goes to the customers"
	case name == migration.UpdateAck:
		m.said = "no message asks for anybody here, or somebody looks after it"
	}
	return m
}

// answers is what a key does while something is asked.
func (m Model) answers(key tea.KeyPressMsg) (tea.Model, tea.Cmd) {
	q, name := *m.asks, key.String()
	switch {
	case name == "esc":
		m.asks = nil
		return m, nil
	case q.sure:
		m.asks = nil
		if name != "y" {
			m.said, m.bad = "not sent", false
			return m, nil
		}
		return m.send(q)
	case name == "enter":
		return m.entered(q), nil
	case name == "backspace":
		if r := []rune(q.typed); len(r) > 0 {
			q.typed = string(r[:len(r)-1])
		}
	default:
		text := strings.Map(func(r rune) rune {
			if unicode.IsPrint(r) {
				return r
			}
			return -1
		}, key.Text)
		if utf8.RuneCountInString(q.typed+text) <= migration.LongestText {
			q.typed += text
		}
	}
	m.asks = &q
	return m, nil
}

// entered ends what is typed.
func (m Model) entered(q question) Model {
	q.typed = strings.TrimSpace(q.typed)
	switch {
	case q.filter:
		m.asks, m.filter, m.customer, m.focus = nil, q.typed, "", onCustomers
	case q.offer.Needs && q.typed == "":
		m.said, m.bad = "it needs a reason: it is kept in the customer's timeline", true
	default:
		q.sure = true
		m.asks, m.said = &q, ""
	}
	return m
}

// send gives the command that was confirmed.
func (m Model) send(q question) (tea.Model, tea.Cmd) {
	m.busy = q.offer.Words + " " + q.offer.What
	cmd, o, life := m.opts.Command(q.typed, q.token), m.opts, m.life
	return m, func() tea.Msg {
		if o.Signed != nil {
			if err := o.Signed(); err != nil {
				return answered{offer: q.offer, err: err}
			}
		}
		ctx, cancel := life, context.CancelFunc(func() {})
		if o.Patience > 0 {
			ctx, cancel = context.WithTimeout(life, o.Patience)
		}
		defer cancel()
		got, err := q.offer.Send(ctx, o.Commands, cmd)
		o.Reader.Hurry()
		return answered{q.offer, got.Message, err}
	}
}

// refusal is an error in a line, with what to do about it.
func refusal(err error) string {
	var p *client.Problem
	if errors.As(err, &p) && p.Next != "" {
		return p.Error() + ". Next: " + p.Next
	}
	return err.Error()
}
