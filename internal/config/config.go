// Package config reads what a person sets around Drover's commands: the settings that every
// Temporal tool shares, the form of the logs, and who is asking. What a plan says is not its
// business.
package config

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/user"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"github.com/drover-migration/drover/internal/codec"
	"github.com/drover-migration/drover/internal/secrets"
	"github.com/drover-migration/drover/migration"
)

// What an unset address and namespace mean, as for every Temporal tool.
const (
	DefaultAddress   = "localhost:7233"
	DefaultNamespace = "default"
)

// bareWord is how the configuration file's parser quotes a value that has no quotes in the file: it
// may be a key.
var bareWord = regexp.MustCompile(`found "[^"]*"`)

// Temporal gives the options to dial Temporal with: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
// TEMPORAL_PROFILE, TEMPORAL_API_KEY, the TEMPORAL_TLS variables, and the configuration file they
// may name. Payloads and failures go through Drover's codecs, under the keys that
// DROVER_PAYLOAD_KEYS refers to.
func Temporal(log hclog.Logger) (client.Options, error) {
	opts, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return opts, fmt.Errorf("read the Temporal settings (TEMPORAL_* variables and profile): %s",
			bareWord.ReplaceAllString(err.Error(), "found a word without quotes"))
	}
	if opts.HostPort == "" {
		opts.HostPort = DefaultAddress
	}
	if opts.Namespace == "" {
		opts.Namespace = DefaultNamespace
	}
	said, err := Payloads()
	if err != nil {
		return opts, err
	}
	opts.DataConverter, opts.FailureConverter = said.Data, said.Failure
	opts.Logger = log
	return opts, nil
}

// Payloads gives the converters under the keys that DROVER_PAYLOAD_KEYS refers to; unset: without
// any.
func Payloads() (codec.Converters, error) {
	ref := os.Getenv(codec.KeysVariable)
	if ref == "" {
		return codec.With(nil), nil
	}
	text, err := secrets.New(nil).Resolve(context.Background(), migration.SecretRef(ref))
	if err != nil {
		return codec.Converters{}, fmt.Errorf("%s: %w", codec.KeysVariable, err)
	}
	keys, err := codec.ParseKeys(text)
	if err != nil {
		return codec.Converters{}, fmt.Errorf("%s: the keys in %s: %w; make one with `drover payload-key ID`", codec.KeysVariable, ref, err)
	}
	return codec.With(keys), nil
}

// Levels and Formats of logs.
var (
	Levels  = []string{"trace", "debug", "info", "warn", "error", "off"}
	Formats = []string{"text", "json"}
)

// Logger writes logs of a level and up to w, as text or as one JSON object a line.
func Logger(level, format string, w io.Writer) (hclog.Logger, error) {
	if !slices.Contains(Levels, level) {
		return nil, fmt.Errorf("log level %q is none of %s", level, strings.Join(Levels, ", "))
	}
	if !slices.Contains(Formats, format) {
		return nil, fmt.Errorf("log format %q is none of %s", format, strings.Join(Formats, ", "))
	}
	return hclog.New(&hclog.LoggerOptions{Name: "drover", Level: hclog.LevelFromString(level), JSONFormat: format == "json", Output: w}),
		nil
}

// Who is the person or program behind a command: what was given, or $USER, or the operating
// system's name for the user.
func Who(given string) string {
	if given != "" {
		return given
	}
	if u := os.Getenv("USER"); u != "" {
		return u
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
