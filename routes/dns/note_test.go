package dns

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

func anyNote(t *rapid.T) note {
	name := rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,62}`)
	moment := func() time.Time { return time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "ms")) }
	return note{plan: name.Draw(t, "plan"), customer: name.Draw(t, "customer"), token: rapid.Int64Min(0).Draw(t, "token"),
		share: rapid.IntRange(0, 100).Draw(t, "share"), ttl: rapid.Int64Range(0, 1<<31-1).Draw(t, "ttl"),
		was: rapid.Int64Range(0, 1<<31-1).Draw(t, "was"), since: moment(), at: moment()}
}

func TestANoteIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := anyNote(t)
		got, err := noteOf(n.set("acme.example.com."))
		require.NoError(t, err)
		require.Equal(t, n, got)
		require.LessOrEqual(t, len(n.String()), 255, "a string of a TXT record")
	})
}

func TestWhatIsNoNoteIsNotTakenForOne(t *testing.T) {
	good := note{plan: "p", customer: "c", share: 5, since: time.UnixMilli(1), at: time.UnixMilli(1)}.String()
	for _, text := range []string{"", "v=spf1 -all", "drover", strings.Replace(good, "share=5", "share=500", 1),
		strings.Replace(good, "token=0", "token=-1", 1), strings.Replace(good, "token=0", "token=x", 1), strings.Replace(good, "plan=p",
			"", 1)} {
		_, err := readNote(text)
		require.Error(t, err, text)
	}
	_, err := readNote(good)
	require.NoError(t, err)
}

// Whatever comes in whatever order, the token never falls, and within one try on AWS the share
// never does.
func TestANoteOnlyGoesForward(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := note{plan: "p", customer: "c", ttl: 300, was: 300}
		now := time.UnixMilli(1 << 40)
		for range rapid.IntRange(1, 30).Draw(t, "writes") {
			w := routes.Wanted{Customer: "c", Token: rapid.Int64Range(0, 5).Draw(t, "token"), Side: migration.OnPrem}
			if rapid.Bool().Draw(t, "aws") {
				w.Side, w.Weight = migration.AWS, rapid.SampledFrom([]int{0, 5, 25, 100}).Draw(t, "weight")
			}
			next, changes := n.follows(w, 30, now)
			if !changes {
				require.Equal(t, n, next)
				continue
			}
			require.GreaterOrEqual(t, next.token, n.token)
			require.True(t, next.at.After(n.at), "also where the clock of who wrote before is ahead")
			if next.token == n.token && next.share > 0 && n.share > 0 {
				require.Greater(t, next.share, n.share)
			}
			require.Equal(t, w.Share(), next.share)
			require.LessOrEqual(t, next.ttl, n.ttl)
			require.True(t, next.share == n.share || next.ttl == 30, "who moves, moves with the low TTL")
			n, now = next, now.Add(time.Duration(rapid.IntRange(-2000, 2000).Draw(t, "clock"))*time.Millisecond)
		}
	})
}

func TestATokenThatTheDataHasForgottenIsTold(t *testing.T) {
	h := &host{name: "acme.example.com.", customer: "acme", onprem: value{kind: types.RRTypeCname, says: []string{"edge.example.net."}}}
	l := &layout{plan: "p", route: migration.Route{Name: "names"}, hosts: map[string][]*host{"acme": {h}}}
	now := time.Now()
	state := func(age time.Duration, w routes.Wanted) routes.State {
		n := note{plan: "p", customer: "acme", token: 9, share: 100, was: 300, at: now.Add(-age)}
		return l.state("acme", w, map[string]found{h.name: {host: h, note: &n}}, now)
	}
	home := routes.Wanted{Customer: "acme", Side: migration.OnPrem, Token: 7}
	require.Empty(t, state(time.Second, home).Wrong, "a Move is under way, and whoever asks is late")
	require.Equal(t, migration.AWS, state(time.Second, home).Home)
	require.Contains(t, state(time.Minute, home).Wrong, "its database has forgotten")
	require.Empty(t, state(time.Minute, routes.Wanted{Customer: "acme", Side: migration.AWS, Token: 7}).Wrong, "they agree")
}

func TestBatchesAreAsLargeAsRoute53Takes(t *testing.T) {
	var steps []step
	for i := range 700 {
		h := &host{name: fmt.Sprintf("c%d.example.com.", i), onprem: value{kind: types.RRTypeCname,
			says: []string{"edge.dc1.example.net."}},
			aws: value{kind: types.RRTypeCname, says: []string{strings.Repeat("x", i%60) + ".elb.amazonaws.com."}}}
		s := &standing{sets: h.pair(0, 30)}
		token := note{plan: "p", customer: "c"}.set(h.name)
		s.token = &token
		steps = append(steps, h.to(s, note{plan: "p", customer: "c", share: 100, ttl: 30}))
	}
	seen := 0
	all := batches(steps)
	for i, b := range all {
		records, characters := 0, 0
		for _, s := range b {
			seen++
			for _, c := range s.changes() {
				records += len(c.ResourceRecordSet.ResourceRecords)
				for _, r := range c.ResourceRecordSet.ResourceRecords {
					characters += len(aws.ToString(r.Value))
				}
			}
		}
		require.LessOrEqual(t, records, mostRecords)
		require.LessOrEqual(t, characters, mostCharacters)
		require.True(t, i == len(all)-1 || records > mostRecords*9/10 || characters > mostCharacters*9/10,
			"none is smaller than it must be")
	}
	require.Equal(t, len(steps), seen)
}
