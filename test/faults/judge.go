package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/drover-migration/drover/lab"
	"github.com/drover-migration/drover/migration"
)

const (
	// stallMost is how long a customer outside a fault may wait for an answer, beyond the time for
	// which what everybody shares was away.
	stallMost = 3 * time.Second
	// bothOpenMost is how long both sides may take a customer's writes after a failover.
	bothOpenMost = 90 * time.Second
)

// judge ends the traffic and reads what the cell has left: both databases, the route and the
// buckets.
func (p *play) judge(res *result) {
	mine, others := p.customerLoad.Stop(), p.bystandersLoad.Stop()
	p.watching.end()
	res.Writes = mine.AckedWrites + others.AckedWrites
	said := p.said()
	res.Misreported = len(said)
	res.Broken = append(res.Broken, said...)
	res.Samples = p.watching.samples
	broken := func(format string, args ...any) {
		res.Invariants++
		res.Broken = append(res.Broken, fmt.Sprintf(format, args...))
	}
	for id, d := range p.watching.bothOpen {
		if !p.loses || d > bothOpenMost {
			broken("customer %s: both sides took its writes for %s", id, d)
		}
	}
	if stall := time.Duration(others.StallMax) * time.Millisecond; stall > stallMost+p.shares {
		broken("customer %s, whom the fault did not touch, waited %s", p.bystander.ID, stall)
	}
	if others.FailedRequests > 0 && p.shares == 0 {
		broken("customer %s, whom the fault did not touch: %d requests failed: %s", p.bystander.ID, others.FailedRequests,
			strings.Join(others.Failures, "; "))
	}
	for _, c := range []lab.Customer{p.customer, p.bystander} {
		p.books(c, res)
	}
	left, err := p.uploads(p.ctx, p.customer)
	if err != nil {
		broken("%v", err)
	}
	for _, u := range left {
		broken("an upload of several parts was left: %s", u)
	}
}

// said is what status said that was not so and that Drover could have known. That a server has
// forgotten a seal is known after the next audit: how long both sides are open is judged apart.
func (p *play) said() []string {
	if p.aside {
		return nil
	}
	return slices.DeleteFunc(p.watching.said, func(s string) bool { return p.loses && strings.HasSuffix(s, otherTook) })
}

// books holds a customer's ledger, fences, directions, filters, route and files against each other.
func (p *play) books(c lab.Customer, res *result) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), time.Minute)
	defer cancel()
	ledger, forgiven, err := p.forgive(c)
	if err != nil {
		res.Broken = append(res.Broken, err.Error())
		return
	}
	truth, err := p.VerifyOf(ctx, c, ledger)
	if err != nil {
		res.Invariants++
		res.Broken = append(res.Broken, fmt.Sprintf("customer %s cannot be judged: %v", c.ID, err))
		return
	}
	if p.loses && !p.forgotFrom.IsZero() { // apart: what is not on both sides is named by the product, and by the judge
		p.note += fmt.Sprintf("; of %s, %d writes were acknowledged that the server forgot, %d rows are on one side only", c.ID, forgiven,
			truth.MisplacedRows+truth.UncarriedRows+truth.UnknownRows)
		truth.Violations = slices.DeleteFunc(truth.Violations, func(v string) bool { return !strings.Contains(v, ": lost: ") })
		truth.MisplacedRows = 0
	}
	res.Lost += truth.LostWrites
	res.Doubled += truth.DuplicateWrites
	res.Misplaced += truth.MisplacedRows
	if n := len(truth.Violations) - truth.LostWrites - truth.DuplicateWrites - truth.MisplacedRows; n > 0 {
		res.Invariants += n
	}
	res.Broken = append(res.Broken, truth.Violations[:min(len(truth.Violations), 5)]...)
	so := func(s migration.CustomerStatus) bool { return string(s.Home) == truth.Homes[c.ID] }
	if s, ok := p.await(ctx, c.ID, 10*time.Second, so); !ok {
		res.Misreported++
		res.Broken = append(res.Broken, fmt.Sprintf("customer %s is homed on %s, and its status says %s on %s", c.ID, truth.Homes[c.ID],
			s.Phase, s.Home))
	}
}

// uploads are those of several parts that were begun for a customer's files and not ended.
func (r *rig) uploads(ctx context.Context, c lab.Customer) (out []string, err error) {
	bucket, prefix := "attachments", c.ID+"/"
	page, err := r.S3().ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &bucket, Prefix: &prefix})
	if err != nil {
		return nil, fmt.Errorf("list the uploads of customer %s: %w", c.ID, err)
	}
	for _, u := range page.Uploads {
		out = append(out, *u.Key)
	}
	return out, nil
}
