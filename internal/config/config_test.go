package config_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/internal/config"
)

// bare is an environment without Temporal's settings.
func bare(t *testing.T) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "TEMPORAL_") || name == codec.KeysVariable {
			t.Setenv(name, "") // restores it after the test
			require.NoError(t, os.Unsetenv(name))
		}
	}
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
}

func TestWithoutSettingsTemporalIsLocal(t *testing.T) {
	bare(t)
	got, err := config.Temporal(hclog.NewNullLogger())
	require.NoError(t, err)
	require.Equal(t, "localhost:7233", got.HostPort)
	require.Equal(t, "default", got.Namespace)
	require.NotNil(t, got.DataConverter)
}

func TestTheEnvironmentOverridesTheProfile(t *testing.T) {
	bare(t)
	file := filepath.Join(t.TempDir(), "temporal.toml")
	require.NoError(t, os.WriteFile(file, []byte("[profile.prod]\naddress = \"temporal.prod:7233\"\nnamespace = \"moves\"\n"), 0o600))
	t.Setenv("TEMPORAL_CONFIG_FILE", file)
	t.Setenv("TEMPORAL_PROFILE", "prod")
	got, err := config.Temporal(hclog.NewNullLogger())
	require.NoError(t, err)
	require.Equal(t, "temporal.prod:7233", got.HostPort)
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")
	got, err = config.Temporal(hclog.NewNullLogger())
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:9", got.HostPort)
	require.Equal(t, "moves", got.Namespace)
}

func TestAProfileThatIsMissingIsAnError(t *testing.T) {
	bare(t)
	t.Setenv("TEMPORAL_PROFILE", "nowhere")
	_, err := config.Temporal(hclog.NewNullLogger())
	require.ErrorContains(t, err, "read the Temporal settings")
}

func TestLogsAreTextOrJSON(t *testing.T) {
	var b bytes.Buffer
	log, err := config.Logger("info", "json", &b)
	require.NoError(t, err)
	log.Debug("not shown")
	log.Info("moved", "customer", "acme")
	require.Contains(t, b.String(), `"customer":"acme"`)
	require.NotContains(t, b.String(), "not shown")
	_, err = config.Logger("loud", "json", &b)
	require.EqualError(t, err, `log level "loud" is none of trace, debug, info, warn, error, off`)
	_, err = config.Logger("info", "xml", &b)
	require.EqualError(t, err, `log format "xml" is none of text, json`)
}

func TestWhoAsksIsTheFlagOrTheUser(t *testing.T) {
	t.Setenv("USER", "ann")
	require.Equal(t, "ann", config.Who(""))
	require.Equal(t, "bob", config.Who("bob"))
}

func TestPayloadsAreEncryptedUnderTheKeysThatTheVariableRefersTo(t *testing.T) {
	bare(t)
	line, err := codec.NewKey("2026-11")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "payload.keys")
	require.NoError(t, os.WriteFile(file, []byte(line+"\n"), 0o600))
	t.Setenv("DROVER_PAYLOAD_KEYS", "file://"+file)
	got, err := config.Temporal(hclog.NewNullLogger())
	require.NoError(t, err)
	p, err := got.DataConverter.ToPayload("Acme Corp")
	require.NoError(t, err)
	require.NotContains(t, p.String(), "Acme Corp")

	key := strings.Fields(line)[1]
	t.Setenv("KEYS", "2026-11 "+key[1:])
	for ref, want := range map[string]string{
		"env://KEYS":              "DROVER_PAYLOAD_KEYS: the keys in env://KEYS: line 1 is not of the form ID BASE64",
		"env://NO_KEYS":           "DROVER_PAYLOAD_KEYS: resolve secret env://NO_KEYS: the variable is not set",
		"file:///nowhere/of/keys": "DROVER_PAYLOAD_KEYS: resolve secret file:///nowhere/of/keys",
		line:                      "DROVER_PAYLOAD_KEYS: a secret reference is not of the form",
	} {
		t.Setenv("DROVER_PAYLOAD_KEYS", ref)
		_, err := config.Temporal(hclog.NewNullLogger())
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), key[1:20])
	}
}
