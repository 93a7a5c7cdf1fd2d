package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/drover-migration/drover/lab/door"
	"github.com/drover-migration/drover/lab/pg"
	"github.com/drover-migration/drover/migration"
)

const (
	outage = 10 * time.Second // of AWS, S3 and Temporal's server
	cut    = 20 * time.Second // of a link
)

// system is what befalls what a Move stands on, while it is at a point.
type system struct {
	name   string
	shares time.Duration // for how long customers outside go without what it takes away
	// befall strikes, and answers what heals. It returns at once.
	befall func(*play) (heal func() error)
	lasts  time.Duration // 0: until the customer rests
}

// steps are the statements of a freeze at which systems fail.
var steps = []string{"fence", "seal", "open"}

// atStatements makes cells of systems that fail right after the steps of a freeze.
func atStatements(freezes []point, of []system) (out []cell) {
	for _, x := range freezes {
		for _, step := range steps {
			if !strings.HasPrefix(x.Name, step+"@") || strings.Contains(x.Name, "-") {
				continue
			}
			for _, s := range of {
				out = append(out, s.cell(x, fmt.Sprintf("system/%s/%s/%s", x.To, step, s.name)))
			}
		}
	}
	return out
}

// atActivities makes cells of systems that fail right before an activity of a Move.
func atActivities(moves []point, of []system, names ...string) (out []cell) {
	for _, x := range moves {
		for _, name := range names {
			if x.Kind != "move" || name != "*" && x.Activity != name {
				continue
			}
			for _, s := range of {
				out = append(out, s.cell(x, fmt.Sprintf("system/%s/%s/%s", x.To, x.Name, s.name)))
			}
		}
	}
	return out
}

func (s system) cell(at point, name string) cell {
	return cell{name: name, from: at.To.Other(), alone: true, shares: s.shares, play: func(p *play) error {
		var heal func() error
		f := fault{name: s.name, before: at.Statement == nil,
			strike: func(p *play, _ *hand, _ point) bool { heal = s.befall(p); return true },
			mend: func(p *play, _ *hand, _ point) error {
				if s.lasts > 0 {
					p.pause(s.lasts)
				} else {
					p.await(p.ctx, p.customer.ID, settleLimit, resting)
				}
				return heal()
			}}
		return p.strike(at, f)
	}}
}

// databases fail by a crash, or because their disk is full.
func databases() (out []system) {
	for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
		out = append(out,
			system{name: "database on " + string(side) + " killed", shares: outage, lasts: time.Millisecond,
				befall: func(p *play) func() error {
					err := p.Server(side).Stop(pg.Immediate)
					return func() error { return errors.Join(err, p.Server(side).Restart(p.ctx)) }
				}},
			system{name: "disk of the database on " + string(side) + " full", shares: 2 * outage, lasts: outage / 2,
				befall: func(p *play) func() error {
					err := p.Server(side).Fill(p.ctx)
					return func() error {
						server := p.Server(side)
						return errors.Join(err, server.Empty(p.ctx), server.Stop(pg.Immediate), server.Restart(p.ctx))
					}
				}})
	}
	return out
}

// links fail between the sides: to a database, for workers and for the replication of the other.
func links() (out []system) {
	for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
		out = append(out,
			system{name: "packets to " + string(side) + " held", lasts: cut, befall: func(p *play) func() error {
				return free(p.Doors.Gate(side).Hold())
			}},
			system{name: "link to " + string(side) + " cut for 20 s", lasts: cut, befall: func(p *play) func() error {
				return free(p.Doors.Gate(side).Cut())
			}},
			system{name: "link to " + string(side) + " cut for good", lasts: 2 * cut, befall: func(p *play) func() error {
				return free(p.Doors.Gate(side).Cut())
			}})
	}
	return out
}

func free(f func()) func() error {
	return func() error { f(); return nil }
}

// orchestrator is Temporal's server.
func orchestrator() []system {
	return []system{{name: "Temporal killed", lasts: time.Millisecond, befall: func(p *play) func() error {
		p.KillTemporal()
		return func() error { return p.RestartTemporal(p.ctx) }
	}}}
}

// throttled is how AWS's query protocol says it.
const throttled = `<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>`

// cloud is AWS's API, and store is S3.
func cloud() []system {
	return services("AWS", func(p *play) *door.Door { return p.Doors.AWS }, map[string]door.Verdict{
		"throttles": {Status: http.StatusBadRequest, Body: throttled}, "answers 500": {Status: http.StatusInternalServerError},
		"hangs": {Hang: true}, "loses its answers": {Lose: true},
	})
}

func store() []system {
	return append(services("S3", func(p *play) *door.Door { return p.Doors.S3 }, map[string]door.Verdict{
		"answers 500": {Status: http.StatusInternalServerError}, "is gone": {Cut: true}, "loses its answers": {Lose: true},
	}), system{name: "S3 is slow", lasts: outage, befall: func(p *play) func() error {
		p.Doors.S3.Set(func(ctx context.Context, _ door.Request) door.Verdict {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			return door.Verdict{}
		})
		return free(func() { p.Doors.S3.Set(nil) })
	}})
}

func services(name string, of func(*play) *door.Door, how map[string]door.Verdict) (out []system) {
	for _, word := range sorted(how) {
		v := how[word]
		out = append(out, system{name: name + " " + word, lasts: outage, befall: func(p *play) func() error {
			of(p).Set(func(context.Context, door.Request) door.Verdict { return v })
			return free(func() { of(p).Set(nil) })
		}})
	}
	return out
}
