package work

import (
	"github.com/drover-migration/drover/activities/files"
	"github.com/drover-migration/drover/migration"
)

// FilesRequest asks for a pass over one customer's files in d, away from the side from. Of a pass outside a Move, try is zero.
func FilesRequest(spec migration.SpecRef, slice migration.CustomerSlice, d migration.Dataset, from migration.Side, try migration.Try) files.FilesRequest {
	req := files.FilesRequest{
		Plan: spec.Plan, Dataset: d, Target: slice.Target(d.Target()), State: spec.State, StateTarget: spec.Target,
		Customer: slice.Customer, From: from, Try: try, Fence: slice.Database(d.Files.FencedBy),
	}
	if req.Fence != nil {
		req.FenceTarget = slice.Target(req.Fence.Target())
	}
	return req
}
