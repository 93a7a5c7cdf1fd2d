package web

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/board"
)

// messageView is a message of a customer's.
type messageView struct {
	When     momentView // of its end, or of when it is due
	What, To string
	How      string // it stands
	Fails    bool
}

// told are what messages say of a customer, in words of the page.
var told = map[migration.NoticeKind]string{
	migration.NoticeTwoWeeks: "it moves in two weeks",
	migration.NoticeTwoDays:  "it moves in two days",
	migration.NoticeEvening:  "it moves tomorrow",
	migration.NoticeStarted:  "its move has begun",
	migration.NoticeMoved:    "it is on AWS, and watched",
	migration.NoticeDone:     "it has moved",
	migration.NoticeBack:     "it is on premises again",
	migration.NoticeHook:     "a hook does not answer",
	migration.NoticeHeld:     "it waits for an operator",
}

// messagesOf are a customer's messages, the newest first.
func messagesOf(snap *board.Snapshot, c board.Customer, k board.Clock) (out []messageView) {
	m := c.Status.Messages
	if m == nil {
		return nil
	}
	view := func(d migration.Delivery) messageView {
		return messageView{When: moment(k, d.At), What: cmp.Or(told[d.Kind], string(d.Kind)), To: nameOf(snap, c, d.Contact)}
	}
	for _, d := range m.Pending {
		v := view(d)
		v.When, v.How = moment(k, d.Due), "waits for its time"
		if v.Fails = d.State == migration.DeliveryTrying; v.Fails {
			v.How = fmt.Sprintf("failed %d times since %s, and is tried again %s: %s", d.Tries, k.Second(d.Since), k.Second(d.Next),
				d.Failure)
		}
		out = append(out, v)
	}
	for _, d := range slices.Backward(m.Past) {
		v := view(d)
		v.How = "delivered"
		if v.Fails = d.State == migration.DeliveryGivenUp; v.Fails {
			v.How = "given up: " + d.Failure
		}
		out = append(out, v)
	}
	return out
}

// nameOf is a contact with whom it reaches, where the plan is known.
func nameOf(snap *board.Snapshot, c board.Customer, contact string) string {
	switch address := addressOf(snap, contact); address {
	case "":
		return contact
	case migration.CustomersContact:
		return fmt.Sprintf("%s (%s)", contact, cmp.Or(c.Spec.Contact, "no address"))
	default:
		return fmt.Sprintf("%s (%s)", contact, address)
	}
}

func addressOf(snap *board.Snapshot, contact string) string {
	if snap.Spec == nil || snap.Spec.Notify == nil {
		return ""
	}
	to, _ := snap.Spec.Notify.Contact(contact)
	return to.Address
}

// whoWasTold answers from the messages that were delivered. A guest hears of those to the
// customer's own address, and of no others.
func whoWasTold(snap *board.Snapshot, c board.Customer, k board.Clock, guest bool) questionView {
	q := questionView{Asked: "Who was told?"}
	m := c.Status.Messages
	switch {
	case snap.Spec != nil && snap.Spec.Notify == nil:
		q.Answer = "The plan sends no messages."
	case m == nil || m.Phase == migration.OutboxUnread:
		q.Answer = "Not known at this moment."
	default:
		q.Answer = "Nobody yet."
		for _, d := range slices.Backward(m.Past) {
			own := addressOf(snap, d.Contact) == migration.CustomersContact
			if d.State != migration.DeliveryDelivered || guest && !own {
				continue
			}
			whom := nameOf(snap, c, d.Contact)
			if guest {
				whom = "Its own contact"
			}
			q.Answer = fmt.Sprintf("%s, that %s, on %s.", whom, cmp.Or(told[d.Kind], string(d.Kind)), k.At(d.At))
			break
		}
		if !guest && m.Fails > 0 {
			q.More = board.Undelivered(m.Fails) + "."
		}
	}
	if !guest && c.Spec.Contact != "" {
		q.More = strings.TrimSpace(q.More + " Its contact is " + c.Spec.Contact + ".")
	}
	return q
}

// askedOf is who has been told that a customer waits for somebody, and who looks after it; "": it
// does not wait.
func askedOf(c board.Customer, k board.Clock) (words string, open []migration.Ask) {
	if c.Status.Messages == nil {
		return "", nil
	}
	for _, a := range c.Status.Messages.Asks {
		if words = board.AskWords(a, k); a.Taken == nil {
			open = append(open, a)
		}
	}
	return words, open
}

// ackActions are the buttons that say that one looks after it.
func ackActions(plan string, of url.Values, asks []migration.Ask, rank access.Role) (out []actionView) {
	for _, a := range asks {
		at := url.Values{"message": {a.ID}}
		for key, v := range of {
			at[key] = v
		}
		out = append(out, actions(plan, at, []string{migration.UpdateAck}, rank)...)
	}
	return out
}
