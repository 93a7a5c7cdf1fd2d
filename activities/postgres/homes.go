package postgres

import (
	"context"

	"github.com/drover-migration/drover/migration"
)

// Standing is where a tenant's data says that it is homed, and under which token.
type Standing struct {
	Side  migration.Side `json:"side,omitempty"` // migration.NoHome: its data names none
	Token int64          `json:"token,omitempty"`
}

// HomesResult has every tenant that was asked for.
type HomesResult struct {
	Homes map[int64]Standing `json:"homes"`
}

// ReadHomes reads the homes of many tenants in one question to each side. It changes nothing.
func (a *Activities) ReadHomes(ctx context.Context, req ExamineRequest) (HomesResult, error) {
	p, err := a.open(ctx, req.PostgresRef)
	if err != nil {
		return HomesResult{}, err
	}
	records, err := p.Homes(ctx, req.Tenants)
	if err != nil {
		return HomesResult{}, classify(err)
	}
	out := HomesResult{Homes: make(map[int64]Standing, len(records))}
	for t, r := range records {
		out.Homes[t] = Standing{Side: r.Home(), Token: r.Token()}
	}
	return out, nil
}
