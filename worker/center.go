package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/drover-migration/drover/internal/awsconf"
	"github.com/drover-migration/drover/internal/secrets"
	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/vsphere"
)

// ErrSeveralDatacenters says that a vCenter shows more than one datacenter, or none: one has to be
// named.
var ErrSeveralDatacenters = errors.New("it is not one datacenter that this user sees")

// Machines lists the machines of a vCenter that no plan names yet, with what stands in the way of
// each. It reads only, in this process: this machine needs the secret that conf refers to, and a
// way to the vCenter. Without a datacenter in conf it takes the only one there is, and says which.
func Machines(ctx context.Context, conf migration.VSphere, sel migration.VMSelector, log hclog.Logger) (string, []migration.VM, error) {
	pool := vsphere.NewPool(secrets.New(awsconf.New(secrets.New(nil)).Config), log)
	defer pool.Close()
	open := func() (*vsphere.Session, error) {
		c := conf
		return pool.Session(ctx, migration.Site{Name: "vcenter", VSphere: &c})
	}
	if conf.Datacenter == "" {
		s, err := open()
		if err != nil {
			return "", nil, err
		}
		names, err := s.Datacenters(ctx)
		if err != nil {
			return "", nil, err
		}
		if len(names) != 1 {
			return "", nil, fmt.Errorf("vCenter %s: %w: %s", s.URL().Host, ErrSeveralDatacenters, strings.Join(names, ", "))
		}
		conf.Datacenter = names[0]
	}
	s, err := open()
	if err != nil {
		return "", nil, err
	}
	vms, err := s.Inventory(ctx, sel, nil)
	return conf.Datacenter, vms, err
}
