package compose

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"

	"github.com/drover-migration/drover/replication/postgres/setup"
)

func load(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../../docker-compose.yml"}, cli.WithWorkingDirectory("../.."))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	return project
}

func TestEveryServerOfTheLabIsThere(t *testing.T) {
	require.ElementsMatch(t, []string{"temporal", "aws", "s3", "postgres-onprem", "postgres-aws", "vcenter", "worker"},
		load(t).ServiceNames())
}

// A tag that names a version; "latest", a bare name or a major alone moves under the reader.
var pinned = regexp.MustCompile(`^[^:@]+(:v?\d+\.\d+[\w.-]*|@sha256:[0-9a-f]{64})$`)

func TestEveryImageIsPinnedOrBuiltHere(t *testing.T) {
	for name, s := range load(t).Services {
		if s.Build == nil {
			require.Regexp(t, pinned, s.Image, name)
		}
	}
	for _, line := range dockerfile(t) {
		if image, ok := strings.CutPrefix(line, "ARG "); ok && strings.Contains(image, "_IMAGE=") {
			_, image, _ = strings.Cut(image, "=")
			require.Regexp(t, pinned, image)
		}
	}
}

func TestEveryServiceHasAHealthCheckThatEnds(t *testing.T) {
	for name, s := range load(t).Services {
		require.NotNil(t, s.HealthCheck, name)
		require.False(t, s.HealthCheck.Disable, name)
		require.Greater(t, len(s.HealthCheck.Test), 1, name)
		require.NotNil(t, s.HealthCheck.Interval, name)
		require.NotNil(t, s.HealthCheck.Timeout, name)
		require.NotNil(t, s.HealthCheck.Retries, name)
	}
}

func TestWhatDependsOnAnotherWaitsUntilItIsHealthy(t *testing.T) {
	project := load(t)
	require.Len(t, project.Services["worker"].DependsOn, len(project.Services)-1)
	for name, s := range project.Services {
		for on, d := range s.DependsOn {
			require.Equal(t, types.ServiceConditionHealthy, d.Condition, "%s on %s", name, on)
		}
	}
}

func TestBothDatabasesReplicateLogically(t *testing.T) {
	project := load(t)
	for _, name := range []string{"postgres-onprem", "postgres-aws"} {
		require.Contains(t, project.Services[name].Command, "wal_level=logical", name)
	}
}

func TestPortsArePublishedOnLoopbackOnly(t *testing.T) {
	published := map[string]string{}
	for name, s := range load(t).Services {
		for _, p := range s.Ports {
			require.Equal(t, "127.0.0.1", p.HostIP, name)
			require.Empty(t, published[p.Published], "%s and %s publish one port", name, published[p.Published])
			published[p.Published] = name
		}
	}
}

func TestEveryBuildTargetIsAStageOfTheDockerfile(t *testing.T) {
	stages := map[string]string{}
	last := ""
	for _, line := range dockerfile(t) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == "FROM" && f[2] == "AS" {
			stages[f[3]], last = f[1], f[3]
		}
	}
	for name, s := range load(t).Services {
		if s.Build != nil {
			require.Contains(t, stages, s.Build.Target, name)
		}
	}
	require.Equal(t, "drover", last, "the product's image is the default one")
	require.Equal(t, "scratch", stages[last])
}

// The schema comes to AWS by programs that have to be there, all of them and for servers of each
// version.
func TestTheProductsImageHasThePostgreSQLProgramsThatAWorkerRuns(t *testing.T) {
	text := strings.Join(dockerfile(t), "\n")
	for _, program := range setup.Programs {
		require.Contains(t, text, "/usr/lib/postgresql/*/bin/"+program)
	}
	require.Contains(t, text, "postgresql-client-16")
	require.Contains(t, text, "COPY --from=rootfs /rootfs/ /\n")
}

func dockerfile(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("../../Dockerfile")
	require.NoError(t, err)
	return strings.Split(string(b), "\n")
}
