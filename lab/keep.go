package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/api/workflowservice/v1"
	temporalclient "go.temporal.io/sdk/client"

	"github.com/drover-migration/drover/migration"
)

// Keep copies what tells how a run went into dir, which Close leaves alone: the logs of workers,
// servers and machines, the ledger, the plan, and the history of every workflow of the plan. It
// keeps what it can, and its error says what it could not.
func (l *Lab) Keep(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	errs := []error{keepFiles(l.opts.Dir, dir)}
	for name, log := range map[string]string{"postgres-onprem.log": l.onprem.Log(), "postgres-aws.log": l.rds.Log()} {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), []byte(log), 0o644))
	}
	c, err := l.dial(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	defer c.Close()
	return errors.Join(append(errs, keepHistories(ctx, c, l.Shape.Name, filepath.Join(dir, "histories")))...)
}

// keepFiles copies the logs, the ledger and the plan of a lab's folder. Settings and secrets stay
// behind.
func keepFiles(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission): // it goes away while it is walked, or is a server's own
			return nil
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(name, "pg-"): // the servers' own, whose logs Keep has asked them for
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".log") && name != "ledger.jsonl" && name != "plan.yaml":
			return nil
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, strings.ReplaceAll(rel, string(filepath.Separator), "-")), body, 0o644)
	})
}

// keepHistories writes the history of every run of a plan's workflows, as `temporal workflow show
// --output json` does.
func keepHistories(ctx context.Context, c temporalclient.Client, plan, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	req := &workflowservice.ListWorkflowExecutionsRequest{Query: fmt.Sprintf("%s = '%s'", migration.AttrPlan, plan)}
	for {
		page, err := c.ListWorkflow(ctx, req)
		if err != nil {
			return fmt.Errorf("list the workflows of plan %s: %w", plan, err)
		}
		for _, e := range page.GetExecutions() {
			id, run := e.GetExecution().GetWorkflowId(), e.GetExecution().GetRunId()
			body, err := history(ctx, c, id, run)
			if err != nil {
				return fmt.Errorf("read the history of %s: %w", id, err)
			}
			name := fmt.Sprintf("%s-%.8s.json", strings.ReplaceAll(id, "/", "-"), run)
			if err := os.WriteFile(filepath.Join(dir, name), body, 0o644); err != nil {
				return err
			}
		}
		if req.NextPageToken = page.GetNextPageToken(); len(req.NextPageToken) == 0 {
			return nil
		}
	}
}

func history(ctx context.Context, c temporalclient.Client, id, run string) ([]byte, error) {
	var all historypb.History
	events := c.GetWorkflowHistory(ctx, id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return nil, err
		}
		all.Events = append(all.Events, e)
	}
	return temporalproto.CustomJSONMarshalOptions{Indent: "  "}.Marshal(&all)
}
