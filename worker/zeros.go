package worker

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/drover-migration/drover/migration"
)

// closed are the labels of metrics of which all values are known beforehand.
var closed = func() map[string][]map[string]string {
	var to, moves, verdicts []map[string]string
	for _, side := range []migration.Side{migration.OnPrem, migration.AWS} {
		to = append(to, map[string]string{"to": string(side)})
		for _, o := range migration.MoveOutcomes {
			moves = append(moves, map[string]string{"to": string(side), "outcome": string(o)})
		}
	}
	for _, during := range []string{migration.DuringBake, migration.DuringSoak} {
		for _, o := range []migration.Outcome{migration.Pass, migration.Fail, migration.Inconclusive} {
			verdicts = append(verdicts, map[string]string{"during": during, "outcome": string(o)})
		}
	}
	return map[string][]map[string]string{migration.MetricFreeze: to, migration.MetricFreezePredicted: to, migration.MetricStall: to,
		migration.MetricMoves: moves, migration.MetricVerdicts: verdicts}
}()

// zeros serves what has not happened yet as 0, where it is known what can happen. Prometheus sees
// no increase from nothing to 1: without them the first customer that goes home would alarm nobody.
type zeros struct{ prometheus.Gatherer }

// Gather implements prometheus.Gatherer.
func (z zeros) Gather() ([]*dto.MetricFamily, error) {
	families, err := z.Gatherer.Gather()
	for _, m := range migration.Metrics {
		sets, known := closed[m.Instrument]
		if !known {
			continue
		}
		name, help := m.Name(), m.Is
		i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == name })
		if i < 0 {
			kind := dto.MetricType_COUNTER
			if m.Kind == migration.Timer {
				kind = dto.MetricType_HISTOGRAM
			}
			families, i = append(families, &dto.MetricFamily{Name: &name, Help: &help, Type: &kind}), len(families)
		}
		f := families[i]
		for _, set := range sets {
			if !slices.ContainsFunc(f.GetMetric(), func(x *dto.Metric) bool { return labelled(x, set) }) {
				f.Metric = append(f.Metric, zero(m.Kind, set))
			}
		}
	}
	return families, err
}

// labelled says whether a metric has these labels and no others.
func labelled(m *dto.Metric, set map[string]string) bool {
	for _, l := range m.GetLabel() {
		if v, ok := set[l.GetName()]; !ok || v != l.GetValue() {
			return false
		}
	}
	return len(m.GetLabel()) == len(set)
}

func zero(kind migration.MetricKind, set map[string]string) *dto.Metric {
	m := &dto.Metric{}
	for name, value := range set {
		m.Label = append(m.Label, &dto.LabelPair{Name: &name, Value: &value})
	}
	slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	if kind == migration.Counter {
		m.Counter = &dto.Counter{Value: new(float64)}
		return m
	}
	m.Histogram = &dto.Histogram{SampleCount: new(uint64), SampleSum: new(float64)}
	for _, bound := range seconds {
		m.Histogram.Bucket = append(m.Histogram.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: new(uint64)})
	}
	return m
}
