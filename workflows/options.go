package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
)

// The kinds of work. A timeout or retry policy that is not here does not exist.
const (
	freezeAttempt    = 3 * time.Second        // one attempt at a short step inside a freeze
	freezeHeartbeat  = 3 * time.Second        // without a heartbeat of a long one's: its worker is lost
	routeAttempt     = 5 * time.Second        // one attempt at a route: some tens of milliseconds of calls, and their pace
	probeAttempt     = 90 * time.Second       // one attempt at probing all machines of a customer's workloads: a quarter of a minute, and the longest probe's time-out
	questionAttempt  = 10 * time.Second       // one attempt at a question next to the data
	questionPatience = time.Minute            // for an answer to it
	heartbeat        = 5 * time.Second        // without a heartbeat of a probe's: its worker is lost
	fenceWait        = 250 * time.Millisecond // between two attempts to fence past a customer's long writers
	fencePatience    = 12                     // such attempts before the try is given up
	openPatience     = 3 * time.Second        // how long a destination may find itself behind, once the origin is sealed
	openPause        = 50 * time.Millisecond  // between two attempts to open a destination that is behind
	yieldPatience    = 30 * time.Second       // how long a running pass may take to step aside for a Move
	tryPause         = time.Second            // before the second try of a Move; doubles
	tryPauseMost     = 30 * time.Second
	launchPause      = 30 * time.Second // before what AWS refused to launch is tried again; doubles
	launchPauseMost  = 10 * time.Minute
	wayBackTries     = 3                // times the plan's tries: giving up on the way home is worse
	lagPause         = 5 * time.Second  // between two looks at replication lag
	filePassPause    = 5 * time.Second  // between two passes over a file tree
	stopPause        = 2 * time.Second  // between two looks whether what copies and launches has ended
	soakLook         = time.Minute      // between two looks at a customer that soaks
	auditEvery       = 45 * time.Second // between two audits of a database's fences: what they find is known within a minute
	auditAttempt     = 2 * time.Minute  // one audit: it may compare the rows of a customer whose side was stale
	rollCall         = 30 * time.Second // between two times that those under way are asked whether they still run
	rollCallQuiet    = 10 * time.Minute // the same, of those that only soak or wait
	timelineLength   = 100              // events kept for people; the history has them all
	seenRequests     = 50               // request ids carried over continue-as-new
)

// patient retries for ever: what it does must happen, and can be repeated.
func patient(most time.Duration) *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: most}
}

// hurried retries for ever too, where a customer waits.
func hurried(first, most time.Duration) *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: first, BackoffCoefficient: 1.5, MaximumInterval: most}
}

// look is a short question or a small change in AWS or the state bucket.
func look(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: migration.QueueMain, StartToCloseTimeout: time.Minute, RetryPolicy: patient(30 * time.Second), Summary: summary,
	})
}

// launch is a change in AWS that takes minutes: an image, an instance, a service. It heartbeats.
func launch(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: migration.QueueMain, StartToCloseTimeout: time.Hour, HeartbeatTimeout: time.Minute, RetryPolicy: patient(time.Minute), Summary: summary, WaitForCancellation: true,
	})
}

// siteLook is a question next to a site's data.
func siteLook(ctx workflow.Context, site, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: migration.SiteQueue(site), StartToCloseTimeout: 10 * time.Minute, HeartbeatTimeout: time.Minute, RetryPolicy: patient(30 * time.Second), Summary: summary,
		WaitForCancellation: true,
	})
}

// probe asks a side's machines, which may take as long as the plan's probes.
func probe(ctx workflow.Context, site, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: migration.SiteFreezeQueue(site), StartToCloseTimeout: probeAttempt, HeartbeatTimeout: heartbeat, ScheduleToCloseTimeout: 2 * probeAttempt, RetryPolicy: patient(time.Second), Summary: summary,
	})
}

// bulk is a copy that may take days. It heartbeats and resumes from its checkpoint.
func bulk(ctx workflow.Context, site, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: migration.SiteQueue(site), StartToCloseTimeout: 7 * 24 * time.Hour, HeartbeatTimeout: 30 * time.Second,
		RetryPolicy: patient(time.Minute), Summary: summary, WaitForCancellation: true,
	})
}

// pass is a copy that is made again soon anyway: it is given up after a few attempts.
func pass(ctx workflow.Context, site, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: migration.SiteQueue(site), StartToCloseTimeout: 7 * 24 * time.Hour, HeartbeatTimeout: 30 * time.Second, Summary: summary,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumAttempts: 3}, WaitForCancellation: true,
	})
}

// freezeStep is a step of a Move next to the data: short attempts, given up for good after within.
func freezeStep(ctx workflow.Context, site string, within time.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: migration.SiteFreezeQueue(site), StartToCloseTimeout: min(freezeAttempt, within), ScheduleToCloseTimeout: within, Summary: summary,
		RetryPolicy: hurried(50*time.Millisecond, 500*time.Millisecond),
	})
}

// freezeWork is a step of a Move that takes as long as there is data: one attempt may use all of within. It heartbeats.
func freezeWork(ctx workflow.Context, site string, within time.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: migration.SiteFreezeQueue(site), StartToCloseTimeout: within, ScheduleToCloseTimeout: within, HeartbeatTimeout: freezeHeartbeat, Summary: summary,
		RetryPolicy: hurried(50*time.Millisecond, 500*time.Millisecond),
	})
}

// within is a question next to the data that has an answer within a minute, or whose time-out says what is wrong.
func within(ctx workflow.Context, site, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: migration.SiteFreezeQueue(site), StartToCloseTimeout: questionAttempt, ScheduleToCloseTimeout: questionPatience, Summary: summary,
		RetryPolicy: hurried(100*time.Millisecond, 5*time.Second),
	})
}

// audit looks at the fences of all customers of a database, on both sides.
func audit(ctx workflow.Context, site, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: migration.SiteQueue(site), StartToCloseTimeout: auditAttempt, HeartbeatTimeout: heartbeat, ScheduleToCloseTimeout: auditAttempt, Summary: summary,
		RetryPolicy: hurried(time.Second, 10*time.Second),
	})
}

// beats is a question that waits for replication, for as long as the plan lets it be behind and a little longer: who is late is to be named.
func beats(ctx workflow.Context, site string, maxLag time.Duration, summary string) workflow.Context {
	attempt := max(maxLag, questionAttempt/2) + questionAttempt/2
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: migration.SiteFreezeQueue(site), StartToCloseTimeout: attempt, ScheduleToCloseTimeout: max(3*attempt, 30*time.Second), Summary: summary,
		RetryPolicy: hurried(50*time.Millisecond, 500*time.Millisecond),
	})
}

// forward is a step that must happen: after the commit point, or while an unknown outcome is resolved.
func forward(ctx workflow.Context, site, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: migration.SiteFreezeQueue(site), StartToCloseTimeout: freezeAttempt, Summary: summary,
		RetryPolicy: hurried(100*time.Millisecond, 5*time.Second),
	})
}

// routeStep changes the route of a customer; it reads the home record, hence the site.
func routeStep(ctx workflow.Context, site, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: migration.SiteFreezeQueue(site), StartToCloseTimeout: routeAttempt, Summary: summary,
		RetryPolicy: hurried(100*time.Millisecond, 10*time.Second),
	})
}

// watch probes for as long as it is told to; a worker that dies is missed within seconds.
func watch(ctx workflow.Context, length time.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: migration.QueueMain, StartToCloseTimeout: length + 5*time.Minute, HeartbeatTimeout: heartbeat,
		RetryPolicy: patient(5 * time.Second), Summary: summary,
	})
}
