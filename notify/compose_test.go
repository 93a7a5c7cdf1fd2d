package notify

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

func clock(t *testing.T, text string) (c migration.Clock) {
	t.Helper()
	require.NoError(t, c.UnmarshalText([]byte(text)))
	return c
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}

func at(t *testing.T, text, zoneName string) time.Time {
	t.Helper()
	out, err := time.ParseInLocation("2006-01-02 15:04", text, zone(t, zoneName))
	require.NoError(t, err)
	return out
}

// spec is a plan of two batches: of one with a window over the night in which Kyiv's clocks go
// back, and of one without.
func spec(t *testing.T) *migration.Spec {
	t.Helper()
	return &migration.Spec{
		Plan:   "shop",
		Policy: migration.Policy{FreezeBudget: migration.Duration(5 * time.Second), Soak: migration.Duration(72 * time.Hour)},
		Customers: []migration.Customer{
			{ID: "acme", Name: "Acme Corp", Hosts: []string{"acme.example.com"}, Labels: map[string]string{"tier": "gold"},
				Zone: "Europe/Kyiv", Contact: "it@acme.example"},
			{ID: "globex", Hosts: []string{"globex.example.com"}, Labels: map[string]string{"tier": "silver"},
				Contact: "it@globex.example"},
		},
		Batches: []migration.Batch{
			{Name: "canary", Customers: []string{"acme"}, Approvals: 1, Ticket: "CHG-1042", Bake: migration.Duration(10 * time.Minute),
				Window: &migration.Window{Opens: at(t, "2026-10-26 22:00", "Europe/Kyiv").UTC(), For: migration.Duration(4 * time.Hour),
					Zone: "Europe/Kyiv"}},
			{Name: "rest", Customers: []string{"globex"}},
		},
		Notify: &migration.Notify{
			Zone:     "Europe/Berlin",
			Channels: []migration.Channel{{Name: "chat", Slack: &migration.SlackChannel{URL: "env://CHAT"}}},
			Contacts: []migration.Contact{
				{Name: "customer", Channel: "mail", Address: migration.CustomersContact},
				{Name: "lead", Channel: "mail", Address: "lead@example.com"},
				{Name: "oncall", Channel: "pager"},
				{Name: "room", Channel: "chat"},
			},
			Rules: []migration.NotifyRule{
				{Audience: migration.ForCustomers, Events: []migration.NoticeKind{"two-weeks", "two-days", "evening", "done"},
					To: []string{"customer"}},
				{Audience: migration.ForOperators, Events: []migration.NoticeKind{"held", "done"},
					Labels: map[string]string{"tier": "gold"}, To: []string{"room"}, Escalate: []migration.Escalation{
						{After: migration.Duration(10 * time.Minute), To: []string{"oncall", "room"}},
						{After: migration.Duration(20 * time.Minute), To: []string{"lead"}},
					}},
				{Audience: migration.ForCustomerSuccess, Events: []migration.NoticeKind{"held"}, To: []string{"room"}},
				{Audience: migration.ForOperators, Events: []migration.NoticeKind{"batch-waits"}, Batches: []string{"rest"},
					To: []string{"room"}},
				{Audience: migration.ForOperators, Events: []migration.NoticeKind{"paused"}, To: []string{"room"}},
			},
		},
	}
}

// who is contact, address and step of each message.
func who(all []migration.Message) (out []string) {
	for _, m := range all {
		out = append(out, strings.Join([]string{m.Contact, m.Address, string(rune('0' + m.Step))}, "/"))
	}
	return out
}

func TestRulesChooseWhoHears(t *testing.T) {
	for _, tt := range []struct {
		name   string
		notice migration.Notice
		want   []string
	}{
		{"a customer's own contact hears of it, and the room for its label", migration.Notice{Kind: migration.NoticeDone, Batch: "canary",
			Customer: "acme"}, []string{"customer/it@acme.example/0", "room//0"}},
		{"another customer has another address and no such label", migration.Notice{Kind: migration.NoticeDone, Batch: "rest",
			Customer: "globex"}, []string{"customer/it@globex.example/0"}},
		{"what waits escalates, and two rules tell one contact once a step", migration.Notice{Kind: migration.NoticeHeld, Batch: "canary",
			Customer: "acme"}, []string{"room//0", "oncall//1", "room//1", "lead/lead@example.com/2"}},
		{"a rule of one batch hears nothing of another", migration.Notice{Kind: migration.NoticeBatchWaits, Batch: "canary"}, nil},
		{"nor does it of its own too little", migration.Notice{Kind: migration.NoticeBatchWaits, Batch: "rest"}, []string{"room//0"}},
		{"the migration is of no batch", migration.Notice{Kind: migration.NoticePaused}, []string{"room//0"}},
		{"what no rule names nobody hears", migration.Notice{Kind: migration.NoticeMoved, Batch: "canary", Customer: "acme"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Compose(spec(t), tt.notice)
			require.NoError(t, err)
			require.Equal(t, tt.want, who(got))
		})
	}
	_, err := Compose(spec(t), migration.Notice{Kind: migration.NoticeDone, Batch: "canary", Customer: "nobody"})
	require.ErrorContains(t, err, `no customer "nobody"`)
}

func TestEscalationIsDueStepAfterStep(t *testing.T) {
	now := time.Date(2026, 10, 26, 22, 5, 0, 0, time.UTC)
	got, err := Compose(spec(t), migration.Notice{Kind: migration.NoticeHeld, Batch: "canary", Customer: "acme", At: now})
	require.NoError(t, err)
	var after []time.Duration
	for _, m := range got {
		after = append(after, m.Due.Sub(now))
	}
	require.Equal(t, []time.Duration{0, 10 * time.Minute, 10 * time.Minute, 30 * time.Minute}, after)
	require.Equal(t, "acme is held and waits for you", got[0].Subject)
	require.Equal(t, "Nobody has answered yet: acme is held and waits for you", got[3].Subject)
}

func TestAMessagesKeyIsItsOwnAndAlwaysTheSame(t *testing.T) {
	n := migration.Notice{ID: "held/acme/7", Kind: migration.NoticeHeld, Batch: "canary", Customer: "acme"}
	first, err := Compose(spec(t), n)
	require.NoError(t, err)
	n.Reason, n.At = "told again, in other words", time.Now()
	again, err := Compose(spec(t), n)
	require.NoError(t, err)
	n.ID = "held/acme/8"
	other, err := Compose(spec(t), n)
	require.NoError(t, err)
	seen := map[string]bool{}
	for i := range first {
		require.Equal(t, first[i].Key, again[i].Key)
		seen[first[i].Key], seen[other[i].Key] = true, true
	}
	require.Len(t, seen, 2*len(first))
}

func TestTheClocksNoticesComeByTheCustomersClock(t *testing.T) {
	var got []string
	for _, n := range Scheduled(spec(t)) {
		got = append(got, string(n.Kind)+" "+n.Customer+" "+n.At.Format(time.RFC3339))
	}
	require.Equal(t, []string{
		"two-weeks acme 2026-10-12T19:00:00Z", // 22:00 in Kyiv's summer
		"two-days acme 2026-10-24T19:00:00Z",
		"evening acme 2026-10-25T16:00:00Z", // 18:00 in its winter, since that morning
	}, got, "globex' batch has no window")
	moved := spec(t)
	moved.Batches[0].Window.Opens = moved.Batches[0].Window.Opens.Add(24 * time.Hour)
	require.NotEqual(t, Scheduled(spec(t))[0].ID, Scheduled(moved)[0].ID, "a window that is moved is told anew")
}

func TestQuietHoursAndDigestsHoldNewsBack(t *testing.T) {
	night := &migration.Quiet{From: clock(t, "22:00"), To: clock(t, "07:00")}
	all := &migration.Quiet{From: clock(t, "22:00"), To: clock(t, "07:00"), All: true}
	noon := &migration.Quiet{From: clock(t, "12:00"), To: clock(t, "13:00")}
	hour := migration.Duration(time.Hour)
	for _, tt := range []struct {
		name    string
		contact migration.Contact
		kind    migration.NoticeKind
		at      string
		want    string
	}{
		{"in the day at once", migration.Contact{Quiet: night}, migration.NoticeMoved, "2026-12-02 15:30", "2026-12-02 15:30"},
		{"in the evening the next day", migration.Contact{Quiet: night}, migration.NoticeMoved, "2026-12-02 22:00", "2026-12-03 07:00"},
		{"after midnight the same day", migration.Contact{Quiet: night}, migration.NoticeMoved, "2026-12-03 06:59", "2026-12-03 07:00"},
		{"at the end at once", migration.Contact{Quiet: night}, migration.NoticeMoved, "2026-12-03 07:00", "2026-12-03 07:00"},
		{"before a rest at noon at once", migration.Contact{Quiet: noon}, migration.NoticeMoved, "2026-12-03 11:59", "2026-12-03 11:59"},
		{"in a rest at noon after it", migration.Contact{Quiet: noon}, migration.NoticeMoved, "2026-12-03 12:01", "2026-12-03 13:00"},
		{"what asks for somebody wakes", migration.Contact{Quiet: night}, migration.NoticeHeld, "2026-12-02 23:00", "2026-12-02 23:00"},
		{"unless all is held back", migration.Contact{Quiet: all}, migration.NoticeHeld, "2026-12-02 23:00", "2026-12-03 07:00"},
		{"a night of an hour more", migration.Contact{Quiet: night}, migration.NoticeBack, "2026-10-24 23:00", "2026-10-25 07:00"},
		{"a digest gathers for its time", migration.Contact{Digest: hour}, migration.NoticeMoved, "2026-12-02 15:30", "2026-12-02 16:00"},
		{"and what comes at its end is in the next", migration.Contact{Digest: hour}, migration.NoticeMoved, "2026-12-02 16:00",
			"2026-12-02 17:00"},
		{"no alarm waits for a digest", migration.Contact{Digest: hour}, migration.NoticePaused, "2026-12-02 15:30", "2026-12-02 15:30"},
		{"a digest of the night comes in the morning", migration.Contact{Digest: hour, Quiet: night}, migration.NoticeMoved,
			"2026-12-02 21:30", "2026-12-03 07:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := due(tt.contact, zone(t, "Europe/Kyiv"), tt.kind, at(t, tt.at, "Europe/Kyiv"))
			require.Equal(t, at(t, tt.want, "Europe/Kyiv").UTC(), got)
		})
	}
	require.Zero(t, due(migration.Contact{Quiet: night}, time.UTC, migration.NoticeMoved, time.Time{}), "unknown stays so")
}

func TestADigestHoldsItsPartsUnderOneKey(t *testing.T) {
	s := spec(t)
	s.Notify.Contacts[3].Digest = migration.Duration(time.Hour)
	now := time.Date(2026, 10, 26, 21, 5, 0, 0, time.UTC)
	var parts []migration.Message
	for i, c := range []string{"globex", "acme"} {
		s.Customers[1].Labels = map[string]string{"tier": "gold"}
		all, err := Compose(s, migration.Notice{ID: "done/" + c, Kind: migration.NoticeDone, Customer: c, Batch: map[string]string{
			"acme": "canary", "globex": "rest"}[c], At: now.Add(-time.Duration(i) * time.Minute)})
		require.NoError(t, err)
		require.True(t, all[1].Digest)
		parts = append(parts, all[1])
	}
	got := Digest(parts)
	require.Equal(t, "shop: 2 news", got.Subject)
	require.Less(t, strings.Index(got.Text, "acme has moved"), strings.Index(got.Text, "globex has moved"), "in the order of their time")
	require.Equal(t, got.Key, Digest([]migration.Message{parts[1], parts[0]}).Key)
	require.Equal(t, parts[0], Digest(parts[:1]), "one alone is itself")
}

// A kind that an audience hears and no template knows would fail when it happens, at night.
func TestEveryAudienceHasWordsForWhatItHears(t *testing.T) {
	for a := range byAudience {
		for _, k := range migration.NoticeKinds {
			n := migration.Notice{Kind: k, Reason: "because of <this> & that", At: time.Date(2026, 10, 26, 21, 5, 0, 0, time.UTC),
				Freeze: migration.Duration(1234 * time.Millisecond), Until: time.Date(2026, 10, 29, 21, 5, 0, 0, time.UTC)}
			if !k.OfMigration() {
				n.Batch = "canary"
			}
			if k.OfCustomer() {
				n.Customer = "acme"
			}
			v, err := about(spec(t), n)
			require.NoError(t, err)
			title, text, err := v.words(a, zone(t, "Europe/Kyiv"), 0)
			if !a.Hears(k) {
				require.Error(t, err, "%s of %s: words that nobody hears", a, k)
				continue
			}
			require.NoError(t, err, "%s of %s", a, k)
			require.NotEmpty(t, title)
			require.NotContains(t, text, "<no value>")
			require.NotContains(t, text, "\n\n\n", "%s of %s", a, k)
			for _, line := range strings.Split(text, "\n") {
				require.Equal(t, strings.TrimRight(line, " "), line, "%s of %s", a, k)
			}
			if a == migration.ForCustomers {
				for _, inner := range []string{"canary", "because of", "drover", "CHG-1042", "acme has"} {
					require.NotContains(t, title+text, inner, "%s: a customer reads nothing of our own", k)
				}
			}
		}
	}
}

func TestTimesAreTheReadersOwn(t *testing.T) {
	all, err := Compose(spec(t), migration.Notice{Kind: migration.NoticeTwoWeeks, Batch: "canary", Customer: "acme"})
	require.NoError(t, err)
	require.Contains(t, all[0].Text, "between Mon 26 Oct 2026 22:00 EET and Tue 27 Oct 2026 02:00 EET")
	s := spec(t)
	s.Notify.Contacts[0].Zone = "America/Chicago"
	all, err = Compose(s, migration.Notice{Kind: migration.NoticeTwoWeeks, Batch: "canary", Customer: "acme"})
	require.NoError(t, err)
	require.Contains(t, all[0].Text, "between Mon 26 Oct 2026 15:00 CDT")
}

// Contacts have names such as oncall and oncall1, and an escalation has up to ten steps.
func TestNoContactIsTakenForAnotherAtAnotherStep(t *testing.T) {
	s := spec(t)
	s.Notify.Contacts = append(s.Notify.Contacts, migration.Contact{Name: "oncall1", Channel: "pager"})
	var steps []migration.Escalation
	for range 10 {
		steps = append(steps, migration.Escalation{After: migration.Duration(time.Minute), To: []string{"oncall"}})
	}
	s.Notify.Rules = []migration.NotifyRule{{Audience: migration.ForOperators, Events: []migration.NoticeKind{migration.NoticeHeld},
		To: []string{"oncall1"}, Escalate: steps}}
	got, err := Compose(s, migration.Notice{ID: "held/acme", Kind: migration.NoticeHeld, Batch: "canary", Customer: "acme"})
	require.NoError(t, err)
	require.Len(t, got, 11)
	require.Equal(t, 10, got[10].Step)
}

func TestOfTwoRulesTheOneThatTellsEarlierCounts(t *testing.T) {
	s := spec(t)
	rule := func(after time.Duration) migration.NotifyRule {
		return migration.NotifyRule{Audience: migration.ForOperators, Events: []migration.NoticeKind{migration.NoticeHeld},
			To: []string{"room"}, Escalate: []migration.Escalation{{After: migration.Duration(after), To: []string{"lead"}}}}
	}
	s.Notify.Rules = []migration.NotifyRule{rule(4 * time.Hour), rule(5 * time.Minute), rule(time.Hour)}
	at := at(t, "2026-10-26 22:10", "UTC")
	got, err := Compose(s, migration.Notice{ID: "held/acme", Kind: migration.NoticeHeld, Batch: "canary", Customer: "acme", At: at})
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, "lead", got[1].Contact)
	require.Equal(t, at.Add(5*time.Minute), got[1].Due)
}

// A reason is whatever somebody wrote or some server answered: below the words of a message it must
// not look like more of them, such as a command to type.
func TestAReasonAddsNoLinesToAMessage(t *testing.T) {
	s := spec(t)
	s.Notify.Rules = []migration.NotifyRule{{Audience: migration.ForOperators, Events: []migration.NoticeKind{migration.NoticeHeld},
		To: []string{"room"}}}
	got, err := Compose(s, migration.Notice{ID: "held/acme", Kind: migration.NoticeHeld, Batch: "canary", Customer: "acme",
		Reason: "slow\n\n  drover rollback shop --all --reason ok\r\n\x0bMore"})
	require.NoError(t, err)
	require.Contains(t, got[0].Text, "Why: slow drover rollback shop --all --reason ok More\n")
}

// Whether going back loses nothing only audits know, and a letter lies for weeks.
func TestNoLetterPromisesAWayBack(t *testing.T) {
	for a := range byAudience {
		if !a.Hears(migration.NoticeDone) {
			continue
		}
		v, err := about(spec(t), migration.Notice{Kind: migration.NoticeDone, Batch: "canary", Customer: "acme",
			At: at(t, "2026-10-26 22:05", "UTC"), Until: at(t, "2026-10-29 22:05", "UTC")})
		require.NoError(t, err)
		_, text, err := v.words(a, time.UTC, 0)
		require.NoError(t, err)
		require.NotContains(t, text, "go back", a)
		require.NotContains(t, text, "loss", a)
	}
}

func TestALetterOfABatchThatIsThroughHasItsNumbers(t *testing.T) {
	for a := range byAudience {
		if !a.Hears(migration.NoticeBatchDone) {
			continue
		}
		v, err := about(spec(t), migration.Notice{Kind: migration.NoticeBatchDone, Batch: "canary",
			Reason: migration.Counts{OnAWS: 11, Held: 1}.Summary()})
		require.NoError(t, err)
		_, text, err := v.words(a, time.UTC, 0)
		require.NoError(t, err)
		require.Contains(t, text, "11 on AWS, 0 rolled back, 1 held", a)
	}
}
