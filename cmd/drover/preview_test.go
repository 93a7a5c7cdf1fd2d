package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/prices"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
)

func TestAPreviewReadsInTheOrderOfTheMigrationAndSaysWhatItDoesNotKnow(t *testing.T) {
	report := migration.PreviewReport{
		Steps: []migration.PreviewStep{{Do: "store the compiled plan", To: "s3://state", State: migration.WillBeDone},
			{Do: "instance", To: "VM web-01", State: migration.Exists, Found: "i-1"}},
		Sizes: []migration.PreviewSize{{What: "database orders", Bytes: 80 << 20}, {What: "database archive", Bytes: 2400 << 20}},
		Customers: []migration.PreviewCustomer{
			{ID: "acme", Batch: "canary", Rows: 12, Freeze: migration.Duration(40 * time.Millisecond),
				Stall: migration.Duration(40 * time.Millisecond)},
			{ID: "birch", Batch: "canary", Rows: 9e6, Freeze: migration.Duration(7 * time.Second), Refused: true, Over: true},
			{ID: "cedar", Batch: "canary", Why: "the rows of orders were not read in time"},
		},
		LeftOut: []string{"postgres-connectivity of orders: it tries something"},
	}
	report.Sizings = []migration.Sizing{migration.SizingOf("web", "auto", migration.VM{Name: "web-01", CPUs: 8, MemoryMB: 16 << 10,
		Use: &migration.Use{CPUs: 1.2, MemoryMB: 4 << 10, Hours: 720}})}
	costs, err := prices.Read("../../internal/prices/testdata/figures.json")
	require.NoError(t, err)
	priceSizings(costs, &migration.Spec{Targets: []migration.Target{{Name: "prod", Region: "us-east-1"}},
		Workloads: []migration.Workload{{Name: "web", Target: "prod"}}}, report.Sizings)
	var out bytes.Buffer
	a := &app{out: &out}
	require.NoError(t, a.printPreview(printer.AsTable, report, 40, costs))
	for _, want := range []string{"exists", "i-1", "80.0 MiB", "2s", "2.3 GiB     1m\n", "waits up to 40ms",
		"7s, over its budget", "is refused meanwhile", "m7i.large  72.58 USD\n", "prices of 2024-06-30",
		"the rows of orders were not read in", "left out", "0 blockers, 0 warnings; nothing was changed"} {
		require.Contains(t, out.String(), want)
	}
	out.Reset()
	report.Findings = []migration.Finding{{Severity: migration.Blocker, Check: "no-subnet", Subject: "target prod", Reason: "there is none",
		Remedy: "name one"}}
	require.ErrorIs(t, a.printPreview(printer.AsTable, report, 0, costs), ended{exitBlocked})
	require.Contains(t, out.String(), "unknown", "no rate is made up")
	require.Contains(t, out.String(), "blocker no-subnet: target prod")
}

func TestDoctorSaysWhatIsLeftOverAndWhatThingsCost(t *testing.T) {
	costs, err := prices.Read("../../internal/prices/testdata/figures.json")
	require.NoError(t, err)
	spec := &migration.Spec{Targets: []migration.Target{{Name: "prod", Region: "us-east-1"}, {Name: "far", Region: "mars-1"}}}
	report := migration.DoctorReport{
		Datasets: []migration.DatasetHealth{{Dataset: "orders", Whole: 3}},
		Things: []migration.Thing{
			{Kind: "instance", ID: "i-1", Where: "target prod", Type: "m7i.large", State: "running"},
			{Kind: "instance", ID: "i-2", Where: "target far", Type: "m7i.large", State: "running"},
			{Kind: "snapshot", ID: "snap-1", Where: "target prod", Bytes: 100 << 30, Left: "its VM has an instance of another copy"},
			{Kind: "rule", ID: "arn:rule", Where: "route public"},
		},
	}
	price(costs, spec, report.Things)
	var out bytes.Buffer
	a := &app{out: &out}
	require.NoError(t, a.printDoctor(printer.AsTable, "plan.yaml", report, costs), "what is left over breaks nothing")
	for _, want := range []string{"left over: snapshot snap-1 target prod", "its VM has an instance of another copy",
		"costs 5.00 USD in 30 days",
		"2 instances: 72.58 USD in 30 days; what 1 of them cost is unknown", "1 rule\n", "prices of " + costs.Date,
		"drover doctor plan.yaml --repair"} {
		require.Contains(t, out.String(), want)
	}
	report.Routes = map[string]string{"acme": "rule x sends it to premises"}
	require.ErrorIs(t, a.printDoctor(printer.AsTable, "plan.yaml", report, costs), ended{exitBlocked})
}

func TestAPreviewSaysHowLongAnOldNameMeetsTheClosedSide(t *testing.T) {
	c := migration.PreviewCustomer{Freeze: migration.Duration(200 * time.Millisecond), Stall: migration.Duration(200 * time.Millisecond)}
	require.Equal(t, "waits up to 200ms", stallCell(c))
	c.Late = migration.Duration(90 * time.Second)
	require.Equal(t, "waits up to 200ms, and by an old name is refused for up to 1m30s more", stallCell(c))
	c.Refused = true
	require.Equal(t, "is refused meanwhile, and by an old name is refused for up to 1m30s more", stallCell(c))
}

func TestDoctorSaysWhatOneSideAloneHasAndWhoGoesOnWithoutASide(t *testing.T) {
	at := time.Date(2026, 12, 2, 22, 3, 0, 0, time.UTC)
	var out bytes.Buffer
	a := &app{out: &out}
	report := migration.DoctorReport{Datasets: []migration.DatasetHealth{
		{
			Dataset: "orders",
			Silent:  &migration.SilentSide{Side: migration.OnPrem, Why: "connection refused", Heard: at},
			Alone: []migration.GoesAlone{
				{ID: "acme", Loss: migration.Loss{Side: migration.OnPrem, By: "ann", Why: "it burnt down", At: at}},
			},
		},
		{Dataset: "billing", Apart: []migration.RowsApart{
			{
				ID:     "birch",
				Side:   migration.OnPrem,
				Left:   at,
				New:    2,
				Tables: []string{"table public.orders: 2 rows that its home never had: id=1, id=2"},
			},
			{ID: "cedar", Side: migration.OnPrem, New: 1, Tables: []string{"table public.orders: 1 rows"}, Why: "nothing arrives"},
			{ID: "dill", Side: migration.AWS, Tables: []string{"table public.acct: 1 rows"}},
		}},
	}}
	require.Equal(t, 4, report.Broken())
	require.ErrorIs(t, a.printDoctor(printer.AsTable, "plan.yaml", report, &prices.Prices{}), ended{exitBlocked})
	for _, want := range []string{"does not answer", "connection refused", "--accept-loss CUSTOMER", "customer acme goes on without a side",
		"premises were given up by ann", "id=1, id=2", "its home never had 2 rows of these", "doctor plan.yaml --carry-over birch --reason",
		"nothing can be carried over: nothing arrives", "carry over by hand what counts"} {
		require.Contains(t, out.String(), want)
	}
	require.NotContains(t, out.String(), "--carry-over cedar")
	require.NotContains(t, out.String(), "--carry-over dill")
}
