package printer

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a duration for people, in the units that plans are written in: its two largest, as in
// "3d4h" or "2m10s", the smaller only if it is not zero. Less than a second is in milliseconds
// ("350ms"); less than ten of either has tenths ("1.4s", "7.5ms"). What is negative is "0s".
func Duration(d time.Duration) string {
	tenths := func(unit time.Duration) string {
		return strings.TrimSuffix(strconv.FormatFloat(float64(d)/float64(unit), 'f', 1, 64), ".0")
	}
	switch {
	case d < 50*time.Microsecond:
		return "0s"
	case d < 10*time.Millisecond:
		return tenths(time.Millisecond) + "ms"
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return tenths(time.Second) + "s"
	}
	const day = 24 * time.Hour
	of := func(large time.Duration, name string, small time.Duration, smallName string) string {
		out := fmt.Sprintf("%d%s", d/large, name)
		if rest := d % large / small; rest > 0 {
			out += fmt.Sprintf("%d%s", rest, smallName)
		}
		return out
	}
	switch {
	case d < time.Hour:
		return strings.TrimPrefix(of(time.Minute, "m", time.Second, "s"), "0m")
	case d < day:
		return of(time.Hour, "h", time.Minute, "m")
	default:
		return of(day, "d", time.Hour, "h")
	}
}

// Seconds is a number of seconds, as health is measured in, written as Duration does.
func Seconds(s float64) string { return Duration(time.Duration(s * float64(time.Second))) }
