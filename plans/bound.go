package plans

import (
	"strconv"
	"time"

	"github.com/drover-migration/drover/migration"
)

// RateBound bounds a share: value <= Times*baseline + Plus, Plus a fraction.
type RateBound migration.Bound

// TimeBound bounds a time: value <= Times*baseline + Plus, Plus in seconds.
type TimeBound migration.Bound

// NumberBound bounds any number: value <= Times*baseline + Plus.
type NumberBound migration.Bound

const number = `([0-9]{1,4}(?:\.[0-9]{1,4})?)`

var (
	rateBound   = re(`^<= *(?:` + number + `x(?: *\+ *` + number + `%)?|` + number + `%)$`)
	timeBound   = re(`^<= *(?:` + number + `x(?: *\+ *` + number + `(ms|s))?|` + number + `(ms|s))$`)
	numberBound = re(`^<= *(?:` + number + `x(?: *\+ *` + number + `)?|` + number + `)$`)
)

func parseRateBound(s string) (any, error) {
	m := rateBound.FindStringSubmatch(s)
	if m == nil {
		return nil, errForm
	}
	b := RateBound{Times: float(m[1]), Plus: float(m[2]+m[3]) / 100}
	if b.Plus > 1 {
		return nil, errForm
	}
	return b, nil
}

func parseTimeBound(s string) (any, error) {
	m := timeBound.FindStringSubmatch(s)
	if m == nil {
		return nil, errForm
	}
	b := TimeBound{Times: float(m[1])}
	if plus := m[2] + m[4]; plus != "" {
		d, err := time.ParseDuration(plus + m[3] + m[5])
		if err != nil {
			return nil, err
		}
		b.Plus = d.Seconds()
	}
	return b, nil
}

func parseNumberBound(s string) (any, error) {
	m := numberBound.FindStringSubmatch(s)
	if m == nil {
		return nil, errForm
	}
	return NumberBound{Times: float(m[1]), Plus: float(m[2] + m[3])}, nil
}

// float reads what the patterns above have let through; nothing is 0.
func float(s string) float64 {
	v, _ := strconv.ParseFloat(s, 64)
	return v
}
