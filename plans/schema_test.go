package plans

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

func TestTheCommittedSchemaIsTheOneOfTheTypes(t *testing.T) {
	s, err := Schema()
	require.NoError(t, err)
	golden(t, "plan.schema.json", s)
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("plan.schema.json", doc))
	s, err := c.Compile("plan.schema.json")
	require.NoError(t, err)
	return s
}

// againstSchema checks a YAML file as an editor would.
func againstSchema(t *testing.T, s *jsonschema.Schema, file string) error {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	asJSON, err := yaml.YAMLToJSON(text)
	require.NoError(t, err)
	require.True(t, json.Valid(asJSON))
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	require.NoError(t, err)
	return s.Validate(doc)
}

func TestTheSchemaAcceptsWhatDroverAccepts(t *testing.T) {
	s := compiledSchema(t)
	for _, file := range append(files(t, "examples/*.yaml"), files(t, "testdata/valid/*.yaml")...) {
		if filepath.Base(file) == "merge-keys.yaml" {
			continue // merging is YAML's, and gone once a file is JSON; the library at hand does not merge in flow mappings
		}
		require.NoError(t, againstSchema(t, s, file), file)
	}
}

func TestTheSchemaRefusesWhatAnEditorCanSee(t *testing.T) {
	s := compiledSchema(t)
	for _, name := range []string{"unknown-keys", "wrong-types", "empty-values", "everything-missing", "reserved-keys", "ids",
		"secret-references", "bounds", "five-hosts", "durations-and-sizes"} {
		require.Error(t, againstSchema(t, s, "testdata/invalid/"+name+".yaml"), name)
	}
}
