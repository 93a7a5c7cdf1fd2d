package report

import (
	"fmt"
	"math"
	"time"

	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/web/board"
)

// The charts are 720 units wide. Times stand on a logarithmic axis: a freeze of 20 ms and one of
// 4 s belong on one picture.
const (
	wide     = 720.0
	leftEdge = 150.0 // room for names
	high     = 160.0 // of the histogram's bars
	mostName = 20    // letters of a name
)

// tick is a place on an axis.
type tick struct {
	X     float64
	Label string
}

// mark is a line across a chart.
type mark struct {
	X, Y  float64 // Y is of its label
	Label string
	Kind  string // class of its style
}

// barOf is a bar of the histogram.
type barOf struct {
	X, Y, W, H    float64
	Middle, Above float64 // where its number stands
	N             int
	Label         string // "20 ms to 50 ms: Moves 3"
}

// chart is a histogram of freezes; without Moves it has no bars.
type chart struct {
	Bars  []barOf
	Ticks []tick
	Marks []mark
	Alt   string // the same in a sentence
}

// axis is a logarithmic scale from one step to another, both of steps.
type axis struct {
	from, to int
	left     float64
}

// steps are the bounds of the bars: 1, 2 and 5 of each power of ten, from 1 ms to 1000 s.
var steps = func() (out []time.Duration) {
	for power := time.Millisecond; power < 1000*time.Second; power *= 10 {
		out = append(out, power, 2*power, 5*power)
	}
	return append(out, 1000*time.Second)
}()

// axisFor spans all of some times, with a step of room at both ends.
func axisFor(left float64, times ...time.Duration) axis {
	least, most := times[0], times[0]
	for _, t := range times {
		least, most = min(least, t), max(most, t)
	}
	a := axis{from: 0, to: len(steps) - 1, left: left}
	for a.from < len(steps)-2 && steps[a.from+1] <= least {
		a.from++
	}
	for a.to > a.from+1 && steps[a.to-1] >= most {
		a.to--
	}
	return a
}

// x is where a time stands.
func (a axis) x(t time.Duration) float64 {
	lo, hi := math.Log(float64(steps[a.from])), math.Log(float64(steps[a.to]))
	at := math.Log(float64(max(t, steps[a.from])))
	return round(a.left + (wide-a.left-20)*min(1, (at-lo)/(hi-lo)))
}

func (a axis) ticks() (out []tick) {
	for _, s := range steps[a.from : a.to+1] {
		out = append(out, tick{X: a.x(s), Label: printer.Duration(s)})
	}
	return out
}

// round keeps the page small: tenths of a unit are not seen.
func round(x float64) float64 { return math.Round(x*10) / 10 }

// histogram counts freezes between the steps.
func histogram(m board.Measures, budget time.Duration) (c chart) {
	if len(m.Freezes) == 0 {
		return c
	}
	a := axisFor(20, m.Freezes[0], m.Freeze, max(budget, m.Freezes[0]))
	counts, most := make([]int, a.to-a.from), 0
	for _, f := range m.Freezes {
		i := 0
		for i < len(counts)-1 && f >= steps[a.from+i+1] {
			i++
		}
		counts[i]++
		most = max(most, counts[i])
	}
	for i, n := range counts {
		if n == 0 {
			continue
		}
		from, to := steps[a.from+i], steps[a.from+i+1]
		h := round(max(2, high*float64(n)/float64(most)))
		c.Bars = append(c.Bars, barOf{X: round(a.x(from) + 1), W: round(a.x(to) - a.x(from) - 2), Y: 44 + high - h,
			H: h, N: n, Middle: round((a.x(from) + a.x(to)) / 2), Above: 40 + high - h,
			Label: fmt.Sprintf("%s to %s: Moves %d", printer.Duration(from), printer.Duration(to), n)})
	}
	c.Ticks = a.ticks()
	c.Marks = []mark{{a.x(m.P50), 10, "p50", "p50"}, {a.x(m.P99), 22, "p99", "p99"}}
	if budget > 0 {
		c.Marks = append(c.Marks, mark{a.x(budget), 10, "budget", "budget"})
	}
	c.Alt = fmt.Sprintf("Freezes of %d Moves: half are not longer than %s, 99 in 100 not longer than %s, the longest is %s.",
		len(m.Freezes), printer.Duration(m.P50), printer.Duration(m.P99), printer.Duration(m.Freeze))
	return c
}

// row is a batch on the chart of batches: a line from its p50 to its longest freeze.
type row struct {
	Name, Short      string  // Short fits beside the chart
	Y                float64 // of its name
	Top, From, To    float64 // of its bar, and of the stroke at its p99
	P50, P99, Length float64
	Label            string
}

// rangeChart shows the freezes of each batch.
type rangeChart struct {
	Rows   []row
	Ticks  []tick
	Budget *mark // nil: not known
	Height float64
	Bottom float64 // of the lines of its axis
	Axis   float64 // y of the axis' labels
}

// ranges draws those batches that have moved somebody.
func ranges(batches []batchView, budget time.Duration) (c rangeChart) {
	var times []time.Duration
	for _, b := range batches {
		if b.Score.Moves > 0 {
			times = append(times, b.Score.P50, b.Score.Freeze)
		}
	}
	if len(times) == 0 {
		return c
	}
	if budget > 0 {
		times = append(times, budget)
	}
	a := axisFor(leftEdge, times...)
	y := 18.0
	for _, b := range batches {
		s := b.Score
		if s.Moves == 0 {
			continue
		}
		name := []rune(b.Name)
		if len(name) > mostName {
			name = append(name[:mostName-1], '…')
		}
		r := row{Name: b.Name, Short: string(name), Y: y, Top: y - 9, From: y - 12, To: y + 4, P50: a.x(s.P50), P99: a.x(s.P99)}
		r.Label = fmt.Sprintf("%s: p50 %s, p99 %s, longest %s", b.Name, printer.Duration(s.P50),
			printer.Duration(s.P99), printer.Duration(s.Freeze))
		r.Length = round(max(1, a.x(s.Freeze)-r.P50))
		c.Rows = append(c.Rows, r)
		y += 22
	}
	c.Ticks, c.Bottom, c.Axis, c.Height = a.ticks(), y-8, y+8, y+16
	if budget > 0 {
		c.Budget = &mark{a.x(budget), 0, "budget", "budget"}
	}
	return c
}
