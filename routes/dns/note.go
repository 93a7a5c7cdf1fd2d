package dns

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/routes"
)

// note is what the TXT record beside a host's pair says: which home record the pair follows.
type note struct {
	plan, customer string
	token          int64
	share          int       // percentage of the requests that goes to AWS
	ttl, was       int64     // of the records now, and before Drover came; seconds
	since          time.Time // when the TTL was changed last; whole milliseconds
	at             time.Time // when the note was written; whole milliseconds
}

// tokenLabel is put before a host's name: the host itself may be a CNAME, beside which nothing may
// stand.
const tokenLabel = "_drover."

func tokenName(host string) string { return tokenLabel + host }

// noteTTL is short: only who asks the zone's servers reads it.
const noteTTL = 5

func (n note) String() string {
	return fmt.Sprintf("drover plan=%s customer=%s token=%d share=%d ttl=%d was=%d since=%d at=%d", n.plan, n.customer, n.token, n.share,
		n.ttl, n.was, n.since.UnixMilli(), n.at.UnixMilli())
}

// set is the record that says the note.
func (n note) set(host string) types.ResourceRecordSet {
	return types.ResourceRecordSet{Name: aws.String(tokenName(host)), Type: types.RRTypeTxt, TTL: aws.Int64(noteTTL),
		ResourceRecords: []types.ResourceRecord{{Value: aws.String(strconv.Quote(n.String()))}}}
}

var errNote = errors.New("is no note of Drover's")

// readNote reads what a TXT record says, without quotes.
func readNote(text string) (n note, err error) {
	words := strings.Fields(text)
	if len(words) == 0 || words[0] != "drover" {
		return n, errNote
	}
	has := map[string]string{}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		has[k] = v
	}
	number := func(key string) int64 {
		v, e := strconv.ParseInt(has[key], 10, 64)
		if e != nil || v < 0 {
			err = errNote
		}
		return v
	}
	n = note{plan: has["plan"], customer: has["customer"], token: number("token"), share: int(number("share")), ttl: number("ttl"),
		was: number("was"), since: time.UnixMilli(number("since")), at: time.UnixMilli(number("at"))}
	if n.plan == "" || n.customer == "" || n.share > routes.All {
		err = errNote
	}
	return n, err
}

// noteOf reads a token record.
func noteOf(s types.ResourceRecordSet) (note, error) {
	if len(s.ResourceRecords) != 1 {
		return note{}, errNote
	}
	text, err := strconv.Unquote(aws.ToString(s.ResourceRecords[0].Value))
	if err != nil {
		return note{}, errNote
	}
	return readNote(text)
}

// side is the home that the pair follows.
func (n note) side() migration.Side {
	if n.share > 0 {
		return migration.AWS
	}
	return migration.OnPrem
}

// wanted is what the pair was written for.
func (n note) wanted() routes.Wanted {
	return routes.Wanted{Customer: n.customer, Side: n.side(), Token: n.token, Weight: n.share}
}

// follows is the note after what is wanted now, of records whose TTL is not above ttl while their
// customer moves. false: the note counts, or says so already.
func (n note) follows(w routes.Wanted, ttl int64, now time.Time) (note, bool) {
	if w.Older(n.wanted()) || w.Token == n.token && w.Share() == n.share {
		return n, false
	}
	next := n.later(now)
	next.token, next.share = w.Token, w.Share()
	if low := min(n.was, ttl); next.share != n.share && n.ttl > low {
		next.ttl, next.since = low, next.at
	}
	return next, true
}

// later is the note as it is written next. Another worker's clock may be ahead.
func (n note) later(now time.Time) note {
	if least := n.at.Add(time.Millisecond); now.Before(least) {
		now = least
	}
	n.at = now
	return n
}

// overrules says that the note keeps the route from what the data says, and has for longer than
// anybody who was told the older token could be late.
func (n note) overrules(w routes.Wanted, now time.Time) bool {
	return w.Older(n.wanted()) && w.Share() != n.share && w.Token < n.token && now.Sub(n.at) > routes.ToldFor
}
