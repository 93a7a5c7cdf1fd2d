package prices_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/prices"
	"github.com/drover-migration/drover/migration"
)

func TestAThingCostsWhatTheFileSaysAndWhatItDoesNotSayIsUnknown(t *testing.T) {
	p, err := prices.Read("testdata/figures.json")
	require.NoError(t, err)
	const east = "us-east-1"
	for _, x := range []struct {
		name  string
		thing migration.Thing
		at    string
		want  string
	}{
		{"an instance that runs", migration.Thing{Kind: "instance", Type: "m7i.large", State: "running"}, east, "72.58 USD"},
		{"one that is stopped: its disks are not listed", migration.Thing{Kind: "instance", Type: "m7i.large", State: "stopped"}, east,
			"unknown"},
		{"a type that is not in the file", migration.Thing{Kind: "instance", Type: "x1e.32xlarge", State: "running"}, east, "unknown"},
		{"a region that is not in the file", migration.Thing{Kind: "snapshot", Bytes: 10 << 30}, "eu-north-1", "unknown"},
		{"a copy of a disk", migration.Thing{Kind: "snapshot", Bytes: 10 << 30}, east, "0.50 USD"},
		{"objects", migration.Thing{Kind: "object", Bytes: 100 << 30}, east, "2.30 USD"},
		{"a service of two tasks", migration.Thing{Kind: "service", Type: "fargate 512 CPU units 1024 MiB", Count: 2}, east,
			"35.55 USD"},
		{"a replication slot", migration.Thing{Kind: "replication slot"}, east, ""},
	} {
		t.Run(x.name, func(t *testing.T) { require.Equal(t, x.want, p.Of(x.thing, x.at)) })
	}
}

// What Drover comes with is what its source says, and nothing else.
func TestThePricesThatComeWithDroverHaveTheirSource(t *testing.T) {
	p, err := prices.Read("")
	require.NoError(t, err)
	require.Contains(t, p.Source, "https://")
	require.Equal(t, "35.55 USD", p.Of(migration.Thing{Kind: "service", Type: "fargate 512 CPU units 1024 MiB", Count: 2}, "us-east-1"))
	require.Equal(t, "unknown", p.Of(migration.Thing{Kind: "instance", Type: "m7i.large", State: "running"}, "us-east-1"))
}

func TestAFileOfPricesTakesThePlaceOfTheOneThatCameWithDrover(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ours.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"source": "our contract", "date": "2026-02-01", "currency": "EUR",
		"regions": {"eu-north-1": {"snapshotGiBMonth": 0.04}}}`), 0o600))
	p, err := prices.Read(file)
	require.NoError(t, err)
	require.Equal(t, "0.40 EUR", p.Of(migration.Thing{Kind: "snapshot", Bytes: 10 << 30}, "eu-north-1"))
	require.Equal(t, "unknown", p.Of(migration.Thing{Kind: "instance", Type: "m7i.large", State: "running"}, "us-east-1"),
		"none is mixed in")

	require.NoError(t, os.WriteFile(file, []byte(`{"currency": "EUR"}`), 0o600))
	_, err = prices.Read(file)
	require.ErrorContains(t, err, "says its source, its currency and its date")
}
