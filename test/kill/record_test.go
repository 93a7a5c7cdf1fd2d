package kill

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enums "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/api/temporalproto"
	workflowpb "go.temporal.io/api/workflow/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/notify/notifytest"
	"github.com/drover-migration/drover/plans"
)

// record is the folder that the histories to replay are recorded into.
var record = flag.String("record", "", "folder for the recorded histories, in place of those in it; empty: none are recorded")

// A plan in which everything happens that a history is to be held to: approval, Moves out, a Move
// back by health, by a command and of all, holds, a pause, messages, runs that went on as new.
// `make record` runs it.
func TestTheHistoriesToReplayAreRecorded(t *testing.T) {
	if *record == "" {
		t.Skip("nothing is to be recorded: make record")
	}
	require.DirExists(t, *record)
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	shape := lab.SmallShape(3)
	shape.Batches[0].Approvals, shape.StopsAt = 1, 20
	b := newBenchIn(ctx, t, lab.Options{Shape: shape, HistoryEvents: 60})
	b.tells(t)
	plan, all := shape.Name, shape.Customers()
	by := migration.Command{By: "lead", Reason: "to be recorded"}
	aim := func(c lab.Customer) client.Aim { return client.Aim{Plan: plan, Customer: c.ID} }
	accepted := func(command func() (migration.Accepted, error)) {
		t.Helper()
		var err error
		require.True(t, eventually(func() bool { _, err = command(); return err == nil }), "%v", err)
	}
	b.look(ctx, t)
	b.submit(ctx)
	accepted(func() (migration.Accepted, error) { return b.client.Approve(ctx, plan, "all", by) })
	for _, c := range all {
		b.settled(ctx, c.ID, migration.AWS)
	}

	well, held, sick := all[0], all[1], all[2]
	require.NoError(t, b.lab.Break(ctx, sick.Host, "error500"))
	b.settled(ctx, sick.ID, migration.OnPrem)
	require.NoError(t, b.lab.Repair(ctx, sick.Host))
	accepted(func() (migration.Accepted, error) { return b.client.Hold(ctx, plan, held.ID, by) })
	accepted(func() (migration.Accepted, error) {
		return b.client.Note(ctx, plan, held.ID, migration.Command{By: "lead", Reason: "a note", Ticket: "CHG-1042"})
	})
	accepted(func() (migration.Accepted, error) { return b.client.Pause(ctx, plan, by) })
	accepted(func() (migration.Accepted, error) { return b.client.Resume(ctx, plan, by) })
	accepted(func() (migration.Accepted, error) { return b.client.Retry(ctx, aim(held), by) })
	require.True(t, eventually(func() bool { // not at once: it is held until it has heard of it
		s, err := b.client.Customer(ctx, plan, held.ID)
		return err == nil && s.Phase == migration.CustomerSoaking && s.Home == migration.AWS
	}), "the hold does not end")
	b.send(ctx, t, sick.ID, migration.AWS)
	b.settled(ctx, sick.ID, migration.AWS)
	b.send(ctx, t, well.ID, migration.OnPrem)
	b.settled(ctx, well.ID, migration.OnPrem)

	killed := b.after("FreezeCustomer", b.kill)
	b.send(ctx, t, well.ID, migration.AWS)
	b.reached(t, killed)
	b.running(t)
	b.settled(ctx, well.ID, migration.AWS)

	accepted(func() (migration.Accepted, error) { return b.client.Rollback(ctx, client.Aim{Plan: plan}, by) })
	for _, c := range all {
		b.settled(ctx, c.ID, migration.OnPrem)
	}
	accepted(func() (migration.Accepted, error) { return b.client.Abort(ctx, plan, by) })
	b.gone(ctx, t, migration.MigrationAborted)
	b.nothingLost(ctx, t)
	b.recordHistories(ctx, t, *record)
}

// tells has the plan tell somebody of what happens, so that there is an outbox.
func (b *bench) tells(t *testing.T) {
	t.Helper()
	receiver := notifytest.NewReceiver(t, 200)
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	secret := filepath.Join(filepath.Dir(b.lab.Plan), "signs-messages")
	require.NoError(t, os.WriteFile(secret, []byte("whsec_"+base64.StdEncoding.EncodeToString(key)), 0o600))
	f, err := os.OpenFile(b.lab.Plan, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = fmt.Fprintf(f, `
notify:
  channels: {pager: {webhook: {url: %q, secret: "file://%s"}}}
  contacts: {oncall: {channel: pager}}
  rules: [{audience: operators, events: [started, moved, done, back, held, batch-waits, paused, ended], to: [oncall]}]
`, receiver.URL, secret)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// look asks for the plan's inventory, as whoever has not submitted it yet does.
func (b *bench) look(ctx context.Context, t *testing.T) {
	t.Helper()
	p, problems := plans.Load(b.lab.Plan)
	require.Empty(t, problems)
	spec, err := plans.Compile(p)
	require.NoError(t, err)
	_, err = b.client.Inventory(ctx, spec)
	require.NoError(t, err)
}

// recordHistories puts histories of the lab's Temporal in place of those in dir: of each workflow
// type, from the oldest on, every run in which something happens that happens in none before it,
// and every Move: those out and back ask for the same, of other sides.
func (b *bench) recordHistories(ctx context.Context, t *testing.T, dir string) {
	t.Helper()
	runs, err := b.runs(ctx)
	require.NoError(t, err)
	slices.SortFunc(runs, func(a, b *workflowpb.WorkflowExecutionInfo) int {
		return cmp.Or(a.GetStartTime().AsTime().Compare(b.GetStartTime().AsTime()),
			strings.Compare(a.GetExecution().GetWorkflowId(), b.GetExecution().GetWorkflowId()))
	})
	old, err := filepath.Glob(filepath.Join(dir, "*.json.gz"))
	require.NoError(t, err)
	for _, name := range old {
		require.NoError(t, os.Remove(name))
	}
	known, nth := map[string]bool{}, map[string]int{}
	for _, x := range runs {
		id, kind := x.GetExecution().GetWorkflowId(), x.GetType().GetName()
		events, err := b.history(ctx, x.GetExecution())
		require.NoError(t, err)
		h := &historypb.History{Events: events}
		news := kind == "Move"
		for _, e := range h.GetEvents() {
			what := kind + " " + happened(e)
			news, known[what] = news || !known[what], true
		}
		if !news {
			continue
		}
		nth[id]++
		name := fmt.Sprintf("%s-%d.json.gz", strings.ReplaceAll(id, "/", "-"), nth[id])
		b.writeHistory(ctx, t, filepath.Join(dir, name), h)
	}
	for _, kind := range []string{"Migration", "Batch", "Customer", "Move", "Replication", "Workload", "ReplicateVM", "Outbox", "Check",
		"Preflight"} {
		of := func(x *workflowpb.WorkflowExecutionInfo) bool { return x.GetType().GetName() == kind }
		require.True(t, slices.ContainsFunc(runs, of), "no %s ran", kind)
	}
	for _, kind := range []string{"Migration", "Batch", "Customer"} {
		require.True(t, known[kind+" "+enums.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW.String()], "no %s went on as new", kind)
	}
}

// happened is an event's type, with the name of what it is about.
func happened(e *historypb.HistoryEvent) string {
	return strings.Join([]string{
		e.GetEventType().String(),
		e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName(),
		e.GetWorkflowExecutionSignaledEventAttributes().GetSignalName(),
		e.GetSignalExternalWorkflowExecutionInitiatedEventAttributes().GetSignalName(),
		e.GetStartChildWorkflowExecutionInitiatedEventAttributes().GetWorkflowType().GetName(),
		e.GetWorkflowExecutionUpdateAcceptedEventAttributes().GetAcceptedRequest().GetInput().GetName(),
		e.GetMarkerRecordedEventAttributes().GetMarkerName(),
	}, "")
}

// writeHistory leaves out of a history what says on which machine it was recorded.
func (b *bench) writeHistory(ctx context.Context, t *testing.T, name string, h *historypb.History) {
	t.Helper()
	unpacked := codec.New()
	dir := []byte(filepath.Dir(b.lab.Plan))
	require.NoError(t, proxy.VisitPayloads(ctx, h, proxy.VisitPayloadsOptions{
		Visitor: func(_ *proxy.VisitPayloadsContext, in []*commonpb.Payload) ([]*commonpb.Payload, error) {
			out, err := unpacked.Decode(in)
			for i, p := range out {
				out[i] = proto.CloneOf(p)
				out[i].Data = bytes.ReplaceAll(p.GetData(), dir, []byte("/lab"))
			}
			return out, err
		},
	}))
	require.NoError(t, protorange.Options{Stable: true}.Range(h.ProtoReflect(), func(v protopath.Values) error {
		last := v.Index(-1)
		if last.Step.Kind() != protopath.FieldAccessStep {
			return nil
		}
		if field := last.Step.FieldDescriptor(); field.Name() == "identity" || field.Name() == "stack_trace" {
			v.Index(-2).Value.Message().Clear(field)
		}
		return nil
	}, nil))
	raw, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(h)
	require.NoError(t, err)
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	require.NoError(t, err)
	_, err = z.Write(raw)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.NoError(t, os.WriteFile(name, out.Bytes(), 0o644)) //nolint:gosec // a file of the repository
}
