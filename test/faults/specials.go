package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/drover-migration/drover/lab/door"
	"github.com/drover-migration/drover/lab/gate"
	"github.com/drover-migration/drover/lab/load"
	"github.com/drover-migration/drover/migration"
)

// soakCells are faults of a customer that soaks.
func soakCells() []cell {
	return []cell{
		{name: "soak/fences/seal forgotten", from: migration.AWS, loses: true, play: forgottenSeal},
		{name: "soak/route/changed by hand", from: migration.AWS, alone: true, play: strayRoute},
		{name: "bake/worker/reaches nothing", from: migration.OnPrem, alone: true, play: blindWorker},
		{name: "files/new file/written late", from: migration.OnPrem, alone: true, play: lateFile},
		{name: "guard/snapshot/older than the fence", from: migration.OnPrem, play: oldSnapshot},
		{name: "plan/submit/four times at once", from: migration.AWS, play: submittedAgain},
		{name: "plan/submit/a second plan over the same database", from: migration.AWS, play: rival},
		{name: "vcenter/sessions/ended", from: migration.AWS, play: func(p *play) error {
			if err := p.DropVCenterSessions(p.ctx); err != nil {
				return err
			}
			return p.there(migration.OnPrem)
		}},
	}
}

// there sends the customer and waits until it has arrived.
func (p *play) there(to migration.Side) error {
	if err := p.send(p.ctx, p.customer.ID, to); err != nil {
		return err
	}
	return p.settle(to)
}

// onServer runs a statement as a side's administrator.
func (p *play) onServer(side migration.Side, sql string, args ...any) error {
	c, err := pgx.Connect(p.ctx, p.DSN(side))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(context.WithoutCancel(p.ctx)) }()
	_, err = c.Exec(p.ctx, sql, args...)
	return err
}

// forgottenSeal opens a sealed side, as a failover to a standby that missed the seal leaves it.
func forgottenSeal(p *play) error {
	if err := p.onServer(migration.OnPrem, "UPDATE drover.fence SET state = 'open' WHERE tenant = $1", p.customer.Tenant); err != nil {
		return err
	}
	sides := &sides{rig: p.rig, tenant: p.customer.Tenant}
	defer sides.close()
	closed := func() bool {
		f, err := sides.read(p.ctx)
		return err == nil && f.aws && !f.onprem
	}
	if !eventually(p.ctx, bothOpenMost, closed) {
		return fmt.Errorf("premises took writes for longer than %s", bothOpenMost)
	}
	held := func(s migration.CustomerStatus) bool { return s.Phase == migration.CustomerHeld && s.Reason != "" }
	if s, ok := p.await(p.ctx, p.customer.ID, 30*time.Second, held); !ok {
		return fmt.Errorf("customer %s is not held with the reason: %s %s", p.customer.ID, s.Phase, s.Reason)
	}
	return p.settle(migration.AWS)
}

func eventually(ctx context.Context, limit time.Duration, is func() bool) bool {
	for deadline := time.Now().Add(limit); ctx.Err() == nil && time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if is() {
			return true
		}
	}
	return false
}

// strayRoute takes the customer's host out of the rules, as a write does that comes late.
func strayRoute(p *play) error {
	c := elb.NewFromConfig(p.AWSConfig())
	rules, err := c.DescribeRules(p.ctx, &elb.DescribeRulesInput{ListenerArn: &p.Listener})
	if err != nil {
		return err
	}
	changed := 0
	for _, r := range rules.Rules {
		conditions, found := without(r.Conditions, p.customer.Host)
		if !found {
			continue
		}
		changed++
		if _, err := c.ModifyRule(p.ctx, &elb.ModifyRuleInput{RuleArn: r.RuleArn, Conditions: conditions}); err != nil {
			return err
		}
	}
	if changed == 0 {
		return fmt.Errorf("no rule names %s", p.customer.Host)
	}
	healed := func() bool {
		rules, err := c.DescribeRules(p.ctx, &elb.DescribeRulesInput{ListenerArn: &p.Listener})
		return err == nil && slices.ContainsFunc(rules.Rules, func(r elbtypes.Rule) bool {
			_, found := without(r.Conditions, p.customer.Host)
			return found
		})
	}
	if !eventually(p.ctx, 90*time.Second, healed) {
		return fmt.Errorf("the route of %s was not healed within 90 s", p.customer.ID)
	}
	return p.settle(migration.AWS)
}

// without replaces a host in the conditions of a rule by one that nobody has.
func without(in []elbtypes.RuleCondition, host string) (out []elbtypes.RuleCondition, found bool) {
	for _, c := range in {
		if c.HostHeaderConfig != nil && slices.Contains(c.HostHeaderConfig.Values, host) {
			values := slices.Clone(c.HostHeaderConfig.Values)
			values[slices.Index(values, host)] = "nobody.invalid"
			found = true
			hosts := &elbtypes.HostHeaderConditionConfig{Values: values}
			c = elbtypes.RuleCondition{Field: aws.String("host-header"), HostHeaderConfig: hosts}
		} else {
			c.Values = nil // an answer has them twice, and a request must not
		}
		out = append(out, c)
	}
	return out, found
}

// blindWorker has no name resolved any more for the worker, which then reaches no load balancer,
// while a customer bakes. Nothing is wrong with the customer: it stays in its bake, its batch says
// why nobody else goes, and both go on by themselves. A failure is answered at once, so that the
// bake has time for as many as would take a customer home.
func blindWorker(p *play) error {
	t := p.set(&trap{
		activity: func(e gate.Event) bool {
			_, customer := kindOf(e.WorkflowID)
			return e.When == gate.Delivery && customer == p.customer.ID && e.Activity == "WatchHealth"
		},
		do: func(*hand) bool { p.Doors.Names.Failing.Store(true); return true },
	})
	defer p.Doors.Names.Failing.Store(false)
	before, _ := p.client.Customer(p.ctx, p.Shape.Name, p.customer.ID)
	if err := p.sent(t); err != nil {
		return err
	}
	const says = "this worker reaches nothing"
	bakesOn := func(s migration.CustomerStatus) bool {
		return s.Phase == migration.CustomerBaking && strings.Contains(s.Reason, says)
	}
	s, said := p.await(p.ctx, p.customer.ID, outage, bakesOn)
	if said {
		p.note = s.Reason
		waits := func() bool {
			b, err := p.client.Batch(p.ctx, p.Shape.Name, s.Batch)
			return err == nil && b.WaitingFor == migration.WaitHealth && strings.Contains(b.Reason, says)
		}
		if !eventually(p.ctx, outage, waits) {
			return fmt.Errorf("batch %s does not say why nobody else goes", s.Batch)
		}
		p.pause(outage) // it bakes on, however long that lasts
	}
	p.Doors.Names.Failing.Store(false)
	if err := p.settle(migration.AWS); err != nil {
		return err
	}
	after, err := p.client.Customer(p.ctx, p.Shape.Name, p.customer.ID)
	switch {
	case err != nil:
		return err
	case len(after.RollbackMS) > len(before.RollbackMS):
		return fmt.Errorf("customer %s was taken home although nothing was wrong with it", p.customer.ID)
	case !said:
		return fmt.Errorf("customer %s does not say in its bake that it cannot be judged: %s: %s", p.customer.ID, s.Phase, s.Reason)
	case p.resolved != "":
		return fmt.Errorf("customer %s did not go on by itself: %s", p.customer.ID, p.resolved)
	}
	return nil
}

// lateFile holds the first object that a pass writes for a new file until the customer lives on AWS
// and has written the file anew.
func lateFile(p *play) error {
	const name = "late.txt"
	let, held := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(let) })
	defer release()
	var caught atomic.Bool
	p.Doors.S3.Set(func(_ context.Context, r door.Request) door.Verdict {
		if r.Method == http.MethodPut && r.Path == "/attachments/"+p.customer.ID+"/"+name && caught.CompareAndSwap(false, true) {
			close(held)
			<-let
		}
		return door.Verdict{}
	})
	defer p.Doors.S3.Set(nil)
	if err := p.putFile(name, "written on premises at "+time.Now().String()); err != nil {
		return err
	}
	if err := p.send(p.ctx, p.customer.ID, migration.AWS); err != nil {
		return err
	}
	select {
	case <-held:
	case <-time.After(settleLimit):
		return fmt.Errorf("no pass wrote %s of %s", name, p.customer.ID)
	}
	if err := p.settle(migration.AWS); err != nil {
		return err
	}
	if err := p.putFile(name, "written on AWS at "+time.Now().String()); err != nil {
		return err
	}
	release()
	p.pause(past) // the late write arrives, and has an effect or none
	return nil
}

// putFile writes a file as a customer's client does, and into the customer's ledger.
func (p *play) putFile(name, body string) error {
	sum := sha256.Sum256([]byte(body))
	e := load.Entry{Customer: p.customer.ID, Tenant: int64(p.customer.Tenant), Kind: load.KindFile, Token: uuid.NewString(), Name: name,
		SHA256: hex.EncodeToString(sum[:]), First: time.Now(), Attempts: 1}
	var last error
	put := func() bool {
		req, err := http.NewRequestWithContext(p.ctx, http.MethodPut, "http://"+p.Edge()+"/files/"+name, strings.NewReader(body))
		if err != nil {
			last = err
			return false
		}
		req.Host = p.customer.Host
		req.Header.Set("X-Token", e.Token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			last = err
			return false
		}
		_ = res.Body.Close()
		last = fmt.Errorf("write %s of %s: %s", name, p.customer.ID, res.Status)
		return res.StatusCode/100 == 2
	}
	if !eventually(p.ctx, settleLimit, put) {
		return last
	}
	e.Acked = time.Now()
	l, err := load.OpenLedger(p.ledgerOf(p.customer))
	if err != nil {
		return err
	}
	return errors.Join(l.Add(e), l.Close())
}

// oldSnapshot is a transaction of the application whose snapshot is older than the Move, and which
// writes after it: it must fail.
func oldSnapshot(p *play) error {
	c, err := pgx.Connect(p.ctx, p.AppDSN(migration.OnPrem))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(context.WithoutCancel(p.ctx)) }()
	tx, err := c.BeginTx(p.ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(p.ctx)) }()
	var n int64
	if err := tx.QueryRow(p.ctx, "SELECT count(*) FROM orders WHERE tenant_id = $1", p.customer.Tenant).Scan(&n); err != nil {
		return err
	}
	if err := p.there(migration.AWS); err != nil {
		return err
	}
	// A row that nothing has changed since: PostgreSQL itself would refuse any other.
	if _, err := tx.Exec(p.ctx, "UPDATE tenants SET name = name WHERE tenant_id = $1", p.customer.Tenant); err == nil {
		return fmt.Errorf("a transaction that began before the Move wrote on premises after it")
	}
	return nil
}

// submittedAgain submits the running plan from four shells at once.
func submittedAgain(p *play) error {
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() {
			out, err := p.submit(p.ctx, p.Plan)
			if err == nil && !strings.Contains(out, "nothing was changed") {
				err = fmt.Errorf("drover submit says: %s", out)
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

var planName = regexp.MustCompile(`(?m)^name: .*$`)

// rival submits another plan over the same database, with other hosts: it is refused before it has
// touched anything.
func rival(p *play) error {
	body, err := os.ReadFile(p.Plan)
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(planName.ReplaceAllString(string(body), "name: rival"), ".app.lab", ".rival.lab")
	file := filepath.Join(filepath.Dir(p.Plan), "rival.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	if _, err := p.submit(p.ctx, file); err != nil {
		p.note = err.Error()
		return refusedAsRival(p.note)
	}
	var last migration.MigrationStatus
	if !eventually(p.ctx, settleLimit, func() bool {
		s, err := p.client.Migration(p.ctx, "rival")
		last = s
		return err == nil && s.Phase == migration.MigrationFailed
	}) {
		return fmt.Errorf("the second plan is %s: %s", last.Phase, last.Reason)
	}
	p.note = last.Reason
	return refusedAsRival(p.note)
}

// refusedAsRival wants that a plan was refused because another one has its database, and for no
// other reason alone.
func refusedAsRival(why string) error {
	if words := strings.Join(strings.Fields(why), " "); !strings.Contains(words, "is replicated by plan") {
		return fmt.Errorf("the second plan was refused, and not because the database belongs to the first: %s", words)
	}
	return nil
}
