package web_test

import (
	"fmt"
	"time"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/web/webtest"
)

// story puts a plan of five batches in the middle of its way: the first has moved, the second
// moves, the third waits for approval.
func story(w *webtest.World) {
	opened := webtest.Start.Add(2*time.Hour + 3*time.Second)
	w.SetBatch(0, func(b *migration.BatchStatus) {
		b.Phase, b.WaitingFor, b.Since, b.MayDo = migration.BatchDone, migration.WaitNothing, opened, []string{migration.UpdateRollback}
	})
	w.SetBatch(1, func(b *migration.BatchStatus) {
		b.Phase, b.WaitingFor, b.Since, b.MayDo = migration.BatchCuttingOver, migration.WaitNothing, opened,
			[]string{migration.UpdateRollback}
	})
	w.SetBatch(2, func(b *migration.BatchStatus) {
		b.Phase, b.WaitingFor, b.Since, b.MayDo = migration.BatchGate, migration.WaitApproval, opened, []string{migration.UpdateApprove}
	})
	for i, id := range w.IDs() {
		w.SetCustomer(id, func(c *migration.CustomerStatus) {
			switch c.Batch {
			case "wave-01":
				moved(c, opened.Add(time.Duration(i)*time.Second))
				switch i {
				case 3:
					held(c)
				case 5:
					back(c, opened)
				}
			case "wave-02":
				switch i % 4 {
				case 0:
					moved(c, opened.Add(time.Hour))
					c.Phase, c.Until = migration.CustomerBaking, opened.Add(70*time.Minute)
				case 1:
					c.Phase, c.WaitingFor, c.Since, c.Token, c.Tries = migration.CustomerMoving, migration.WaitNothing, opened, 1, 1
				}
			}
		})
	}
}

// moved is a customer that is on AWS and soaks.
func moved(c *migration.CustomerStatus, opened time.Time) {
	c.Phase, c.Home, c.WaitingFor, c.Since = migration.CustomerSoaking, migration.AWS, migration.WaitHealth, opened.Add(10*time.Minute)
	c.Until, c.Token, c.Tries = opened.Add(72*time.Hour), 1, 1
	c.MayDo = []string{migration.UpdateHold, migration.UpdateRollback}
	c.Moves = []migration.MoveResult{{Outcome: migration.MoveDone, Try: migration.Try{Token: 1}, From: migration.OnPrem, To: migration.AWS,
		Home: migration.AWS, Fenced: opened.Add(-1400 * time.Millisecond), Opened: opened, Routed: opened.Add(80 * time.Millisecond),
		Freeze:    migration.Duration(1400 * time.Millisecond),
		Predicted: migration.Duration(1200 * time.Millisecond), Rows: 18231, Objects: 412}}
	c.Verdict = &migration.Verdict{Outcome: migration.Pass, Reason: "every probe answers as before", At: opened.Add(10 * time.Minute),
		Samples: 176, P95: 0.0198, BaselineP95: 0.0211}
	c.Timeline = []migration.Event{
		{At: opened.Add(-2 * time.Second), What: "try 1 to aws"}, {At: opened, What: "homed on aws, frozen for 1.4s, predicted 1.2s"},
		{At: opened.Add(10 * time.Minute), What: "baked: healthy on AWS"},
	}
}

func held(c *migration.CustomerStatus) {
	c.Phase, c.WaitingFor = migration.CustomerHeld, migration.WaitOperator
	c.Reason = "verdict inconclusive: only 12 of 100 samples at the destination; cust-00004 shares its host"
	c.Verdict.Outcome, c.Verdict.Reason = migration.Inconclusive, "only 12 of 100 samples"
	c.MayDo = []string{migration.UpdateRetry, migration.UpdateRollback}
	c.Timeline = append(c.Timeline, migration.Event{At: c.Since, What: "held on aws", By: "the-operator", Why: c.Reason})
}

func back(c *migration.CustomerStatus, opened time.Time) {
	c.Phase, c.Home, c.WaitingFor, c.Token = migration.CustomerRolledBack, migration.OnPrem, migration.WaitOperator, 2
	c.Reason = "unhealthy on AWS: 3 answers in a row were 500"
	c.Moves = append(c.Moves, migration.MoveResult{Outcome: migration.MoveDone, Try: migration.Try{Token: 2}, From: migration.AWS,
		To: migration.OnPrem, Home: migration.OnPrem, Fenced: opened.Add(5 * time.Minute), Opened: opened.Add(5*time.Minute + time.Second),
		Freeze: migration.Duration(time.Second), Rows: 18240, Objects: 412, Reason: c.Reason})
	c.MayDo = []string{migration.UpdateRetry}
	c.Timeline = append(c.Timeline, migration.Event{At: opened.Add(5 * time.Minute), What: "unhealthy on AWS: moving back",
		Why: fmt.Sprint(c.Reason)})
}
