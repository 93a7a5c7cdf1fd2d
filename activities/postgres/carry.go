package postgres

import (
	"context"
	"errors"

	"github.com/drover-migration/drover/internal/heartbeat"
	"github.com/drover-migration/drover/migration"
	engine "github.com/drover-migration/drover/replication/postgres"
)

// AcceptLossRequest has a customer go on without a side, by somebody's name.
type AcceptLossRequest struct {
	TenantRequest
	Owner  string `json:"owner"` // of the command: asked again for the same one, it answers the same
	By     string `json:"by"`
	Reason string `json:"reason"`
	Look   bool   `json:"look,omitempty"` // only say which side would go on
}

// AcceptLossResult says where the customer goes on.
type AcceptLossResult struct {
	// Home is the side that goes on, or where the customer is at home if both sides answer.
	Home migration.Side  `json:"home"`
	Both bool            `json:"both,omitempty"` // sides answer: nothing is lost in this database
	Loss *migration.Loss `json:"loss,omitempty"` // nil: it was only looked
}

// AcceptLoss opens a customer at the side of a database that is left, if the other is gone for
// good. Cut off anywhere, or a zombie, it may run again: the command has one owner, and opens once.
func (a *Activities) AcceptLoss(ctx context.Context, req AcceptLossRequest) (r AcceptLossResult, err error) {
	defer heartbeat.Alive(ctx)()
	err = a.either(ctx, req.PostgresRef, func(ctx context.Context, p *engine.Pair) (err error) {
		if req.Look {
			r, err = goesOn(ctx, p, req.Tenant)
			return err
		}
		l, err := p.AcceptLoss(ctx, req.Tenant, req.Owner, req.By, req.Reason)
		r = AcceptLossResult{Home: l.Side.Other(), Loss: &l}
		return err
	})
	return r, err
}

// goesOn says where a customer would go on.
func goesOn(ctx context.Context, p *engine.Pair, tenant int64) (AcceptLossResult, error) {
	lost, err := p.LostSide(ctx)
	switch {
	case err == nil:
		return AcceptLossResult{Home: lost.Other()}, nil
	case !errors.Is(err, engine.ErrAnswers) || p.Lost != "":
		return AcceptLossResult{}, err
	}
	h, err := p.Home(ctx, tenant)
	return AcceptLossResult{Home: h.Home(), Both: true}, err
}

// CarryRequest brings rows of a customer home that one side alone has, by somebody's name.
type CarryRequest struct {
	TenantRequest
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// CarryResult says what was carried over.
type CarryResult struct {
	Done []Carried `json:"done,omitempty"`
}

// Carried is what was carried over at once.
type Carried struct {
	From  migration.Side `json:"from"`
	Rows  int            `json:"rows"`
	Words string         `json:"words"` // which rows
}

// CarryOver brings those rows of a customer to its home that were written on the other side only.
// Cut off anywhere, or run twice at once, it goes on where it was.
func (a *Activities) CarryOver(ctx context.Context, req CarryRequest) (CarryResult, error) {
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return CarryResult{}, err
	}
	defer beat(ctx, "carrying over what one side alone has")()
	done, err := p.CarryOver(ctx, req.Tenant, req.By, req.Reason)
	var out CarryResult
	for _, c := range done {
		out.Done = append(out.Done, Carried{From: c.From, Rows: c.Rows, Words: c.Words})
	}
	return out, classify(err)
}
