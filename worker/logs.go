package worker

import (
	"go.temporal.io/sdk/log"

	"github.com/drover-migration/drover/migration"
)

// named adds plan, customer and token to each line about a workflow, whoever writes it: Temporal's
// SDK, a workflow or an activity. Those in a trace have its id from the interceptor of traces.
type named struct{ to log.Logger }

// Debug writes a line.
func (n named) Debug(msg string, keyvals ...any) { n.to.Debug(msg, withNames(keyvals)...) }

// Info writes a line.
func (n named) Info(msg string, keyvals ...any) { n.to.Info(msg, withNames(keyvals)...) }

// Warn writes a line.
func (n named) Warn(msg string, keyvals ...any) { n.to.Warn(msg, withNames(keyvals)...) }

// Error writes a line.
func (n named) Error(msg string, keyvals ...any) { n.to.Error(msg, withNames(keyvals)...) }

func withNames(keyvals []any) []any {
	for i := 0; i+1 < len(keyvals); i += 2 {
		if id, ok := keyvals[i+1].(string); ok && keyvals[i] == "WorkflowID" {
			of := migration.OfWorkflow(id)
			out := keyvals[:len(keyvals):len(keyvals)]
			for _, x := range []struct{ key, value string }{{"plan", of.Plan}, {"customer", of.Customer}, {"token", of.Token}} {
				if x.value != "" {
					out = append(out, x.key, x.value)
				}
			}
			return out
		}
	}
	return keyvals
}
