package web

import (
	"context"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/migration"
)

// Offer is a command that may be given now, in the words of the board, for whoever shows it
// elsewhere than on a page.
type Offer struct {
	Name    string // of the action: of its update, where it is the only one
	Words   string // "Roll back"
	What    string // "batch canary of plan shop"
	Effect  string // what it does, in sentences
	Grave   bool   // it moves customers
	Needs   bool   // a reason
	Command string // the same on the command line; in capitals what is to be filled in
	At      client.Aim

	send func(ctx context.Context, c Commands, at client.Aim, cmd migration.Command) (migration.Accepted, error)
}

// Offers are those commands that would be accepted now, in the order of the board's buttons. MayDo
// is what the status of the plan, the batch or the customer names.
func Offers(at client.Aim, mayDo []string) (out []Offer) {
	for _, a := range theActions {
		if !a.applies(kindOf(at), mayDo) {
			continue
		}
		out = append(out, Offer{Name: a.name, Words: a.words, What: a.object(at), Effect: a.does(at), Grave: a.grave, Needs: a.reason,
			Command: a.typed(at), At: at, send: a.send})
	}
	return out
}

// Send gives the command: the same call as the page's and the command line's.
func (o Offer) Send(ctx context.Context, c Commands, cmd migration.Command) (migration.Accepted, error) {
	return o.send(ctx, c, o.At, cmd)
}
