package secrets

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/migration"
)

func TestResolve(t *testing.T) {
	t.Setenv("DROVER_TEST_SECRET", "s3cret")
	t.Setenv("DROVER_TEST_EMPTY", "")
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte("from file\n"), 0o600))
	r := New(fakeAWS(t, map[string]string{
		"orders/drover": `{"username":"drover","password":"hunter2","port":5432}`,
		"plain":         "text",
		"/orders/db":    "parameter",
	})).For(migration.Target{Name: "prod", Account: "123456789012", Region: "us-east-1"})

	for _, c := range []struct{ name, ref, want, wantErr string }{
		{"an environment variable", "env://DROVER_TEST_SECRET", "s3cret", ""},
		{"an unset variable says where to set it", "env://DROVER_TEST_UNSET", "", "resolve secret env://DROVER_TEST_UNSET: the variable " +
			"is not set; set it in the environment of this worker"},
		{"an empty variable is no secret", "env://DROVER_TEST_EMPTY", "", "the variable is empty"},
		{"a file loses its trailing newline", "file://" + file, "from file", ""},
		{"a missing file", "file:///nonexistent/x", "", "make the file readable"},
		{"a relative file", "file://x", "", "write file:///path"},
		{"a whole secret", "awssm://plain", "text", ""},
		{"a member of a JSON secret", "awssm://orders/drover#password", "hunter2", ""},
		{"a number in a JSON secret", "awssm://orders/drover#port", "5432", ""},
		{"a member that is not there", "awssm://orders/drover#pass", "", `has no member "pass"`},
		{"a member of a secret that is text", "awssm://plain#password", "", "is not a JSON object"},
		{"a secret that does not exist", "awssm://missing", "", `no such secret in target "prod" (account 123456789012, region us-east-1)`},
		{"a parameter with slashes is absolute", "ssm://orders/db", "parameter", ""},
		{"a parameter that does not exist", "ssm://missing", "", `no such parameter in target "prod"`},
		{"an unknown kind", "vault://x", "", "unknown kind of reference"},
		{"a value where a reference belongs is not repeated", "hunter2", "", "a secret reference is not of the form"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := r.Resolve(context.Background(), migration.SecretRef(c.ref))
			if c.wantErr != "" {
				require.ErrorContains(t, err, c.wantErr)
				require.NotContains(t, err.Error(), "hunter2")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestResolveWithoutAWS(t *testing.T) {
	_, err := New(nil).Resolve(context.Background(), "awssm://x")
	require.ErrorContains(t, err, "use env:// or file:// here")
}

// fakeAWS answers GetSecretValue and GetParameter in AWS's JSON protocol.
func fakeAWS(t *testing.T, values map[string]string) ConfigFunc {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sm := strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetSecretValue")
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		for name, value := range values {
			if !strings.Contains(string(body), `:"`+name+`"`) {
				continue
			}
			quoted := strings.ReplaceAll(value, `"`, `\"`)
			if sm {
				_, _ = io.WriteString(w, `{"SecretString":"`+quoted+`"}`)
			} else {
				_, _ = io.WriteString(w, `{"Parameter":{"Value":"`+quoted+`"}}`)
			}
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		if sm {
			_, _ = io.WriteString(w, `{"__type":"ResourceNotFoundException","message":"no"}`)
		} else {
			_, _ = io.WriteString(w, `{"__type":"ParameterNotFound","message":"no"}`)
		}
	}))
	t.Cleanup(srv.Close)
	return func(context.Context, migration.Target) (aws.Config, error) {
		return aws.Config{
			Region:       "us-east-1",
			BaseEndpoint: &srv.URL,
			Credentials:  credentials.NewStaticCredentialsProvider("id", "key", ""),
		}, nil
	}
}
