package batch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
)

// What the batch tells the outbox. It knows each customer by its reports, so that no customer tells
// anybody itself, and what happens within a second goes together.

// noticed tells of what a customer's report says that the one before it did not. first is the first
// report that this run of the batch has heard: what it says may have been told long ago, but for
// what waits for somebody, which the outbox knows by its id.
func (b *batch) noticed(ctx workflow.Context, m *member, was migration.CustomerStatus, first bool) {
	now := m.Status
	notice := func(kind migration.NoticeKind, of int64) migration.Notice { return b.noticeOf(m, kind, of) }
	b.askedAbout(m)
	b.unanswered(m)
	b.timely(ctx, m)
	if first {
		return
	}
	last, moved := lastMove(now)
	before, _ := lastMove(was)
	moved = moved && last.Try.Token != before.Try.Token && now.Home == last.To
	switch {
	case now.Phase == migration.CustomerMoving && was.Phase != migration.CustomerMoving:
		b.Post.Add(notice(migration.NoticeStarted, now.Token))
	case moved && last.To == migration.AWS:
		n := notice(migration.NoticeMoved, last.Try.Token)
		n.Reason, n.Freeze, n.Until = "", last.Freeze, now.Until
		b.Post.Add(n)
	case moved && last.To == migration.OnPrem:
		n := notice(migration.NoticeBack, last.Try.Token)
		n.Freeze = last.Freeze
		b.Post.Add(n)
	}
	baked := was.Phase == migration.CustomerBaking || was.Phase == migration.CustomerMoving
	if m.soaking() && baked && m.Baked != last.Try.Token {
		m.Baked = last.Try.Token
		n := notice(migration.NoticeDone, last.Try.Token)
		n.Reason, n.Freeze, n.Until = "", last.Freeze, now.Until
		b.Post.Add(n)
	}
}

// noticeOf is a notice of a customer. of is what tells it from others of its kind: a token, or a
// time.
func (b *batch) noticeOf(m *member, kind migration.NoticeKind, of int64) migration.Notice {
	c := m.Status
	return migration.Notice{ID: fmt.Sprintf("%s/%s/%d", kind, c.ID, of), Kind: kind, Batch: b.in.Batch.Name, Customer: c.ID, At: c.Since,
		Reason: c.Reason}
}

func (b *batch) heldNotice(m *member) migration.Notice {
	return b.noticeOf(m, migration.NoticeHeld, m.Status.Since.UnixMilli())
}

// askedAbout tells that a customer waits for an operator, and that it does no more. A deferral ends
// by itself.
func (b *batch) askedAbout(m *member) {
	n := b.heldNotice(m)
	held := m.is(migration.CustomerHeld) && m.Status.Cause != migration.ByDeferral
	if m.Asks != "" && (!held || m.Asks != n.ID) {
		b.Post.Settle(m.Asks)
		m.Asks = ""
	}
	if held && m.Asks == "" {
		m.Asks = n.ID
		b.Post.Add(n)
	}
}

// hookPatience is how often a hook after a Move fails before somebody is told: a receiver that is
// started anew is no news.
const hookPatience = 3

// hookNotices are those of the customer's hooks that do not answer.
func (b *batch) hookNotices(m *member) (out []migration.Notice) {
	for _, t := range m.Status.Trying {
		if t.Hook == "" || t.Times < hookPatience {
			continue
		}
		n := b.noticeOf(m, migration.NoticeHook, t.Since.UnixMilli())
		n.ID += "/" + string(t.Hook)
		n.At, n.Reason = t.At, fmt.Sprintf("%s failed %d times: %s", t.What, t.Times, t.Last)
		out = append(out, n)
	}
	return out
}

// unanswered tells of the customer's hooks that do not answer, each once, and that they do no more.
func (b *batch) unanswered(m *member) {
	open := b.hookNotices(m)
	for _, id := range m.Unanswered {
		if !slices.ContainsFunc(open, func(n migration.Notice) bool { return n.ID == id }) {
			b.Post.Settle(id)
		}
	}
	var ids []string
	for _, n := range open {
		if !slices.Contains(m.Unanswered, n.ID) {
			b.Post.Add(n)
		}
		ids = append(ids, n.ID)
	}
	m.Unanswered = ids
}

// outboxRuns hears when the outbox was started that runs now. A new one in the place of one that
// was terminated is told what waits for somebody.
func (b *batch) outboxRuns(since int64) {
	b.Post.Again()
	if since <= b.Outbox {
		return
	}
	again := b.Outbox != 0
	b.Outbox = since
	if !again {
		return
	}
	for _, m := range b.Members {
		if m.Asks != "" {
			b.Post.Add(b.heldNotice(m))
		}
		for _, n := range b.hookNotices(m) {
			b.Post.Add(n)
		}
		if m.Untimely {
			b.Post.Untimely(m.Status.ID, true)
		}
	}
	if b.Asks != "" {
		b.Post.Add(b.waitsNotice(b.Since))
	}
	b.Post.Send()
}

func (b *batch) waitsNotice(at time.Time) migration.Notice {
	return migration.Notice{ID: b.Asks, Kind: migration.NoticeBatchWaits, Batch: b.in.Batch.Name, At: at, Reason: b.Reason}
}

// timely says whether the clock's messages before the window fit a customer: one that has gone
// before it, or does not move in it, is told of no date.
func (b *batch) timely(ctx workflow.Context, m *member) {
	w := b.in.Batch.Window
	if w == nil || !workflow.Now(ctx).Before(w.Opens) {
		return
	}
	if untimely := !m.starting() || m.Status.Home == migration.AWS; untimely != m.Untimely {
		m.Untimely = untimely
		b.Post.Untimely(m.Status.ID, untimely)
	}
}

// lastMove is the last Move that changed a customer's home; false: there was none.
func lastMove(s migration.CustomerStatus) (migration.MoveResult, bool) {
	if n := len(s.Moves); n > 0 {
		return s.Moves[n-1], true
	}
	return migration.MoveResult{}, false
}

// announce tells of the batch itself: that it opens, that it is through, that it waits for people.
func (b *batch) announce(ctx workflow.Context) {
	notice := func(kind migration.NoticeKind) migration.Notice {
		now := workflow.Now(ctx)
		return migration.Notice{ID: fmt.Sprintf("%s/%s/%d", kind, b.in.Batch.Name, now.UnixMilli()), Kind: kind, Batch: b.in.Batch.Name,
			At: now, Reason: b.Reason}
	}
	if was := b.Announced; was != b.Phase {
		b.Announced = b.Phase
		switch {
		case b.Phase == migration.BatchCuttingOver && was == migration.BatchGate:
			b.Opened = true
			b.Post.Add(notice(migration.NoticeBatchOpen))
		case b.Phase == migration.BatchDone && b.Opened:
			b.Opened = false
			n := notice(migration.NoticeBatchDone)
			n.Reason = strings.TrimSuffix(b.counts().Summary()+"; "+n.Reason, "; ")
			b.Post.Add(n)
		}
	}
	switch waits := b.waitsForPeople(ctx); {
	case waits && b.Asks == "":
		b.Asks = notice(migration.NoticeBatchWaits).ID
		b.Post.Add(b.waitsNotice(workflow.Now(ctx)))
	case !waits && b.Asks != "":
		b.Post.Settle(b.Asks)
		b.Asks = ""
	}
}

// waitsForPeople says whether the batch goes on only when somebody approves or retries it, says
// what is to become of a writer, or mends what keeps writers from being observed. While the
// migration is paused, that is what waits.
func (b *batch) waitsForPeople(ctx workflow.Context) bool {
	switch b.Phase {
	case migration.BatchGate:
		w := b.in.Batch.Window
		closed := b.Waiting == migration.WaitWindow && w != nil && !workflow.Now(ctx).Before(w.Closes())
		return b.Waiting == migration.WaitApproval || closed
	case migration.BatchWaiting:
		return b.Waiting == migration.WaitObserve && b.Observing.Over
	case migration.BatchTakenBack:
		return true
	}
	return false
}
