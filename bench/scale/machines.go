package main

import (
	"context"

	"github.com/drover-migration/drover/activities/compute"
	"github.com/drover-migration/drover/activities/vsphere"
	"github.com/drover-migration/drover/migration"
)

// vcenter stands in for the activities over vCenter, under their names.
type vcenter struct{ *below }

// ListVMs lists the VMs that are asked for.
func (v vcenter) ListVMs(ctx context.Context, req vsphere.ListVMsRequest) (r vsphere.ListVMsResult, err error) {
	for _, name := range req.Selector.Names {
		r.VMs = append(r.VMs, migration.VM{
			Ref: "vm-" + name, Name: name, UUID: "uuid-" + name, PoweredOn: true, CPUs: 2, MemoryMB: 4096, Firmware: "bios",
		})
	}
	return r, v.call(ctx, ms(32, 86), nothing)
}

// machines stand in for the activities over EC2 and ECS, under their names: each VM has its
// instance already.
type machines struct{ *below }

// CheckCompute finds nothing in the way.
func (m machines) CheckCompute(ctx context.Context, _ compute.CheckComputeRequest) (r compute.CheckComputeResult, err error) {
	return r, m.call(ctx, ms(89, 89), nothing)
}

// FindInstance finds a VM's instance.
func (m machines) FindInstance(ctx context.Context, req compute.FindInstanceRequest) (r compute.FindInstanceResult, err error) {
	r.Instance = compute.Instance{ID: "i-" + req.VM.Name, PrivateIP: "10.0.0.1", Type: "m7i.large"}
	return r, m.call(ctx, ms(45, 45), nothing)
}

// EnsureService finds a service.
func (m machines) EnsureService(ctx context.Context, req compute.EnsureServiceRequest) (s compute.Service, err error) {
	s.ARN = "arn:aws:ecs:us-east-1:123456789012:service/platform/" + req.Workload.Name
	return s, m.call(ctx, ms(212, 212), nothing)
}

// AwaitService finds a service steady.
func (m machines) AwaitService(ctx context.Context, _ compute.AwaitServiceRequest) (s compute.ServiceState, err error) {
	s.Addresses = []string{"10.0.0.2", "10.0.0.3"}
	return s, m.call(ctx, ms(360, 360), nothing)
}
