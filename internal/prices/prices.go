// Package prices says what a thing in AWS costs in 30 days, from a file of figures with their date
// and source. What the file does not have is unknown, never estimated.
package prices

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/drover-migration/drover/migration"
)

//go:embed prices.json
var builtIn []byte

// Unknown is what a thing costs for which the file has no price.
const Unknown = "unknown"

// hours of 30 days.
const hours = 30 * 24

// Prices are figures of one day, by region.
type Prices struct {
	Source   string            `json:"source"`
	Date     string            `json:"date"` // YYYY-MM-DD, on which Source said so
	Currency string            `json:"currency"`
	Regions  map[string]Region `json:"regions"`
}

// Region are the figures of a region. A figure that is nil is not known.
type Region struct {
	InstanceHour     map[string]float64 `json:"instanceHour"` // by instance type
	SnapshotGiBMonth *float64           `json:"snapshotGiBMonth"`
	ObjectGiBMonth   *float64           `json:"objectGiBMonth"`
	FargateCPUHour   *float64           `json:"fargateCPUHour"` // of a vCPU
	FargateGiBHour   *float64           `json:"fargateGiBHour"`
}

// Read reads a file of prices; "": the one that came with Drover.
func Read(path string) (*Prices, error) {
	body := builtIn
	if path != "" {
		var err error
		if body, err = os.ReadFile(path); err != nil { //nolint:gosec // the user names it
			return nil, fmt.Errorf("read the prices: %w", err)
		}
	}
	var p Prices
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, fmt.Errorf("read the prices of %s: %w", path, err)
	}
	if _, err := time.Parse(time.DateOnly, p.Date); err != nil || p.Source == "" || p.Currency == "" {
		return nil, fmt.Errorf("read the prices of %s: a file of prices says its source, its currency and its date as YYYY-MM-DD", path)
	}
	return &p, nil
}

// Of is what a thing in a region costs in 30 days: "12.34 USD", Unknown, or "" where AWS charges
// nothing for its kind by itself.
func (p *Prices) Of(t migration.Thing, region string) string {
	r := p.Regions[region]
	var month *float64
	switch t.Kind {
	case "instance":
		if hour, ok := r.InstanceHour[t.Type]; ok && t.State == "running" {
			cost := hour * hours
			month = &cost
		}
	case "snapshot":
		month = times(r.SnapshotGiBMonth, gib(t.Bytes))
	case "object":
		month = times(r.ObjectGiBMonth, gib(t.Bytes))
	case "service":
		var cpu, mib float64
		n, _ := fmt.Sscanf(t.Type, "fargate %f CPU units %f MiB", &cpu, &mib)
		if n == 2 && r.FargateCPUHour != nil && r.FargateGiBHour != nil {
			cost := (*r.FargateCPUHour*cpu/1024 + *r.FargateGiBHour*mib/1024) * hours * float64(t.Count)
			month = &cost
		}
	default:
		return ""
	}
	if month == nil {
		return Unknown
	}
	return fmt.Sprintf("%.2f %s", *month, p.Currency)
}

// Said says whose figures these are.
func (p *Prices) Said() string { return "prices of " + p.Date + ", from " + p.Source }

func gib(bytes int64) float64 { return float64(bytes) / (1 << 30) }

func times(figure *float64, n float64) *float64 {
	if figure == nil {
		return nil
	}
	cost := *figure * n
	return &cost
}
