package main

import (
	"context"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/migration"
)

// databases stand in for the activities over PostgreSQL, under their names.
type databases struct{ *below }

// CheckPostgres finds nothing in the way.
func (d databases) CheckPostgres(ctx context.Context, _ postgres.CheckPostgresRequest) (r postgres.CheckPostgresResult, err error) {
	return r, d.call(ctx, ms(167, 167), nothing)
}

// PreparePostgres has nothing to set up.
func (d databases) PreparePostgres(ctx context.Context, _ postgres.PreparePostgresRequest) error {
	return d.call(ctx, ms(3600, 3600), nothing)
}

// AwaitPostgresSync finds the first copy made.
func (d databases) AwaitPostgresSync(ctx context.Context, _ postgres.PostgresRef) error {
	return d.call(ctx, ms(730, 730), nothing)
}

// ReadLag finds replication close behind.
func (d databases) ReadLag(ctx context.Context, _ postgres.PostgresRef) (l postgres.Lag, err error) {
	return l, d.call(ctx, ms(27, 89), nothing)
}

// WatchPostgres finds no fence that is not as it must be.
func (d databases) WatchPostgres(ctx context.Context, _ postgres.PostgresRef) (w postgres.WatchResult, err error) {
	return w, d.beating(ctx, ms(128, 133), nothing)
}

// ReadHome reads a home record.
func (d databases) ReadHome(ctx context.Context, req postgres.TenantRequest) (r migration.HomeRecord, err error) {
	return r, d.short(ctx, ms(60, 309), func() error {
		var all Homes
		err := d.ask("Home", []int64{req.Tenant}, &all)
		r = all[req.Tenant]
		return err
	})
}

// ReadHomes reads those of many.
func (d databases) ReadHomes(ctx context.Context, req postgres.ReadHomesRequest) (r postgres.ReadHomesResult, err error) {
	return r, d.short(ctx, ms(60, 309), func() error {
		var all Homes
		err := d.ask("Home", req.Tenants, &all)
		r.Homes = make(map[int64]migration.Homed, len(all))
		for tenant, h := range all {
			r.Homes[tenant] = h.Homed()
			if h.Token() == 0 && h.OnPrem.Note.N == 0 {
				r.New = append(r.New, tenant)
			}
		}
		return err
	})
}

// NoteTenant remembers what a Customer wants to be remembered.
func (d databases) NoteTenant(ctx context.Context, req postgres.NoteRequest) (r postgres.StepResult, err error) {
	return r, d.short(ctx, ms(33, 91), func() error {
		return d.ask("Note", NoteArgs{Tenant: req.Tenant, Side: req.Side, Note: req.Note}, &r.Word)
	})
}

// NoteTenants remembers what several want to be remembered.
func (d databases) NoteTenants(ctx context.Context, req postgres.NotesRequest) (r postgres.NotesResult, err error) {
	return r, d.short(ctx, ms(33, 91), func() error {
		r.Noted = nil
		for _, n := range req.Notes {
			var word migration.Word
			if err := d.ask("Note", NoteArgs{Tenant: n.Tenant, Side: req.Side, Note: n.Note}, &word); err != nil {
				return err
			}
			if word == migration.WordNoted {
				r.Noted = append(r.Noted, n.Tenant)
			}
		}
		return nil
	})
}

// OpenTenant opens a database after the first.
func (d databases) OpenTenant(ctx context.Context, req postgres.TenantMove) (postgres.StepResult, error) {
	return d.step(ctx, stepOpen, req)
}

// UnfenceTenant takes a fence back.
func (d databases) UnfenceTenant(ctx context.Context, req postgres.TenantMove) (postgres.StepResult, error) {
	return d.step(ctx, stepClaim, req)
}

// PoisonTenant makes a late open impossible.
func (d databases) PoisonTenant(ctx context.Context, req postgres.TenantMove) (postgres.StepResult, error) {
	return d.step(ctx, stepPoison, req)
}

// ReopenTenant opens a sealed origin again.
func (d databases) ReopenTenant(ctx context.Context, req postgres.TenantMove) (postgres.StepResult, error) {
	return d.step(ctx, stepReopen, req)
}

// ClaimTenant ends what was under way.
func (d databases) ClaimTenant(ctx context.Context, req postgres.TenantMove) (postgres.StepResult, error) {
	return d.step(ctx, stepClaim, req)
}

func (d databases) step(ctx context.Context, step string, req postgres.TenantMove) (postgres.StepResult, error) {
	var a Answer
	err := d.short(ctx, single, func() error {
		return d.ask("Step", StepArgs{Step: step, Tenant: req.Tenant, From: req.From, Try: req.Try}, &a)
	})
	return postgres.StepResult{Word: a.Word, At: a.At}, err
}
