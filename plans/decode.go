package plans

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/drover-migration/drover/migration"
)

const reservedMessage = "reserved: not supported by this version"

// decode fills out from n. What it cannot read it reports and leaves zero.
func (s *source) decode(n ast.Node, out reflect.Value, at *node, f field) {
	if u, ok := out.Addr().Interface().(union); ok {
		u.decode(s, s.content(n), at)
		return
	}
	n = s.content(n)
	t := out.Type()
	if sc, ok := scalars[t]; ok {
		s.decodeScalar(n, out, at, f, sc)
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		out.Set(reflect.New(t.Elem()))
		s.decode(n, out.Elem(), at, f)
	case reflect.Struct:
		s.decodeStruct(n, out, at)
	case reflect.Map:
		s.decodeMap(n, out, at, f)
	case reflect.Slice:
		s.decodeList(n, out, at, f)
	case reflect.Bool:
		s.decodeBool(n, out, at)
	default:
		s.decodeInt(n, out, at, f)
	}
}

// union is a node that can be of two shapes.
type union interface {
	decode(s *source, n ast.Node, at *node)
}

func (c *Customers) decode(s *source, n ast.Node, at *node) {
	if _, ok := n.(*ast.SequenceNode); ok {
		s.decode(n, reflect.ValueOf(&c.List).Elem(), at, field{minItems: 1})
		return
	}
	if pairs(n) == nil {
		s.wrongType(n, at, "a list of customers, or {file: customers.csv}", false)
		return
	}
	var in struct {
		File RelativePath `json:"file" jsonschema:"required"`
	}
	s.decodeStruct(n, reflect.ValueOf(&in).Elem(), at)
	c.File = in.File
}

func (m *Members) decode(s *source, n ast.Node, at *node) {
	if _, ok := n.(*ast.SequenceNode); ok {
		s.decode(n, reflect.ValueOf(&m.IDs).Elem(), at, field{minItems: 1})
		return
	}
	if _, ok := n.(*ast.MappingNode); !ok && pairs(n) == nil {
		s.wrongType(n, at, "a list of customer ids, or {labels: {..}, count: N}", false)
		return
	}
	m.Select = &Selection{}
	s.decodeStruct(n, reflect.ValueOf(m.Select).Elem(), at)
}

func (s *source) decodeStruct(n ast.Node, out reflect.Value, at *node) {
	if _, ok := n.(*ast.MappingNode); !ok && pairs(n) == nil {
		s.wrongType(n, at, "a mapping", false)
		return
	}
	fields, seen := fieldsOf(out.Type()), s.readEntries(n, at)
	for _, e := range seen {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == e.name })
		if i < 0 {
			s.unknownKey(e, at, fields)
			continue
		}
		f := fields[i]
		if f.reserved() {
			s.report(at.at(e.name), Problem{Message: reservedMessage})
			continue
		}
		s.decode(e.value, out.Field(f.index), at.at(e.name), f)
	}
	for _, f := range fields {
		if slices.ContainsFunc(seen, func(e entry) bool { return e.name == f.name }) {
			continue
		}
		if f.required {
			s.report(at, Problem{Message: fmt.Sprintf("key %q is missing", f.name), Want: f.wants()})
			s.lost(at.at(f.name))
			continue
		}
		setDefault(out.Field(f.index), f)
	}
}

// readEntries are the entries of a mapping without the repeated ones, which it reports.
func (s *source) readEntries(n ast.Node, at *node) []entry {
	var once []entry
	first := map[string]entry{}
	for _, e := range s.entries(n) {
		if f, twice := first[e.name]; twice {
			line, _ := position(f.key, nil)
			s.atKey(e, at, Problem{Message: fmt.Sprintf("key %s is given twice", quoted(e.name)),
				Hint: fmt.Sprintf("the first is in line %d", line)})
			continue
		}
		first[e.name] = e
		once = append(once, e)
	}
	return once
}

func (s *source) unknownKey(e entry, at *node, fields []field) {
	allowed := names(fields)
	p := Problem{Message: "unknown key " + quoted(e.name), Want: "one of " + listed(allowed), Hint: didYouMean(e.name, allowed)}
	if len(allowed) == 0 {
		p.Want = "nothing: {}"
	}
	s.atKey(e, at, p)
}

func (s *source) atKey(e entry, at *node, p Problem) {
	p.Line, p.Column = position(e.key, nil)
	p.Path = at.at(e.name).String()
	s.add(p)
}

func (s *source) decodeMap(n ast.Node, out reflect.Value, at *node, f field) {
	if _, ok := n.(*ast.MappingNode); !ok && pairs(n) == nil {
		s.wrongType(n, at, "a mapping of names", false)
		return
	}
	t := out.Type()
	out.Set(reflect.MakeMap(t))
	sc := scalars[t.Key()]
	for _, e := range s.readEntries(n, at) {
		value := reflect.New(t.Elem()).Elem()
		s.decode(e.value, value, at.at(e.name), field{})
		key, err := sc.read(t.Key(), e.name)
		if err != nil {
			p := Problem{Message: strings.TrimSuffix("not a valid name: "+err.Error(), ": "), Found: quoted(e.name), Want: sc.want}
			s.atKey(e, at, p)
			s.lost(at.at(e.name))
			continue
		}
		if out.MapIndex(key).IsValid() {
			s.atKey(e, at, Problem{Message: "named twice, in two spellings", Found: quoted(e.name), Want: "one entry"})
			continue
		}
		out.SetMapIndex(key, value)
	}
	if out.Len() < f.minItems && !s.incomplete(at) {
		s.fail(at, Problem{Message: "empty", Want: fmt.Sprintf("at least %d", f.minItems)})
	}
}

func (s *source) decodeList(n ast.Node, out reflect.Value, at *node, f field) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		s.wrongType(n, at, "a list", false)
		return
	}
	out.Set(reflect.MakeSlice(out.Type(), len(list.Values), len(list.Values)))
	for i, v := range list.Values {
		s.decode(v, out.Index(i), at.item(i), field{})
	}
	s.checkCount(at, len(list.Values), f)
}

// checkCount holds the length of a list against what its key allows.
func (s *source) checkCount(at *node, n int, f field) {
	switch {
	case n < f.minItems:
		s.fail(at, Problem{Message: "empty list", Want: fmt.Sprintf("at least %d", f.minItems)})
	case f.maxItems > 0 && n > f.maxItems:
		s.report(at, Problem{Message: "too many", Found: strconv.Itoa(n), Want: fmt.Sprintf("at most %d", f.maxItems)})
	}
}

func (s *source) decodeScalar(n ast.Node, out reflect.Value, at *node, f field, sc scalar) {
	text, ok := stringOf(n)
	if !ok {
		s.wrongType(n, at, f.wantsScalar(sc), sc.parse == nil)
		return
	}
	s.readScalar(text, out, at, f, sc)
}

// readScalar is decodeScalar for a text, from wherever it comes.
func (s *source) readScalar(text string, out reflect.Value, at *node, f field, sc scalar) {
	found := quoted(text)
	if sc.secret {
		found = "something else (not shown)"
	}
	v, err := sc.read(out.Type(), text)
	if err != nil {
		message := "not valid"
		switch {
		case !errors.Is(err, errForm):
			message = err.Error()
		case sc.secret && checkNoSecret(text) != nil:
			message = "it holds a secret in clear"
		}
		s.fail(at, Problem{Message: message, Found: found, Want: f.wantsScalar(sc)})
		return
	}
	if len(f.enum) > 0 && !slices.Contains(f.enum, text) {
		s.fail(at, Problem{Message: "not valid", Found: found, Want: f.wantsScalar(sc), Hint: didYouMean(text, f.enum)})
		return
	}
	if d, ok := v.Interface().(migration.Duration); ok && f.bounds != nil && (d.D() < f.bounds[0] || d.D() > f.bounds[1]) {
		s.fail(at, Problem{Message: "out of range", Found: found, Want: f.wantsScalar(sc)})
		return
	}
	out.Set(v)
}

func (s *source) decodeBool(n ast.Node, out reflect.Value, at *node) {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		s.wrongType(n, at, "true or false", false)
		return
	}
	out.SetBool(b.Value)
}

func (s *source) decodeInt(n ast.Node, out reflect.Value, at *node, f field) {
	i, ok := n.(*ast.IntegerNode)
	if !ok {
		if text, _ := stringOf(n); digits.MatchString(text) {
			s.fail(at, Problem{Message: "not a decimal number", Want: f.wants(), Hint: "without quotes and without zeros in front"})
			return
		}
		s.wrongType(n, at, f.wants(), false)
		return
	}
	s.readInt(i.GetToken().Value, out, at, f)
}

var (
	decimal = re(`^-?(0|[1-9][0-9]*)$`)
	digits  = re(`^[0-9]+$`)
)

// readInt takes decimal digits only: 010 means eight to some parsers and ten to people.
func (s *source) readInt(text string, out reflect.Value, at *node, f field) {
	v, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || !decimal.MatchString(text):
		s.fail(at, Problem{Message: "not a decimal number", Found: quoted(text), Want: f.wants()})
	case f.min != nil && v < *f.min, f.max != nil && v > *f.max:
		s.fail(at, Problem{Message: "out of range", Found: text, Want: f.wants()})
	case len(f.enum) > 0 && !slices.Contains(f.enum, text):
		s.fail(at, Problem{Message: "not valid", Found: text, Want: f.wants()})
	default:
		out.SetInt(v)
	}
}

// wrongType names the type that was found and never the value, which may be a secret in the wrong
// place.
func (s *source) wrongType(n ast.Node, at *node, want string, quotes bool) {
	p := Problem{Message: "wrong type", Found: typeName(n), Want: want}
	switch n.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		if quotes {
			p.Hint = "put it in quotes if it is meant as text"
		}
	case *ast.TagNode:
		p.Hint = "leave out the !tag"
	}
	s.fail(at, p)
}

func typeName(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.IntegerNode:
		return "an integer"
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.TagNode:
		return "a tagged value"
	case nil, *ast.NullNode:
		return "nothing"
	}
	return "something else"
}

func stringOf(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	}
	return "", false
}

// setDefault fills a field that is not written.
func setDefault(out reflect.Value, f field) {
	t := out.Type()
	switch {
	case f.byDef == "" && t.Kind() == reflect.Struct && !f.reserved():
		for _, inner := range fieldsOf(t) {
			setDefault(out.Field(inner.index), inner)
		}
	case f.byDef == "":
	case t.Kind() == reflect.Slice:
		out.Set(reflect.Append(out, reflect.ValueOf(f.byDef).Convert(t.Elem())))
	case t.Kind() == reflect.Bool:
		out.SetBool(f.byDef == "true")
	default:
		if sc, ok := scalars[t]; ok {
			v, err := sc.read(t, f.byDef)
			if err != nil {
				panic("plans: default of " + f.name + " is not valid")
			}
			out.Set(v)
			return
		}
		out.SetInt(*integer(f.byDef))
	}
}

// wants completes "want ..." for a field.
func (f field) wants() string {
	t := f.kind
	if t == nil {
		return "a value"
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if sc, ok := scalars[t]; ok {
		return f.wantsScalar(sc)
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		switch t {
		case typeOf[Customers]():
			return "a list of customers, or {file: customers.csv}"
		case typeOf[Members]():
			return "a list of customer ids, or {labels: {..}, count: N}"
		}
		return "a mapping"
	}
	switch {
	case len(f.enum) == 1:
		return f.enum[0]
	case len(f.enum) > 0:
		return "one of " + strings.Join(f.enum, ", ")
	case f.min != nil && f.max != nil:
		return fmt.Sprintf("an integer from %d to %d", *f.min, *f.max)
	}
	return "an integer"
}

func (f field) wantsScalar(sc scalar) string {
	switch {
	case len(f.enum) == 1:
		return f.enum[0]
	case len(f.enum) > 0:
		return "one of " + strings.Join(f.enum, ", ")
	case f.bounds != nil:
		return fmt.Sprintf("a duration with its unit, like 90s, from %s to %s",
			migration.Duration(f.bounds[0]).Brief(), migration.Duration(f.bounds[1]).Brief())
	}
	return sc.want
}
