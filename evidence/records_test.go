package evidence

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/goldenfile"
	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/migration"
)

var begun = time.Date(2026, 12, 2, 22, 0, 0, 0, time.FixedZone("EET", 2*60*60))

func at(s float64) time.Time { return begun.Add(time.Duration(s * float64(time.Second))) }

// facts have something of every kind: acme went, was not healthy, came home, and went again; globex
// has never left.
func facts() Facts {
	spec := &migration.Spec{Plan: "orders", Customers: []migration.Customer{
		{ID: "acme", Name: "Acme Corp", Contact: "it@acme.example", Tenant: 17}, {ID: "globex", Name: "Globex AG", Contact: "Hank Scorpio"},
	}, Evidence: &migration.Evidence{Key: "env://EVIDENCE"}}
	moved := func(token int64, from migration.Side, s float64) migration.MoveResult {
		return migration.MoveResult{
			Outcome: migration.MoveDone, Try: migration.Try{Token: token, Owner: "0199a7f2-0000-7000-8000-000000000001"}, From: from,
			To: from.Other(), Home: from.Other(), Step: migration.StepRouting, Fenced: at(s), Verified: at(s + .4), Sealed: at(s + .5),
			Opened: at(s + .6), Routed: at(s + .9), Freeze: migration.Duration(600 * time.Millisecond),
			Predicted: migration.Duration(time.Second), Rows: 1204, Objects: 31, Drover: "1.4.2",
			Checked: []migration.Checked{
				{Dataset: "orders", Tables: 2, Rows: 1204, Sum: strings.Repeat("5e", 32), OnPrem: "16.10", AWS: "17.6"},
				{Dataset: "attachments", Objects: 31},
			},
		}
	}
	verdict := func(o migration.Outcome, why string, s float64) *migration.Verdict {
		return &migration.Verdict{Outcome: o, Reason: why, At: at(s), Samples: 40, Errors: 3, P95: 0.02, BaselineP95: 0.01,
			Asked: []migration.Asked{{Probe: "http /healthz expecting 200", Good: 37, Failed: 3, Last: "HTTP 503"}}}
	}
	first := moved(3, migration.OnPrem, 60)
	first.Requests = &migration.Requests{From: at(0), To: at(121), Failed: &migration.Count{N: 3},
		Retried: &migration.Count{Why: "ask Prometheus at https://prometheus.example.com: it answers 503"}, Tries: 5}
	first.Verdict = verdict(migration.Fail, "probe http /healthz failed 3 times in a row", 90)
	acme := migration.CustomerStatus{ID: "acme", Name: "Acme Corp", Batch: "canary", Home: migration.AWS, Phase: migration.CustomerFinished,
		Token: 8, Tries: 1, RollbackMS: []int64{2200}, Verdict: verdict(migration.Pass, "40 samples", 300),
		Moves: []migration.MoveResult{first, moved(5, migration.AWS, 92), moved(7, migration.OnPrem, 200)},
		Timeline: []migration.Event{
			{At: at(61), What: "homed on aws, frozen for 600ms, predicted 1s"},
			{At: at(90), What: "unhealthy on AWS: moving back", Why: "probe http /healthz failed 3 times in a row"},
			{At: at(150), What: "note", By: "cs", Why: "Mr Coyote of Acme Corp will call back"},
			{At: at(199), What: "retry", By: "ann", Why: "CHG-1043"},
		}}
	acme.Notes = []migration.Remark{{At: at(150), By: "cs", Text: "Mr Coyote of Acme Corp will call back"}}
	globex := migration.CustomerStatus{ID: "globex", Name: "Globex AG", Batch: "canary", Home: migration.OnPrem,
		Phase: migration.CustomerAborted}
	approval := migration.Command{RequestID: "r1", By: "ann", From: "ann@desk", Reason: "CHG-1042", Until: at(18).UTC(),
		Proof: &migration.Proof{Pass: "eyJ.pass", Signed: "eyJ.signed"}}
	short := acme
	short.Timeline = nil
	return Facts{
		Ref: migration.SpecRef{Plan: "orders", Revision: 2, Digest: strings.Repeat("ab", 32)}, Spec: spec, Batch: "canary", Run: "0199a7f0",
		Namespace: "moves", Made: at(400), Software: []Software{{"drover", "1.4.2"}, {"temporal", "1.29.1"}},
		Plan: migration.MigrationStatus{
			Timeline: []migration.Event{{At: at(0), What: "plan accepted: 2 customers in 1 batches", By: "lead"}},
			Workloads: []migration.PieceStatus{{Name: "web", Copied: []migration.Copied{{VM: "web-01", UUID: "52ab",
				Disks: []migration.DiskImage{
					{Key: 2000, Snapshot: "snap-1", Bytes: 1 << 30, Blocks: 311, Digest: strings.Repeat("d1", 32), Checksum: "c2Vy"},
				}}}}},
		},
		Status: migration.BatchStatus{
			Name: "canary", Phase: migration.BatchDone, Reason: "1 on AWS, 0 rolled back, 0 held", Needs: 1, Ticket: "CHG-1042",
			Window:    &migration.Window{Opens: at(0).UTC(), For: migration.Duration(4 * time.Hour), Zone: "Europe/Kyiv"},
			Approvals: []migration.Event{{At: at(10), What: "approved", By: "ann", Why: "CHG-1042", Command: &approval}},
			Counts:    migration.Counts{Customers: 2, OnAWS: 1, Away: 1}, Customers: []migration.CustomerStatus{short, globex},
		},
		Customers: map[string]migration.CustomerStatus{"acme": acme},
		Missing:   []Missing{{"timeline of customer globex", "Temporal no longer has it"}},
	}
}

func text(t *testing.T, f Facts) string {
	t.Helper()
	lines, err := f.Lines()
	require.NoError(t, err)
	_, key := newKey(1)
	b, err := Seal(lines, key)
	require.NoError(t, err)
	return string(b)
}

// The bundle of the CLI's sessions, and what each kind of line looks like.
func TestABundleHasEveryFactOnALineOfItsOwn(t *testing.T) {
	public, key := newKey(1)
	pem, err := identity.PublicPEM(key)
	require.NoError(t, err)
	goldenfile.Equal(t, "testdata/public.pem", string(pem))
	got := text(t, facts())
	goldenfile.Equal(t, "testdata/canary.jsonl", got)
	b, err := Verify([]byte(got), public)
	require.NoError(t, err)
	require.Equal(t, "orders", b.Head.Plan)
	for _, k := range []Kind{KindBatch, KindSoftware, KindEvent, KindApproval, KindCopy, KindCustomer, KindMove, KindVerdict, KindMissing} {
		require.Contains(t, got, `{"kind":"`+string(k)+`"`)
	}
}

// Ids are opaque if the plan's author makes them so. Names and contacts are in a bundle only where
// the plan says so, and what people noted about a customer never is.
func TestNoNameOrContactIsInABundleUnlessThePlanSaysSo(t *testing.T) {
	f := facts()
	personal := []string{"Acme Corp", "it@acme.example", "Globex AG", "Hank Scorpio"}
	for _, words := range append(personal, "Coyote") {
		require.NotContains(t, text(t, f), words)
	}
	f.Spec.Evidence.Names = true
	for _, words := range personal {
		require.Contains(t, text(t, f), words)
	}
	require.NotContains(t, text(t, f), "Coyote")
}
