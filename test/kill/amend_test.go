package kill

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/plans"
)

// variant is the lab's plan with some of its text replaced; a line that contains a text whose
// replacement is empty goes.
func (b *bench) variant(t *testing.T, name string, replace map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(b.lab.Plan), "plan.yaml"))
	require.NoError(t, err)
	var out []string
	for line := range strings.Lines(string(text)) {
		keep := true
		for old, now := range replace {
			if !strings.Contains(line, old) {
				continue
			}
			keep = keep && now != ""
			line = strings.ReplaceAll(line, old, now)
		}
		if keep {
			out = append(out, line)
		}
	}
	path := filepath.Join(filepath.Dir(b.lab.Plan), name)
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(out, "")), 0o600))
	return path
}

func compiled(t *testing.T, path string) *migration.Spec {
	t.Helper()
	p, err := plans.Load(path)
	require.NoError(t, err)
	spec, err := plans.Compile(p)
	require.NoError(t, err)
	return spec
}

func (b *bench) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, b.drover, args...)
	cmd.Env = b.lab.Environ()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A customer that was left out, with all its data, comes into a plan that runs, with a batch of its
// own; another goes to that batch; a third is skipped. Of two who amend at once one wins. The
// migration is terminated as soon as the amendment holds, and reset to its start later.
func TestAPlanIsAmendedWhileItRuns(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Minute)
	defer cancel()
	shape := lab.SmallShape(2)
	for i, batch := range []lab.Batch{{Name: "later", Rollback: "customer", Concurrency: 2, Approvals: 1}, {Name: "added",
		Rollback: "customer", Concurrency: 2}} {
		for n := range 2 - i {
			batch.Customers = append(batch.Customers, lab.NewCustomer(2+2*i+n))
		}
		shape.Batches = append(shape.Batches, batch)
	}
	b := newBench(ctx, t, shape)
	plan, all := shape.Name, shape.Customers() // acme and birch, cedar and delta, ember
	first := b.variant(t, "first.yaml", map[string]string{"id: ember": "", "name: added": ""})
	amended := b.variant(t, "amended.yaml", map[string]string{"customers: [cedar, delta]": "customers: [delta]",
		"customers: [ember]": "customers: [ember, cedar]"})
	shorter := b.variant(t, "shorter.yaml", map[string]string{"id: ember": "", "name: added": "", "soak: 2h": "soak: 3h"})
	b.lab.Plan = first
	b.submit(ctx)
	b.settled(ctx, all[0].ID, migration.AWS)
	b.settled(ctx, all[1].ID, migration.AWS)

	t.Run("what has moved stays in its batch", func(t *testing.T) {
		back := b.variant(t, "back.yaml", map[string]string{"id: ember": "", "name: added": "",
			"customers: [acme, birch]": "customers: [birch]", "customers: [cedar, delta]": "customers: [acme, cedar, delta]"})
		out, err := b.run(ctx, "amend", back, "--yes")
		require.Error(t, err, out)
		require.Contains(t, out, "customer acme: it is soaking, homed on aws")
	})
	t.Run("of two at once one wins", func(t *testing.T) {
		var reports []migration.AmendmentReport
		for _, path := range []string{amended, shorter} {
			r, err := b.client.Amendment(ctx, compiled(t, path))
			require.NoError(t, err)
			require.Empty(t, migration.Blockers(r.Findings))
			require.Equal(t, 1, r.Base.Revision)
			reports = append(reports, r)
		}
		errs := make([]error, len(reports))
		var both sync.WaitGroup
		for i, r := range reports {
			both.Go(func() {
				cmd := migration.Command{By: "lead", Reason: "test", Amend: &r.Spec}
				cmd.Amend.Revision = r.Base.Revision
				_, errs[i] = b.client.Amend(ctx, plan, cmd)
			})
		}
		both.Wait()
		won, lost := 0, errs[1]
		if errs[0] != nil {
			won, lost = 1, errs[0]
		}
		require.NoError(t, errs[won])
		require.ErrorIs(t, lost, client.ErrRefused)
		s, err := b.client.Migration(ctx, plan)
		require.NoError(t, err)
		require.Equal(t, 2, s.Revision)
		require.Equal(t, reports[won].Spec.Digest, s.Digest)
		if won == 1 {
			out, err := b.run(ctx, "amend", amended, "--revision", "2", "--yes")
			require.NoError(t, err, out)
		}
		b.terminate(ctx, t, migration.MigrationID(plan))
	})
	t.Run("the newest revision is found again", func(t *testing.T) {
		out, err := b.run(ctx, "submit", first)
		require.Error(t, err, out)
		require.Contains(t, out, "revision ")
		b.lab.Plan = amended
		b.submit(ctx)
		require.True(t, eventually(func() bool {
			s, err := b.client.Migration(ctx, plan)
			return err == nil && s.Revision >= 2 && len(s.Batches) == 3
		}))
		spec, err := b.client.Spec(ctx, plan)
		require.NoError(t, err)
		require.Len(t, spec.Customers, 5)
		out, err = b.run(ctx, "amend", amended, "--yes")
		require.NoError(t, err, out)
		require.Contains(t, out, "nothing to change")
	})
	t.Run("a migration that is reset to its start goes on by it", func(t *testing.T) {
		newer := b.variant(t, "newer.yaml", map[string]string{"customers: [cedar, delta]": "customers: [delta]",
			"customers: [ember]": "customers: [ember, cedar]", "soak: 2h": "soak: 4h"})
		out, err := b.run(ctx, "amend", newer, "--yes", "--reason", "a longer soak")
		require.NoError(t, err, out)
		before, err := b.client.Migration(ctx, plan)
		require.NoError(t, err)
		b.reset(ctx, t, migration.MigrationID(plan))
		require.True(t, eventually(func() bool {
			s, err := b.client.Migration(ctx, plan)
			return err == nil && s.Phase == migration.MigrationReleasing && s.Digest == before.Digest && s.Revision == before.Revision
		}))
		out, err = b.run(ctx, "amend", newer, "--yes")
		require.NoError(t, err, out)
		require.Contains(t, out, "nothing to change")
	})
	t.Run("and everybody goes by it", func(t *testing.T) {
		require.True(t, eventually(func() bool {
			s, err := b.client.Customer(ctx, plan, "cedar")
			return err == nil && s.Batch == "added"
		}))
		out, err := b.run(ctx, "skip", plan, "--customer", "delta", "--reason", "its contract ends", "--yes")
		require.NoError(t, err, out)
		out, err = b.run(ctx, "approve", plan, "later", "--by", "lead")
		if err != nil { // nobody of the batch is left, and it may be through
			require.Contains(t, out, "later", out)
		}
		b.settled(ctx, "ember", migration.AWS)
		b.settled(ctx, "cedar", migration.AWS)
		homes, err := b.lab.OpenSides(ctx)
		require.NoError(t, err)
		require.Equal(t, []string{string(migration.OnPrem)}, homes[all[3].Tenant], "who was skipped")
		b.consistent(ctx, t)
	})
	b.nothingLost(ctx, t)
}
