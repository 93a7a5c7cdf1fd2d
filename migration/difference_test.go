package migration_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/drover-migration/drover/migration"
)

// runs is a plan of three batches.
func runs() *migration.Spec {
	s := &migration.Spec{
		Plan: "shop", Revision: 4, State: migration.StateStore{Target: "prod", Bucket: "state"},
		Targets:   []migration.Target{{Name: "prod", Region: "eu-west-1"}},
		Workloads: []migration.Workload{{Name: "web", Target: "prod", EC2: &migration.EC2{InstanceType: "m5.large"}}},
		Datasets:  []migration.Dataset{{Name: "orders", Postgres: &migration.Postgres{Site: "dc1", Column: "tenant"}}},
		Policy:    migration.Policy{Soak: migration.Duration(72 * time.Hour), Tries: 3},
		Batches: []migration.Batch{{Name: "canary", Customers: []string{"acme"}, Concurrency: 1},
			{Name: "wave", Customers: []string{"birch", "cedar"}, Concurrency: 2, Approvals: 1},
			{Name: "rest", Customers: []string{"delta"}}},
	}
	for i, id := range []string{"acme", "birch", "cedar", "delta"} {
		s.Customers = append(s.Customers, migration.Customer{ID: id, Tenant: int64(i + 1), Hosts: []string{id + ".example"},
			Datasets: []string{"orders"}})
	}
	return s
}

// half is how the plan stands when its first batch is through and the second moves.
func half() migration.Standing {
	at := func(id string, p migration.CustomerPhase, home migration.Side) migration.CustomerStatus {
		return migration.CustomerStatus{ID: id, Phase: p, Home: home}
	}
	return migration.Standing{
		Released: []string{"canary", "wave"}, Workloads: map[string]migration.PiecePhase{"web": migration.PieceReady},
		Batches: map[string]migration.BatchStatus{
			"canary": {Name: "canary", Phase: migration.BatchDone, Counts: migration.Counts{Away: 1},
				Customers: []migration.CustomerStatus{at("acme", migration.CustomerSoaking, migration.AWS)}},
			"wave": {Name: "wave", Phase: migration.BatchCuttingOver, Counts: migration.Counts{Away: 1},
				Customers: []migration.CustomerStatus{at("birch", migration.CustomerMoving, migration.OnPrem),
					at("cedar", migration.CustomerWaiting, migration.OnPrem)}},
			"rest": {Name: "rest", Phase: migration.BatchWaiting,
				Customers: []migration.CustomerStatus{at("delta", migration.CustomerHeld, migration.OnPrem)}},
		},
	}
}

func join(s *migration.Spec, id string, batch int) {
	s.Customers = append(s.Customers, migration.Customer{ID: id, Tenant: int64(len(s.Customers) + 1), Datasets: []string{"orders"}})
	s.Batches[batch].Customers = append(s.Batches[batch].Customers, id)
}

func take(s *migration.Spec, from int, id string) {
	var left []string
	for _, c := range s.Batches[from].Customers {
		if c != id {
			left = append(left, c)
		}
	}
	s.Batches[from].Customers = left
}

// Each case changes the plan in one way. Says is the difference; refused are the subjects and
// reasons of what may not be.
func TestWhatAnAmendmentChangesAndWhatOfItMayNotBe(t *testing.T) {
	night := &migration.Window{Opens: time.Date(2026, 12, 2, 20, 0, 0, 0, time.UTC), For: migration.Duration(time.Hour), Zone: "UTC"}
	for name, c := range map[string]struct {
		change  func(*migration.Spec)
		says    string
		refused []string
	}{
		"nothing":                            {func(*migration.Spec) {}, `{}`, nil},
		"another number of the same content": {func(s *migration.Spec) { s.Revision = 9 }, `{}`, nil},
		"the order of a batch's customers":   {func(s *migration.Spec) { s.Batches[1].Customers = []string{"cedar", "birch"} }, `{}`, nil},
		"a customer comes into a batch that has not begun": {func(s *migration.Spec) { join(s, "ember", 2) },
			`{"customers":[{"id":"ember","to":"rest","added":true}]}`, nil},
		"a customer comes into one that has": {func(s *migration.Spec) { join(s, "ember", 1) },
			`{"customers":[{"id":"ember","to":"wave","added":true}]}`, []string{"customer ember: batch wave has begun (cutting-over)"}},
		"a batch comes last": {func(s *migration.Spec) {
			s.Batches = append(s.Batches, migration.Batch{Name: "late"})
			join(s, "ember", 3)
		}, `{"batches":[{"name":"late","added":true}],"customers":[{"id":"ember","to":"late","added":true}]}`, nil},
		"a batch comes before one that has had its turn": {func(s *migration.Spec) {
			s.Batches = append([]migration.Batch{{Name: "first"}}, s.Batches...)
		}, `{"batches":[{"name":"first","added":true}]}`, []string{"batches: the batches canary, wave have had their turn already"}},
		"batches change places": {func(s *migration.Spec) { s.Batches[1], s.Batches[2] = s.Batches[2], s.Batches[1] },
			`{"order":["canary","rest","wave"]}`, []string{"batches: the batches canary, wave have had their turn already"}},
		"one that waits goes to a later batch": {func(s *migration.Spec) {
			take(s, 1, "cedar")
			s.Batches[2].Customers = append(s.Batches[2].Customers, "cedar")
		}, `{"customers":[{"id":"cedar","from":"wave","to":"rest"}]}`, nil},
		"one that moves does not": {func(s *migration.Spec) {
			take(s, 1, "birch")
			s.Batches[2].Customers = append(s.Batches[2].Customers, "birch")
		}, `{"customers":[{"id":"birch","from":"wave","to":"rest"}]}`, []string{"customer birch: it is moving, homed on onprem"}},
		"nor one on AWS": {func(s *migration.Spec) {
			take(s, 0, "acme")
			s.Batches[2].Customers = append(s.Batches[2].Customers, "acme")
		}, `{"customers":[{"id":"acme","from":"canary","to":"rest"}]}`, []string{"customer acme: it is soaking, homed on aws"}},
		"a customer goes from the plan": {func(s *migration.Spec) { take(s, 2, "delta"); s.Customers = s.Customers[:3] },
			`{"customers":[{"id":"delta","from":"rest","removed":true}]}`,
			[]string{"customer delta: a customer cannot be taken out of a plan: its databases know it"}},
		"one is in no batch any more": {func(s *migration.Spec) { take(s, 2, "delta") },
			`{"customers":[{"id":"delta","from":"rest"}]}`, []string{"customer delta: it is in no batch any more"}},
		"a batch that has not begun goes, and its customers to another": {func(s *migration.Spec) {
			s.Batches = append(s.Batches[:2], migration.Batch{Name: "late", Customers: []string{"delta"}})
		}, `{"batches":[{"name":"late","added":true},{"name":"rest","removed":true}],"customers":[{"id":"delta","from":"rest","to":"late"}]}`,
			nil},
		"a window": {func(s *migration.Spec) { s.Batches[1].Window, s.Batches[2].Window = night, night },
			`{"batches":[{"name":"wave","changes":[{"place":"window","to":"{\"for\":\"1h0m0s\",\"opens\":\"2026-12-02T20:00:00Z\",` +
				`\"zone\":\"UTC\"}"}]},{"name":"rest","changes":[{"place":"window","to":"{\"for\":\"1h0m0s\",` +
				`\"opens\":\"2026-12-02T20:00:00Z\",\"zone\":\"UTC\"}"}]}]}`, nil},
		"approvals of a batch that has begun": {func(s *migration.Spec) { s.Batches[1].Approvals = 0 },
			`{"batches":[{"name":"wave","changes":[{"place":"approvals","from":"1"}]}]}`,
			[]string{"batch wave: approvals: the batch has begun (cutting-over)"}},
		"approvals of one that has not": {func(s *migration.Spec) { s.Batches[2].Approvals = 2 },
			`{"batches":[{"name":"rest","changes":[{"place":"approvals","to":"2"}]}]}`, nil},
		"a hook": {func(s *migration.Spec) {
			s.Hooks = []migration.Hook{{Event: migration.HookAfterRoute, Timeout: migration.Duration(time.Second)}}
		}, `{"rest":[{"place":"hooks.afterRoute","to":"{\"event\":\"afterRoute\",\"timeout\":\"1s\"}"}]}`, nil},
		"a policy": {func(s *migration.Spec) { s.Policy.Soak = migration.Duration(24 * time.Hour) },
			`{"rest":[{"place":"policy.soak","from":"72h0m0s","to":"24h0m0s"}]}`, nil},
		"hosts of one that waits": {func(s *migration.Spec) { s.Customers[3].Hosts = []string{"d.example"} },
			`{"customers":[{"id":"delta","from":"rest","to":"rest","changes":[{"place":"hosts","from":"[\"delta.example\"]",` +
				`"to":"[\"d.example\"]"}]}]}`, nil},
		"a tenant": {func(s *migration.Spec) { s.Customers[3].Tenant = 9 },
			`{"customers":[{"id":"delta","from":"rest","to":"rest","changes":[{"place":"tenant","from":"4","to":"9"}]}]}`,
			[]string{"customer delta: its tenant is settled when it comes into the plan (4; now 9)"}},
		"a workload that is up": {func(s *migration.Spec) { s.Workloads[0].EC2.InstanceType = "m5.xlarge" },
			`{"rest":[{"place":"workloads.web.ec2.instanceType","from":"m5.large","to":"m5.xlarge"}]}`,
			[]string{"workloads.web.ec2.instanceType: workload web is ready already"}},
		"where newcomers write": {func(s *migration.Spec) {
			d := *s.Datasets[0].Postgres
			d.NewCustomers, s.Datasets[0].Postgres = migration.AWS, &d
		}, `{"rest":[{"place":"datasets.orders.postgres.newCustomers","to":"aws"}]}`,
			[]string{"datasets.orders.postgres.newCustomers: what is copied, and from where to where, is settled when the plan is " +
				"submitted"}},
		"the state bucket": {func(s *migration.Spec) { s.State.Bucket = "other" },
			`{"rest":[{"place":"state.bucket","from":"state","to":"other"}]}`, []string{"state.bucket: it is settled when the plan is submitted"}},
	} {
		t.Run(name, func(t *testing.T) {
			now := runs()
			c.change(now)
			d := migration.DifferenceOf(runs(), now)
			said, err := json.Marshal(d)
			if err != nil || string(said) != c.says {
				t.Errorf("the difference is %s, %v\nit should be %s", said, err, c.says)
			}
			var order []string
			for _, b := range now.Batches {
				order = append(order, b.Name)
			}
			var refused []string
			for _, f := range d.Refusals(half(), order) {
				if refused = append(refused, f.Subject+": "+f.Reason); f.Remedy == "" || f.Severity != migration.Blocker {
					t.Errorf("%s has no remedy, or does not block", f.Subject)
				}
			}
			if fmt.Sprint(refused) != fmt.Sprint(c.refused) {
				t.Errorf("refused is %q\nit should be %q", refused, c.refused)
			}
			if back := migration.DifferenceOf(now, runs()); back.Empty() != d.Empty() {
				t.Errorf("and back: %v", back)
			}
		})
	}
}

func TestTheNumberOfARevisionIsNoPartOfItsName(t *testing.T) {
	a, b := runs(), runs()
	b.Revision = 7
	x, _ := a.Digest()
	y, err := b.Digest()
	if err != nil || x != y {
		t.Errorf("%s and %s, %v", x, y, err)
	}
	b.Policy.Tries++
	if z, _ := b.Digest(); z == x {
		t.Error("another content has the same name")
	}
}

// TestABakeThatHoldsAlreadyIsRefusedWithTheWayToKeepIt: policy.bake changes it for every batch that
// says none of its own.
func TestABakeThatHoldsAlreadyIsRefusedWithTheWayToKeepIt(t *testing.T) {
	change := migration.BatchChange{Name: "wave", Changes: []migration.Change{{Place: "bake", From: "10m0s", To: "5m0s"}}}
	got := migration.Difference{Batches: []migration.BatchChange{change}}.Refusals(migration.Standing{
		Batches: map[string]migration.BatchStatus{"wave": {Name: "wave", Phase: migration.BatchDone}}}, nil)
	want := "leave it as it was: where policy.bake changes, this batch keeps its own with `bake: 10m0s`"
	if len(got) != 1 || got[0].Remedy != want {
		t.Fatalf("%+v; want the remedy %q", got, want)
	}
}
