package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
)

func observation() migration.ObservationReport {
	last := ago(time.Hour)
	return migration.ObservationReport{
		Requires: &migration.Observe{For: migration.Duration(168 * time.Hour)},
		Datasets: []migration.Observation{
			{
				Dataset: "orders", Since: ago(76 * time.Hour), Age: migration.Duration(76 * time.Hour),
				Findings: []migration.Observed{
					{ID: "3fa9c1d2", Kind: migration.ObservedMany, Role: "billing", Application: "nightly-invoices-#", Client: "10.0.7.31",
						Statement: "update invoices set state = ?, closed_at = now() where period = ? and tenant_id in (select tenant_id " +
							"from contracts where kind = ?)", Table: "public.invoices", Operation: "UPDATE", Customers: 1000, Noted: 42,
						First: ago(75 * time.Hour), Last: last},
					{ID: "77aa0011", Kind: migration.ObservedMany, Role: "app", Application: "web", Client: "10.0.0.7",
						Statement: "insert into audit values (?..)..", Table: "public.audit", Operation: "INSERT", Customers: 2, Noted: 3,
						First: ago(20 * time.Hour), Last: last, Resolved: &migration.Event{At: ago(2 * time.Hour), What: "resolved",
							By: "ann", Why: "it writes for its own customer and the one that it bills, and moves with both"}},
					{ID: "0b0b0b0b", Kind: migration.ObservedUnrouted, Role: "etl", Client: "10.9.9.9", Table: "public.events",
						Operation: "INSERT", Noted: 7, First: ago(70 * time.Hour), Last: last},
					{ID: "c0ffee00", Kind: migration.ObservedTruncate, Role: "etl", Application: "stage", Client: "10.9.9.9",
						Table: "public.events_staging", Operation: "TRUNCATE", Noted: 3, First: ago(70 * time.Hour), Last: last},
					{ID: "d1d1d1d1", Kind: migration.ObservedDDL, Table: "public.orders", Operation: "changed", Noted: 1, First: last,
						Last: last},
				},
			},
			{Dataset: "billing", Error: "the database on premises does not answer"},
		},
	}
}

func TestAReportOfWritersFitsATerminalAndSaysWhatToDo(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: &out}
	require.ErrorIs(t, a.printObservation(printer.AsTable, "shop", observation()), ended{exitBlocked})
	for line := range strings.Lines(out.String()) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), printer.Width, "too wide: %s", line)
	}
	for _, want := range []string{"3fa9c1d2  many", "1000 or more", "3fa9c1d2: update invoices set state = ?", "resolved by ann",
		"truncate: empties whole tables", "dataset orders has been observed since", "5 findings, 4 unresolved",
		"dataset billing could not be read", "drover observe resolve shop ID"} {
		require.Contains(t, strings.Join(strings.Fields(out.String()), " "), strings.Join(strings.Fields(want), " "))
	}
	for _, k := range migration.ObservedKinds {
		require.NotEmpty(t, observedWords[k].remedy, k)
	}
}

func TestAReportOfWritersEndsWellOnceEnoughIsResolved(t *testing.T) {
	report := observation()
	report.Datasets = report.Datasets[:1]
	report.Requires.Unresolved = 4
	var out bytes.Buffer
	a := &app{out: &out}
	require.NoError(t, a.printObservation(printer.AsJSON, "shop", report))
	require.Contains(t, out.String(), `"kind": "truncate"`)
	report.Requires.Unresolved = 3
	require.ErrorIs(t, a.printObservation(printer.AsCSV, "shop", report), ended{exitBlocked})
	require.Contains(t, out.String(), "orders,d1d1d1d1,ddl,,,,changed,public.orders")
}

func TestABatchSaysThatAnOperatorHasToLookAtWhoWrites(t *testing.T) {
	b := migration.BatchStatus{WaitingFor: migration.WaitObserve}
	require.Equal(t, "observe", waitsCell(b, false))
	b.Asks = true
	require.Equal(t, "observe: operator", waitsCell(b, false))
}
