package check

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/workflows/work"
)

// Check answers a question about a plan that has not been submitted, where the data is: on the
// sites' workers. Read-only.
func Check(ctx workflow.Context, in migration.CheckInput) (migration.InventoryReport, error) {
	if in.Kind != migration.CheckInventory || in.Spec == nil {
		return migration.InventoryReport{}, temporal.NewNonRetryableApplicationError(fmt.Sprintf("there is no check %q", in.Kind),
			"NoSuchCheck", nil)
	}
	var report migration.InventoryReport
	for _, site := range in.Spec.Sites {
		if site.VSphere == nil {
			continue
		}
		vms, err := listVMs(ctx, site, migration.VMSelector{})
		if err != nil {
			return report, err
		}
		report.Sites = append(report.Sites, migration.SiteInventory{Site: site.Name, VMs: vms})
	}
	return report, nil
}

func listVMs(ctx workflow.Context, site migration.Site, sel migration.VMSelector) ([]migration.VM, error) {
	s := work.Survey.At(ctx, site.Name, "inventory of "+site.Name)
	var r vsphere.ListVMsResult
	err := workflow.ExecuteActivity(s, work.VSphere.ListVMs, vsphere.ListVMsRequest{Site: site, Selector: sel, Use: true}).Get(s, &r)
	return r.VMs, err
}
