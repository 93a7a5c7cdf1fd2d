package work

import (
	"github.com/drover-migration/drover/activities/compute"
	"github.com/drover-migration/drover/activities/disks"
	"github.com/drover-migration/drover/activities/evidence"
	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/activities/freeze"
	"github.com/drover-migration/drover/activities/health"
	"github.com/drover-migration/drover/activities/homes"
	"github.com/drover-migration/drover/activities/hooks"
	"github.com/drover-migration/drover/activities/notify"
	"github.com/drover-migration/drover/activities/postgres"
	"github.com/drover-migration/drover/activities/roll"
	"github.com/drover-migration/drover/activities/state"
	"github.com/drover-migration/drover/activities/traffic"
	"github.com/drover-migration/drover/activities/vsphere"
)

// Activities are called by method values of these nil pointers: the compiler checks the names, and
// no client is built here.
var (
	Compute  *compute.Activities
	Disks    *disks.Activities
	Evidence *evidence.Activities
	Files    *files.Activities
	Freezer  *freeze.Activities
	Health   *health.Activities
	Homes    *homes.Activities
	Hooks    *hooks.Activities
	Notify   *notify.Activities
	Postgres *postgres.Activities
	Roll     *roll.Activities
	State    *state.Activities
	Traffic  *traffic.Activities
	VSphere  *vsphere.Activities
)
