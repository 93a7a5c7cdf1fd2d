package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/access"
	"github.com/drover-migration/drover/web/board"
)

// action is a command that people give from the board.
type action struct {
	name    string // in its address
	update  string // the same as the name where it is empty
	words   string // on its button
	grave   bool   // it moves customers
	reason  bool   // it is refused without one, as on the command line
	ticket  bool   // it may have one
	before  bool   // it needs a time before which the customer does not move
	slots   bool   // it needs times, of which the customer takes one
	accept  bool   // of a decision
	final   bool   // nothing undoes it: it needs the plan's name, typed
	effect  string // what it does
	aims    []aim  // what it may be given to
	send    func(ctx context.Context, c Commands, at client.Aim, cmd migration.Command) (migration.Accepted, error)
	command func(at client.Aim) string // the same on the command line, but for its reason
}

// aim is what a command is about.
type aim string

const (
	aPlan     aim = "plan"
	aBatch    aim = "batch"
	aCustomer aim = "customer"
	aMessage  aim = "message" // what a message asks for
)

// theActions are all commands of the board, in the order of their buttons.
var theActions = []action{
	{
		name: migration.UpdateApprove, words: "Approve", aims: []aim{aBatch},
		effect: "Adds your approval to the batch. When it has all that it needs, and its window is open, its customers move.",
		send: func(ctx context.Context, c Commands, at client.Aim, cmd migration.Command) (migration.Accepted, error) {
			return c.Approve(ctx, at.Plan, at.Batch, cmd)
		},
		command: func(at client.Aim) string { return "drover approve " + at.Plan + " " + at.Batch },
	},
	{
		name: migration.UpdateResume, words: "Resume", aims: []aim{aPlan},
		effect: "Customers are admitted again.",
		send: func(ctx context.Context, c Commands, at client.Aim, cmd migration.Command) (migration.Accepted, error) {
			return c.Resume(ctx, at.Plan, cmd)
		},
		command: func(at client.Aim) string { return "drover resume " + at.Plan },
	},
	{
		name: migration.UpdatePause, words: "Pause", aims: []aim{aPlan},
		effect: "No more customers are admitted. Moves that are under way finish.",
		send: func(ctx context.Context, c Commands, at client.Aim, cmd migration.Command) (migration.Accepted, error) {
			return c.Pause(ctx, at.Plan, cmd)
		},
		command: func(at client.Aim) string { return "drover pause " + at.Plan },
	},
	{
		name: migration.UpdateHold, words: "Hold", aims: []aim{aCustomer},
		effect: "The customer stays where it is until somebody lets it try again. Its batch goes on without it.",
		send: func(ctx context.Context, c Commands, at client.Aim, cmd migration.Command) (migration.Accepted, error) {
			return c.Hold(ctx, at.Plan, at.Customer, cmd)
		},
		command: func(at client.Aim) string { return "drover hold " + at.Plan + " --customer " + at.Customer },
	},
	{
		name: migration.UpdateRetry, words: "Try again", grave: true, aims: []aim{aBatch, aCustomer},
		effect: "What is held or was taken back moves to AWS again. A batch that waits for its window goes without it.",
		send: func(ctx context.Context, c Commands, at client.Aim, cmd migration.Command) (migration.Accepted, error) {
			return c.Retry(ctx, at, cmd)
		},
		command: func(at client.Aim) string { return "drover retry " + at.Plan + flagOf(at) },
	},
	{
		name: migration.UpdateRollback, words: "Roll back", grave: true, reason: true, aims: []aim{aPlan, aBatch, aCustomer},
		effect: "What is on AWS moves back on premises, by the same Move as the cutover. Nothing is lost by it; writes wait for a moment.",
		send: func(ctx context.Context, c Commands, at client.Aim, cmd migration.Command) (migration.Accepted, error) {
			return c.Rollback(ctx, at, cmd)
		},
		command: func(at client.Aim) string { return "drover rollback " + at.Plan + flagOf(at) },
	},
	{
		name: migration.UpdateAck, words: "I look after it", aims: []aim{aMessage},
		effect: "Nobody else is told of it, and your name stands beside it. What waits goes on when somebody retries, approves or " +
			"resumes it.",
		send: func(ctx context.Context, c Commands, at client.Aim, cmd migration.Command) (migration.Accepted, error) {
			return c.Ack(ctx, at.Plan, at.Message, cmd)
		},
		command: func(at client.Aim) string { return "drover ack " + at.Plan + " " + at.Message },
	},
	{
		name: migration.UpdateNote, words: "Write a note", aims: []aim{aCustomer}, ticket: true,
		effect: "It is shown on this page to whoever has signed in, with your name. Who has a link to the page does not see it.",
		send: func(ctx context.Context, c Commands, at client.Aim, cmd migration.Command) (migration.Accepted, error) {
			return c.Note(ctx, at.Plan, at.Customer, cmd)
		},
		command: func(at client.Aim) string { return "drover note " + at.Plan + flagOf(at) + ` "TEXT"` },
	},
	{
		name: migration.UpdateDefer, words: "Ask for a deferral", reason: true, aims: []aim{aCustomer}, before: true,
		effect: "A lead accepts or refuses it. Until then the customer goes with its batch.",
		send: func(ctx context.Context, c Commands, at client.Aim, cmd migration.Command) (migration.Accepted, error) {
			return c.Defer(ctx, at.Plan, at.Customer, cmd)
		},
		command: func(at client.Aim) string {
			return "drover defer " + at.Plan + flagOf(at) + ` --until "YYYY-MM-DD HH:MM"`
		},
	},
	{
		name: "accept-deferral", update: migration.UpdateDecide, words: "Accept the deferral", aims: []aim{aCustomer}, accept: true,
		effect: "The customer does not move before the time that was asked for. Its batch goes on without it.",
		send:   decide, command: func(at client.Aim) string { return "drover decide " + at.Plan + flagOf(at) + " --accept" },
	},
	{
		name: "refuse-deferral", update: migration.UpdateDecide, words: "Refuse or end the deferral", aims: []aim{aCustomer},
		effect: "The customer goes with its batch. A deferral that was accepted ends now.",
		send:   decide, command: func(at client.Aim) string { return "drover decide " + at.Plan + flagOf(at) + " --refuse" },
	},
	{
		name: migration.UpdateOffer, words: "Offer times", aims: []aim{aCustomer}, slots: true,
		effect: "Whoever has the customer's link takes one of them, and the customer begins to move then and at no other time. " +
			"Until one is taken it goes with its batch. Times that were offered before are not any more.",
		send: func(ctx context.Context, c Commands, at client.Aim, cmd migration.Command) (migration.Accepted, error) {
			return c.Offer(ctx, at.Plan, at.Customer, cmd)
		},
		command: func(at client.Aim) string {
			return "drover offer " + at.Plan + flagOf(at) + ` --slot "YYYY-MM-DD HH:MM" --for 2h`
		},
	},
	{
		name: migration.UpdateFinalise, words: "End the way back", aims: []aim{aPlan, aBatch}, grave: true, reason: true, final: true,
		effect: "Nobody can go back from then on. Drover shuts the machines on premises down (it deletes none), waits for what premises " +
			"still send, and takes replication and guards out of both sides. AWS serves alone, under the routes as they are.",
		send: func(ctx context.Context, c Commands, at client.Aim, cmd migration.Command) (migration.Accepted, error) {
			cmd.Batch = at.Batch
			return c.Finalise(ctx, at.Plan, cmd)
		},
		command: func(at client.Aim) string {
			if at.Batch == "" {
				return "drover finalise " + at.Plan
			}
			return "drover finalise " + at.Plan + flagOf(at)
		},
	},
}

func decide(ctx context.Context, c Commands, at client.Aim, cmd migration.Command) (migration.Accepted, error) {
	return c.Decide(ctx, at.Plan, at.Customer, cmd)
}

// object is what the words of an action are followed by.
func (a action) object(at client.Aim) string {
	switch {
	case a.final:
		return "of " + at.String()
	case a.name == migration.UpdateRollback && kindOf(at) == aPlan:
		return "all customers of " + at.String()
	default:
		return at.String()
	}
}

// does is what an action does to what is aimed at.
func (a action) does(at client.Aim) string {
	if a.final && at.Batch != "" {
		return "Nobody of the batch can go back from then on. Drover shuts those machines on premises down that only the batch used (it " +
			"deletes none). The plan cannot be aborted afterwards."
	}
	return a.effect
}

// of is the update that an action sends.
func (a action) of() string { return orNothing(a.update, a.name) }

// typed is the same on the command line, with placeholders in capitals for what a person has to
// fill in.
func (a action) typed(at client.Aim) string {
	if a.reason {
		return a.command(at) + ` --reason "WHY"`
	}
	return a.command(at)
}

// applies says whether the action would be accepted now, of what is aimed at.
func (a action) applies(to aim, mayDo []string) bool {
	return slices.Contains(mayDo, a.of()) && slices.Contains(a.aims, to)
}

// flagOf names the aim on the command line.
func flagOf(at client.Aim) string {
	switch {
	case at.Customer != "":
		return " --customer " + at.Customer
	case at.Batch != "":
		return " --batch " + at.Batch
	default:
		return " --all"
	}
}

func actionWords(name string) string {
	for _, a := range theActions {
		if a.name == name {
			return a.words
		}
	}
	return name
}

// actions are the buttons for those commands that would be accepted now.
func actions(plan string, at url.Values, mayDo []string, rank access.Role) (out []actionView) {
	what := kindOf(client.Aim{Batch: at.Get("batch"), Customer: at.Get("customer"), Message: at.Get("message")})
	for _, a := range theActions {
		if !a.applies(what, mayDo) || !rank.Gives(a.of()) {
			continue
		}
		link := planPath(plan) + "/do/" + a.name
		if len(at) > 0 {
			link += "?" + at.Encode()
		}
		words := a.words
		if a.name == migration.UpdateRollback && what == aPlan {
			words = "Roll everybody back"
		}
		out = append(out, actionView{Words: words, Link: link, Grave: a.grave})
	}
	return out
}

func kindOf(at client.Aim) aim {
	switch {
	case at.Message != "":
		return aMessage
	case at.Customer != "":
		return aCustomer
	case at.Batch != "":
		return aBatch
	default:
		return aPlan
	}
}

// askView is the page that asks before a command is sent.
type askView struct {
	Words   string
	What    string // "batch canary of plan shop"
	Effect  string
	Needs   bool // a reason
	Grave   bool
	Name    string // under which it is recorded
	Command string
	Request string // id: a form that is sent twice is one command
	Batch   string
	Cust    string
	Message string
	Token   string
	Reason  string
	Problem string // why it was not sent
	Next    string
	Ticket  string
	Before  string   // as a browser writes it: 2006-01-02T15:04
	Zone    string   // of Before
	HasNote bool     // the reason is a note
	Tickets bool     // it may have a ticket
	Times   bool     // it needs Before
	Slots   []string // times to offer, as Before; nil: none are needed
	For     string   // how long each of them is
	Confirm string   // the name that has to be typed; empty: none

	ConfirmOf aim // what has that name

	Typed   string   // what was
	SignUps bool     // tenants that are in no batch come along
	Speaks  []string // what speaks for what nothing undoes
	Back    string
	Path    string
}

// saidView is what was answered.
type saidView struct {
	What, Said, Back string
}

// askPage asks: what will happen, to what, and why.
func (s *Server) askPage(w http.ResponseWriter, r *http.Request, who access.Identity) {
	a, v, ok := s.asked(w, r, who)
	if !ok {
		return
	}
	v.Request = uuid.NewString()
	s.ask(w, r, who, a, v, http.StatusOK)
}

// asked reads which command is meant, and of what.
func (s *Server) asked(w http.ResponseWriter, r *http.Request, who access.Identity) (a action, v askView, ok bool) {
	i := slices.IndexFunc(theActions, func(a action) bool { return a.name == r.PathValue("action") })
	at := client.Aim{Plan: r.PathValue("plan"), Batch: r.FormValue("batch"), Customer: r.FormValue("customer"),
		Message: r.FormValue("message")}
	if i < 0 || !slices.Contains(theActions[i].aims, kindOf(at)) || at.Batch != "" && at.Customer != "" {
		s.nothingThere(w, r, who)
		return a, v, false
	}
	if a = theActions[i]; !who.Role.Gives(a.of()) {
		s.notForYou(w, r, who)
		return a, v, false
	}
	v = askView{Ticket: strings.TrimSpace(r.FormValue("ticket")), Before: r.FormValue("before"), Zone: clock(r).Zone.String(),
		HasNote: a.name == migration.UpdateNote, Tickets: a.ticket, Times: a.before,
		Slots: slotFields(a, r), For: orNothing(r.FormValue("for"), "2h"),
		Words: a.words, What: a.object(at), Effect: a.does(at), Needs: a.reason, Grave: a.grave, Name: who.Name,
		Command: a.typed(at), Batch: at.Batch, Cust: at.Customer, Message: at.Message, Token: r.FormValue("token"),
		Reason:  strings.TrimSpace(r.FormValue("reason")),
		Request: r.FormValue("request"), Back: planPath(at.Plan), Path: planPath(at.Plan) + "/do/" + a.name}
	if at.Customer != "" {
		v.Back = customerPath(at.Plan, at.Customer)
	}
	if a.final {
		v.Confirm, v.ConfirmOf, v.SignUps = at.Plan, aPlan, r.PostFormValue("signups") != ""
		if at.Batch != "" {
			v.Confirm, v.ConfirmOf, v.SignUps = at.Batch, aBatch, false
		}
		v.Typed = strings.TrimSpace(r.PostFormValue("confirm"))
	}
	return a, v, true
}

func (s *Server) ask(w http.ResponseWriter, r *http.Request, who access.Identity, a action, v askView, status int) {
	if a.final {
		v.Speaks = s.speaks(r.Context(), r.PathValue("plan"), v.Batch)
	}
	var b strings.Builder
	if err := pages.ExecuteTemplate(&b, "ask", v); err != nil {
		s.broken(w, r, err)
		return
	}
	l := layout{Title: a.words + " " + v.What, Who: who, Plan: r.PathValue("plan")}
	s.showMade(w, r, status, l, []byte(b.String()), nil)
}

// speaks is what speaks for ending the way back, a line a batch, or of one that is named.
func (s *Server) speaks(ctx context.Context, plan, batch string) (out []string) {
	f, err := s.Hub.Follow(ctx, plan)
	if err != nil {
		return nil // the workflow knows, and refuses what is too early
	}
	snap := f.Snapshot(ctx)
	for _, b := range snap.Batches {
		if batch != "" && b.Name != batch {
			continue
		}
		customers := snap.Of(b)
		m := board.Measure(customers)
		line := fmt.Sprintf("Batch %s: %s, %d over their soak; %d rows and %d files compared", b.Name,
			board.Progress(board.CountOf(customers), len(customers)), board.CountOf(customers)[board.Finished], m.Rows, m.Objects)
		if n := len(m.Back); n > 0 {
			line += fmt.Sprintf("; %d Moves back", n)
		}
		out = append(out, line+".")
	}
	return out
}

// act sends a command. It is written down before it is sent, and again with what was answered.
func (s *Server) act(w http.ResponseWriter, r *http.Request, who access.Identity) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	a, v, ok := s.asked(w, r, who)
	if !ok {
		return
	}
	at := client.Aim{Plan: r.PathValue("plan"), Batch: v.Batch, Customer: v.Cust, Message: v.Message}
	line := entry{What: a.name, Who: who.Name, Role: who.Role, How: who.How, From: remote(r), Plan: at.Plan, Batch: at.Batch,
		Customer: at.Customer, Reason: v.Reason, Request: v.Request}
	refuse := func(status int, why, next string) {
		line.Outcome, line.Why = refused, why
		_ = s.Audit.write(line) // nothing is done
		v.Problem, v.Next = why, next
		if v.Request == "" {
			v.Request = uuid.NewString()
		}
		s.ask(w, r, who, a, v, status)
	}
	token, err := strconv.ParseInt(orNothing(v.Token, "0"), 10, 64)
	before, late := a.time(v, clock(r))
	slots, unfit := a.times(v, clock(r))
	switch {
	case unfit != "":
		refuse(http.StatusUnprocessableEntity, unfit, "Give days and times that are to come, in "+v.Zone+".")
		return
	case late != "":
		refuse(http.StatusUnprocessableEntity, late, "Give a day and a time that is to come, in "+v.Zone+".")
		return
	case v.HasNote && v.Reason == "" && v.Ticket == "":
		refuse(http.StatusUnprocessableEntity, "It needs a text or a ticket.", "Write one of them.")
		return
	case utf8.RuneCountInString(v.Ticket) > migration.LongestText:
		refuse(http.StatusUnprocessableEntity, "The ticket is too long.", "Give its address or number.")
		return
	case !s.limits.action(who.Session):
		refuse(http.StatusTooManyRequests, "Too many commands in a short time.", "Wait a few seconds, then send it again.")
		return
	case a.reason && v.Reason == "":
		refuse(http.StatusUnprocessableEntity, "It needs a reason.", "Say why: it is kept in the customer's timeline.")
		return
	case v.Typed != v.Confirm:
		refuse(http.StatusUnprocessableEntity, "The "+string(v.ConfirmOf)+"'s name was not typed.",
			"Type "+v.Confirm+", if it is this "+string(v.ConfirmOf)+" that you mean.")
		return
	case utf8.RuneCountInString(v.Reason) > migration.LongestText:
		refuse(http.StatusUnprocessableEntity, fmt.Sprintf("The reason is longer than %d characters.", migration.LongestText),
			"Shorten it.")
		return
	case err != nil || uuid.Validate(v.Request) != nil:
		refuse(http.StatusBadRequest, "The form is not whole.", "Send it once more from this page.")
		return
	}
	line.Outcome = asked
	if err := s.Audit.write(line); err != nil {
		v.Problem, v.Next = "The audit cannot be written, so nothing is done.", "Tell whoever runs the board."
		s.ask(w, r, who, a, v, http.StatusServiceUnavailable)
		return
	}
	commands, err := s.commandsOf(who)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	cmd := migration.Command{RequestID: v.Request, By: who.Name, From: s.From + " (board, signed in by " + who.How + ")",
		Reason: v.Reason, Token: token, Ticket: v.Ticket, NotBefore: before, Accept: a.accept, Slots: slots,
		SignUps: v.SignUps}
	s.ownZone(r.Context(), at, cmd.Slots)
	said, err := a.send(r.Context(), commands, at, cmd)
	line.Outcome, line.Why = outcomeOf(err), ""
	if err != nil {
		line.Why = err.Error()
		_ = s.Audit.write(line) // the line before says that it was asked
		v.Problem, v.Next = problemOf(err)
		s.ask(w, r, who, a, v, statusOf(err))
		return
	}
	_ = s.Audit.write(line)
	if f, err := s.Hub.Follow(r.Context(), at.Plan); err == nil {
		f.Hurry()
	}
	s.show(w, r, layout{Title: "Done: " + a.words, Who: who, Plan: at.Plan}, "said", saidView{What: a.words + " " + v.What,
		Said: said.Message,
		Back: v.Back})
}

// time is the one before which the customer does not move, where the action needs one; else why it
// is none.
func (a action) time(v askView, k board.Clock) (t time.Time, why string) {
	if !a.before {
		return t, ""
	}
	t, err := time.ParseInLocation("2006-01-02T15:04", v.Before, k.Zone)
	switch {
	case err != nil:
		return t, "It needs a time before which the customer does not move."
	case !t.After(time.Now()):
		return t, "The time has passed."
	}
	return t.UTC(), ""
}

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return accepted
	case errors.Is(err, client.ErrRefused), errors.Is(err, client.ErrNotFound):
		return refused
	default:
		return failed
	}
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, client.ErrRefused):
		return http.StatusConflict
	case errors.Is(err, client.ErrNotFound):
		return http.StatusNotFound
	default:
		return http.StatusServiceUnavailable
	}
}

func problemOf(err error) (why, next string) {
	var p *client.Problem
	if errors.As(err, &p) {
		return p.Why + ".", p.Next
	}
	return err.Error() + ".", ""
}
