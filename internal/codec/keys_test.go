package codec_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/drover-migration/drover/internal/codec"
)

// keys are keys of these ids, the first of which encrypts, and their lines.
func keys(t require.TestingT, lines ...string) *codec.Keys {
	k, err := codec.ParseKeys(strings.Join(lines, "\n"))
	require.NoError(t, err)
	return k
}

func line(t require.TestingT, id string) string {
	l, err := codec.NewKey(id)
	require.NoError(t, err)
	return l
}

func TestWhatIsEncryptedSaysNothingAndComesBackAsItWas(t *testing.T) {
	said := codec.With(keys(t, line(t, "2026-11")))
	for _, text := range []string{"Acme Corp", strings.Repeat("Acme Corp ", 10_000)} {
		p, err := said.Data.ToPayload(text)
		require.NoError(t, err)
		require.Equal(t, codec.Encrypted, encoding(p))
		require.NotContains(t, p.String(), "Acme")
		require.Less(t, len(p.GetData()), 1000, "it is compressed first")
		var back string
		require.NoError(t, said.Data.FromPayload(p, &back))
		require.Equal(t, text, back)
		again, err := said.Data.ToPayload(text)
		require.NoError(t, err)
		require.NotEqual(t, p.GetData(), again.GetData(), "nobody sees that two are the same")
	}
}

func TestAFailureIsEncryptedToo(t *testing.T) {
	said := codec.With(keys(t, line(t, "a")))
	f := said.Failure.ErrorToFailure(errors.New("customer Acme Corp is odd"))
	require.NotContains(t, f.String(), "Acme")
	require.ErrorContains(t, said.Failure.FailureToError(f), "customer Acme Corp is odd")
}

func TestAKeyIsRotatedWithoutLosingWhatWasWrittenBefore(t *testing.T) {
	one, two := line(t, "one"), line(t, "two")
	before := codec.With(nil).Data
	plain, err := before.ToPayload("acme")
	require.NoError(t, err)
	first, err := codec.With(keys(t, one)).Data.ToPayload("acme")
	require.NoError(t, err)
	both := codec.With(keys(t, "# since November", two, "", one)).Data
	second, err := both.ToPayload("acme")
	require.NoError(t, err)
	for _, p := range []*commonpb.Payload{plain, first, second} {
		var back string
		require.NoError(t, both.FromPayload(p, &back))
		require.Equal(t, "acme", back)
	}
	var back string
	err = codec.With(keys(t, one)).Data.FromPayload(second, &back)
	require.ErrorContains(t, err, `encrypted under key "two", which is not among the keys here (DROVER_PAYLOAD_KEYS)`)
	require.ErrorContains(t, before.FromPayload(second, &back), `encrypted under key "two", and there are no keys here`)
	other := keys(t, line(t, "two"))
	require.ErrorContains(t, codec.With(other).Data.FromPayload(second, &back), `was not made with the key "two" that is here`)
}

func TestNoChangedPayloadIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := keys(t, line(t, "a"), line(t, "b"))
		out, err := k.Encode([]*commonpb.Payload{{Metadata: map[string][]byte{"encoding": []byte("json/plain")},
			Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data")}})
		require.NoError(t, err)
		changed := proto.CloneOf(out[0])
		switch rapid.IntRange(0, 2).Draw(t, "what") {
		case 0:
			changed.Data[rapid.IntRange(0, len(changed.Data)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		case 1:
			changed.Data = changed.Data[:rapid.IntRange(0, len(changed.Data)-1).Draw(t, "left")]
		default:
			changed.Metadata["encryption-key-id"] = []byte("b")
		}
		_, err = k.Decode([]*commonpb.Payload{changed})
		require.ErrorContains(t, err, "or was changed since")
	})
}

func TestKeysThatCannotBeReadAreToldByLineAndNeverShown(t *testing.T) {
	good := line(t, "good")
	secret := strings.Fields(good)[1]
	for text, want := range map[string]string{
		"":                              "there is no key in it",
		"# nothing\n\n":                 "there is no key in it",
		good + "\nanother":              "line 2 is not of the form ID BASE64, with a key of 32 bytes",
		good + "\n" + good:              `line 2: there are two keys "good"`,
		"x " + secret[:20]:              "line 1 is not of the form ID BASE64, with a key of 32 bytes",
		"UPPER " + secret:               "line 1 is not of the form",
		"x " + secret[:42] + "/=":       `line 1: the key of "x" is not base64`,
		"x " + secret + " and a remark": "line 1 is not of the form",
	} {
		_, err := codec.ParseKeys(text)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), secret[:12])
	}
	_, err := codec.NewKey("No Spaces")
	require.ErrorContains(t, err, "cannot be a key's id")
}
