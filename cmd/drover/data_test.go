package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/client"
	"github.com/drover-migration/drover/internal/goldenfile"
	"github.com/drover-migration/drover/internal/printer"
	"github.com/drover-migration/drover/migration"
)

// TestProgramsReadOneStyleOfTimes holds what -o json writes: a time is RFC 3339 in UTC or absent, a
// duration a number of milliseconds.
func TestProgramsReadOneStyleOfTimes(t *testing.T) {
	s := shop()
	s.Batches[2].Window = &migration.Window{Opens: now, For: migration.Duration(4 * time.Hour), Zone: "Europe/Kyiv"}
	var out bytes.Buffer
	require.NoError(t, printer.Print(&out, printer.AsJSON, inUTC(dataOfMigration(s, client.Running)), nil))
	goldenfile.Equal(t, filepath.Join("testdata", "golden", "plan.json"), out.String())
}

// filled sets everything in v that can be set: times in another zone than UTC, or none at all.
func filled(v reflect.Value, at time.Time) {
	switch v.Kind() {
	case reflect.Struct:
		if _, ok := v.Interface().(time.Time); ok {
			v.Set(reflect.ValueOf(at))
			return
		}
		for i := range v.NumField() {
			filled(v.Field(i), at)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(v.Elem(), at)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		filled(v.Index(0), at)
	case reflect.String:
		v.SetString("text")
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(90 * time.Second))
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Bool:
		v.SetBool(true)
	}
}

// of is a value in which everything is set.
func of[T any](at time.Time) (v T) {
	filled(reflect.ValueOf(&v).Elem(), at)
	return v
}

// TestNoFieldHasAnotherStyle fills every field of every status, those that will be added too.
func TestNoFieldHasAnotherStyle(t *testing.T) {
	for name, at := range map[string]time.Time{
		"times in another zone": now.In(time.FixedZone("EET", 2*60*60)), "no times at all": {},
	} {
		t.Run(name, func(t *testing.T) {
			var s migration.MigrationStatus
			filled(reflect.ValueOf(&s).Elem(), at)
			if at.IsZero() { // a window that there is has its times
				s.Batches[0].Window, s.Batches[0].Customers[0].Slots = nil, nil
			}
			var spec migration.Spec
			filled(reflect.ValueOf(&spec).Elem(), now.In(time.FixedZone("EET", 2*60*60)))
			spec.Customers[0].ID, spec.Batches[0].Name = "text", "text"
			for _, v := range []any{dataOfMigration(s, client.Running), dataOfBatch(s.Batches[0], client.Running),
				dataOfCustomer(s.Batches[0].Customers[0], client.Running, &spec), []client.PlanSummary{{Plan: "shop", Started: now}},
				dataOfPreview(of[migration.PreviewReport](at)), of[migration.DoctorReport](at), of[migration.InventoryReport](at),
				of[migration.Difference](at), of[client.Submitted](at)} {
				var out bytes.Buffer
				require.NoError(t, printer.Print(&out, printer.AsJSON, inUTC(v), nil))
				var read any
				require.NoError(t, json.Unmarshal(out.Bytes(), &read))
				oneStyle(t, "", read)
			}
		})
	}
}

var (
	aTime     = regexp.MustCompile(`^\d{4}-\d\d-\d\dT`)
	inStyle   = regexp.MustCompile(`^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`)
	aDuration = regexp.MustCompile(`^([0-9.]+(h|m|s|ms|µs|ns))+$`)
)

func oneStyle(t *testing.T, at string, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for key, x := range v {
			oneStyle(t, at+"."+key, x)
		}
	case []any:
		for _, x := range v {
			oneStyle(t, at, x)
		}
	case string:
		require.NotRegexp(t, aDuration, v, at)
		if aTime.MatchString(v) {
			require.Regexp(t, inStyle, v, at)
		}
	}
}
