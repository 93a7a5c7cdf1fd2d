package homes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/migration"
)

// Records are the home records of plans. It needs s3:GetObject and s3:PutObject below the state
// store's prefix. It keeps nothing in memory and is safe for concurrent use.
type Records struct{ bucket objects.Bucket }

// New keeps records in the state bucket.
func New(bucket objects.Bucket) *Records { return &Records{bucket: bucket} }

// Step is what a step answers: its word, and the record as the step left it, or found it.
type Step struct {
	Word   migration.Word
	Record migration.HomeRecord
}

const (
	// conflicts is how often a step begins anew because somebody else has written. Each of those
	// has got through, and few write one customer's record.
	conflicts = 100
	atOnce    = 16 // records that are read or written at a time
)

func key(plan, customer string) string { return "plans/" + plan + "/homes/" + customer + ".json" }

// Read answers a customer's record. One that no Move has written yet says that the customer is at
// home. An object that is no home record answers with a Doubt, so that nothing is decided by it.
func (r *Records) Read(ctx context.Context, ref migration.SpecRef, customer string) (migration.HomeRecord, error) {
	rec, _, err := r.read(ctx, ref, customer)
	return rec, err
}

// ReadMany is Read of many customers. It answers all of them, or an error.
func (r *Records) ReadMany(ctx context.Context, ref migration.SpecRef, customers []string) (map[string]migration.HomeRecord, error) {
	records := make([]migration.HomeRecord, len(customers))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, c := range customers {
		g.Go(func() (err error) {
			records[i], err = r.Read(ctx, ref, c)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := make(map[string]migration.HomeRecord, len(customers))
	for i, c := range customers {
		out[c] = records[i]
	}
	return out, nil
}

func (r *Records) read(ctx context.Context, ref migration.SpecRef, customer string) (rec migration.HomeRecord, etag string, err error) {
	body, etag, err := r.bucket.Get(ctx, ref.State, ref.Target, key(ref.Plan, customer))
	switch {
	case errors.Is(err, objects.ErrNotFound):
		rec.OnPrem.State, rec.AWS.State = migration.Open, migration.Sealed
		return rec, "", nil
	case err != nil:
		return rec, "", fmt.Errorf("home record of customer %q: %w", customer, err)
	}
	if err := json.Unmarshal(body, &rec); err != nil || !rec.Settled() {
		rec.Doubt = fmt.Sprintf("%s is no home record: restore the object's last version that is one",
			objects.Address(ref.State, key(ref.Plan, customer)))
	}
	return rec, etag, nil
}

// step reads the record, and writes what change makes of it, until nobody else has written between
// the two. change answers the step's word, and whether there is something to write. A record in
// doubt is not changed.
func (r *Records) step(ctx context.Context, ref migration.SpecRef, customer string,
	change func(*migration.HomeRecord) (migration.Word, bool)) (Step, error) {
	for range conflicts {
		rec, etag, err := r.read(ctx, ref, customer)
		if err != nil {
			return Step{}, err
		}
		if rec.Doubt != "" {
			return Step{}, fmt.Errorf("home record of customer %q: %s", customer, rec.Doubt)
		}
		word, changed := change(&rec)
		if !changed {
			return Step{word, rec}, nil
		}
		body, err := json.Marshal(rec)
		if err != nil {
			return Step{}, fmt.Errorf("home record of customer %q: %w", customer, err)
		}
		switch _, err := r.bucket.Put(ctx, ref.State, ref.Target, key(ref.Plan, customer), body, etag); {
		case err == nil:
			return Step{word, rec}, nil
		case !errors.Is(err, objects.ErrConflict):
			return Step{}, fmt.Errorf("home record of customer %q: %w", customer, err)
		}
	}
	return Step{}, fmt.Errorf("home record of customer %q: it was written by somebody else %d times in a row", customer, conflicts)
}

// standing is how a try stands to a record: older than what it says, the one that wrote it, or
// newer. Two tries with one token have two owners, and the first of them is the one that counts.
func standing(rec migration.HomeRecord, try migration.Try) (older, same bool) {
	at := rec.Side(rec.Home())
	return at.Token > try.Token || at.Token == try.Token && at.Owner != try.Owner, at.Token == try.Token && at.Owner == try.Owner
}

// stamp puts a try's name on both sides.
func stamp(rec *migration.HomeRecord, try migration.Try) {
	for _, s := range []*migration.SideRecord{&rec.OnPrem, &rec.AWS} {
		s.Token, s.Owner = try.Token, try.Owner
	}
}

// side is one side's part of a record.
func side(rec *migration.HomeRecord, s migration.Side) *migration.SideRecord {
	if s == migration.AWS {
		return &rec.AWS
	}
	return &rec.OnPrem
}

// Commit homes a customer on a side: the commit point of its Move. To AWS it is homed with the
// share of its requests that weight says, in percent. note is what is remembered of the stay that
// ends. It answers Open, again too where this try has committed already; Sealed, where the customer
// had been there before; or Superseded.
func (r *Records) Commit(ctx context.Context, ref migration.SpecRef, customer string, to migration.Side, weight int, try migration.Try,
	note *migration.Note) (Step, error) {
	return r.step(ctx, ref, customer, func(rec *migration.HomeRecord) (migration.Word, bool) {
		older, same := standing(*rec, try)
		switch {
		case older:
			return migration.WordSuperseded, false
		case rec.Home() == to && same:
			return migration.WordOpen, false
		case rec.Home() == to || same:
			return migration.WordSealed, false
		}
		from := to.Other()
		if note != nil {
			remember(rec, from, *note)
		}
		stamp(rec, try)
		side(rec, to).State = migration.Open
		side(rec, from).State, side(rec, from).SealedToken = migration.Sealed, try.Token
		if rec.Weight = 0; to == migration.AWS {
			rec.Weight = weight
		}
		return migration.WordOpen, true
	})
}

// Weigh raises the share of a customer's requests that goes to AWS. Only the try by which the
// record says that the customer is homed there may, and nobody lowers it: what comes late changes
// nothing and is answered Open too, with the record as it is.
func (r *Records) Weigh(ctx context.Context, ref migration.SpecRef, customer string, weight int, try migration.Try) (Step, error) {
	return r.step(ctx, ref, customer, func(rec *migration.HomeRecord) (migration.Word, bool) {
		if _, same := standing(*rec, try); !same || rec.Home() != migration.AWS {
			return migration.WordSuperseded, false
		}
		if rec.Weight >= weight {
			return migration.WordOpen, false
		}
		rec.Weight = weight
		return migration.WordOpen, true
	})
}

// Claim ends every older try: it leaves the customer where it is, under a newer token, so that a
// Commit that was under way finds its condition broken, and itself superseded. It answers Open or
// Superseded.
func (r *Records) Claim(ctx context.Context, ref migration.SpecRef, customer string, try migration.Try) (Step, error) {
	return r.step(ctx, ref, customer, func(rec *migration.HomeRecord) (migration.Word, bool) {
		older, same := standing(*rec, try)
		if older {
			return migration.WordSuperseded, false
		}
		stamp(rec, try)
		return migration.WordOpen, !same
	})
}

// WriteNote keeps a note of the customer's present stay on a side: Noted, again too, or Superseded
// where a later one stands or the customer has left.
func (r *Records) WriteNote(ctx context.Context, ref migration.SpecRef, customer string, at migration.Side,
	note migration.Note) (migration.Word, error) {
	s, err := r.step(ctx, ref, customer, func(rec *migration.HomeRecord) (migration.Word, bool) {
		if rec.Home() != at {
			return migration.WordSuperseded, false
		}
		was := side(rec, at).Note
		switch {
		case was == note:
			return migration.WordNoted, false
		case !remember(rec, at, note):
			return migration.WordSuperseded, false
		}
		return migration.WordNoted, true
	})
	return s.Word, err
}

// WriteNotes is WriteNote of many customers. It answers the word of each whose record could be
// written, and beside them an error that names the others.
func (r *Records) WriteNotes(ctx context.Context, ref migration.SpecRef, at migration.Side,
	notes map[string]migration.Note) (map[string]migration.Word, error) {
	words, failed := make(map[string]migration.Word, len(notes)), []error(nil)
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(atOnce)
	for c, n := range notes {
		g.Go(func() error {
			word, err := r.WriteNote(ctx, ref, c, at, n)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, err)
				return nil
			}
			words[c] = word
			return nil
		})
	}
	_ = g.Wait()
	return words, errors.Join(failed...)
}

// remember puts a note of the present stay beside a side, unless a later one is there.
func remember(rec *migration.HomeRecord, at migration.Side, note migration.Note) bool {
	if note.Stay != rec.Stay(at) || rec.Note(at).N >= note.N {
		return false
	}
	side(rec, at).Note = note
	return true
}
