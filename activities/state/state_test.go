package state_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/internal/objects"
	"github.com/drover-migration/drover/internal/permanent"
	"github.com/drover-migration/drover/internal/tooltest"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/files/s3test"
)

func TestMain(m *testing.M) { os.Exit(s3test.Main(m, tooltest.Path("bin/versitygw"))) }

// objectStore is the object store beside the tests.
func objectStore(t *testing.T) *s3.Client {
	t.Helper()
	tooltest.Dir(t, "bin/versitygw")
	return s3test.Client(t)
}

// worker is one with an empty memory.
func worker(c *s3.Client) *state.Activities {
	return over(c, nil)
}

// plan has a bucket of its own.
func plan(t *testing.T) *migration.Spec {
	t.Helper()
	bucket := "state-" + strings.ToLower(rand.Text()[:12])
	_, err := objectStore(t).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket})
	require.NoError(t, err)
	web := migration.Workload{Name: "web", Target: "main", Ingress: &migration.Ingress{Port: 80, Paths: []string{"/*"}},
		Config: migration.Config{UserData: "#!/bin/sh"}}
	return &migration.Spec{
		Plan: "shop", Revision: 3,
		State:   migration.StateStore{Target: "main", Bucket: bucket, Prefix: "drover"},
		Sites:   []migration.Site{{Name: "dc1"}},
		Targets: []migration.Target{{Name: "other", Region: "us-east-1"}, {Name: "main", Region: "eu-west-1"}},
		Workloads: []migration.Workload{web, {Name: "batch", Target: "main"},
			{Name: "api", Target: "main", Ingress: &migration.Ingress{Port: 81}}},
		Datasets: []migration.Dataset{
			{Name: "orders", Postgres: &migration.Postgres{Column: "tenant"}},
			{Name: "stock", Postgres: &migration.Postgres{Column: "tenant"}},
			{Name: "attachments", Files: &migration.Files{Path: "/srv/{customer}"}},
		},
		Routes: []migration.Route{{Name: "public", ALB: &migration.ALB{Target: "main", Workloads: map[string]string{"web": "group"}}},
			{Name: "others", ALB: &migration.ALB{Target: "main", Workloads: map[string]string{"portal": "group"}}}},
		Health: migration.Health{Probes: []migration.Probe{{TCP: &migration.TCPProbe{}}}},
		Customers: []migration.Customer{
			{ID: "zeta", Tenant: 9, Hosts: []string{"zeta.example.com"}, Workloads: []string{"web", "batch"},
				Datasets: []string{"orders", "attachments"}},
			{ID: "acme", Tenant: 4, Hosts: []string{"acme.example.com"}, Workloads: []string{"api"}, Datasets: []string{"orders", "stock"}},
			{ID: "beta", Tenant: 7, Hosts: []string{"beta.example.com"}, Datasets: []string{"attachments"}},
		},
		Batches: []migration.Batch{{Name: "first", Customers: []string{"acme"}, Concurrency: 1},
			{Name: "second", Customers: []string{"beta", "zeta"}, Concurrency: 2}},
		Policy: migration.Policy{Tries: 5},
	}
}

func save(t *testing.T, spec *migration.Spec) (*state.Activities, migration.SpecRef) {
	t.Helper()
	saved, err := worker(objectStore(t)).SaveSpec(t.Context(), state.SaveSpecRequest{Spec: spec})
	require.NoError(t, err)
	return worker(objectStore(t)), saved.SpecRef
}

func kind(t *testing.T, err error) string {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.True(t, app.NonRetryable(), "%v", err)
	return app.Type()
}

func TestASpecSavedTwiceIsOneObjectWithOneName(t *testing.T) {
	spec := plan(t)
	refs := make([]migration.SpecRef, 4)
	var wg sync.WaitGroup
	for i := range refs {
		wg.Go(func() {
			saved, err := worker(objectStore(t)).SaveSpec(t.Context(), state.SaveSpecRequest{Spec: spec})
			if err != nil {
				t.Error(err)
			}
			refs[i] = saved.SpecRef
		})
	}
	wg.Wait()
	_, again := save(t, spec)
	for _, ref := range refs {
		require.Equal(t, again, ref)
	}
	require.Equal(t, "shop", again.Plan)
	require.Equal(t, 3, again.Revision)
	require.Equal(t, spec.State, again.State)
	require.Equal(t, "eu-west-1", again.Target.Region, "the target of the state bucket travels with the name")
	list, err := objectStore(t).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &spec.State.Bucket})
	require.NoError(t, err)
	require.Len(t, list.Contents, 1)
	require.Equal(t, "drover/plans/shop/specs/"+again.Digest+".json", *list.Contents[0].Key)
}

func TestAnotherSpecHasAnotherName(t *testing.T) {
	spec := plan(t)
	_, first := save(t, spec)
	spec.Policy.Tries++
	a, second := save(t, spec)
	require.NotEqual(t, first.Digest, second.Digest)
	for ref, tries := range map[*migration.SpecRef]int{&first: 5, &second: 6} {
		p, err := a.LoadPlan(t.Context(), *ref)
		require.NoError(t, err)
		require.Equal(t, tries, p.Policy.Tries)
	}
}

func TestASpecWhoseStateIsInNoTargetIsRefused(t *testing.T) {
	spec := plan(t)
	spec.State.Target = "nowhere"
	_, err := worker(objectStore(t)).SaveSpec(t.Context(), state.SaveSpecRequest{Spec: spec})
	require.Equal(t, "BadSpec", kind(t, err))
	require.ErrorContains(t, err, `plan "shop": state.target "nowhere"`)
}

// Whoever submits hears it at once: nothing has been touched, and nobody waits for a bucket.
func TestASpecThatTheBucketRefusesIsNotTriedForEver(t *testing.T) {
	spec := plan(t)
	spec.State.Bucket = "no-such-bucket-" + strings.ToLower(rand.Text()[:12])
	_, err := worker(objectStore(t)).SaveSpec(t.Context(), state.SaveSpecRequest{Spec: spec})
	require.Equal(t, "StateBucket", permanent.Kind(err))
	require.ErrorContains(t, err, `store plan "shop": `)
	require.ErrorContains(t, err, "the state bucket does not exist; create it, versioned")
}

// 409 says that somebody else was writing, and not that he has written.
func TestASpecIsSavedOnlyWhenItIsThere(t *testing.T) {
	there := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut && !there:
			w.WriteHeader(http.StatusConflict)
			_, _ = fmt.Fprint(w, "<Error><Code>ConditionalRequestConflict</Code></Error>")
			there = true
		case r.Method == http.MethodGet:
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprint(w, "<Error><Code>NoSuchKey</Code></Error>")
		}
	}))
	t.Cleanup(srv.Close)
	a := worker(s3.New(s3.Options{Region: "us-east-1", UsePathStyle: true, BaseEndpoint: &srv.URL,
		Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""), RetryMaxAttempts: 1}))
	spec := &migration.Spec{Plan: "shop", State: migration.StateStore{Target: "main", Bucket: "b"},
		Targets: []migration.Target{{Name: "main"}}}
	_, err := a.SaveSpec(t.Context(), state.SaveSpecRequest{Spec: spec})
	require.ErrorIs(t, err, objects.ErrNotFound, "the next try saves it")
	_, err = a.SaveSpec(t.Context(), state.SaveSpecRequest{Spec: spec})
	require.NoError(t, err)
}

func TestASpecThatSomebodyChangedIsNotUsed(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(ctx context.Context, a *state.Activities, spec *migration.Spec, ref migration.SpecRef) error
	}{
		{"a worker that reads it", func(ctx context.Context, a *state.Activities, _ *migration.Spec, ref migration.SpecRef) error {
			_, err := a.LoadPlan(ctx, ref)
			return err
		}},
		{"a worker that would save it again", func(ctx context.Context, a *state.Activities, spec *migration.Spec,
			_ migration.SpecRef) error {
			_, err := a.SaveSpec(ctx, state.SaveSpecRequest{Spec: spec})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := plan(t)
			a, ref := save(t, spec)
			key := "drover/plans/shop/specs/" + ref.Digest + ".json"
			_, err := objectStore(t).PutObject(t.Context(),
				&s3.PutObjectInput{Bucket: &spec.State.Bucket, Key: aws.String(key), Body: strings.NewReader("{}")})
			require.NoError(t, err)
			err = c.do(t.Context(), a, spec, ref)
			require.Equal(t, "SpecCorrupt", kind(t, err))
			require.ErrorContains(t, err, "restore the object's first version")
		})
	}
}

func TestASpecThatIsNotThereMayComeYet(t *testing.T) {
	spec := plan(t)
	a, ref := save(t, spec)
	ref.Digest = strings.Repeat("0", 64)
	_, err := a.LoadPlan(t.Context(), ref)
	require.ErrorIs(t, err, objects.ErrNotFound)
	require.ErrorContains(t, err, `plan "shop" revision 3: read s3://`)
}

func TestASpecIsReadOnce(t *testing.T) {
	spec := plan(t)
	a, ref := save(t, spec)
	first, err := a.LoadPlan(t.Context(), ref)
	require.NoError(t, err)
	_, err = objectStore(t).DeleteObject(t.Context(),
		&s3.DeleteObjectInput{Bucket: &spec.State.Bucket, Key: aws.String("drover/plans/shop/specs/" + ref.Digest + ".json")})
	require.NoError(t, err)
	again, err := a.LoadPlan(t.Context(), ref)
	require.NoError(t, err, "a spec never changes under its digest")
	require.Equal(t, first, again)
}

func TestAPlanIsItsSpecWithoutTheCustomers(t *testing.T) {
	spec := plan(t)
	a, ref := save(t, spec)
	p, err := a.LoadPlan(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, spec.Sites, p.Sites)
	require.Equal(t, spec.Targets, p.Targets)
	require.Equal(t, spec.Workloads, p.Workloads)
	require.Equal(t, spec.Datasets, p.Datasets)
	require.Equal(t, spec.Batches, p.Batches)
	require.Equal(t, spec.Policy, p.Policy)
	require.True(t, p.Routed)
	require.Equal(t, map[string][]int64{"orders": {4, 9}, "stock": {4}, "attachments": {7, 9}}, p.Tenants)
	require.Equal(t, "eu-west-1", p.Target("main").Region)
	require.Equal(t, migration.Target{Name: "gone"}, p.Target("gone"))
	require.Equal(t, migration.Site{Name: "dc1"}, p.Site("dc1"))
	require.Equal(t, migration.Site{Name: "gone"}, p.Site("gone"))

	spec.Routes = nil
	a, ref = save(t, spec)
	p, err = a.LoadPlan(t.Context(), ref)
	require.NoError(t, err)
	require.False(t, p.Routed)
}

func TestACustomersSliceHasWhatItsMovesNeedAndNothingOfOthers(t *testing.T) {
	spec := plan(t)
	a, ref := save(t, spec)
	got, err := a.LoadCustomer(t.Context(), state.LoadCustomerRequest{Spec: ref, Customer: "zeta"})
	require.NoError(t, err)
	web := spec.Workloads[0]
	web.Config = migration.Config{}
	require.Equal(t, migration.CustomerSlice{
		Customer: spec.Customers[0], Batch: migration.Batch{Name: "second", Concurrency: 2},
		Databases: spec.Datasets[:1], Files: spec.Datasets[2:],
		Targets: spec.Targets, Workloads: []migration.Workload{web}, Routes: spec.Routes[:1], Health: spec.Health, Policy: spec.Policy,
	}, got)

	// What is cut out of a slice is not cut out of the spec that the worker keeps.
	p, err := a.LoadPlan(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, spec.Workloads, p.Workloads)
	require.Equal(t, spec.Batches, p.Batches)
}

func TestATenantBelongsToTheDatabaseThatSaysWhereItsCustomerIsHomed(t *testing.T) {
	spec := plan(t)
	a, ref := save(t, spec)
	for _, b := range spec.Batches {
		want := map[string][]state.Tenant{}
		for _, id := range b.Customers {
			c, _ := spec.Slice(id)
			if len(c.Databases) > 0 {
				d := c.Databases[0].Name
				want[d] = append(want[d], state.Tenant{Customer: id, ID: c.Customer.Tenant})
			}
		}
		got, err := a.LoadTenants(t.Context(), state.LoadTenantsRequest{Spec: ref, Batch: b.Name})
		require.NoError(t, err)
		require.Equal(t, want, got.Databases)
		require.NotEmpty(t, got.Databases)
	}
	got, err := a.LoadTenants(t.Context(), state.LoadTenantsRequest{Spec: ref, Batch: spec.Batches[0].Name})
	require.NoError(t, err)
	require.Empty(t, got.ByName)
	spec.Routes[0] = migration.Route{Name: "public", DNS: &migration.DNS{Workloads: map[string]migration.Named{"web": {}}}}
	named, ref := save(t, spec)
	byName := map[string]bool{}
	for _, b := range spec.Batches {
		got, err := named.LoadTenants(t.Context(), state.LoadTenantsRequest{Spec: ref, Batch: b.Name})
		require.NoError(t, err)
		for _, id := range got.ByName {
			byName[id] = true
		}
	}
	for _, c := range spec.Customers {
		require.Equal(t, slices.Contains(c.Workloads, "web"), byName[c.ID], c.ID)
	}
	_, err = a.LoadTenants(t.Context(), state.LoadTenantsRequest{Spec: ref, Batch: "none"})
	require.Equal(t, "NoSuchBatch", permanent.Kind(err))
}

func TestACustomerThatThePlanDoesNotHaveIsRefusedByName(t *testing.T) {
	a, ref := save(t, plan(t))
	_, err := a.LoadCustomer(t.Context(), state.LoadCustomerRequest{Spec: ref, Customer: "nobody"})
	require.Equal(t, "NoSuchCustomer", permanent.Kind(err))
	require.ErrorContains(t, err, `plan "shop" revision 3 has no customer "nobody"`)
}

func TestFileCustomersAreThoseWithTheDatasetInThePlansOrder(t *testing.T) {
	a, ref := save(t, plan(t))
	for dataset, want := range map[string][]string{"attachments": {"zeta", "beta"}, "other": nil} {
		var ids []string
		got, err := a.ListFileCustomers(t.Context(), state.ListFileCustomersRequest{Spec: ref, Dataset: dataset})
		require.NoError(t, err)
		for _, c := range got.Customers {
			require.Positive(t, c.Tenant)
			ids = append(ids, c.ID)
		}
		require.Equal(t, want, ids)
	}
}
