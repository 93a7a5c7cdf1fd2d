package load_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	labdns "github.com/drover-migration/drover/lab/dns"
	"github.com/drover-migration/drover/lab/load"
)

// moving is a zone of one name, which leads somewhere else at each question.
type moving struct{ asked atomic.Int32 }

func (m *moving) Lookup(_ context.Context, name string, _ uint16) ([]dns.RR, bool, error) {
	to := []string{"127.0.0.1", "127.0.0.2"}[min(m.asked.Add(1), 2)-1]
	rr, err := dns.NewRR(name + " 1 IN A " + to)
	return []dns.RR{rr}, true, err
}

func TestANameIsBelievedForItsTTL(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := l.Addr().String()
	require.NoError(t, l.Close())
	zone := &moving{}
	require.NoError(t, (&labdns.Server{Records: zone}).Listen(t.Context(), at))
	names := load.NewNames(at)
	begun := time.Now()
	look := func() string {
		ip, err := names.Lookup(t.Context(), "acme.names.lab")
		require.NoError(t, err)
		return ip
	}
	require.Equal(t, "127.0.0.1", look())
	require.Equal(t, "127.0.0.1", look())
	require.EqualValues(t, 1, zone.asked.Load())
	require.Eventually(t, func() bool { return look() == "127.0.0.2" }, 10*time.Second, 10*time.Millisecond)
	require.GreaterOrEqual(t, time.Since(begun), time.Second)
}
