package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/goldenfile"
	"github.com/drover-migration/drover/internal/prices"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
)

var now = time.Date(2026, 12, 2, 22, 0, 0, 0, time.UTC)

// look is ann's, who has signed in nowhere.
var look = glance{plan: "shop", by: "ann", now: now}

func ago(d time.Duration) time.Time { return now.Add(-d) }

// golden compares with a file in testdata/golden, or writes it with UPDATE_GOLDEN=1, and holds
// every line to 80 characters.
func golden(t *testing.T, name, got string) {
	t.Helper()
	for l := range strings.Lines(got) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(l, "\n")), printer.Width, "too wide: %s", l)
	}
	goldenfile.Equal(t, filepath.Join("testdata", "golden", name), got)
}

func held() migration.CustomerStatus {
	return migration.CustomerStatus{
		ID: "initech", Name: "Initech Ltd", Batch: "week-49", Home: migration.OnPrem, Phase: migration.CustomerHeld,
		WaitingFor: migration.WaitOperator,
		Since:      ago(4 * time.Minute), Token: 7, Tries: 3, Reason: "the predicted freeze of 7.2s is longer than the budget of 5s: 41 " +
			"MB behind on orders",
		MayDo: []string{"retry", "note"},
		Verdict: &migration.Verdict{Outcome: migration.Inconclusive, Reason: "12 samples are fewer than 100", At: ago(5 * time.Minute),
			Probe: "http /healthz", Samples: 12, P95: 0.012, BaselineP95: 0.0094, LastAnswer: "200 OK"},
		Moves: []migration.MoveResult{
			{Outcome: migration.MoveDone, Try: migration.Try{Token: 2}, From: migration.OnPrem, To: migration.AWS,
				Freeze: migration.Duration(18 * time.Millisecond), Rows: 120345, Objects: 12,
				Requests: &migration.Requests{From: ago(10 * time.Minute), To: ago(8 * time.Minute), Failed: &migration.Count{N: 3},
					Retried: &migration.Count{Why: "ask Prometheus at https://prometheus.example.com: it answers 503"}, Tries: 5}},
			{Outcome: migration.MoveDone, Try: migration.Try{Token: 4}, From: migration.AWS, To: migration.OnPrem,
				Freeze: migration.Duration(22 * time.Millisecond), Rows: 120411, Objects: 12, Reason: "3 probes of 3 failed"},
		},
		Timeline: []migration.Event{
			{At: ago(9 * time.Minute), What: "cut over: homed on aws"},
			{At: ago(8 * time.Minute), What: "rollback", By: "ann", Why: "the customer calls: reports are empty, although every probe " +
				"passes; to be looked at by the platform team tomorrow"},
		},
	}
}

func shop() migration.MigrationStatus {
	moving := migration.CustomerStatus{ID: "customer-with-a-rather-long-identifier", Batch: "week-49", Home: migration.OnPrem,
		Phase: migration.CustomerMoving, Since: ago(2 * time.Second), Tries: 1}
	return migration.MigrationStatus{
		Plan: "shop", Revision: 1, Phase: migration.MigrationReleasing, WaitingFor: migration.WaitResume, Since: ago(26 * time.Hour),
		Paused: true,
		Reason: "2 customers were rolled back or held (policy.stopAfter: 2); look at why, then resume",
		MayDo:  []string{"resume", "rollback"},
		Batches: []migration.BatchStatus{
			{Name: "canary", Phase: migration.BatchDone, WaitingFor: migration.WaitNothing, Counts: migration.Counts{Customers: 1,
				OnAWS: 1},
				Customers: []migration.CustomerStatus{{ID: "acme", Batch: "canary", Home: migration.AWS, Phase: migration.CustomerSoaking,
					WaitingFor: migration.WaitHealth, Since: ago(25 * time.Hour), Until: now.Add(47 * time.Hour), Tries: 1}}},
			{Name: "week-49", Phase: migration.BatchCuttingOver, Counts: migration.Counts{Customers: 2, Moving: 1, Held: 1},
				Customers: []migration.CustomerStatus{held(), moving}},
			{Name: "week-50", Phase: migration.BatchGate, WaitingFor: migration.WaitApproval, Needs: 2, MayDo: []string{"approve"},
				Window: &migration.Window{Opens: now.Add(2 * time.Hour), For: migration.Duration(4 * time.Hour),
					Zone: "America/New_York"},
				Approvals: []migration.Event{{At: ago(time.Hour), What: "approve", By: "ann"}}, Counts: migration.Counts{Customers: 10000,
					Waiting: 10000}},
		},
		Workloads: []migration.PieceStatus{{Name: "web", Phase: migration.PieceReplicating, Detail: "web-02",
			Progress: migration.Progress{Done: 3 << 30, Total: 40 << 30, Rate: 1 << 20, ETA: migration.Duration(10 * time.Hour)}}},
		Datasets: []migration.PieceStatus{{Name: "orders", Phase: migration.PieceReady, AsOf: ago(40 * time.Second),
			Detail: "going back would lose what customers wrote on AWS", Trying: []migration.Trying{
				{What: "lag of orders", Times: 1, Last: "no answer in time", At: ago(2 * time.Second), Since: ago(40 * time.Second),
					Next: now.Add(3 * time.Second)},
				{What: "audit both sides of orders", Last: "no worker takes it", Since: ago(3 * time.Minute)}}}, {Name: "attachments",
			Phase: migration.PieceReplicating, Progress: migration.Progress{Done: 1 << 20, Measuring: true}}},
		Timeline: []migration.Event{{At: ago(26 * time.Hour), What: "plan accepted: 10003 customers in 3 batches", By: "ann"},
			{At: ago(time.Minute), What: "the migration pauses itself", Why: "2 customers rolled back or held; the plan stops after 2"}},
	}
}

func TestAPlanFitsATerminal(t *testing.T) { golden(t, "plan.txt", look.migration(shop())) }

// planned is the plan of which shop is the status.
func planned() *migration.Spec {
	return &migration.Spec{Plan: "shop",
		Customers: []migration.Customer{{ID: "initech", Hosts: []string{"initech.app.example.com"}, Zone: "America/New_York",
			Contact: "cs@initech.example", Blackouts: []migration.Span{{From: now.AddDate(0, 0, 28), To: now.AddDate(0, 0, 30)}}}},
		Batches: []migration.Batch{{Name: "week-49", Ticket: "CHG-1042", Customers: []string{"initech"},
			Window: &migration.Window{Opens: ago(time.Hour), For: migration.Duration(4 * time.Hour), Zone: "Europe/Kyiv"}}}}
}

func TestACustomerFitsATerminal(t *testing.T) {
	g := look
	g.spec = planned()
	golden(t, "customer.txt", g.customer(held()))
}

// TestWhatWaitsForSomebodyIsWhole holds that a reason and a command are never cut, however long.
func TestWhatWaitsForSomebodyIsWhole(t *testing.T) {
	s := shop()
	c := held()
	c.ID, c.Phase, c.Reason, c.WaitingFor = "asks", migration.CustomerWaiting, "", migration.WaitBatch
	c.MayDo = []string{"hold", "note", "decide"}
	c.Deferral = &migration.Deferral{NotBefore: now.Add(72 * time.Hour), Asked: migration.Event{By: "cs-2", Why: "their month end"}}
	s.Batches[1].Customers = append(s.Batches[1].Customers, c)
	s.Batches[1].Reason = strings.Repeat("the batch waits for replication. ", 8) + "End of the reason."
	got := strings.Join(strings.Fields(look.migration(s)), " ")
	for _, want := range []string{
		"may be done now: drover resume shop --by ann drover rollback shop --all --reason \"WHY\" --by ann " +
			"drover approve shop week-50 --by ann",
		"initech is held: the predicted freeze of 7.2s is longer than the budget of 5s: 41 MB behind on orders " +
			"may be done now: drover retry shop --customer initech --by ann",
		"asks is waiting: cs-2 asks that it does not move before 2026-12-06 00:00:00 EET: their month end " +
			"may be done now: drover decide shop --customer asks --accept --by ann drover decide shop --customer asks --refuse --by ann",
		"End of the reason.",
		"batch week-50: window opens in 2h: Thu 3 Dec 2026 02:00 to 06:00 EET (in America/New_York: Wed 2 Dec 2026 19:00 to 23:00 EST)",
	} {
		require.Contains(t, got, want)
	}
	s.Batches[2].Workflow = "Terminated"
	require.NotContains(t, look.migration(s), "drover approve", "nobody would take it")
}

// A deferral that was accepted can only be ended: to accept it again would be refused.
func TestADeferralIsAcceptedOnce(t *testing.T) {
	c := held()
	c.Cause, c.MayDo = migration.ByDeferral, []string{"decide", "note"}
	c.Deferral = &migration.Deferral{NotBefore: now.Add(72 * time.Hour), Asked: migration.Event{By: "cs-2", Why: "their month end"},
		Accepted: true, Decided: &migration.Event{What: "accepted", By: "lead"}}
	got := strings.Join(strings.Fields(look.customer(c)), " ")
	require.NotContains(t, got, "--accept")
	require.Contains(t, got, "drover decide shop --customer initech --refuse --by ann")
	require.Contains(t, got, "deferral until 2026-12-06 00:00:00 EET, asked for by cs-2: their month end; accepted")
	b := migration.BatchStatus{Name: "week-49", Customers: []migration.CustomerStatus{c}}
	require.Contains(t, look.batch(b), "2026-12-06 00:00 EET")
}

func TestSlotsAreShownOnTheClocksOfReaderAndCustomer(t *testing.T) {
	c := held()
	w := migration.Window{Opens: now.Add(24 * time.Hour), For: migration.Duration(2 * time.Hour), Zone: "America/New_York"}
	c.Slots = &migration.Slots{Offered: []migration.Window{w}, By: migration.Event{At: ago(time.Hour), By: "lea"}}
	got := strings.Join(strings.Fields(look.customer(c)), " ")
	require.Contains(t, got, "slots offered by lea on 2026-12-02 23:00:00 EET, none taken: "+
		"Fri 4 Dec 2026 00:00 to 02:00 EET (in America/New_York: Thu 3 Dec 2026 17:00 to 19:00 EST)")
	c.Slots.Taken, c.Slots.Choice = &w, &migration.Event{At: now, By: "the customer, by its link"}
	got = strings.Join(strings.Fields(look.customer(c)), " ")
	require.Contains(t, got, "slot taken by the customer, by its link on 2026-12-03 00:00:00 EET: opens in 1d: Fri 4 Dec 2026 00:00")
}

// A command that is wider than the terminal is still one command for the shell that it is pasted
// into.
func TestALongCommandIsPastedWhole(t *testing.T) {
	id := strings.Repeat("x", 50)
	got := look.mayDo("  ", offered(client.Aim{Plan: "shop", Customer: id}, []string{"rollback"}))
	for l := range strings.Lines(got) {
		require.LessOrEqual(t, len(strings.TrimSuffix(l, "\n")), printer.Width)
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "drover() { printf '%s|' \"$@\"; }\n"+
		strings.TrimPrefix(got, "  may be done now:\n")).Output()
	require.NoError(t, err)
	require.Equal(t, "rollback|shop|--customer|"+id+"|--reason|WHY|--by|ann|", string(out))
}

func TestABatchFitsATerminal(t *testing.T) {
	b := shop().Batches[1]
	b.Window = &migration.Window{Opens: now, For: migration.Duration(4 * time.Hour), Zone: "Europe/Kyiv"}
	b.Ticket, b.Needs, b.Approvals = "CHG-1042", 1, []migration.Event{{By: "ann"}}
	golden(t, "batch.txt", look.batch(b))
}

func TestWhatWaitsForSomebodyAndWhatFailsFitsATerminal(t *testing.T) {
	trying := migration.Delivery{Key: "3fa91c02", Kind: migration.NoticeHeld, Customer: "initech", Contact: "room",
		State: migration.DeliveryTrying, Tries: 4, Failure: "send \"initech is held and waits for you\" to contact \"room\" by channel " +
			"\"chat\": the receiver answered 503 Service Unavailable", Since: ago(5 * time.Minute), FailedAt: ago(time.Minute),
		Next: now.Add(20 * time.Second)}
	m := &migration.MessagesStatus{Phase: migration.OutboxOpen, Waiting: 8, Fails: 6,
		Asks: []migration.Ask{
			{ID: "held/initech/1796248800000", Kind: migration.NoticeHeld, Batch: "week-49", Customer: "initech", At: ago(6 * time.Minute),
				Reason: held().Reason, Told: []string{"oncall"}, Next: []string{"lead"}, NextAt: now.Add(4 * time.Minute)},
			{ID: "batch-waits/week-50/1796248800000", Kind: migration.NoticeBatchWaits, Batch: "week-50", At: ago(time.Hour),
				Reason: "1 of 2 approvals", Taken: &migration.Event{At: ago(30 * time.Minute), By: "ann", Why: "CAB meets at ten"}},
			{ID: "paused/1796248800000", Kind: migration.NoticePaused, At: ago(time.Minute)},
		},
		Pending: []migration.Delivery{trying, trying, trying, trying, trying, trying,
			{Kind: migration.NoticeMoved, Customer: "initech", Contact: "cs", State: migration.DeliveryDue, Due: now.Add(time.Hour)}},
		Past: []migration.Delivery{
			{Kind: migration.NoticeStarted, Customer: "initech", Contact: "cs", State: migration.DeliveryDelivered,
				At: ago(10 * time.Minute)},
			{Kind: migration.NoticeHeld, Customer: "initech", Contact: "lead", State: migration.DeliveryGivenUp, At: ago(2 * time.Minute),
				Failure: "the receiver answered 404 Not Found"},
		},
	}
	golden(t, "messages.txt", messagesView("shop", m, now)+toldView(m))
	c := held()
	c.Messages = m
	require.Contains(t, look.customer(c), "drover ack shop held/initech/1796248800000\n")
	require.Empty(t, messagesView("shop", nil, now))
	require.Contains(t, messagesView("shop", &migration.MessagesStatus{Phase: migration.OutboxUnread}, now), "cannot be read now")
}

func TestACustomerThatSoaksSaysUntilWhen(t *testing.T) {
	c := shop().Batches[0].Customers[0]
	c.Until = now.Add(47 * time.Hour)
	require.Contains(t, look.batch(shop().Batches[0]), "  soak: 1 customer, until 2026-12-04 23:00:00 EET\n")
	for name, w := range map[string]struct {
		whole *migration.MigrationStatus
		want  string
	}{
		"all is well": {&migration.MigrationStatus{}, "the soak ends 2026-12-04 23:00:00 EET; until then it can go back without loss"},
		"not read": {nil, "the soak ends 2026-12-04 23:00:00 EET whether it can still go back is not known: the plan's own status " +
			"cannot be read"},
		"lost": {&migration.MigrationStatus{Datasets: []migration.PieceStatus{{Name: "orders",
			NoWayBack: &migration.NoWayBack{Why: "replication slot s is gone", Lost: true}}}}, "the soak ends 2026-12-04 23:00:00 EET " +
			"can it go back? No, not without loss. What is written on AWS does not reach premises any more: going back would lose it. " +
			"Dataset orders: replication slot s is gone."},
		"all of it is being ended": {&migration.MigrationStatus{Phase: migration.MigrationFinalising},
			"can it go back? No: its way back is being ended."},
		"not audited": {&migration.MigrationStatus{Datasets: []migration.PieceStatus{{Name: "orders", Workflow: "Terminated"}}},
			"can it go back? Not known at this moment. Dataset orders: its workflow was ended in Temporal (Terminated)"},
		"finalised": {&migration.MigrationStatus{Batches: []migration.BatchStatus{{Name: c.Batch,
			Finalised: &migration.Finalised{By: "lea", Cut: now}}}}, "the soak ends 2026-12-04 23:00:00 EET " +
			"can it go back? No: its way back ended on Thu 3 Dec 2026 00:00 EET. It was ended by lea."},
	} {
		g := look
		g.whole = w.whole
		got := strings.Join(strings.Fields(g.customer(c)), " ")
		require.Contains(t, got, w.want, name)
		require.Equal(t, name == "all is well", strings.Contains(got, "can go back without loss"), name)
	}
}

func TestTheListOfPlansFitsATerminal(t *testing.T) {
	plans := []client.PlanSummary{
		{Plan: "shop", Phase: migration.MigrationReleasing, Execution: "Running", Started: ago(26 * time.Hour)},
		{Plan: "a-plan-with-a-name-that-somebody-thought-about-for-quite-a-while", Phase: migration.MigrationAborted,
			Execution: "Completed", Started: ago(90 * time.Hour), Closed: ago(time.Hour)},
	}
	golden(t, "plans.txt", planList(plans, now, printer.AsTable).String())
}

func TestAnInventoryShowsEveryFindingWhole(t *testing.T) {
	report := migration.InventoryReport{Sites: []migration.SiteInventory{{Site: "dc1", VMs: []migration.VM{
		{Name: "web-01", PoweredOn: true, CPUs: 2, MemoryMB: 4096, Guest: "ubuntu64Guest", Disks: []migration.Disk{{Bytes: 40 << 30}}},
		{Name: "db-raw-01", CPUs: 16, MemoryMB: 65536, Guest: "rhel8_64Guest", Disks: []migration.Disk{{Bytes: 40 << 30}, {Bytes: 2 << 40}},
			Findings: []migration.Finding{
				{Severity: migration.Blocker, Check: "disk-raw-device-mapping", Subject: "vm db-raw-01",
					Reason: "disk \"Hard disk 2\" is a " +
						"raw device mapping in physical mode: snapshots leave it out",
					Remedy: "convert it to a virtual disk, or move its " +
						"data as a dataset"},
				{Severity: migration.Warning, Check: "tools", Subject: "vm db-raw-01", Reason: "VMware Tools do not run",
					Remedy: "install or start them"},
			}},
	}}}}
	report.Sites[0].VMs[1].Use = &migration.Use{CPUs: 2.4, MemoryMB: 20 << 10, Hours: 720}
	costs, err := prices.Read("")
	require.NoError(t, err)
	sizings := sizingsOf(costs, &migration.Spec{Targets: []migration.Target{{Region: "us-east-1"}}}, report)
	var out bytes.Buffer
	a := &app{out: &out}
	require.Equal(t, exitBlocked, exitCode(a.printInventory(printer.AsTable, report, sizings, costs)))
	golden(t, "inventory.txt", out.String())
	out.Reset()
	require.Equal(t, exitBlocked, exitCode(a.printInventory(printer.AsCSV, report, sizings, costs)))
	golden(t, "inventory.csv.cut", cutLines(out.String()))
}

// cutLines keeps lines that are meant for programs comparable with the goldens for people.
func cutLines(s string) string {
	var b strings.Builder
	for l := range strings.Lines(s) {
		l = strings.TrimRight(l, "\r\n")
		b.WriteString(l[:min(len(l), printer.Width)] + "\n")
	}
	return b.String()
}

// The first batch has none before it, and one that may be finalised, or was, says so by itself.
func TestABatchSaysWhatItsMigrationKnows(t *testing.T) {
	s := migration.MigrationStatus{Plan: "shop", Batches: []migration.BatchStatus{
		{Name: "canary", Phase: migration.BatchWaiting, WaitingFor: migration.WaitTurn},
		{Name: "week-50", Phase: migration.BatchWaiting, WaitingFor: migration.WaitTurn},
	}}
	table := strings.Split(look.migration(s), "\n")
	require.Contains(t, table[3], "first copy")
	require.NotContains(t, table[3], "turn")
	require.Contains(t, table[4], "turn")
	s.Batches[0].Phase = migration.BatchCuttingOver
	require.NotContains(t, look.migration(s), "first copy", "as many move as may at a time")

	s.Batches[0] = migration.BatchStatus{Name: "canary", Phase: migration.BatchDone, MayEnd: true}
	own := migration.BatchStatus{Name: "canary", Phase: migration.BatchDone, MayDo: []string{migration.UpdateRollback}}
	got := strings.Join(strings.Fields(look.batch(endsOf(own, s))), " ")
	require.Contains(t, got, "drover finalise shop --batch canary --reason \"WHY\" --by ann")
	s.Batches[0].MayEnd, s.Batches[0].Finalised = false, &migration.Finalised{By: "lea", Cut: now}
	got = strings.Join(strings.Fields(look.batch(endsOf(own, s))), " ")
	require.Contains(t, got, "finalised for lea: nobody of it goes back since 2026-12-03 00:00:00 EET")
	require.NotContains(t, got, "drover finalise")
}
