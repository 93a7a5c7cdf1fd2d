package batch

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/mail"
)

// outbox plays the plan's outbox, which hears what the batch has to tell; it begins late where the
// test says so.
func (h *herd) outbox(ctx workflow.Context) error {
	mail.Listen(ctx, mail.SignalNews, "", func(_ workflow.Context, n mail.News) { h.news = append(h.news, n) })
	return workflow.Await(ctx, func() bool { return false })
}

// notices are the ids of all that was told, without the times at which something began to wait.
func (h *herd) notices() (out []string) {
	for _, n := range h.news {
		for _, x := range n.Notices {
			out = append(out, named(x.ID))
		}
		for _, id := range n.Settled {
			out = append(out, "settled "+named(id))
		}
		for _, id := range n.Untimely {
			out = append(out, "untimely "+id)
		}
		for _, id := range n.Timely {
			out = append(out, "timely "+id)
		}
	}
	return out
}

func named(id string) string {
	if parts := strings.Split(id, "/"); len(parts) == 3 && len(parts[2]) == len("1764705600000") {
		return parts[0] + "/" + parts[1]
	}
	return id
}

func TestABatchTellsWhatHappensToItsCustomersTogether(t *testing.T) {
	h := newHerd(t, 300)
	h.tells = migration.NoticeKinds
	h.run()
	count := map[string]int{}
	for _, n := range h.notices() {
		kind, _, _ := strings.Cut(n, "/")
		count[kind]++
	}
	require.Equal(t, map[string]int{"started": 300, "moved": 300, "done": 300, "batch-open": 1, "batch-done": 1}, count)
	require.Less(t, len(h.news), 20, "300 customers, and no more signals than reports")
	for _, n := range h.news {
		for _, x := range n.Notices {
			if x.Kind == migration.NoticeBatchDone {
				require.Equal(t, "300 on AWS, 0 rolled back, 0 held", x.Reason)
			}
		}
	}
	for i, n := range h.news {
		require.Equal(t, "wave", n.From)
		require.True(t, i == 0 || n.Order.Newer(h.news[i-1].Order), "in order, and each is newer")
		for _, x := range n.Notices {
			require.Equal(t, "wave", x.Batch)
			require.False(t, x.At.IsZero())
			if x.Kind == migration.NoticeMoved {
				require.Equal(t, migration.Duration(time.Second), x.Freeze)
			}
		}
	}
}

func TestABatchTellsWhoWaitsForSomebodyAndWhoNoMore(t *testing.T) {
	for name, c := range map[string]struct {
		play func(h *herd)
		want []string
	}{
		"approvals": {func(h *herd) {
			h.batch.Approvals = 1
			h.at(time.Hour, func() { h.command(migration.UpdateApprove, "ann", "") })
		}, []string{"batch-waits/wave", "batch-open/wave", "started/c0/0", "settled batch-waits/wave", "moved/c0/1", "done/c0/1",
			"batch-done/wave"}},
		"a customer that goes back": {func(h *herd) { h.ill["c0"] = true },
			[]string{"batch-open/wave", "started/c0/0", "moved/c0/1", "back/c0/2", "batch-done/wave"}},
		"a customer that cannot go back": {func(h *herd) { h.ill["c0"], h.stuck["c0"] = true, true },
			[]string{"batch-open/wave", "started/c0/0", "moved/c0/1", "held/c0", "batch-done/wave"}},
		"a deferral asks nobody": {func(h *herd) { h.deferred = map[string]time.Duration{"c0": 5 * time.Minute} },
			[]string{"batch-open/wave", "started/c0/0", "moved/c0/1", "done/c0/1", "batch-done/wave"}},
		"a window that has closed": {func(h *herd) {
			h.waits = true
			h.window(time.Minute)
			h.at(2*time.Minute, func() { h.signal(mail.SignalTurn, mail.Turn{}) })
			h.at(time.Hour, func() { h.command(migration.UpdateRetry, "ann", "") })
		}, []string{"batch-waits/wave", "batch-open/wave", "started/c0/0", "settled batch-waits/wave", "moved/c0/1", "done/c0/1",
			"batch-done/wave"}},
		"what was found of a writer": {func(h *herd) {
			h.waits, h.batch.Requires = true, &migration.Requires{Observe: &migration.Observe{}}
			word := func(n int, missing mail.Observing) {
				h.signal(mail.SignalWord, mail.Pause{Order: mail.Order{At: h.env.Now().UnixNano(), N: n}, Observing: missing})
			}
			h.at(time.Minute, func() { word(1, mail.Observing{Words: "it is observed still"}) })
			h.at(2*time.Minute, func() { word(2, mail.Observing{Words: "1 finding is unresolved", Over: true}) })
			h.at(time.Hour, func() { word(3, mail.Observing{}) })
			h.at(2*time.Hour, func() { h.signal(mail.SignalTurn, mail.Turn{}) })
		}, []string{"batch-waits/wave", "settled batch-waits/wave", "batch-open/wave", "started/c0/0", "moved/c0/1", "done/c0/1",
			"batch-done/wave"}},
		"writers that cannot be observed": {func(h *herd) {
			h.waits, h.batch.Requires = true, &migration.Requires{Observe: &migration.Observe{}}
			word := func(n int, missing mail.Observing) {
				h.signal(mail.SignalWord, mail.Pause{Order: mail.Order{At: h.env.Now().UnixNano(), N: n}, Observing: missing})
			}
			h.at(time.Minute, func() { word(1, mail.Observing{Words: "the database does not answer"}) })
			h.at(2*time.Minute, func() { word(2, mail.Observing{Words: "the database does not answer", Person: true, Over: true}) })
			h.at(3*time.Minute, func() {
				require.Equal(t, []string{"batch-waits/wave"}, h.notices())
				require.True(t, h.reports[len(h.reports)-1].Status.Asks, "the migration knows whose turn it is")
			})
			h.at(time.Hour, func() { word(3, mail.Observing{}) })
			h.at(2*time.Hour, func() { h.signal(mail.SignalTurn, mail.Turn{}) })
		}, []string{"batch-waits/wave", "settled batch-waits/wave", "batch-open/wave", "started/c0/0", "moved/c0/1", "done/c0/1",
			"batch-done/wave"}},
		"before its window": {func(h *herd) {
			h.batch.Window = &migration.Window{Opens: h.env.Now().Add(2 * time.Hour), For: migration.Duration(time.Hour)}
			h.at(time.Hour, func() { h.command(migration.UpdateRetry, "ann", "") })
		}, []string{"batch-open/wave", "started/c0/0", "untimely c0", "moved/c0/1", "done/c0/1", "batch-done/wave"}},
		"on AWS since an earlier run": {func(h *herd) {
			h.aws = map[string]bool{"c0": true}
			h.batch.Window = &migration.Window{Opens: h.env.Now().Add(2 * time.Hour), For: migration.Duration(time.Hour)}
		}, []string{"untimely c0"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHerd(t, 1)
			h.tells = migration.NoticeKinds
			c.play(h)
			h.run()
			got := slices.DeleteFunc(h.notices(), func(s string) bool { return s == "settled held/c0" })
			require.Equal(t, c.want, got)
		})
	}
}

func TestABatchTellsOnlyWhatSomeRuleNames(t *testing.T) {
	h := newHerd(t, 2)
	h.tells = []migration.NoticeKind{migration.NoticeDone}
	h.run()
	require.Equal(t, []string{"done/c0/1", "done/c1/1"}, h.notices())
	quiet := newHerd(t, 2)
	quiet.run()
	require.Empty(t, quiet.news)
}

// A hook that has failed once or twice is no news.
func TestABatchTellsOfAHookThatDoesNotAnswer(t *testing.T) {
	h := newHerd(t, 2)
	h.tells = migration.NoticeKinds
	h.deaf = map[string]int{"c0": 5, "c1": 2}
	h.run()
	var told []string
	for _, n := range h.news {
		for _, x := range n.Notices {
			if x.Kind == migration.NoticeHook {
				require.Equal(t, "hook afterRoute of try 1 failed 3 times: 503", x.Reason)
				require.Equal(t, "c0", x.Customer)
				told = append(told, x.ID)
			}
		}
		for _, id := range n.Settled {
			told = append(told, "settled "+id)
		}
	}
	require.Len(t, told, 2, "told once, and that it has answered: %v", told)
	require.Equal(t, "settled "+told[0], told[1])
}

// An outbox that somebody terminated has forgotten everything.
func TestANewOutboxIsToldAgainWhatWaits(t *testing.T) {
	h := newHerd(t, 2)
	h.tells, h.batch.Approvals = migration.NoticeKinds, 1
	h.ill["c1"], h.stuck["c1"] = true, true
	word := func(n int, outbox int64) mail.Pause {
		return mail.Pause{Order: mail.Order{At: 1, N: n}, Outbox: outbox}
	}
	h.at(time.Minute, func() { h.signal(mail.SignalWord, word(1, 1)) })
	h.at(2*time.Minute, func() { h.signal(mail.SignalWord, word(2, 1)) })
	h.at(3*time.Minute, func() { h.signal(mail.SignalWord, word(3, 2)) })
	h.at(4*time.Minute, func() { h.command(migration.UpdateApprove, "ann", "") })
	h.at(time.Hour, func() { h.signal(mail.SignalWord, word(4, 3)) })
	h.run()
	var asked []string
	for _, n := range h.notices() {
		if strings.Contains(n, "batch-waits") || strings.HasPrefix(n, "held") {
			asked = append(asked, n)
		}
	}
	require.Equal(t, []string{"batch-waits/wave", "batch-waits/wave", "settled batch-waits/wave", "held/c1", "held/c1"}, asked)
	var ids []string
	for _, n := range h.news {
		for _, x := range n.Notices {
			if x.Kind.Asks() {
				ids = append(ids, x.ID)
			}
		}
	}
	require.Len(t, slices.Compact(ids), 2, "under the ids that they had")
}
