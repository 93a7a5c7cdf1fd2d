package outbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
)

// leastKey is how much of a message's key names it.
const leastKey = 8

// asked is what an acknowledgement means: by the id of the notice, or the key of one of its
// messages or its beginning. nil: nothing that waits for somebody.
func (o *outbox) asked(message string) *notice {
	for _, n := range o.asks() {
		byKey := func(key string) bool { return len(message) >= leastKey && strings.HasPrefix(key, message) }
		if n.ID == message || slices.ContainsFunc(n.Keys, byKey) {
			return n
		}
	}
	return nil
}

// ackable refuses what would do nothing.
func (o *outbox) ackable(cmd migration.Command) error {
	if cmd.Message == "" {
		return errors.New("an acknowledgement names what waits: its id, or the key of a message")
	}
	n := o.asked(cmd.Message)
	switch {
	case n == nil:
		return fmt.Errorf("nothing of the name %q waits for anybody: it is settled, or it never did", cmd.Message)
	case n.Taken != nil:
		return fmt.Errorf("%s looks after %s since %s", n.Taken.By, n.ID, n.Taken.At.UTC().Format(migration.TimeLayout))
	}
	return nil
}

// ack says that somebody looks after it: nobody else is told.
func (o *outbox) ack(ctx workflow.Context, cmd migration.Command) {
	n := o.asked(cmd.Message)
	if n == nil {
		return // settled since it was looked at
	}
	n.Taken = &migration.Event{At: workflow.Now(ctx), What: "acknowledged", By: cmd.By, Why: cmd.Reason}
	o.changed = true
}

func (o *outbox) mayDo() []string {
	if o.untaken() == nil {
		return nil
	}
	return []string{migration.UpdateAck}
}

// untaken is the oldest notice that nobody looks after; nil: there is none.
func (o *outbox) untaken() *notice {
	for _, n := range o.asks() {
		if n.Taken == nil {
			return n
		}
	}
	return nil
}
