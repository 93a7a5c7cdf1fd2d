package notify

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

// Receivers are written by the schema: every message must be as it says, and it may say nothing
// that no message has.
func TestWebhooksPostWhatTheirSchemaSays(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../docs/message.schema.json")
	require.NoError(t, err)
	read := func(v any) (out any) {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		out, err = jsonschema.UnmarshalJSON(bytes.NewReader(b))
		require.NoError(t, err)
		return out
	}
	now := time.Date(2026, 10, 26, 21, 5, 0, 0, time.UTC)
	fields := map[string]bool{}
	for _, k := range migration.NoticeKinds {
		m := message()
		m.Notice.Kind, m.Step = k, 2
		m.Notice.Freeze, m.Notice.Until = migration.Duration(time.Second), now
		require.NoError(t, schema.Validate(read(envelope(m))), k)
		m.Notice = migration.Notice{Kind: k, At: now}
		require.NoError(t, schema.Validate(read(envelope(m))), "%s with nothing more", k)
	}
	for name := range schema.Properties["data"].Properties {
		fields[name] = true
	}
	m := message()
	m.Step, m.Notice.Freeze, m.Notice.Until = 1, migration.Duration(time.Second), now
	for name := range read(envelope(m)).(map[string]any)["data"].(map[string]any) {
		require.True(t, fields[name], name)
		delete(fields, name)
	}
	require.Empty(t, fields, "of the schema, and of no message")
	wrong := envelope(message())
	wrong.Data.Key = strings.Repeat("x", 32)
	require.Error(t, schema.Validate(read(wrong)))
}
