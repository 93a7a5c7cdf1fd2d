package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	temporalclient "go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/migration"
)

// standInMigration answers as the product's does, and is through at once with one customer held.
func standInMigration(ctx workflow.Context, in migration.MigrationInput) error {
	paused := in.Spec.Plan == "stopped"
	err := workflow.SetQueryHandler(ctx, migration.QueryStatus, func(migration.Page) (migration.MigrationStatus, error) {
		return migration.MigrationStatus{Plan: in.Spec.Plan, Phase: migration.MigrationSoak, Paused: paused,
			Batches: []migration.BatchStatus{
				{Name: "canary", Phase: migration.BatchDone, Counts: migration.Counts{Customers: 2, OnAWS: 1, Held: 1}},
			}}, nil
	})
	if err != nil {
		return err
	}
	err = workflow.SetQueryHandler(ctx, migration.QuerySpec, func() (migration.SpecRef, error) {
		return migration.SpecRef{Plan: in.Spec.Plan, Revision: 3, Digest: "0123456789abcdef"}, nil
	})
	if err != nil {
		return err
	}
	return obey(ctx, migration.UpdatePause, migration.UpdateResume, migration.UpdateRollback, migration.UpdateAbort,
		migration.UpdateFinalise, migration.UpdateAmend)
}

// standInAmendment finds that a customer comes, a window changes, and what the plan's name wants.
func standInAmendment(_ workflow.Context, in migration.AmendmentInput) (migration.AmendmentReport, error) {
	out := migration.AmendmentReport{Base: in.Base, Spec: migration.SpecRef{Plan: in.Base.Plan, Digest: "fedcba"},
		Difference: migration.Difference{Batches: []migration.BatchChange{{Name: "wave", Changes: []migration.Change{{Place: "window.for",
			From: "1h0m0s", To: "2h0m0s"}}}}, Customers: []migration.CustomerChange{{ID: "birch", To: "wave", Added: true}}}}
	if in.Base.Plan == "lab" {
		out.Findings = []migration.Finding{{Severity: migration.Blocker, Check: "amend", Subject: "customer acme",
			Reason: "it is soaking, homed on aws", Remedy: "leave it as it was"}}
	}
	return out, nil
}

// standInBatch and standInCustomer answer and take what the product's do.
func standInBatch(ctx workflow.Context) error {
	err := workflow.SetQueryHandler(ctx, migration.QueryStatus, func(migration.Page) (migration.BatchStatus, error) {
		return migration.BatchStatus{Name: "canary", Phase: migration.BatchDone, Counts: migration.Counts{Customers: 2, OnAWS: 1,
			Held: 1}}, nil
	})
	if err != nil {
		return err
	}
	return obey(ctx, migration.UpdateApprove, migration.UpdateRetry, migration.UpdateRollback)
}

func standInCustomer(ctx workflow.Context) error {
	err := workflow.SetQueryHandler(ctx, migration.QueryStatus, func() (migration.CustomerStatus, error) {
		return migration.CustomerStatus{ID: "acme", Phase: migration.CustomerHeld, Home: migration.AWS, Token: 7}, nil
	})
	if err != nil {
		return err
	}
	return obey(ctx, migration.UpdateHold, migration.UpdateRetry, migration.UpdateRollback, migration.UpdateNote, migration.UpdateDefer,
		migration.UpdateDecide, migration.UpdateOffer)
}

// standInOutbox has one thing that waits for somebody.
func standInOutbox(ctx workflow.Context) error {
	err := workflow.SetQueryHandler(ctx, migration.QueryStatus, func(migration.MessagesOf) (migration.MessagesStatus, error) {
		return migration.MessagesStatus{Phase: migration.OutboxOpen, Asks: []migration.Ask{{ID: "held/acme/7", Kind: migration.NoticeHeld,
			Customer: "acme", At: time.Now()}}}, nil
	})
	if err != nil {
		return err
	}
	return obey(ctx, migration.UpdateAck)
}

// queryHeard answers what a stand-in was told last.
const queryHeard = "heard"

type heard struct {
	Update  string
	Command migration.Command
}

// obey accepts updates that say why, and refuses others.
func obey(ctx workflow.Context, updates ...string) error {
	var last heard
	if err := workflow.SetQueryHandler(ctx, queryHeard, func() (heard, error) { return last, nil }); err != nil {
		return err
	}
	for _, name := range updates {
		err := workflow.SetUpdateHandlerWithOptions(ctx, name,
			func(_ workflow.Context, cmd migration.Command) (migration.Accepted, error) {
				last = heard{name, cmd}
				return migration.Accepted{Message: name + " accepted from " + cmd.By}, nil
			}, workflow.UpdateHandlerOptions{Validator: func(_ workflow.Context, cmd migration.Command) error {
				if cmd.Reason == "" {
					return errors.New("say why")
				}
				if cmd.Reason == "late" {
					return errors.New("not now")
				}
				return nil
			}})
		if err != nil {
			return err
		}
	}
	return workflow.Await(ctx, func() bool { return false })
}

// standInCheck finds a machine of each plan as the plan's name wants it.
func standInCheck(_ workflow.Context, in migration.CheckInput) (migration.InventoryReport, error) {
	vm := migration.VM{Name: "web-01", PoweredOn: true, CPUs: 2, MemoryMB: 4096}
	switch in.Spec.Plan {
	case "minimal":
		vm.Findings = []migration.Finding{{Severity: migration.Warning, Check: "tools-missing", Subject: "vm web-01", Reason: "no tools",
			Remedy: "install them"}}
	case "lab":
		vm.Findings = []migration.Finding{{Severity: migration.Blocker, Check: "disk-independent", Subject: "vm web-01",
			Reason: "no snapshots", Remedy: "change its mode"}}
	default:
		return migration.InventoryReport{}, temporal.NewNonRetryableApplicationError("vCenter does not know the password", "Login", nil)
	}
	return migration.InventoryReport{Sites: []migration.SiteInventory{{Site: "dc1", VMs: []migration.VM{vm}}}}, nil
}

// standInDoctor doubts the server on premises until somebody agrees to the one that it has shown.
func standInDoctor(_ workflow.Context, in migration.DoctorInput) (migration.DoctorReport, error) {
	now := migration.ServerIdentity{SystemID: "7391", Timeline: 2}
	s := migration.ServerState{Side: migration.OnPrem, Now: now, Known: migration.ServerIdentity{SystemID: "7391", Timeline: 1},
		Doubt: "its timeline is 2, and was 1"}
	if a := in.Agree; a != nil {
		if a.Dataset != "orders" || a.Side != migration.OnPrem || a.Seen != now {
			return migration.DoctorReport{}, temporal.NewNonRetryableApplicationError("look at it again", "OtherServer", nil)
		}
		s.Known, s.Doubt, s.AgreedBy = now, "", a.By+" because "+a.Reason
	}
	return migration.DoctorReport{Datasets: []migration.DatasetHealth{{Dataset: "orders", Servers: []migration.ServerState{s}}}}, nil
}

// startTemporal starts Temporal's dev server, a worker with the stand-ins, and points commands
// there.
func startTemporal(t *testing.T) temporalclient.Client {
	t.Helper()
	quiet := sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))
	dev, err := testsuite.StartDevServer(t.Context(), testsuite.DevServerOptions{
		ExistingPath: filepath.Join(tooltest.Dir(t, "bin/temporal"), "bin", "temporal"), LogLevel: "error",
		ClientOptions: &temporalclient.Options{DataConverter: codec.DataConverter(), FailureConverter: codec.FailureConverter(),
			Logger: quiet},
	})
	require.NoError(t, err, "run `make setup`")
	t.Cleanup(func() { _ = dev.Stop() })
	require.NoError(t, client.New(dev.Client()).EnsureSearchAttributes(t.Context(), "default"))
	w := sdkworker.New(dev.Client(), migration.QueueMain, sdkworker.Options{})
	w.RegisterWorkflowWithOptions(standInMigration, workflow.RegisterOptions{Name: migration.WorkflowMigration})
	w.RegisterWorkflowWithOptions(standInCheck, workflow.RegisterOptions{Name: migration.WorkflowCheck})
	w.RegisterWorkflowWithOptions(standInAmendment, workflow.RegisterOptions{Name: migration.WorkflowAmendment})
	w.RegisterWorkflowWithOptions(standInDoctor, workflow.RegisterOptions{Name: migration.WorkflowDoctor})
	w.RegisterWorkflow(standInBatch)
	w.RegisterWorkflow(standInOutbox)
	w.RegisterWorkflowWithOptions(standInCustomer, workflow.RegisterOptions{Name: "Customer"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	t.Setenv("TEMPORAL_ADDRESS", dev.FrontendHostPort())
	t.Setenv("TEMPORAL_NAMESPACE", "default")
	t.Setenv("USER", "ann")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir()) // nobody has signed in
	return dev.Client()
}

// TestCommandsAgainstTemporal runs commands against Temporal's dev server and a stand-in for the
// workflow.
func TestCommandsAgainstTemporal(t *testing.T) {
	startTemporal(t)
	plan, err := filepath.Abs("../../plans/examples/minimal.yaml")
	require.NoError(t, err)
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte(strings.Repeat("k", 48)), 0o600))
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"status", exitDone, "no plan was submitted yet: drover submit PLAN.yaml", ""},
		{"status minimal", exitNotFound, "", "no plan \"minimal\" was submitted\nnext: list the plans with `drover status`"},
		{"submit " + plan + " --wait --every 50ms", exitHeld, "every batch is through: 1 on AWS, 0 rolled back, 1 held", ""},
		{"submit " + plan, exitDone, "was submitted before and is running; nothing was changed", ""},
		{"status minimal --watch", exitHeld, "plan minimal: soak", ""},
		{"watch minimal", exitHeld, "plan minimal: soak", ""}, // no terminal: lines
		{"report minimal --file -", exitDone, "<title>minimal: report</title>", ""},
		{"report minimal --file " + filepath.Join(t.TempDir(), "r.html"), exitDone, "plan minimal: the report is ", ""},
		{"report minimal --file /nowhere/r.html", exitFailed, "", "write the report: "},
		{"report minimal --file - --batch nonsense", exitNotFound, "", "has no such batch"},
		{"report nonsense --file -", exitNotFound, "", "no plan"},
		{"status minimal -o yaml", exitDone, "phase: soak", ""},
		{"status minimal -o csv", exitDone, "\ufeffcustomer,name,batch,state,home,phase,waits_for,since,until,window_opens,window_closes," +
			"soak_ends,deferred_until,slot_opens,slot_closes,hosts,contact,zone,labels,verdict," +
			"freeze_ms,stall_ms,failed_requests,retried_requests,moved_at,tries,token,ticket,reason,weight,way_back\r\nacme,", ""},
		{"pause minimal", exitRefused, "",
			"error: pause plan minimal: say why\nnext: see what may be done now with `drover status minimal`"},
		{"pause minimal --reason lunch", exitDone, "plan minimal: pause accepted from ann", ""},
		{"status minimal --customer acme", exitNotFound, "", "the plan has no customer \"acme\""},
		{"doctor " + plan, exitBlocked, "--agree orders/onprem --server 7391/2 --reason", ""},
		{"doctor " + plan + " --agree orders/onprem --server 7391/2 --yes", exitInput, "", "--agree needs a --reason"},
		{"doctor " + plan + " --agree orders/onprem --server 7391/1 --reason CHG-9 --yes", exitFailed, "", "look at it again"},
		{"doctor " + plan + " --agree orders/onprem --server 7391/2 --reason CHG-9 --yes", exitDone, "ann because CHG-9", ""},
		{"web link minimal nobody --url https://board.example --key-file " + key, exitNotFound, "", "the plan has no customer \"nobody\""},
		{"web link nonsense acme --url https://board.example --key-file " + key, exitNotFound, "", "no plan \"nonsense\" was submitted"},
		{"amend " + plan, exitInput, "", "give --yes, or --dry-run to see the difference alone"},
		{"amend " + plan + " --dry-run", exitDone, "plan minimal, against revision 3 (digest 0123456789ab):\n" +
			"WHAT            CHANGE      FROM    TO\nbatch wave      window.for  1h0m0s  2h0m0s\n" +
			"customer birch  added               wave\n", ""},
		{"amend " + plan + " --dry-run -o json", exitDone, `"id": "birch"`, ""},
		{"amend " + plan + " --revision 2 --yes", exitRefused, "", "its revision is 3, and not 2"},
		{"amend " + plan + " --revision 3 --yes --reason CHG-7", exitDone, "customer birch", "plan minimal: amend accepted from ann"},
		{"amend " + plan + " --yes --reason late", exitRefused, "", "not now"},
	} {
		t.Run(c.args, func(t *testing.T) {
			var out, errs bytes.Buffer
			got := run(strings.Fields(c.args), strings.NewReader(""), &out, &errs)
			require.Equal(t, c.code, got, "%s%s", &out, &errs)
			require.Contains(t, out.String(), c.stdout)
			require.Contains(t, errs.String(), c.stderr)
		})
	}
	for plan, want := range map[string]int{"minimal": exitDone, "nonsense": exitNotFound} {
		t.Run("the screen of a watch of "+plan, func(t *testing.T) {
			a := &app{in: strings.NewReader("q"), out: &bytes.Buffer{}, err: &bytes.Buffer{}, timeout: 10 * time.Second, logLevel: "error",
				logFormat: "text"}
			err := a.connected(t.Context(), func(ctx context.Context, c *client.Client) error {
				return a.watchScreen(ctx, c, plan, wish{}, time.Second)
			})
			require.Equal(t, want, exitCode(err), "%v", err)
		})
	}
}

// TestWhatACommandTellsAWorkflow holds what a person typed to what the workflow hears, and a
// refusal to what the person may do next.
func TestWhatACommandTellsAWorkflow(t *testing.T) {
	server := startTemporal(t)
	start := func(id, name string, args ...any) {
		_, err := server.ExecuteWorkflow(t.Context(), temporalclient.StartWorkflowOptions{ID: id, TaskQueue: migration.QueueMain,
			TypedSearchAttributes: temporal.NewSearchAttributes(
				temporal.NewSearchAttributeKeyKeyword(migration.AttrPlan).ValueSet("minimal"))}, name, args...)
		require.NoError(t, err)
	}
	plan, canary, acme := migration.MigrationID("minimal"), migration.BatchID("minimal", "canary"), migration.CustomerID("minimal", "acme")
	start(plan, migration.WorkflowMigration, migration.MigrationInput{Spec: &migration.Spec{Plan: "minimal"}})
	start(canary, "standInBatch")
	mail := migration.OutboxID("minimal")
	start(mail, "standInOutbox")
	start(acme, "Customer")
	require.Eventually(t, func() bool { return len(client.New(server).Customers(t.Context(), "minimal")) == 1 }, 10*time.Second,
		20*time.Millisecond, "Temporal's list of workflows has the customer")
	start(migration.MigrationID("stopped"), migration.WorkflowMigration, migration.MigrationInput{Spec: &migration.Spec{Plan: "stopped"}})
	start(migration.BatchID("stopped", "canary"), "standInBatch")
	over := []string{migration.MigrationID("old"), migration.BatchID("minimal", "first"), migration.CustomerID("minimal", "gone")}
	for i, name := range []string{migration.WorkflowMigration, "standInBatch", "Customer"} {
		var in []any
		if i == 0 {
			in = []any{migration.MigrationInput{Spec: &migration.Spec{Plan: "old"}}}
		}
		start(over[i], name, in...)
		hearings(t, server, over[i]) // it has begun, so that it has something to tell
		require.NoError(t, server.TerminateWorkflow(t.Context(), over[i], "", "the test has it ended"))
	}

	for _, c := range []struct {
		args   string
		code   int
		at     string // the workflow that hears it
		hears  heard
		stdout string
		stderr string // in one line
	}{
		{args: "approve minimal canary --reason CHG-1", at: canary, hears: heard{"approve", migration.Command{By: "ann", Reason: "CHG-1"}},
			stdout: "batch canary of plan minimal: approve accepted from ann\n"},
		{args: "approve minimal canary --reason CHG-2 --by bob --request-id r1", at: canary,
			hears: heard{"approve", migration.Command{RequestID: "r1", By: "bob", Reason: "CHG-2"}}, stdout: "accepted from bob\n"},
		{args: "approve minimal canary --reason late", code: exitRefused, stderr: "error: approve batch canary of plan minimal: not now " +
			"next: see what may be done now with `drover status minimal --batch canary`"},
		{args: "approve minimal nobody --reason x", code: exitNotFound,
			stderr: "the plan has no batch \"nobody\" next: list the batches with `drover status minimal`"},
		{args: "approve minimal first --reason x", code: exitRefused,
			stderr: "it has ended (Terminated) next: it is started again within half a minute, from what its data says; see that with " +
				"`drover status minimal --batch first`, then repeat the command"},
		{args: "approve minimal", code: exitInput, stderr: "next: usage: drover approve PLAN BATCH [flags]; see `drover approve --help`"},

		{args: "pause minimal --reason lunch", at: plan, hears: heard{"pause", migration.Command{By: "ann", Reason: "lunch"}},
			stdout: "plan minimal: pause accepted from ann\n"},
		{args: "resume minimal --reason repaired --by bob", at: plan,
			hears: heard{"resume", migration.Command{By: "bob", Reason: "repaired"}}, stdout: "plan minimal: resume accepted from bob\n"},
		{args: "resume minimal --reason late", code: exitRefused, stderr: "error: resume plan minimal: not now next: see what may be " +
			"done now with `drover status minimal`"},
		{args: "resume nowhere --reason x", code: exitNotFound,
			stderr: "no plan \"nowhere\" was submitted next: list the plans with `drover status`"},
		{args: "resume old --reason x", code: exitRefused,
			stderr: "it has ended (Terminated) next: the migration does not run any more, and nobody starts it again: submit the plan " +
				"again, then repeat the command"},

		{args: "hold minimal --customer acme --reason exams --yes", at: acme, hears: heard{"hold", migration.Command{By: "ann",
			Reason: "exams"}}, stdout: "customer acme of plan minimal: hold accepted from ann\n"},
		{args: "retry minimal --customer acme --reason repaired --yes", at: acme, hears: heard{"retry", migration.Command{By: "ann",
			Reason: "repaired"}}, stdout: "customer acme of plan minimal: retry accepted"},
		{args: "hold minimal acme --reason exams", at: acme, hears: heard{"hold", migration.Command{By: "ann", Reason: "exams"}},
			stdout: "customer acme of plan minimal: hold accepted from ann\n"},
		{args: "hold minimal acme", code: exitRefused, stderr: "error: hold customer acme of plan minimal: say why next: see what may " +
			"be done now with `drover status minimal --customer acme`"},
		{args: "hold minimal nobody --reason x", code: exitNotFound,
			stderr: "the plan has no customer \"nobody\", or it has not started next: list the customers with `drover status minimal`"},
		{args: "hold minimal gone --reason x", code: exitRefused,
			stderr: "it has ended (Terminated) next: it is started again within half a minute, from what its data says; see that with " +
				"`drover status minimal --customer gone`"},

		{args: "retry minimal --customer acme --reason repaired --token 7", at: acme,
			hears: heard{"retry", migration.Command{By: "ann", Reason: "repaired", Token: 7}}, stdout: "customer acme of plan minimal: " +
				"retry accepted"},
		{args: "retry minimal --batch canary --reason repaired", at: canary,
			hears:  heard{"retry", migration.Command{By: "ann", Reason: "repaired"}},
			stdout: "batch canary of plan minimal: retry accepted"},
		{args: "retry minimal --batch canary --reason late", code: exitRefused, stderr: "error: retry batch canary of plan minimal: not " +
			"now next: see what may be done now with `drover status minimal --batch canary`"},
		{args: "retry minimal --reason repaired", code: exitInput, stderr: "error: retry what of plan minimal next: give one of " +
			"--customer ID and --batch NAME"},
		{args: "retry minimal --batch canary --customer acme", code: exitInput, stderr: "next: give one of --customer ID and --batch NAME"},

		{args: "rollback minimal --customer acme --reason sick --token 3 --by bob", at: acme,
			hears: heard{"rollback", migration.Command{By: "bob", Reason: "sick", Token: 3}}, stdout: "customer acme of plan minimal: " +
				"rollback accepted from bob\n"},
		{args: "rollback minimal --batch canary --reason sick", at: canary,
			hears: heard{"rollback", migration.Command{By: "ann", Reason: "sick"}}, stdout: "batch canary of plan minimal: rollback " +
				"accepted"},
		{args: "rollback minimal --all --reason sick --yes", at: plan,
			hears: heard{"rollback", migration.Command{By: "ann", Reason: "sick"}}, stdout: "all customers of plan minimal: rollback " +
				"accepted"},
		{args: "rollback minimal --customer acme --reason late", code: exitRefused, stderr: "error: rollback customer acme of plan " +
			"minimal: not now next: see what may be done now with `drover status minimal --customer acme`"},
		{args: "rollback minimal --batch canary --reason late", code: exitRefused, stderr: "next: see what may be done now with `drover " +
			"status minimal --batch canary`"},
		{args: "rollback minimal --all --reason late", code: exitRefused, stderr: "next: see what may be done now with `drover status " +
			"minimal`"},
		{args: "rollback minimal --all", code: exitInput, stderr: "error: a rollback needs a reason next: say why with --reason: it is " +
			"kept in the customer's timeline"},
		{args: "rollback minimal --reason sick", code: exitInput,
			stderr: "error: a rollback of plan minimal without saying whose next: give one of --customer ID, --batch NAME and --all"},
		{args: "rollback minimal --all --batch canary --reason sick", code: exitInput, stderr: "next: give one of --customer ID, " +
			"--batch NAME and --all"},

		{args: "note minimal --customer acme they-call-at-eight --ticket CHG-7", at: acme,
			hears:  heard{"note", migration.Command{By: "ann", Reason: "they-call-at-eight", Ticket: "CHG-7"}},
			stdout: "customer acme of plan minimal: note accepted from ann\n"},
		{args: "note minimal --customer acme", code: exitInput, stderr: "next: give a TEXT, --ticket or both"},
		{args: "defer minimal --customer acme --reason x --until 2099-12-09T22:00:00+02:00", at: acme,
			hears:  heard{"defer", migration.Command{By: "ann", Reason: "x", NotBefore: time.Date(2099, 12, 9, 20, 0, 0, 0, time.UTC)}},
			stdout: "defer accepted from ann\n"},
		{args: "defer minimal --customer acme --reason x --until 2001-12-09T22:00:00Z", code: exitInput, stderr: "has passed"},
		{args: "defer minimal --customer acme --reason x --until tomorrow", code: exitInput, stderr: "\"tomorrow\" is no time"},
		{args: "defer minimal --customer acme --until 2099-12-09T22:00:00Z", code: exitInput, stderr: "a deferral needs a reason"},
		{args: "decide minimal --customer acme --accept --reason agreed", at: acme,
			hears: heard{"decide", migration.Command{By: "ann", Reason: "agreed", Accept: true}}, stdout: "decide accepted from ann\n"},
		{args: `offer minimal --customer acme --slot 2049-12-09T22:00:00+02:00 --for 90m --reason theirs`, at: acme,
			hears: heard{"offer", migration.Command{By: "ann", Reason: "theirs", Slots: []migration.Window{
				{Opens: time.Date(2049, 12, 9, 20, 0, 0, 0, time.UTC), For: migration.Duration(90 * time.Minute)}}}},
			stdout: "customer acme of plan minimal: offer accepted from ann\n"},
		{args: "offer minimal --customer acme", code: exitInput, stderr: "error: an offer needs a time next: give one or more"},
		{args: "offer minimal --customer acme --slot soon", code: exitInput, stderr: "error: --slot \"soon\" is no time"},
		{args: "offer minimal --slot 2049-12-09T22:00:00Z", code: exitInput, stderr: "next: name one, with --customer ID"},
		{args: "offer minimal --customer acme --slot 2049-12-09T22:00:00Z --for 0s", code: exitInput, stderr: "is not a positive time"},

		{args: "decide minimal --customer acme --accept --refuse", code: exitInput, stderr: "give one of --accept and --refuse"},

		{args: "ack minimal held/acme/7 --reason mine", at: mail,
			hears:  heard{"ack", migration.Command{By: "ann", Reason: "mine", Message: "held/acme/7"}},
			stdout: "message held/acme/7 of plan minimal: ack accepted from ann\n"},
		{args: "ack minimal held/acme/7 --reason late", code: exitRefused, stderr: "next: see what may be done now with `drover status " +
			"minimal`"},
		{args: "ack stopped held/acme/7 --reason x", code: exitNotFound, stderr: "the plan sends no messages next: add notify: to a plan"},
		{args: "ack nowhere held/acme/7 --reason x", code: exitNotFound, stderr: "no plan \"nowhere\" was submitted"},
		{args: "ack minimal", code: exitInput, stderr: "usage: drover ack PLAN MESSAGE [flags]"},

		{args: "retry stopped --batch canary --reason repaired",
			stdout: "retry accepted from ann; the plan is paused, and nobody moves to AWS until `drover resume stopped`\n"},

		{args: "abort minimal --reason over --yes", at: plan, hears: heard{"abort", migration.Command{By: "ann", Reason: "over"}},
			stdout: "plan minimal: abort accepted from ann\n"},
		{args: "finalise minimal --reason over --with-sign-ups --confirm minimal", at: plan,
			hears:  heard{"finalise", migration.Command{By: "ann", Reason: "over", SignUps: true}},
			stdout: "plan minimal: finalise accepted from ann\n", stderr: "SOAK OVER MOVED BACK ROWS OBJECTS canary 0 0 0 0 0 0"},
		{args: "finalise minimal --reason over --confirm other", code: exitRefused, stderr: "BATCH CUSTOMERS ON AWS SOAK OVER " +
			"MOVED BACK ROWS OBJECTS canary 0 0 0 0 0 0 error: end the way back of plan minimal for good: not confirmed " +
			"next: type minimal, or give --confirm minimal"},
		{args: "finalise minimal --reason over", code: exitInput,
			stderr: "error: nobody is there to confirm that plan minimal ends its way back next: give --confirm minimal"},
		{args: "finalise minimal --confirm minimal", code: exitInput,
			stderr: "error: finalising needs a reason next: say why with --reason"},
		{args: "abort minimal --reason late", code: exitRefused, stderr: "error: abort plan minimal: not now next: see what may be done " +
			"now with `drover status minimal`"},
		{args: "abort nowhere --reason over", code: exitNotFound,
			stderr: "no plan \"nowhere\" was submitted next: list the plans with `drover status`"},

		{args: "inventory ../../plans/examples/minimal.yaml", stdout: "0 blockers, 1 warning\n"},
		{args: "inventory ../../plans/examples/lab.yaml", code: exitBlocked, stdout: "remedy: change its mode\n\n1 blocker, 0 warnings: " +
			"preflight stops a plan that moves such a machine\n"},
		{args: "inventory ../../plans/examples/platform.yaml", code: exitFailed, stderr: "error: take the inventory of plan " +
			"realtime-platform: vCenter does not know the password next: read the history of workflow check/realtime-platform/inventory " +
			"in the Temporal UI"},
		{args: "inventory ../../plans/examples/minimal.yaml -o csv", stdout: "dc1,web-01,"},
		{args: "status minimal --customer acme", stdout: "drover ack minimal held/acme/7"},
		{args: "status minimal --customer acme -o json", stdout: `"id": "held/acme/7"`},
		{args: "status minimal", stdout: "waits for somebody: held of acme"},
		{args: "status minimal --customer gone", stdout: "WORKFLOW TERMINATED: what follows is the last that was known of this customer"},
		{args: "status minimal --customer gone -o json", stdout: `"workflow": "Terminated"`},
		{args: "status minimal --batch first", stdout: "WORKFLOW TERMINATED: what follows is the last that was known of this batch"},
		{args: "status minimal --batch canary", stdout: "batch canary"},
		{args: "status minimal --customer nobody", code: exitNotFound, stderr: "the plan has no customer \"nobody\""},

		{args: "__complete approve mi", stdout: "minimal\n:4\n", stderr: completed},
		{args: "__complete approve minimal can", stdout: "canary\n:4\n", stderr: completed},
		{args: "__complete approve minimal canary x", stdout: ":4\n", stderr: completed},
		{args: "__complete ack minimal held", stdout: "held/acme/7\n:4\n", stderr: completed},
		{args: "__complete hold minimal ac", stdout: "acme\n:4\n", stderr: completed},
		{args: "__complete rollback minimal --customer ac", stdout: "acme\n:4\n", stderr: completed},
		{args: "__complete status minimal --batch ca", stdout: "canary\n:4\n", stderr: completed},
		{args: "__complete status --customer ac", stdout: ":4\n", stderr: completed},
		{args: "inventory nowhere.yaml", code: exitInput, stderr: "nowhere.yaml"},
	} {
		t.Run(c.args, func(t *testing.T) {
			before := hearings(t, server, plan, canary, acme, mail)
			var out, errs bytes.Buffer
			got := run(strings.Fields(c.args), strings.NewReader(""), &out, &errs)
			require.Equal(t, c.code, got, "%s%s", &out, &errs)
			require.Contains(t, out.String(), c.stdout)
			require.Contains(t, strings.Join(strings.Fields(errs.String()), " "), c.stderr)
			require.Equal(t, c.stdout == "", out.Len() == 0, "an answer: %s", &out)
			require.Equal(t, c.stderr == "", errs.Len() == 0, "a complaint: %s", &errs)
			after := hearings(t, server, plan, canary, acme, mail)
			if c.at != "" {
				said := after[c.at]
				require.NotEmpty(t, said.Command.RequestID)
				require.WithinRange(t, said.Command.Until, time.Now(), time.Now().Add(client.DefaultTimeout),
					"it is withdrawn when nobody waits any more")
				require.Regexp(t, ".@.", said.Command.From, "the user and machine, whatever --by says")
				said.Command.Until, said.Command.From = time.Time{}, ""
				require.NotEqual(t, before[c.at].Command.RequestID, said.Command.RequestID, "it is told what was typed now")
				if c.hears.Command.RequestID == "" {
					said.Command.RequestID = ""
				}
				require.Equal(t, c.hears, said)
				delete(before, c.at)
				delete(after, c.at)
			}
			require.Equal(t, before, after, "nobody else is told anything")
		})
	}
}

// completed is what cobra tells of a completion, for who tries one by hand.
const completed = "Completion ended with directive: ShellCompDirectiveNoFileComp"

// hearings are what each workflow was told last.
func hearings(t *testing.T, server temporalclient.Client, ids ...string) map[string]heard {
	t.Helper()
	out := map[string]heard{}
	for _, id := range ids {
		v, err := server.QueryWorkflow(t.Context(), id, "", queryHeard)
		require.NoError(t, err)
		var h heard
		require.NoError(t, v.Get(&h))
		out[id] = h
	}
	return out
}
