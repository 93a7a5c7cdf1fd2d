package workflows_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"

	"github.com/drover-migration/drover/workflows/batch"
	"github.com/drover-migration/drover/workflows/customer"
	"github.com/drover-migration/drover/workflows/migration"
	"github.com/drover-migration/drover/workflows/replication"
)

// What a workflow carries over continue-as-new comes back as it was: with everything in it, and
// with empty maps, into which it writes.
func TestAStateComesBackAsItWasCarriedOver(t *testing.T) {
	for name, in := range map[string]any{"migration": migration.Input{}, "batch": batch.Input{}, "customer": customer.Input{},
		"replication": replication.Input{}} {
		for what, set := range map[string]func(reflect.Value){"filled": fill, "with empty maps": emptyMaps} {
			t.Run(name+" "+what, func(t *testing.T) {
				from := reflect.New(reflect.TypeOf(in)).Elem()
				state := from.FieldByName("State")
				state.Set(reflect.New(state.Type().Elem()))
				set(state.Elem())
				payload, err := converter.GetDefaultDataConverter().ToPayload(from.Interface())
				require.NoError(t, err)
				to := reflect.New(from.Type())
				require.NoError(t, converter.GetDefaultDataConverter().FromPayload(payload, to.Interface()))
				require.Equal(t, state.Interface(), to.Elem().FieldByName("State").Interface())
			})
		}
	}
}

// emptyMaps makes the maps of a state, as it is when nothing has happened yet.
func emptyMaps(v reflect.Value) {
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Map {
			f.Set(reflect.MakeMap(f.Type()))
		}
	}
}

// fill sets every exported field below v, and gives each map and each list two elements.
func fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Date(2026, 12, 2, 20, 0, 0, 123456789, time.UTC)))
		return
	}
	const n = 2
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("json") != "-" {
				fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for i := range n {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			if key.CanInt() {
				key.SetInt(int64(i))
			} else {
				key.SetString(string(rune('a' + i)))
			}
			fill(value)
			v.SetMapIndex(key, value)
		}
	case reflect.Slice:
		for range n {
			e := reflect.New(v.Type().Elem()).Elem()
			fill(e)
			v.Set(reflect.Append(v, e))
		}
	default:
		scalar(v)
	}
}

func scalar(v reflect.Value) {
	switch {
	case v.CanInt():
		v.SetInt(7)
	case v.CanUint():
		v.SetUint(7)
	case v.CanFloat():
		v.SetFloat(0.5)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.String:
		v.SetString("something")
	default:
		panic("a state has a " + v.Type().String() + ", which this test does not fill")
	}
}
