package setup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// ErrNotFinal says that customers would be left on premises, so that the way between the sides
// cannot end.
var ErrNotFinal = errors.New("not everybody is on AWS for good")

// Left is who would be left on premises if replication ended.
type Left struct {
	Home    []int64 // tenants of the plan that are not homed on AWS and sealed on premises
	SignUps []int64 // tenants that the plan does not know and that have rows; at most mostSignUps
	LeftOut []int64 // tenants whose rows the plan has never copied: they are on premises only
}

// mostSignUps is how many tenants that the plan does not know are named.
const mostSignUps = 20

// LeftOnPremises reads who would be left on premises. It changes nothing, and reads every table of
// tenants on AWS once.
func LeftOnPremises(ctx context.Context, p *postgres.Pair) (Left, error) {
	tenants, err := p.Planned(ctx)
	if err != nil {
		return Left{}, fmt.Errorf("read who of dataset %s is on AWS: %w", p.Name, err)
	}
	homes, err := p.Homes(ctx, tenants)
	if err != nil {
		return Left{}, fmt.Errorf("read who of dataset %s is on AWS: %w", p.Name, err)
	}
	var out Left
	for _, t := range tenants {
		if r := homes[t]; r.Undecided() != "" || r.OnPrem.State != migration.Sealed || !r.AWS.Accepts() {
			out.Home = append(out.Home, t)
		}
	}
	if out.SignUps, err = signUps(ctx, p, tenants); err != nil {
		return out, err
	}
	out.LeftOut, err = leftOut(ctx, p)
	return out, err
}

// leftOut are the tenants with rows that stayed on premises when the plan's were copied.
func leftOut(ctx context.Context, p *postgres.Pair) (out []int64, err error) {
	unplanned, err := Unplanned(ctx, p)
	if err != nil || len(unplanned) == 0 {
		return nil, err
	}
	rows, err := p.OnPrem.Pool.Query(ctx, `SELECT t FROM unnest($1::bigint[]) t
		WHERE EXISTS (SELECT FROM drover.elsewhere e WHERE e.here AND t BETWEEN e.first AND e.last) ORDER BY t`, unplanned)
	if err == nil {
		out, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	}
	if err != nil {
		return nil, fmt.Errorf("read who of dataset %s was left out: %w", p.Name, err)
	}
	return out, nil
}

// Unplanned lists the tenants that the plan does not know and that have rows on premises, in order:
// those that it left out, and those that signed up. It changes nothing.
func Unplanned(ctx context.Context, p *postgres.Pair) ([]int64, error) {
	planned, err := p.Planned(ctx)
	if err != nil {
		return nil, fmt.Errorf("read who of dataset %s is in the plan: %w", p.Name, err)
	}
	found, err := tenantsOf(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("read who of dataset %s has rows on premises: %w", p.Name, err)
	}
	known := append(planned, p.Dataset.Synthetic...)
	slices.Sort(known)
	slices.Sort(found)
	return slices.DeleteFunc(slices.Compact(found), func(t int64) bool {
		_, is := slices.BinarySearch(known, t)
		return is
	}), nil
}

// signUps are the tenants with rows on AWS that are not among tenants.
func signUps(ctx context.Context, p *postgres.Pair, tenants []int64) ([]int64, error) {
	rows, err := p.AWS.Pool.Query(ctx, `SELECT rel::text, col::text FROM drover.member WHERE pub = $1 AND rel <> 'drover.beat'::regclass
		ORDER BY 1`, p.Names.Back)
	if err != nil {
		return nil, fmt.Errorf("read the tables of dataset %s: %w", p.Name, err)
	}
	type member struct{ Table, Column string }
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[member])
	if err != nil {
		return nil, fmt.Errorf("read the tables of dataset %s: %w", p.Name, err)
	}
	seen := map[int64]bool{}
	for _, t := range tables {
		col := pgx.Identifier{t.Column}.Sanitize()
		rows, err := p.AWS.Pool.Query(ctx, fmt.Sprintf(`SELECT DISTINCT %[1]s::bigint FROM %[2]s WHERE %[1]s IS NOT NULL AND
			NOT %[1]s::bigint = ANY($1::bigint[]) ORDER BY 1 LIMIT %[3]d`, col, t.Table, mostSignUps), tenants)
		if err != nil {
			return nil, fmt.Errorf("look in table %s for tenants that the plan does not know: %w", t.Table, err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return nil, fmt.Errorf("look in table %s for tenants that the plan does not know: %w", t.Table, err)
		}
		for _, id := range found {
			seen[id] = true
		}
	}
	var out []int64
	for id := range seen {
		out = append(out, id)
	}
	slices.Sort(out)
	return out[:min(len(out), mostSignUps)], nil
}

// Refusal says in words who would be left on premises; "": nobody. With signUps, tenants that the
// plan does not know come along.
func (l Left) Refusal(signUps bool) string {
	var said []string
	if len(l.Home) > 0 {
		said = append(said, fmt.Sprintf("tenants %v are not homed on AWS and closed on premises", some(l.Home)))
	}
	if len(l.SignUps) > 0 && !signUps {
		said = append(said, fmt.Sprintf("tenants %v are in no batch of the plan, and their requests still go to premises", some(l.SignUps)))
	}
	if len(l.LeftOut) > 0 {
		said = append(said, fmt.Sprintf("tenants %v were left out of the plan, and their rows are on premises only: `drover amend` brings "+
			"them in", some(l.LeftOut)))
	}
	return strings.Join(said, "; ")
}

func some(ids []int64) string {
	if len(ids) > mostSignUps {
		return fmt.Sprintf("%v and %d more", ids[:mostSignUps], len(ids)-mostSignUps)
	}
	return fmt.Sprint(ids)
}

// Finalise ends the way between the two databases for good: what premises still send is waited for
// and compared, and then everything of Drover's goes, as DropAll says. It refuses while anybody
// would be left on premises. AWS serves alone from then on. Cut off anywhere, it is run again.
func Finalise(ctx context.Context, p *postgres.Pair, withSignUps bool, say func(string)) error {
	forward, _, err := postgres.Subscription(ctx, p.AWS.Pool, p.Names.Forward)
	if err != nil {
		return fmt.Errorf("finalise dataset %s: %w", p.Name, err)
	}
	// The first that goes. Without it everything has been decided, and what premises sent is here.
	if forward {
		left, err := LeftOnPremises(ctx, p)
		if err != nil {
			return err
		}
		if why := left.Refusal(withSignUps); why != "" {
			return fmt.Errorf("finalise dataset %s: %w: %s", p.Name, ErrNotFinal, why)
		}
		if err := noneBetween(ctx, p); err != nil {
			return fmt.Errorf("finalise dataset %s: %w", p.Name, err)
		}
		say("waiting for what premises have sent")
		if _, err := p.Lag(ctx); err != nil {
			return fmt.Errorf("finalise dataset %s: %w", p.Name, err)
		}
		say("comparing what premises have sent")
		missing, err := notCarried(ctx, p)
		if err != nil {
			return fmt.Errorf("finalise dataset %s: %w", p.Name, err)
		}
		if missing != "" {
			return fmt.Errorf("finalise dataset %s: %w: AWS does not have everything as it is on premises: %s", p.Name, ErrNotFinal,
				missing)
		}
		say("handing the sequences of reference tables over")
		if err := handSequencesOver(ctx, p); err != nil {
			return fmt.Errorf("finalise dataset %s: %w", p.Name, err)
		}
	}
	if err := remove(ctx, p, say); err != nil {
		return err
	}
	return dropObservation(ctx, p)
}

// lastLooks is how often a tenant must differ to be said to.
const lastLooks = 3

// notCarried says what was written on premises to the end and is not on AWS as it is there: rows of
// tenants that signed up, and tables of no tenant; "": nothing. What differs is looked at again
// after a beat, since it may have been on its way. Tenants whose ids are beyond an int are not
// compared.
func notCarried(ctx context.Context, p *postgres.Pair) (string, error) {
	said, err := p.ReferenceDifferences(ctx)
	if err != nil || p.Newcomers() != migration.OnPrem {
		return strings.Join(said, "; "), err
	}
	came, err := Unplanned(ctx, p)
	if err != nil {
		return "", err
	}
	for look := 1; len(came) > 0; look++ {
		var differ []int64
		var found []string
		for _, t := range came {
			if _, err := postgres.TenantID(t); err != nil {
				continue
			}
			v, err := p.Verify(ctx, t)
			if err != nil {
				return "", err
			}
			if len(v.Differences) > 0 {
				differ, found = append(differ, t), append(found, fmt.Sprintf("tenant %d: %s", t, strings.Join(v.Differences, ", ")))
			}
		}
		if look == lastLooks {
			said = append(said, found[:min(len(found), mostSignUps)]...)
			break
		}
		if came = differ; len(differ) > 0 {
			if _, err := p.Lag(ctx); err != nil {
				return "", err
			}
		}
	}
	return strings.Join(said, "; "), nil
}
