package vcenter

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// State says of every machine whether it runs, and which snapshots and tags it has: one line each,
// sorted.
func (v *VCenter) State(ctx context.Context) (out []string, err error) {
	c, err := v.client(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Logout(context.WithoutCancel(ctx)) }()
	all, err := view.NewManager(c.Client).CreateContainerView(ctx, c.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	if err != nil {
		return nil, err
	}
	var vms []mo.VirtualMachine
	if err := all.Retrieve(ctx, []string{"VirtualMachine"}, []string{"name", "runtime.powerState", "snapshot"}, &vms); err != nil {
		return nil, err
	}
	attached, err := v.attached(ctx, rest.NewClient(c.Client), vms)
	if err != nil {
		return nil, err
	}
	for _, m := range vms {
		out = append(out, fmt.Sprintf("VM %s is %s", m.Name, m.Runtime.PowerState))
		if m.Snapshot != nil {
			for _, t := range m.Snapshot.RootSnapshotList {
				out = append(out, fmt.Sprintf("VM %s has snapshot %s", m.Name, t.Name))
			}
		}
		if names := attached[m.Self.Value]; len(names) > 0 {
			out = append(out, fmt.Sprintf("VM %s has tags %s", m.Name, strings.Join(names, ", ")))
		}
	}
	slices.Sort(out)
	return out, nil
}

// attached are the names of each machine's tags.
func (v *VCenter) attached(ctx context.Context, r *rest.Client, vms []mo.VirtualMachine) (map[string][]string, error) {
	v.mu.Lock()
	user := url.UserPassword(v.opts.Username, v.password)
	v.mu.Unlock()
	if err := r.Login(ctx, user); err != nil {
		return nil, err
	}
	defer func() { _ = r.Logout(context.WithoutCancel(ctx)) }()
	var refs []mo.Reference
	for _, m := range vms {
		refs = append(refs, m.Self)
	}
	list, err := tags.NewManager(r).GetAttachedTagsOnObjects(ctx, refs)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, o := range list {
		ref, ok := o.ObjectID.(types.ManagedObjectReference)
		if !ok {
			continue
		}
		for _, t := range o.Tags {
			out[ref.Value] = append(out[ref.Value], t.Name)
		}
		slices.Sort(out[ref.Value])
	}
	return out, nil
}
