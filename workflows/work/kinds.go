// Package work is what workflows ask of activities: the kinds of work, each with its queue, times
// and retries in one table, the names of the activities, waits that say what they are for, and an
// error as a person should read it.
package work

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/drover-migration/drover/migration"
)

// work is a kind of work. A time of 0 is none.
type work struct {
	queue     func(site string) string
	attempt   time.Duration // one attempt
	total     time.Duration // all attempts, and the wait for a worker
	begin     time.Duration // until a worker has begun it
	heartbeat time.Duration // without one for so long: its worker is lost
	retry     retry
	finishes  bool // a cancel waits until the attempt has ended: it cleans up after itself
}

// retry is how often and how soon a kind of work is tried again. By default that is for ever.
type retry struct {
	first, most time.Duration // before the second attempt, and before any
	grows       float64
	attempts    int32
}

// Here is work for the main worker.
type Here struct{ work }

// There is work for the worker of a site, next to its data.
type There struct{ work }

// The kinds of work. A timeout or retry policy that is not here does not exist.
var (
	// Question is a short question or a small change in AWS or the state bucket.
	Question = Here{work{queue: inMain, attempt: time.Minute, retry: patient(30 * time.Second)}}
	// Launch is a change in AWS that takes minutes: an image, an instance, a service.
	Launch = Here{work{queue: inMain, attempt: time.Hour, heartbeat: time.Minute, retry: patient(time.Minute), finishes: true}}
	// Collection reads a batch with all its customers and writes down what they say.
	Collection = Here{work{queue: inMain, attempt: 10 * time.Minute, heartbeat: time.Minute, retry: patient(time.Minute)}}
	// Watch probes for as long as Lasting says; a worker that dies is missed within seconds.
	// One that is cut off says what it has found by then.
	Watch = Here{work{queue: inWatch, attempt: 5 * time.Minute, heartbeat: heartbeat, retry: patient(5 * time.Second), finishes: true}}

	// Soak is one look at some hundreds of customers that soak. It is made again soon anyway.
	Soak = Here{work{queue: inSoak, attempt: 2 * time.Minute, total: 3 * time.Minute, heartbeat: 2 * heartbeat,
		retry: hurried(time.Second, 10*time.Second)}}

	// RollCall reads a list of workflows. It is called again soon anyway.
	RollCall = Here{work{queue: inSoak, attempt: 10 * time.Second, total: 30 * time.Second, retry: hurried(time.Second, 5*time.Second)}}

	// Post delivers some letters, each of which a receiver may think about for half a minute. What
	// fails is tried again by who asks.
	Post = Here{work{queue: inMain, attempt: 5 * time.Minute, total: 10 * time.Minute, heartbeat: 2 * heartbeat,
		retry: hurried(time.Second, 30*time.Second)}}
	// PostPlan says whom messages go to. It is asked again soon anyway: what is due meanwhile goes.
	PostPlan = Here{work{queue: inMain, attempt: 30 * time.Second, total: time.Minute, retry: hurried(time.Second, 10*time.Second)}}

	// HookBefore calls a plan's hook before a Move touches anything. It is given up after a few
	// attempts: the try of the Move is over then, and the next one asks again.
	HookBefore = Here{work{queue: inMain, heartbeat: 2 * heartbeat, retry: retry{first: time.Second, most: 5 * time.Second, grows: 2,
		attempts: 3}}}
	// HookAfter calls a plan's hook once. Who asks tries again, for as long as it takes.
	HookAfter = Here{work{queue: inMain, heartbeat: 2 * heartbeat, retry: retry{first: time.Second, grows: 1, attempts: 1}}}

	// Count asks who counts a customer's requests. Nobody waits for it, and who asks tries again.
	Count = Here{work{queue: inMain, attempt: 30 * time.Second, total: time.Minute, retry: hurried(time.Second, 10*time.Second)}}

	// SiteQuestion is a short question next to the data, such as where those that soak are homed,
	// or how far behind replication is. No closed customer waits for it: it never lies before a
	// freeze.
	SiteQuestion = There{work{queue: migration.SiteQueue, attempt: questionAttempt, total: 30 * time.Second, begin: takenWithin,
		retry: hurried(time.Second, 5*time.Second)}}
	// DataNote writes down beside a customer's fence where the customer stands. What follows does
	// not wait for it long, and it never lies before a freeze.
	DataNote = There{work{queue: migration.SiteQueue, attempt: freezeAttempt, total: NotePatience, begin: NotePatience / 2,
		heartbeat: FreezeHeartbeat, retry: closed}}
	// Beginning asks a database once where all customers of a batch are homed, before they are
	// started. They do not wait for it long.
	Beginning = There{work{queue: migration.SiteQueue, attempt: 5 * time.Second, total: 5 * time.Second, begin: 2 * time.Second,
		retry: hurried(200*time.Millisecond, time.Second)}}
	// Survey is a question next to a site's data, or a change of its setup, that may take minutes.
	Survey = There{work{queue: migration.SiteQueue, attempt: 10 * time.Minute, heartbeat: time.Minute, retry: patient(30 * time.Second),
		finishes: true}}
	// Examination reads a whole database for a person who waits for the answer.
	Examination = There{work{queue: migration.SiteQueue, attempt: time.Minute, total: 2 * time.Minute, begin: takenWithin,
		heartbeat: 2 * heartbeat, retry: hurried(time.Second, 5*time.Second)}}
	// Observation has premises write down who writes a database: it needs a moment of each table.
	// Who asks says what keeps it from that, and asks again.
	Observation = There{work{queue: migration.SiteQueue, attempt: 10 * time.Minute, begin: takenWithin, heartbeat: 2 * heartbeat,
		retry: retry{first: time.Second, most: 5 * time.Second, grows: 1.5, attempts: 5}, finishes: true}}
	// DiskCopy is a copy of a VM's disks, which may take days. It resumes from its checkpoint. A
	// site may have thousands of VMs: those that wait for a slot keep nothing else from one.
	DiskCopy = There{work{queue: migration.SiteCopyQueue, attempt: 7 * 24 * time.Hour, heartbeat: 30 * time.Second,
		retry: patient(time.Minute), finishes: true}}
	// BulkCopy is the setup or the first copy of a dataset, which may take days. It resumes from
	// its checkpoint. There are as many as there are datasets.
	BulkCopy = There{work{queue: migration.SiteQueue, attempt: 7 * 24 * time.Hour, heartbeat: 30 * time.Second, retry: patient(time.Minute),
		finishes: true}}
	// Shutdown waits for a guest on premises to shut down, for as long as Lasting says.
	Shutdown = There{work{queue: migration.SiteQueue, attempt: 10 * time.Minute, heartbeat: 4 * heartbeat, retry: patient(time.Minute)}}
	// Audit looks at the fences of all customers of a database, on both sides. It may compare the
	// rows of a customer whose side was stale.
	Audit = There{work{queue: migration.SiteQueue, attempt: 2 * time.Minute, total: 2 * time.Minute, begin: takenWithin,
		heartbeat: heartbeat, retry: hurried(time.Second, 10*time.Second)}}
	// Pass is a copy that is made again soon anyway: it is given up after a few attempts.
	Pass = There{work{queue: migration.SiteQueue, attempt: 7 * 24 * time.Hour, heartbeat: 30 * time.Second,
		retry: retry{first: 200 * time.Millisecond, grows: 2, attempts: 3}, finishes: true}}

	// DataQuestion asks where a customer is homed who may be closed on both sides. It has an answer
	// within a minute, or its time-out says what is wrong.
	DataQuestion = There{work{queue: migration.SiteFreezeQueue, attempt: freezeAttempt, total: time.Minute, begin: takenWithin,
		heartbeat: FreezeHeartbeat, retry: closed}}
	// Freeze is a customer's freeze. It is tried once: what it leaves is settled by writing. Its
	// attempt has time for what comes before the fence, warm passes and the turn of others; from
	// the fence on the lease and each step's own limit end it, and a lost worker its heartbeats.
	Freeze = There{work{queue: migration.SiteFreezeQueue, attempt: 10 * time.Minute, begin: 30 * time.Second, heartbeat: FreezeHeartbeat,
		retry: retry{first: time.Second, grows: 1, attempts: 1}, finishes: true}}
	// FreezeStep is a step of a Move next to the data: short attempts, given up for good after what
	// Within says.
	FreezeStep = There{work{queue: migration.SiteFreezeQueue, attempt: freezeAttempt, heartbeat: FreezeHeartbeat, retry: closed}}
	// Resolution is a step that must happen: after the commit point, or while an unknown outcome is
	// resolved. Where it finds somebody in its way it waits by itself, for as long as its attempt
	// has time for another answer.
	Resolution = There{work{queue: migration.SiteFreezeQueue, attempt: freezeAttempt + stepPatience, heartbeat: FreezeHeartbeat,
		retry: closed}}
	// RouteStep reads or changes the route of a customer: some tens of milliseconds of calls, and
	// their pace. It has an end: nobody serves a customer whose route does not follow, and going
	// back makes the old one right.
	RouteStep = Here{work{queue: inFreeze, attempt: 5 * time.Second, total: RouteLimit, heartbeat: FreezeHeartbeat,
		retry: hurried(100*time.Millisecond, time.Second)}}
	// NameStep is a RouteStep of a customer that is found by a name: it waits until the name leads
	// there at all servers.
	NameStep = Here{work{queue: inFreeze, attempt: RouteLimit + NameSpreads, total: RouteLimit + NameSpreads, heartbeat: heartbeat,
		retry: hurried(time.Second, 5*time.Second)}}
	// Preparation makes names ready for a Move, which is a change that has to spread too.
	Preparation = Here{work{queue: inMain, attempt: NameSpreads, total: 2 * NameSpreads, heartbeat: 2 * heartbeat,
		retry: patient(30 * time.Second)}}
	// Record reads or writes the home record of a customer without a database. It has an end: who
	// asks begins anew with what the record says.
	Record = Here{work{queue: inFreeze, attempt: 10 * time.Second, total: time.Minute, heartbeat: 5 * time.Second,
		retry: hurried(100*time.Millisecond, time.Second)}}
	// Records reads or writes those of a batch. It is asked again soon anyway.
	Records = Here{work{queue: inSoak, attempt: 20 * time.Second, total: 30 * time.Second, retry: hurried(time.Second, 5*time.Second)}}
	// Machines asks the load balancer what serves a customer on a side.
	Machines = Here{work{queue: inFreeze, attempt: 10 * time.Second, total: 90 * time.Second,
		retry: hurried(200*time.Millisecond, 2*time.Second)}}
)

const (
	freezeAttempt   = 4 * time.Second  // one attempt at a step while a customer may be closed: a little longer than it waits for locks
	stepPatience    = 3 * time.Second  // in which a step asks again by itself, where it finds somebody in its way
	questionAttempt = 10 * time.Second // one attempt at a question next to the data
	takenWithin     = 20 * time.Second // a worker polls all the time: what lies longer has none
	heartbeat       = 5 * time.Second  // without a heartbeat of a probe's: its worker is lost

	// FreezeHeartbeat is the time after which the worker of a freeze is given up, or of another
	// step for which a closed customer may wait. Temporal's timers are late by up to a second
	// (history.timerProcessorMaxTimeShift), and it waits about as long for the worker that has the
	// Move in memory: another worker goes on within three seconds.
	FreezeHeartbeat = time.Second

	// NotePatience is how long a note may take. What follows does not depend on it, but for the end
	// of a customer's story, which is tried again.
	NotePatience = 10 * time.Second

	// RouteLimit is how long the route of a customer may stay behind its data. Nobody serves it
	// meanwhile: one that cannot be routed to AWS by then goes home, where its old route is right.
	RouteLimit = 30 * time.Second
	// NameSpreads is how much longer than other routes one by name may take: Route 53 has a change
	// at all its servers within a minute, as a rule.
	NameSpreads = 3 * time.Minute

	// RouteInMove is how much of RouteLimit is the Move's. The rest is the Customer's, which looks
	// at what anybody wants of it meanwhile.
	RouteInMove = 6 * time.Second
)

// Within limits all attempts together, and so each of them.
func (t There) Within(total time.Duration) There {
	if t.total = total; t.attempt == 0 || t.attempt > total {
		t.attempt = total
	}
	t.begin = min(t.begin, total)
	return t
}

// Within limits all attempts together, and so each of them.
func (h Here) Within(total time.Duration) Here {
	h.total, h.attempt = total, min(h.attempt, total)
	return h
}

// askWithin is how long a question may take that a worker answers within the workflow's own task.
const askWithin = time.Second

// Ask asks within the workflow's own task, on the worker that carries it: what takes milliseconds
// is not worth the rounds of an activity. Where that fails, or takes long, it is asked as any other
// work of its kind. The UI shows the summary.
func (h Here) Ask(ctx workflow.Context, summary string, activity, req, out any) error {
	here := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: askWithin, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}, Summary: summary,
	})
	if err := workflow.ExecuteLocalActivity(here, activity, req).Get(here, out); err == nil {
		return nil
	}
	there := h.In(ctx, summary)
	return workflow.ExecuteActivity(there, activity, req).Get(there, out)
}

// Lasting is work that takes so long by itself.
func (h Here) Lasting(length time.Duration) Here {
	h.attempt += length
	return h
}

// Lasting is work that takes so long by itself.
func (t There) Lasting(length time.Duration) There {
	t.attempt += length
	return t
}

// In is the context in which an activity does this kind of work. The UI shows the summary.
func (h Here) In(ctx workflow.Context, summary string) workflow.Context {
	return h.options(ctx, "", summary)
}

// At is the context in which an activity does this kind of work at a site. The UI shows the
// summary.
func (t There) At(ctx workflow.Context, site, summary string) workflow.Context {
	return t.options(ctx, site, summary)
}

func (w work) options(ctx workflow.Context, site, summary string) workflow.Context {
	queue := w.queue(site)
	if own := workflow.GetInfo(ctx).TaskQueueName; migration.IsOwnQueue(own) {
		queue = own
	}
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: queue, StartToCloseTimeout: w.attempt, ScheduleToCloseTimeout: w.total, ScheduleToStartTimeout: w.begin,
		HeartbeatTimeout: w.heartbeat, WaitForCancellation: w.finishes, Summary: summary,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: w.retry.first, BackoffCoefficient: w.retry.grows, MaximumInterval: w.retry.most,
			MaximumAttempts: w.retry.attempts},
	})
}

func inMain(string) string { return migration.QueueMain }

func inFreeze(string) string { return migration.QueueFreeze }

func inWatch(string) string { return migration.QueueWatch }

func inSoak(string) string { return migration.QueueSoak }

// patient retries for ever: what it does must happen, and can be repeated.
func patient(most time.Duration) retry {
	return retry{first: 200 * time.Millisecond, most: most, grows: 2}
}

// closed retries for ever while a customer may be closed on both sides: nothing waits longer than
// it must.
var closed = hurried(100*time.Millisecond, 400*time.Millisecond)

// hurried retries for ever too, where a customer waits.
func hurried(first, most time.Duration) retry { return retry{first: first, most: most, grows: 1.5} }
