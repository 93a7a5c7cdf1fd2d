package plans

import (
	"fmt"
	"slices"

	"github.com/drover-migration/drover/migration"
)

func (p *Plan) validateNotify() {
	if p.Notify == nil {
		return
	}
	at := root.at("notify")
	channels := below(p, at.at("channels"), p.Notify.Channels)
	contacts := below(p, at.at("contacts"), p.Notify.Contacts)
	for _, name := range channels.names {
		p.validateChannel(p.Notify.Channels[Name(name)], at.ats("channels", name))
	}
	for _, name := range contacts.names {
		p.validateContact(p.Notify.Contacts[Name(name)], at.ats("contacts", name), channels)
	}
	for i, r := range p.Notify.Rules {
		p.validateRule(r, at.at("rules").item(i), contacts)
	}
}

// below are the names of a mapping of notify.
func below[V any](p *Plan, at *node, m map[Name]V) index {
	return index{complete: m != nil && !p.src.incompleteKeys(at), names: strs(sortedKeys(m))}
}

func (p *Plan) validateChannel(c Channel, at *node) {
	p.exactlyOne(at, []string{"webhook", "slack", "email", "sns"}, c.Webhook != nil, c.Slack != nil, c.Email != nil, c.SNS != nil)
	if c.SNS == nil || !p.refer(at.ats("sns", "target"), "target", c.SNS.Target, known(p, "targets", p.Targets)) || c.SNS.Topic == "" {
		return
	}
	target := p.Targets[c.SNS.Target]
	if region := arnPart(string(c.SNS.Topic), 3); target.Region != "" && region != string(target.Region) {
		p.src.report(at.ats("sns", "topic"), Problem{
			Message: "the topic is in another region than its target", Found: region, Want: string(target.Region),
		})
	}
}

func (p *Plan) validateContact(c Contact, at *node, channels index) {
	if q := c.Quiet; q != nil && q.From == q.To && !p.src.incomplete(at.at("quiet")) {
		p.src.report(at.ats("quiet", "to"), Problem{
			Message: "the quiet hours end when they begin", Found: quoted(q.To.String()), Want: "another time than from",
		})
	}
	if !p.refer(at.at("channel"), "channel", c.Channel, channels) || p.src.incomplete(at) ||
		p.src.incomplete(root.ats("notify", "channels", string(c.Channel))) {
		return
	}
	switch email := p.Notify.Channels[c.Channel].Email != nil; {
	case email && c.Address == "":
		p.src.report(at, Problem{
			Message: `key "address" is missing`, Want: scalars[typeOf[MailTo]()].want,
			Hint: fmt.Sprintf("channel %q sends e-mail", c.Channel),
		})
	case !email && c.Address != "":
		p.src.report(at.at("address"), Problem{
			Message: fmt.Sprintf("channel %q sends no e-mail and has an address of its own", c.Channel),
			Want:    "no address here",
		})
	}
}

func (p *Plan) validateRule(r NotifyRule, at *node, contacts index) {
	p.noRepeats(at.at("events"), strs(r.Events))
	batches := index{complete: p.Batches != nil && !p.src.incomplete(root.at("batches"))}
	for _, b := range p.Batches {
		batches.names = append(batches.names, string(b.Name))
	}
	for i, b := range r.Batches {
		p.refer(at.at("batches").item(i), "batch", b, batches)
	}
	p.noRepeats(at.at("batches"), strs(r.Batches))
	told := slices.Clone(r.To)
	p.validateTold(r.To, at.at("to"), contacts)
	for i, e := range r.Escalate {
		p.validateTold(e.To, at.at("escalate").item(i).at("to"), contacts)
		told = append(told, e.To...)
	}
	if p.src.incomplete(at) {
		return
	}
	p.validateEvents(r, at)
	p.validateReach(r, at, told)
}

func (p *Plan) validateTold(to []Name, at *node, contacts index) {
	p.noRepeats(at, strs(to))
	for i, c := range to {
		p.refer(at.item(i), "contact", c, contacts)
	}
}

// validateEvents wants events that the rule's audience hears, and that the rest of the rule can
// mean.
func (p *Plan) validateEvents(r NotifyRule, at *node) {
	audience, asks := migration.Audience(r.Audience), false
	for i, name := range r.Events {
		place, kind := at.at("events").item(i), migration.NoticeKind(name)
		asks = asks || kind.Asks()
		switch {
		case !audience.Hears(kind):
			var hears []string
			for _, k := range migration.NoticeKinds {
				if audience.Hears(k) {
					hears = append(hears, string(k))
				}
			}
			p.src.report(place, Problem{
				Message: "no message of this event is written for " + string(audience), Found: quoted(string(name)),
				Want: "one of " + listed(hears), Hint: "or give it a rule with another audience",
			})
		case len(r.Labels) > 0 && !kind.OfCustomer():
			p.src.report(place, Problem{
				Message: "only customers have labels, and this event is not a customer's", Found: quoted(string(name)),
				Hint: "give it a rule without labels",
			})
		case len(r.Batches) > 0 && kind.OfMigration():
			p.src.report(place, Problem{
				Message: "this event is of the migration and of no batch", Found: quoted(string(name)),
				Hint: "give it a rule without batches",
			})
		case kind.Scheduled():
			p.validateSchedule(r, place)
		}
	}
	if len(r.Escalate) > 0 && !asks {
		p.src.report(at.at("escalate"), Problem{
			Message: "nothing of this rule waits to be acknowledged",
			Want:    "hook, held, batch-waits or paused among its events, or no escalate",
		})
	}
}

// validateSchedule wants a window of each batch that the rule names, or of any where it names none:
// nobody knows what is two weeks before a time that nobody has said.
func (p *Plan) validateSchedule(r NotifyRule, at *node) {
	if p.src.incomplete(root.at("batches")) {
		return
	}
	var without []string
	for _, b := range p.Batches {
		if (len(r.Batches) == 0 || slices.Contains(r.Batches, b.Name)) && b.Window == nil {
			without = append(without, string(b.Name))
		}
	}
	if len(without) > 0 && (len(r.Batches) > 0 || len(without) == len(p.Batches)) {
		p.src.report(at, Problem{
			Message: "nobody can say when this is: no window in batch " + listed(without), Want: "a window there",
			Hint: "or take the event out of the rule",
		})
	}
}

// validateReach wants a rule to be about somebody, and an address of each customer that is told at
// its own.
func (p *Plan) validateReach(r NotifyRule, at *node, told []Name) {
	ofCustomers := slices.ContainsFunc(r.Events, func(e EventName) bool { return migration.NoticeKind(e).OfCustomer() })
	own := Name("") // a contact that is the customer's
	for _, c := range told {
		if p.Notify.Contacts[c].Address == migration.CustomersContact {
			own = c
		}
	}
	if own != "" {
		for i, e := range r.Events {
			if !migration.NoticeKind(e).OfCustomer() {
				p.src.report(at.at("events").item(i), Problem{
					Message: fmt.Sprintf("contact %q is the customer's own, and this event is not a customer's", own),
					Found:   quoted(string(e)), Hint: "give it a rule with another contact",
				})
			}
		}
	}
	if !ofCustomers || p.src.incomplete(root.at("customers")) || p.src.incomplete(root.at("batches")) {
		return
	}
	covered, members := 0, p.assign(func(*node, Problem) {})
	for i, b := range p.Batches {
		for _, c := range members[i] {
			customer := p.Customers.List[c]
			if len(r.Batches) > 0 && !slices.Contains(r.Batches, b.Name) || !customer.has(r.Labels) {
				continue
			}
			covered++
			if own != "" && checkMail(string(customer.Contact)) != nil {
				p.src.report(root.at("customers").item(c).at("contact"), Problem{
					Message: fmt.Sprintf("contact %q of notify writes to customer %q, whose contact is no e-mail address", own,
						customer.ID),
					Found: quoted(string(customer.Contact)), Want: scalars[typeOf[MailAddress]()].want,
				})
			}
		}
	}
	if covered == 0 {
		place := at.at("labels")
		if len(r.Labels) == 0 {
			place = at
		}
		p.src.report(place, Problem{Message: "the rule is about no customer", Want: "labels that some customer of its batches has"})
	}
}

// has says whether a customer has all of these labels.
func (c Customer) has(labels map[Name]LabelVal) bool {
	for k, v := range labels {
		if c.Labels[k] != v {
			return false
		}
	}
	return true
}
