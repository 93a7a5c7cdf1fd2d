package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func full(path string) string {
	if strings.Contains(strings.SplitN(path, "/", 2)[0], ".") {
		return path
	}
	return module + path
}

// The file has what depguard was told before this table; a row that is loosened by mistake shows
// here.
func TestWhatWasRefusedIsRefused(t *testing.T) {
	b, err := os.ReadFile("testdata/refused.txt")
	require.NoError(t, err)
	n := 0
	for _, line := range strings.Split(string(b), "\n") {
		at, imports, ok := strings.Cut(line, ": ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		for _, i := range strings.Fields(imports) {
			n++
			for _, from := range []string{at, at + "/inner"} {
				for _, to := range []string{full(i), full(i) + "/inner"} {
					require.NotEmpty(t, complaints(pkg{ImportPath: module + from, Imports: []string{to}}), "%s imports %s", from, to)
				}
			}
		}
	}
	require.Greater(t, n, 300)
}

func TestWhatARoomNeedsIsAllowed(t *testing.T) {
	for at, imports := range map[string]string{
		"migration":                  "errors encoding/json",
		"plans":                      "strings github.com/goccy/go-yaml/ast migration plans/inner",
		"replication/disks":          "context github.com/aws/aws-sdk-go-v2/aws migration vsphere vsphere/vmdk",
		"replication/postgres/setup": "replication/postgres github.com/jackc/pgx/v5 migration",
		"replication/postgres":       "replication/postgres/preflight",
		"routes/route53":             "routes internal/objects github.com/aws/aws-sdk-go-v2/service/route53",
		"activities/traffic":         "routes/alb internal/heartbeat go.temporal.io/sdk/activity",
		"workflows/batch":            "workflows/customer activities/health go.temporal.io/sdk/workflow migration",
		"worker":                     "activities/traffic routes/alb client go.temporal.io/sdk/worker",
		"client":                     "internal/codec go.temporal.io/sdk/client",
		"web":                        "client net/http",
		"cmd/drover":                 "worker plans github.com/spf13/cobra",
		"lab/verify":                 "lab/pg github.com/jackc/pgx/v5",
		"test/kill":                  "lab cmd/lab worker",
	} {
		for _, i := range strings.Fields(imports) {
			to := i
			if r, ours := roomOf(i); ours && r.at != "" {
				to = module + i
			}
			require.Empty(t, complaints(pkg{ImportPath: module + at, Imports: []string{to}}), "%s imports %s", at, i)
		}
	}
}

func TestAPackageWithoutARoomIsNamed(t *testing.T) {
	require.Equal(t, []string{"attic: it has no room; give it a row in tools/imports/table.go"},
		complaints(pkg{ImportPath: module + "attic"}))
}

func TestAnEngineKnowsNothingOfTemporalThroughOthersEither(t *testing.T) {
	got := complaints(pkg{ImportPath: module + "compute", Imports: []string{module + "internal/await"},
		Deps: []string{module + "internal/await", "go.temporal.io/sdk/activity"}})
	require.Len(t, got, 1)
	require.Contains(t, got[0], "what it imports imports go.temporal.io/sdk/activity")
}

func TestTheHouseStands(t *testing.T) {
	t.Chdir("../..")
	pkgs, err := list()
	require.NoError(t, err)
	require.NotEmpty(t, pkgs)
	for _, p := range pkgs {
		require.Empty(t, complaints(p))
	}
}
