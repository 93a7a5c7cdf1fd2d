package worker

import (
	"time"

	"github.com/drover-migration/drover/migration"
)

// How many polls of a queue a process keeps waiting. Temporal splits a queue into four partitions,
// unless it is told otherwise, and a task comes to one of them: where no poll waits there it is
// forwarded, ten times a second at most, and else lies for up to two seconds
// (matching.numTaskqueueReadPartitions, matching.forwarderMaxRatePerSecond; MustOffer in the
// server's service/matching). With the SDK's two polls a queue that was the longest part of a
// freeze when four customers moved at once. Not more than that takes: a poll of a worker whose
// network was cut can be given a task that nobody hears of.
const (
	freezePolls = 16
	mainPolls   = 16
	sitePolls   = 8
	copyPolls   = 2 // nobody waits for the moment in which a copy begins
)

// How long Temporal waits for the worker that has a workflow in memory before it asks another.
// After a crash in a freeze, every moment of it is one in which neither side takes writes: the
// history of a Move is short, and soon read by another worker.
const (
	stickyPatience = time.Second
	movePatience   = time.Second / 2
)

// How much a process does at a time. Watching a customer's health is one activity that mostly
// waits.
const (
	mainAtOnce   = 1000
	siteAtOnce   = 200 // a copy or a pass for each dataset, which lasts, and the questions between
	copyAtOnce   = 50
	freezeAtOnce = 200
	ownAtOnce    = 50 // in a process that carries one workflow by itself
	watchAtOnce  = 5000
	soakAtOnce   = 8 // each asks some tens of customers at the same time
)

type queue struct {
	name       string
	main, site bool // whose work comes here: the main worker's, what is next to the data
	workflows  bool
	sticky     time.Duration
	atOnce     int
	polls      int
}

// activities are those that the queue is asked for.
func (q queue) activities(a Activities) (out []any) {
	if q.main {
		out = append(out, a.Main...)
	}
	if q.site {
		out = append(out, a.Site...)
	}
	return out
}

// queues are the task queues of a process. Steps inside a freeze have queues of their own: they
// wait behind nothing that is not a step of a Move. So have copies of disks: nothing waits behind
// them. Moves run where their routes are set, and on no other queue.
func queues(o Options) (out []queue) {
	if o.Queue != "" {
		return []queue{{name: o.Queue, main: true, site: true, workflows: true, sticky: stickyPatience, atOnce: ownAtOnce,
			polls: sitePolls}}
	}
	if o.Main {
		out = append(out,
			queue{name: migration.QueueMain, main: true, workflows: true, sticky: stickyPatience, atOnce: mainAtOnce, polls: mainPolls},
			queue{name: migration.QueueFreeze, main: true, workflows: true, sticky: movePatience, atOnce: freezeAtOnce, polls: freezePolls},
			queue{name: migration.QueueWatch, main: true, atOnce: watchAtOnce, polls: sitePolls},
			queue{name: migration.QueueSoak, main: true, atOnce: soakAtOnce, polls: sitePolls})
	}
	for _, site := range o.Sites {
		out = append(out, queue{name: migration.SiteQueue(site), site: true, atOnce: siteAtOnce, polls: sitePolls},
			queue{name: migration.SiteCopyQueue(site), site: true, atOnce: copyAtOnce, polls: copyPolls},
			queue{name: migration.SiteFreezeQueue(site), site: true, atOnce: freezeAtOnce, polls: freezePolls})
	}
	return out
}
