package plans

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestTheReferenceDocumentsThePlanAsItIs(t *testing.T) {
	golden(t, "../docs/plan-reference.md", reference())
}

const referenceIntro = `# Plan reference

<!-- Written by: go test ./plans -run TestTheReference -update. Do not edit. -->

A plan is one YAML file. This page lists every key of it, node by node, in the order in which one writes them; have
` + "`drover plan init`" + ` write the first one ([start](start.md)), or start from [minimal.yaml](../plans/examples/minimal.yaml), and look into [platform.yaml](../plans/examples/platform.yaml) for most of the rest. Check a plan with
` + "`drover plan validate FILE`" + `: it reports every mistake at once. For completion in an editor put this into the first line of the plan:

` + "```yaml\n# yaml-language-server: $schema=plan.schema.json\n```" + `

and write the schema beside it with ` + "`drover plan schema > plan.schema.json`" + `.

How to read the tables:

- **Required**: the plan is invalid without the key. An optional mapping without a default of its own has the defaults of its keys.
- **NAME** in a path stands for a name that you choose, **[]** for each item of a list.
- Names become workflow ids, tags, paths and SQL: lower-case letters, digits and hyphens, at most 63.
- Durations carry their unit: 500ms, 90s, 10m, 72h. Sizes too: 50GiB.
- Secrets are never written, only referred to: ` + "`env://NAME`" + ` and ` + "`file:///PATH`" + ` are read by the worker that needs them, ` +
	"`awssm://NAME`" + ` (Secrets Manager) and ` + "`ssm://NAME`" + ` (Parameter Store) in the account and region of the target
  that the key belongs to, and elsewhere (sites) with that worker's own AWS credentials and region.
- Keys marked reserved belong to the design and are refused by this version.
- Anchors, aliases and ` + "`<<`" + ` work; tags, several documents, keys given twice and files over 16 MiB are refused.

`

const csvReference = `### The customers file

CSV with a header, UTF-8, relative to the plan and inside its directory: ` + "`customers: {file: customers.csv}`" + `.

| Column | Required | Meaning |
|---|---|---|
| ` + "`id`" + ` | yes | As in customers[]. |
| ` + "`host`, `workloads`" + ` | yes | As match.host and uses.workloads; several are separated by semicolons. |
| ` + "`tenant`, `datasets`" + ` | no | As customers[].tenant and uses.datasets; several datasets are separated by semicolons. An empty cell is none. |
| ` + "`name`, `zone`, `contact`" + ` | no | As in customers[]. |
| ` + "`blackouts`" + ` | no | As in customers[]; several are separated by semicolons. |
| ` + "`label.KEY`" + ` | no | The label KEY; an empty cell is no label. |

`

// reference writes a section for each mapping that a plan can contain.
func reference() []byte {
	r := referenceWriter{done: map[reflect.Type]string{}}
	r.b.WriteString(referenceIntro)
	r.section("The plan", typeOf[Plan]())
	return []byte(strings.TrimRight(r.b.String(), "\n") + "\n")
}

type referenceWriter struct {
	b    strings.Builder
	done map[reflect.Type]string
}

func (r *referenceWriter) section(path string, t reflect.Type) {
	if r.done[t] != "" || len(fieldsOf(t)) == 0 {
		return
	}
	r.done[t] = path
	fmt.Fprintf(&r.b, "## %s\n\n| Key | Type | Required | Default | Meaning | Allowed |\n|---|---|---|---|---|---|\n", path)
	for _, f := range fieldsOf(t) {
		if f.reserved() {
			fmt.Fprintf(&r.b, "| `%s` | | | | Reserved: not supported by this version. %s | |\n", f.name, cell(f.meaning))
			continue
		}
		required := "no"
		if f.required {
			required = "yes"
		}
		byDef := ""
		if f.byDef != "" {
			byDef = "`" + f.byDef + "`"
		}
		fmt.Fprintf(&r.b, "| `%s` | %s | %s | %s | %s | %s |\n", f.name, kindName(f.kind), required, byDef, cell(f.meaning),
			cell(allowed(f)))
	}
	r.b.WriteString("\n")
	if path == "The plan" {
		path = ""
	}
	for _, f := range fieldsOf(t) {
		r.below(strings.TrimPrefix(path+"."+f.name, "."), f.kind)
	}
}

func (r *referenceWriter) below(path string, t reflect.Type) {
	switch {
	case t == typeOf[Customers]():
		r.section(path+"[]", typeOf[Customer]())
		r.b.WriteString(csvReference)
	case t == typeOf[Members]():
		r.section(path+", where it is a selection", typeOf[Selection]())
	case t.Kind() == reflect.Pointer:
		r.below(path, t.Elem())
	case t.Kind() == reflect.Slice:
		r.below(path+"[]", t.Elem())
	case t.Kind() == reflect.Map:
		r.below(path+".NAME", t.Elem())
	case t.Kind() == reflect.Struct && !isScalar(t):
		r.section(path, t)
	}
}

func isScalar(t reflect.Type) bool { _, ok := scalars[t]; return ok }

func kindName(t reflect.Type) string {
	if isScalar(t) {
		return "text"
	}
	switch t {
	case typeOf[Customers]():
		return "list, or mapping with file"
	case typeOf[Members]():
		return "list of ids, or selection"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindName(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return "list of mappings"
		}
		if t.Elem().Kind() == reflect.Int {
			return "list of integers"
		}
		return "list of texts"
	case reflect.Map:
		if isScalar(t.Elem()) {
			return "mapping of texts"
		}
		return "mapping by name"
	case reflect.Struct:
		return "mapping"
	case reflect.Bool:
		return "true or false"
	}
	return "integer"
}

// allowed says what a value can be, where the type alone does not.
func allowed(f field) string {
	t := f.kind
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	var out []string
	if f.minItems > 0 && f.maxItems > 0 {
		out = append(out, fmt.Sprintf("%d to %d of", f.minItems, f.maxItems))
	} else if f.minItems > 0 {
		out = append(out, fmt.Sprintf("at least %d", f.minItems))
	}
	item := f
	item.kind = t
	if isScalar(t) || t.Kind() == reflect.Int || t.Kind() == reflect.Int64 {
		out = append(out, item.wants())
	}
	if t.Kind() == reflect.Map && isScalar(t.Elem()) {
		out = append(out, "keys: "+scalars[t.Key()].want+"; values: "+scalars[t.Elem()].want)
	}
	return strings.Join(out, " ")
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
