package plans

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// field is what the tags of a struct's field say.
type field struct {
	index    int
	name     string
	kind     reflect.Type
	required bool
	enum     []string
	byDef    string // the default as text; "": none
	min, max *int64 // of numbers
	minItems int
	maxItems int // 0: any
	bounds   *[2]time.Duration
	meaning  string
}

func (f field) reserved() bool { return f.kind == typeOf[Reserved]() }

var fieldCache sync.Map // reflect.Type -> []field

// fieldsOf lists the keys of a struct in the order in which they are declared.
func fieldsOf(t reflect.Type) []field {
	if c, ok := fieldCache.Load(t); ok {
		return c.([]field)
	}
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && name != "" {
			all = append(all, readTags(field{index: i, name: name, kind: f.Type}, f.Tag))
		}
	}
	c, _ := fieldCache.LoadOrStore(t, all)
	return c.([]field)
}

func readTags(f field, tag reflect.StructTag) field {
	f.meaning = tag.Get("jsonschema_description")
	for word := range strings.SplitSeq(tag.Get("jsonschema"), ",") {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "required":
			f.required = true
		case "enum":
			f.enum = append(f.enum, value)
		case "default":
			f.byDef = value
		case "minimum":
			f.min = integer(value)
		case "maximum":
			f.max = integer(value)
		case "minItems":
			f.minItems = int(*integer(value))
		case "maxItems":
			f.maxItems = int(*integer(value))
		}
	}
	if lo, hi, ok := strings.Cut(tag.Get("bounds"), ".."); ok {
		f.bounds = &[2]time.Duration{duration(lo), duration(hi)}
	}
	return f
}

// The tags are ours: a mistake in one is a mistake in this package, which every test meets.
func integer(s string) *int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic("plans: tag: " + err.Error())
	}
	return &n
}

func duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic("plans: tag: " + err.Error())
	}
	return d
}

func names(fields []field) []string {
	out := make([]string, 0, len(fields))
	for _, f := range fields {
		if !f.reserved() {
			out = append(out, f.name)
		}
	}
	slices.Sort(out)
	return out
}
