package codec_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/drover-migration/drover/internal/codec"
)

func encoding(p *commonpb.Payload) string { return string(p.GetMetadata()[converter.MetadataEncoding]) }

func TestLargePayloadsAreCompressedAndComeBackAsTheyWere(t *testing.T) {
	dc := codec.DataConverter()
	long := strings.Repeat("customer acme ", 10_000)
	p, err := dc.ToPayload(long)
	require.NoError(t, err)
	require.Equal(t, codec.Encoding, encoding(p))
	require.Less(t, len(p.GetData()), len(long)/10)
	var back string
	require.NoError(t, dc.FromPayload(p, &back))
	require.Equal(t, long, back)
}

func TestSmallPayloadsStayReadable(t *testing.T) {
	p, err := codec.DataConverter().ToPayload("acme")
	require.NoError(t, err)
	require.Equal(t, "json/plain", encoding(p))
	require.Equal(t, `"acme"`, string(p.GetData()))
}

func TestWhatDoesNotShrinkIsLeftAlone(t *testing.T) {
	noise := make([]byte, 4<<10)
	_, _ = rand.Read(noise)
	in := []*commonpb.Payload{{Metadata: map[string][]byte{"encoding": []byte("binary/plain")}, Data: noise}}
	z := codec.New()
	out, err := z.Encode(in)
	require.NoError(t, err)
	require.Equal(t, "binary/plain", encoding(out[0]))
	back, err := z.Decode(out)
	require.NoError(t, err)
	require.True(t, proto.Equal(in[0], back[0]))
}

func TestADamagedPayloadIsAnErrorThatNamesIt(t *testing.T) {
	z := codec.New()
	_, err := z.Decode([]*commonpb.Payload{{}, {Metadata: map[string][]byte{"encoding": []byte(codec.Encoding)}, Data: []byte("not zstd")}})
	require.ErrorContains(t, err, "decompress payload 1")
}
