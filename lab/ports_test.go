package lab

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAPortThatSomebodyHasForAllAddressesIsNotNeeded listens as any server of a developer's machine
// does.
func TestAPortThatSomebodyHasForAllAddressesIsNotNeeded(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp"} { // 0.0.0.0, and :: for both
		l, err := net.Listen(network, ":0")
		require.NoError(t, err)
		port := l.Addr().(*net.TCPAddr).Port
		got, err := findPort("127.9.0.1", port)
		require.NoError(t, err)
		require.NotEqual(t, port, got)
		require.Zero(t, (got-port)%another)
		require.Equal(t, fmt.Sprintf("%s (pid %d)", comm(t), os.Getpid()), listener(port))
		require.NoError(t, l.Close())
		got, err = findPort("127.9.0.1", port)
		require.NoError(t, err)
		require.Equal(t, port, got)
	}
}

func comm(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/comm")
	require.NoError(t, err)
	return string(bytes.TrimSpace(b))
}

func TestEveryServiceHasAPort(t *testing.T) {
	var out bytes.Buffer
	p, err := findPorts("127.9.0.1", &out)
	require.NoError(t, err)
	for _, n := range []int{p.app, p.admin, p.edge, p.moto, p.s3, p.ebs, p.database, p.vcenter, p.names, p.control} {
		require.Positive(t, n)
	}
	require.NotEqual(t, p.app, p.admin, "both are at one address")
}
