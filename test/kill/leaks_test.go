package kill

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/proxy"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/migration"
)

// leaksNothing looks for each secret's value in all that a migration has left behind: histories as
// a reader of the Temporal UI has them, Temporal's database with its heartbeats and search
// attributes, every log, the state bucket, and the arguments of every process. Where secrets belong
// is left out: the databases' own files, and what the lab hands to its user.
func (b *bench) leaksNothing(ctx context.Context, t *testing.T) {
	t.Helper()
	found := func(where string, text []byte) {
		for of, value := range b.lab.Secrets() {
			require.NotEmpty(t, value)
			if bytes.Contains(text, []byte(value)) {
				t.Errorf("the secret of %s is in %s", of, where)
			}
		}
	}
	looked := 0
	b.eachHistory(ctx, t, func(id string, text []byte) {
		looked++
		found("the history of "+id, text)
	})
	require.Greater(t, looked, 5, "workflows")

	var logs, objects, databases int
	require.NoError(t, filepath.WalkDir(b.dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // it went while we looked: a socket, a file of a process that has ended
		case e.IsDir() && strings.HasPrefix(e.Name(), "pg-"):
			return fs.SkipDir
		case !e.Type().IsRegular() || path == b.lab.EnvFile():
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		switch {
		case strings.HasSuffix(path, ".log"):
			logs++
		case strings.Contains(path, "drover-state"):
			objects++
		case strings.HasPrefix(e.Name(), "temporal.db"):
			databases++
		}
		found(path, text)
		return nil
	}))
	require.Greater(t, logs, 2, "logs")
	require.Greater(t, objects, 2, "objects of the state bucket")
	require.Positive(t, databases, "Temporal's database")

	for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
		found("the log of the database on "+string(side), []byte(b.lab.Server(side).Log()))
	}

	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, p := range processes {
		if text, err := os.ReadFile(p); err == nil {
			found("the arguments "+strings.ReplaceAll(string(text), "\x00", " "), text)
		}
	}
}

// eachHistory hands over every history, with its payloads as they were before the codec.
func (b *bench) eachHistory(ctx context.Context, t *testing.T, visit func(id string, text []byte)) {
	t.Helper()
	plain := proxy.VisitPayloadsOptions{Visitor: func(_ *proxy.VisitPayloadsContext, p []*commonpb.Payload) ([]*commonpb.Payload, error) {
		return codec.New().Decode(p)
	}}
	runs, err := b.runs(ctx)
	require.NoError(t, err)
	for _, x := range runs {
		var text []byte
		events, err := b.history(ctx, x.GetExecution())
		require.NoError(t, err)
		for _, e := range events {
			require.NoError(t, proxy.VisitPayloads(ctx, e, plain))
			j, err := protojson.Marshal(e)
			require.NoError(t, err)
			text = append(text, j...)
		}
		visit(x.GetExecution().GetWorkflowId(), text)
	}
}
