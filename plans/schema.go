package plans

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/invopop/jsonschema"
)

// Schema is the JSON Schema of a plan, for editors. plans/plan.schema.json is a copy of it.
func Schema() ([]byte, error) {
	r := &jsonschema.Reflector{Anonymous: true, RequiredFromJSONSchemaTags: true, ExpandedStruct: true, Mapper: schemaOf}
	s := r.Reflect(&Plan{})
	s.Title = "Drover plan"
	s.Definitions["Customer"] = definition[Customer](r, s.Definitions)
	s.Definitions["Selection"] = definition[Selection](r, s.Definitions)
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write schema of plans: %w", err)
	}
	return append(out, '\n'), nil
}

// definition reflects a type that only a union below leads to, and lends its own definitions to the
// others.
func definition[T any](r *jsonschema.Reflector, all jsonschema.Definitions) *jsonschema.Schema {
	one := r.ReflectFromType(typeOf[T]())
	for name, d := range one.Definitions {
		all[name] = d
	}
	one.Version, one.Definitions = "", nil
	return one
}

// schemaOf is the schema of scalars, unions and reserved keys; nil: by reflection.
func schemaOf(t reflect.Type) *jsonschema.Schema {
	ref := func(name string) *jsonschema.Schema { return &jsonschema.Schema{Ref: "#/$defs/" + name} }
	one := uint64(1)
	switch t {
	case typeOf[Reserved]():
		return &jsonschema.Schema{Not: &jsonschema.Schema{}}
	case typeOf[Customers]():
		file := jsonschema.NewProperties()
		file.Set("file", schemaOf(typeOf[RelativePath]()))
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
			{Type: "array", Items: ref("Customer"), MinItems: &one},
			{Type: "object", Properties: file, Required: []string{"file"}, AdditionalProperties: jsonschema.FalseSchema},
		}}
	case typeOf[Members]():
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
			{Type: "array", Items: schemaOf(typeOf[Name]()), MinItems: &one},
			ref("Selection"),
		}}
	}
	if sc, ok := scalars[t]; ok {
		s := &jsonschema.Schema{Type: "string"}
		if sc.pattern != nil {
			s.Pattern = sc.pattern.String()
		}
		return s
	}
	return nil
}
