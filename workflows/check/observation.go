package check

import (
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// Observation says who wrote the databases of a plan while they were observed. Read-only.
func Observation(ctx workflow.Context, spec *migration.Spec) (migration.ObservationReport, error) {
	if spec == nil {
		return migration.ObservationReport{}, temporal.NewNonRetryableApplicationError("observation: no plan was given", "BadRequest", nil)
	}
	out := migration.ObservationReport{Requires: migration.Observes(spec.Batches)}
	var routed []string
	routed, out.Unseen = Routed(ctx, spec.Sites, spec.Workloads)
	for _, d := range spec.Datasets {
		if d.Postgres == nil {
			continue
		}
		c := work.Examination.At(ctx, d.Site(), "who writes "+d.Name)
		var o migration.Observation
		req := postgres.ObserveRequest{PostgresRef: database(spec, d), Routed: routed}
		if err := workflow.ExecuteActivity(c, work.Postgres.ReadObservation, req).Get(c, &o); err != nil {
			o = migration.Observation{Dataset: d.Name, Error: work.ReasonAt(err, d.Site())}
		}
		out.Datasets = append(out.Datasets, o)
	}
	return out, nil
}

// Routed are the addresses of the machines that the plan's workloads run on today, as their guests
// say. Unseen are the sites that did not say it.
func Routed(ctx workflow.Context, sites []migration.Site, workloads []migration.Workload) (addresses, unseen []string) {
	for _, site := range sites {
		var selected []migration.VMSelector
		for _, w := range workloads {
			if w.OnVMs() && w.Site == site.Name {
				selected = append(selected, w.VMs)
			}
		}
		if site.VSphere == nil || len(selected) == 0 {
			continue
		}
		c := work.Examination.At(ctx, site.Name, "addresses of the machines of "+site.Name)
		var r vsphere.ListAddressesResult
		if err := workflow.ExecuteActivity(c, work.VSphere.ListAddresses,
			vsphere.ListAddressesRequest{Site: site, Selectors: selected}).Get(c, &r); err != nil {
			unseen = append(unseen, "addresses of the machines of site "+site.Name+": "+work.ReasonAt(err, site.Name))
			continue
		}
		addresses = append(addresses, r.Addresses...)
	}
	slices.Sort(addresses)
	return slices.Compact(addresses), unseen
}
