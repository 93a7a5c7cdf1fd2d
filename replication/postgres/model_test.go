package postgres_test

import (
	"cmp"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
	"github.com/drover-migration/drover/replication/postgres/pairtest"
	"github.com/drover-migration/drover/test/model"
)

// The model of move.sql, over which every interleaving is walked and the workflows are played, is
// held against the file: any calls, in any order, are answered alike and leave the same behind.
func TestTheModelAnswersAsTheServersDo(t *testing.T) {
	const tenants = 400 // one for each run: none begins where another ended
	r := pairtest.New(t).Prepared(tenants)
	tenant, words := int64(0), map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		if tenant == tenants {
			return // what fails is made shorter by many more runs
		}
		tenant++
		now := time.Now()
		d := model.New("orders", s, func() time.Time { return now })
		waiting, lets := map[migration.Side]pairtest.Waiter{}, map[migration.Side]bool{}
		// look has the writes that wait end as they must, once their fence has.
		look := func(after string) {
			for side, w := range waiting {
				h := d.Half(side)
				if h.State == migration.Fenced && !d.Accepts(side) {
					continue
				}
				want, word := pairtest.Refused, "refused"
				if d.Look(side) {
					want, word = "", "taken"
				}
				require.Equal(rt, want, r.Ends(w), "the write that waited on %s, after %s", side, after)
				delete(waiting, side)
				words["wait: "+word]++
			}
		}
		for range rapid.IntRange(20, 40).Draw(rt, "calls") {
			side := rapid.SampledFrom([]migration.Side{s, cmp.Or(d.Record().Home(), s)}).Draw(rt, "side")
			if rapid.Bool().Draw(rt, "other") {
				side = side.Other()
			}
			// Near what stands there, or nearly all would be superseded.
			h := d.Record().Side(side)
			k := migration.Try{Token: max(1, d.Record().Token()+rapid.SampledFrom([]int64{0, 0, 1, 2, -1, -1}).Draw(rt, "token")),
				Owner: pairtest.Owner(rapid.IntRange(1, 2).Draw(rt, "owner"))}
			if rapid.Bool().Draw(rt, "own") && h.Owner != "" {
				k = migration.Try{Token: h.Token, Owner: h.Owner}
			}
			var got postgres.Step
			var want migration.Word
			var err error
			ctx := t.Context()
			what := rapid.SampledFrom([]string{"fence", "fence", "seal", "seal", "open", "open", "poison", "poison", "reopen", "claim",
				"write", "write", "the lease runs out"}).Draw(rt, "what")
			switch what {
			case "fence":
				lease := rapid.SampledFrom([]time.Duration{time.Hour, time.Hour, 0}).Draw(rt, "lease")
				patient := rapid.SampledFrom([]time.Duration{0, time.Hour, time.Hour}).Draw(rt, "patience")
				again := d.Half(side).State == migration.Fenced && d.Half(side).Token == k.Token // a repeat changes nothing
				want = d.Fence(side, k, lease)
				if want == migration.WordFenced && !again {
					lets[side] = patient > 0
				}
				if got, err = pairtest.StepsOn(r.Pair).FencePatiently(ctx, side, tenant, k, lease, patient); err == nil &&
					got.Word == migration.WordFenced {
					d.Deliver(side)
					_, err = pairtest.StepsOn(r.Pair).AwaitMark(ctx, side.Other(), tenant, k, pairtest.Patience)
				}
			case "seal":
				want = d.Seal(side, k)
				got, err = pairtest.StepsOn(r.Pair).Seal(ctx, side, tenant, k)
			case "open":
				want = d.Open(side, k)
				got, err = pairtest.StepsOn(r.Pair).Open(ctx, side, tenant, k)
			case "poison":
				want = d.Poison(side, k)
				got, err = r.Pair.Poison(ctx, side, tenant, k)
			case "reopen":
				want = d.Reopen(side, k)
				got, err = r.Pair.Reopen(ctx, side, tenant, k)
			case "claim":
				want = d.Claim(side, k)
				got, err = r.Pair.Claim(ctx, side, tenant, k)
			case "write":
				// A write that waits holds its row. Another one queues for that, whatever a later
				// fence says of patience.
				_, held := waiting[side]
				if h := d.Half(side); h.State == migration.Fenced && !d.Accepts(side) && (lets[side] || held) {
					if want, got.Word = "waits", "waits"; !held {
						waiting[side] = r.Waits(side, pgx.ReadCommitted, tenant)
					}
					d.Wait(side)
					break
				}
				if want = "refused"; d.Accepts(side) {
					want = "taken"
				}
				d.Write(side)
				if got.Word = "taken"; r.Exec(side, "UPDATE acct SET n = n + 1 WHERE tenant_id = $1", tenant) != "" {
					got.Word = "refused"
				}
			default:
				if h := d.Half(side); h.State == migration.Fenced {
					h.Lease = now
				}
				_, err = r.Pair.Side(side).Pool.Exec(ctx, "UPDATE drover.fence SET lease_until = clock_timestamp() WHERE tenant = $1 "+
					"AND state = 'fenced'", tenant)
			}
			require.NoError(rt, err)
			require.Equal(rt, want, got.Word, "%s on %s with %s", what, side, k)
			look(what)
			home, err := r.Pair.Home(ctx, tenant)
			require.NoError(rt, err)
			require.Equal(rt, d.Record(), home, "%s on %s with %s: %s", what, side, k, want)
			for _, x := range r.Pair.Both() {
				var sends bool
				require.NoError(rt, x.Pool.QueryRow(ctx, "SELECT bool_and(is_on) FROM drover.direction WHERE tenant = $1",
					tenant).Scan(&sends))
				require.Equal(rt, d.Half(x.Side).Sends, sends, "%s replicates from %s after %s", x.Side, what, want)
			}
			words[fmt.Sprintf("%s: %s", what, want)]++
		}
		for side := range waiting {
			d.Half(side).Lease = now
			_, err := r.Pair.Side(side).Pool.Exec(t.Context(), "UPDATE drover.fence SET lease_until = clock_timestamp() WHERE tenant = "+
				"$1 AND state = 'fenced'", tenant)
			require.NoError(rt, err)
		}
		look("the end")
	})
	t.Logf("%d tenants; %v", tenant, words)
	for _, w := range []string{
		"fence: fenced", "fence: expired", "fence: sealed", "fence: superseded", "seal: sealed", "seal: expired", "seal: not_fenced",
		"seal: superseded",
		"open: open", "open: behind", "open: not_sealed", "open: superseded", "poison: poisoned", "poison: opened", "poison: superseded",
		"reopen: open", "reopen: fenced", "reopen: superseded", "claim: open", "claim: sealed", "claim: superseded", "write: taken",
		"write: refused",
		"write: waits", "wait: taken", "wait: refused",
	} {
		require.NotZero(t, words[w], "%s was never seen in %v", w, words)
	}
}
