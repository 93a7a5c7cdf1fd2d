package preflight

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drover-migration/drover/migration"
	"github.com/drover-migration/drover/replication/postgres"
)

// targetSchema holds what is on AWS against what is to come: a schema that stands there already was
// brought by somebody else.
func targetSchema(ctx context.Context, s *survey) error {
	here, there := s.tables[migration.OnPrem], s.tables[migration.AWS]
	missing := postgres.Missing(here, there)
	switch {
	case len(missing) > 0 && len(there) == 0:
		return nil // Prepare copies the schema
	case len(missing) > 0:
		s.block(s.database(s.AWS), fmt.Sprintf("it has tables, but not %v", missing), "empty it, or bring its schema up to date")
	}
	if extra := postgres.Missing(postgres.Of(there, postgres.Tenants), here); len(extra) > 0 {
		s.block(s.database(s.AWS), fmt.Sprintf("premises do not have its tables %v, which would replicate from there", extra),
			"drop them, or exclude them in the plan")
	}
	for _, t := range here {
		at := slices.IndexFunc(there, func(x postgres.Table) bool { return x.String() == t.String() })
		if at < 0 || t.Class != postgres.Tenants && t.Class != postgres.Reference {
			continue
		}
		if err := compare(ctx, s, t, there[at]); err != nil {
			return fmt.Errorf("compare table %s of both sides: %w", t, err)
		}
	}
	return nil
}

// compare looks for what one side's table takes and the other's does not. Foreign keys are not
// among it: they are not checked where changes are applied.
func compare(ctx context.Context, s *survey, here, there postgres.Table) error {
	a, err := readShape(ctx, s.OnPrem.Pool, here)
	if err != nil {
		return fmt.Errorf("on premises: %w", err)
	}
	b, err := readShape(ctx, s.AWS.Pool, there)
	if err != nil {
		return fmt.Errorf("on AWS: %w", err)
	}
	var stops, perhaps []string
	for _, name := range either(a.columns, b.columns) {
		x, y := a.columns[name], b.columns[name]
		switch {
		case x == "":
			stops = append(stops, fmt.Sprintf("column %s is only on AWS", name))
		case y == "":
			stops = append(stops, fmt.Sprintf("column %s is only on premises", name))
		case x != y:
			stops = append(stops, fmt.Sprintf("column %s is %s on premises and %s on AWS", name, x, y))
		}
	}
	// Versions print one expression in different ways.
	sameMajor := s.versions[migration.OnPrem]/10000 == s.versions[migration.AWS]/10000
	for _, rule := range either(a.rules, b.rules) {
		printedHere, isHere := a.rules[rule]
		printedThere, isThere := b.rules[rule]
		if isHere && isThere {
			continue
		}
		only := rule + " is only on premises"
		if isThere {
			only = rule + " is only on AWS"
		}
		if sameMajor || !printedHere && !printedThere {
			stops = append(stops, only)
		} else {
			perhaps = append(perhaps, only)
		}
	}
	divided, err := comparePartitions(ctx, s, here, there)
	if err != nil {
		return err
	}
	stops = append(stops, divided...)
	const remedy = "bring the schema on AWS up to date with the one on premises, or empty that database: Prepare copies the schema then"
	if len(stops) > 0 {
		s.block("table "+here.String()+" on AWS", "replication stops at the first row that one side has and the other cannot take: "+
			strings.Join(stops, "; "), remedy)
	}
	if len(perhaps) > 0 {
		s.warn("table "+here.String()+" on AWS", "these may be the same, printed by two versions; if not, replication stops at the "+
			"first row that one side has and the other cannot take: "+strings.Join(perhaps, "; "), remedy)
	}
	return nil
}

// comparePartitions looks for rows that one side's partitions take and the other's do not.
func comparePartitions(ctx context.Context, s *survey, here, there postgres.Table) (stops []string, err error) {
	a, err := readPartitions(ctx, s.OnPrem.Pool, here)
	if err != nil {
		return nil, fmt.Errorf("on premises: %w", err)
	}
	b, err := readPartitions(ctx, s.AWS.Pool, there)
	if err != nil {
		return nil, fmt.Errorf("on AWS: %w", err)
	}
	for _, p := range untaken(a, b) {
		stops = append(stops, "a partition "+p+" is not on AWS")
	}
	for _, p := range untaken(b, a) {
		stops = append(stops, "a partition "+p+" is not on premises")
	}
	return stops, nil
}

// either are the names that one map has or the other.
func either[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}
