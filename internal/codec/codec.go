// Package codec is how payloads look on their way to Temporal and in its database: what is large is
// compressed, and where there are keys all is encrypted. The client and the worker must use the
// same converter, so both take it from here.
//
// It is not for search attributes: they bypass codecs.
package codec

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"
)

const (
	// Encoding marks a compressed payload in its metadata.
	Encoding = "binary/zstd"
	// Threshold is the size in bytes up to which a payload stays as it is. The Temporal UI cannot
	// unpack: with this, what a workflow says of itself there (its details travel as a query's
	// answer, of some kilobytes with the handlers' descriptions) is always readable, and what grows
	// with the number of customers is compressed.
	Threshold = 16 << 10
	// mostDecoded bounds what one payload may unpack to; Temporal takes at most 2 MiB packed.
	mostDecoded = 256 << 20
)

// KeysVariable names the environment variable that says where the keys of payloads are: env://NAME
// or file:///path, of lines for ParseKeys.
const KeysVariable = "DROVER_PAYLOAD_KEYS"

// Converters are how a client or worker of Drover writes and reads payloads and failures.
type Converters struct {
	Data converter.DataConverter
	// Failure sends the messages and stack traces of failures through the codecs as well: they may
	// quote a payload.
	Failure converter.FailureConverter
	// Codecs are those of Data, the one that encodes last first.
	Codecs []converter.PayloadCodec
}

// With gives the converters over keys. With nil nothing is encrypted.
func With(k *Keys) Converters {
	out := Converters{Codecs: []converter.PayloadCodec{none{}, New()}}
	if k != nil {
		out.Codecs[0] = k
	}
	out.Data = converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), out.Codecs...)
	out.Failure = temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{DataConverter: out.Data,
		EncodeCommonAttributes: true})
	return out
}

// DataConverter is the converter without keys.
func DataConverter() converter.DataConverter { return With(nil).Data }

// FailureConverter is the converter of failures without keys.
func FailureConverter() converter.FailureConverter { return With(nil).Failure }

// Zstd compresses payloads. It is safe for concurrent use.
type Zstd struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

// New makes a codec. One is enough for a process.
func New() *Zstd {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(fmt.Sprintf("zstd encoder: %v", err)) // only wrong options, which are constants, can fail here
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(mostDecoded))
	if err != nil {
		panic(fmt.Sprintf("zstd decoder: %v", err))
	}
	return &Zstd{enc: enc, dec: dec}
}

// Encode compresses what is larger than Threshold and shrinks by it, and leaves the rest as it is.
func (z *Zstd) Encode(in []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(in))
	for i, p := range in {
		out[i] = p
		if proto.Size(p) <= Threshold {
			continue
		}
		b, err := proto.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("encode payload %d: %w", i, err)
		}
		if packed := z.enc.EncodeAll(b, nil); len(packed) < len(b) {
			out[i] = &commonpb.Payload{Metadata: map[string][]byte{converter.MetadataEncoding: []byte(Encoding)}, Data: packed}
		}
	}
	return out, nil
}

// Decode undoes Encode and passes through what it did not make.
func (z *Zstd) Decode(in []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(in))
	for i, p := range in {
		if string(p.GetMetadata()[converter.MetadataEncoding]) != Encoding {
			out[i] = p
			continue
		}
		b, err := z.dec.DecodeAll(p.GetData(), nil)
		if err != nil {
			return nil, fmt.Errorf("decompress payload %d: %w", i, err)
		}
		out[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(b, out[i]); err != nil {
			return nil, fmt.Errorf("read decompressed payload %d: %w", i, err)
		}
	}
	return out, nil
}
