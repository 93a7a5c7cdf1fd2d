package evidence

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/drover-migration/drover/internal/identity"
)

// newKey is a pair of keys that a seed stands for.
func newKey(seed byte) (ed25519.PublicKey, ed25519.PrivateKey) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	return ed25519.PublicKey(key[ed25519.SeedSize:]), key
}

// head is the first line of a bundle.
func head(t require.TestingT) []byte {
	line, err := json.Marshal(Head{Kind: KindBatch, Format: format, Plan: "orders", Digest: strings.Repeat("ab", 32), Batch: "canary",
		Run: "0199", Made: time.Date(2026, 12, 2, 22, 0, 0, 0, time.UTC)})
	require.NoError(t, err)
	return line
}

// bundle is a head and n lines more, each unlike the others, and their signature.
func bundle(t require.TestingT, key ed25519.PrivateKey, n int) []byte {
	lines := [][]byte{head(t)}
	for i := range n {
		lines = append(lines, fmt.Appendf(nil, `{"kind":"event","of":"acme","n":%d}`, i))
	}
	text, err := Seal(lines, key)
	require.NoError(t, err)
	return text
}

func split(text []byte) [][]byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	return lines[:len(lines)-1]
}

func join(lines [][]byte) []byte { return bytes.Join(lines, nil) }

// refused wants a text to be refused, and says which line was named.
func refused(t require.TestingT, text []byte, key ed25519.PublicKey) *BrokenError {
	_, err := Verify(text, key)
	var b *BrokenError
	require.ErrorAs(t, err, &b, "%s", text)
	return b
}

func TestABundleIsWhatWasSigned(t *testing.T) {
	public, key := newKey(1)
	other, _ := newKey(2)
	text := bundle(t, key, 5)
	b, err := Verify(text, other, public)
	require.NoError(t, err)
	require.Equal(t, "canary", b.Head.Batch)
	require.Len(t, b.Lines, 6)
	require.Equal(t, identity.KeyID(public), b.Key)
	require.Equal(t, text, bundle(t, key, 5), "the same facts are the same bytes, whoever writes them")
}

// Whatever somebody does to a bundle is refused, and the line named, or it is the same text as
// before.
func TestAnyChangeOfABundleIsRefusedByItsLine(t *testing.T) {
	public, key := newKey(1)
	_, foreign := newKey(2)
	rapid.Check(t, func(t *rapid.T) {
		whole := bundle(t, key, rapid.IntRange(1, 8).Draw(t, "lines"))
		lines := split(whole)
		n := len(lines)
		at := rapid.IntRange(0, n-1).Draw(t, "at")
		to := rapid.IntRange(0, n-1).Draw(t, "to")
		named, atLeast := at+1, false // which line is to be named; or one no further down
		switch what := rapid.SampledFrom([]string{"change", "cut", "drop", "repeat", "swap", "add", "truncate", "re-sign a line",
			"re-sign all", "of another bundle", "no newline"}).Draw(t, "what"); what {
		case "change":
			i := rapid.IntRange(0, len(lines[at])-2).Draw(t, "byte")
			by := rapid.Byte().Filter(func(b byte) bool { return b != 0 && b != lines[at][i]^'\n' }).Draw(t, "by")
			lines[at] = bytes.Clone(lines[at])
			lines[at][i] ^= by
		case "cut":
			i := rapid.IntRange(0, len(lines[at])-1).Draw(t, "byte")
			lines[at] = append(bytes.Clone(lines[at][:i]), lines[at][i+1:]...)
			if i == len(lines[at]) { // the newline: two lines have become one, and the signature may be one of them
				named, atLeast = at+2, true
			}
		case "drop":
			lines = append(lines[:at:at], lines[at+1:]...)
		case "repeat":
			lines = append(lines[:to:to], append([][]byte{lines[at]}, lines[to:]...)...)
			named, atLeast = to+2, true
		case "swap":
			if at == to {
				t.Skip("nothing is swapped")
			}
			lines[at], lines[to] = lines[to], lines[at]
			named, atLeast = max(at, to)+1, true
		case "add":
			lines = append(lines[:at:at], append([][]byte{[]byte("{\"kind\":\"event\",\"forged\":true}\n")}, lines[at:]...)...)
		case "truncate":
			lines = lines[:at]
			named = at + 1
		case "re-sign a line":
			lines[n-1] = split(bundle(t, foreign, n-2))[n-1]
			named = n
		case "re-sign all":
			lines, named = split(bundle(t, foreign, 3)), 5
		case "of another bundle":
			if at == n-1 {
				t.Skip("of the same form")
			}
			lines[at] = fmt.Appendf(nil, "{\"kind\":\"event\",\"of\":\"acme\",\"n\":%d}\n", 100+at)
		case "no newline":
			at, named = n-1, n
			lines[at] = lines[at][:len(lines[at])-1]
		}
		text := join(lines)
		if bytes.Equal(text, whole) {
			t.Skip("nothing has changed")
		}
		b := refused(t, text, public)
		if atLeast {
			require.LessOrEqual(t, b.Line, named, b.Why)
		} else {
			require.Equal(t, named, b.Line, b.Why)
		}
	})
}

// Base64 has several texts for the same bytes: of these, too, only the one that was written is
// good.
func TestASignatureThatIsWrittenInAnotherWayIsRefused(t *testing.T) {
	public, key := newKey(1)
	for name, change := range map[string]func(*dsse.Envelope){
		"bits of the signature that count for nothing": func(e *dsse.Envelope) {
			sig := []byte(e.Signatures[0].Sig) // 86 letters, the last with four bits more, and ==
			const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
			sig[85] = letters[strings.IndexByte(letters, sig[85])^1]
			e.Signatures[0].Sig = string(sig)
		},
		"a newline in the signature": func(e *dsse.Envelope) {
			e.Signatures[0].Sig = e.Signatures[0].Sig[:8] + "\n" + e.Signatures[0].Sig[8:]
		},
		"a newline in what it covers": func(e *dsse.Envelope) { e.Payload = e.Payload[:8] + "\r\n" + e.Payload[8:] },
	} {
		t.Run(name, func(t *testing.T) {
			lines := split(bundle(t, key, 3))
			var env dsse.Envelope
			require.NoError(t, json.Unmarshal(lines[len(lines)-1], &env))
			change(&env)
			last, err := envelopeLine(env)
			require.NoError(t, err)
			lines[len(lines)-1] = last
			require.Equal(t, len(lines), refused(t, join(lines), public).Line)
		})
	}
}

func TestWhatHasBecomeOfABundleIsSaidInWords(t *testing.T) {
	public, key := newKey(1)
	_, foreign := newKey(2)
	lines := func() [][]byte { return split(bundle(t, key, 4)) } // a head, four lines, the signature
	for name, c := range map[string]struct {
		text [][]byte
		line int
		why  string
	}{
		"nothing":           {nil, 1, "the signature, which is the last line of a bundle, is missing"},
		"another file":      {[][]byte{[]byte("hello\n")}, 1, "or this is no bundle"},
		"no signature":      {lines()[:5], 6, "is missing"},
		"a line is changed": {replaced(lines(), 2, []byte("{\"kind\":\"event\"}\n")), 3, "it was changed"},
		"a line is gone":    {append(lines()[:2:2], lines()[3:]...), 3, "the line that stood here when the bundle was signed is missing"},
		"the last is gone":  {append(lines()[:4:4], lines()[5:]...), 5, "is missing: 4 of 5 lines are left"},
		"a line is added":   {append(lines()[:2:2], append([][]byte{[]byte("{\"kind\":\"x\"}\n")}, lines()[2:]...)...), 3, "it was added"},
		"one is repeated":   {append(lines()[:3:3], lines()[1:]...), 4, "it repeats line 2"},
		"two are swapped":   {replaced(replaced(lines(), 1, lines()[3]), 3, lines()[1]), 2, "it was line 4"},
		"more comes after":  {append(lines(), []byte("{\"kind\":\"x\"}\n")), 7, "it stands after the signature"},
		"signed by another": {replaced(lines(), 5, split(bundle(t, foreign, 4))[5]), 6, "it was signed with another key"},
		"under its name": {replaced(lines(), 5, bytes.Replace(split(bundle(t, foreign, 4))[5], []byte(keyName(foreign)),
			[]byte(keyName(key)), 1)), 6, "the signature is not good"},
		"its key has another name": {replaced(lines(), 5, bytes.Replace(lines()[5], []byte(keyName(key)), []byte(keyName(foreign)), 1)), 6,
			"it was signed with another key"},
		"an older signature":     {replaced(lines(), 5, split(bundle(t, key, 3))[4]), 5, "it was added"},
		"spaces":                 {replaced(lines(), 5, bytes.Replace(lines()[5], []byte(":"), []byte(": "), 1)), 6, "it was changed"},
		"an envelope of others":  {replaced(lines(), 5, enveloped(t, key, payloadType, `{"_type":"x"}`)), 6, "the key has signed something else"},
		"another type":           {replaced(lines(), 5, enveloped(t, key, "text/plain", `{}`)), 6, "was changed"},
		"a head of another form": {split(sealed(t, key, `{"kind":"batch","format":99}`)), 1, "can read (format 1)"},
	} {
		t.Run(name, func(t *testing.T) {
			b := refused(t, join(c.text), public)
			require.Contains(t, b.Why, c.why)
			require.Equal(t, c.line, b.Line, b.Why)
		})
	}
}

func TestOnlyRecordsAreSealed(t *testing.T) {
	_, key := newKey(1)
	for _, line := range []string{"", "{}", "{\"kind\":\"x\"", "{\"kind\":\"x\"\n}", signed1} {
		_, err := Seal([][]byte{[]byte(line)}, key)
		require.ErrorContains(t, err, "line 1 is no record", line)
	}
	_, err := Seal(nil, key)
	require.ErrorContains(t, err, "no lines")
}

const signed1 = `{"payloadType":"application/vnd.in-toto+json"}`

func replaced(lines [][]byte, i int, by []byte) [][]byte {
	lines[i] = by
	return lines
}

func keyName(key ed25519.PrivateKey) string {
	return identity.KeyID(ed25519.PublicKey(key[ed25519.SeedSize:]))
}

// enveloped is a signature over something that is no bundle.
func enveloped(t *testing.T, key ed25519.PrivateKey, kind, body string) []byte {
	t.Helper()
	sig := ed25519.Sign(key, dsse.PAE(kind, []byte(body)))
	line, err := envelopeLine(dsse.Envelope{PayloadType: kind, Payload: base64.StdEncoding.EncodeToString([]byte(body)),
		Signatures: []dsse.Signature{{KeyID: keyName(key), Sig: base64.StdEncoding.EncodeToString(sig)}}})
	require.NoError(t, err)
	return line
}

func sealed(t *testing.T, key ed25519.PrivateKey, lines ...string) []byte {
	t.Helper()
	var all [][]byte
	for _, l := range lines {
		all = append(all, []byte(l))
	}
	text, err := Seal(all, key)
	require.NoError(t, err)
	return text
}

// What docs/evidence.md tells an auditor to type, without Drover, accepts a bundle and refuses a
// changed one.
func TestABundleIsVerifiedWithOpensslAloneAsTheDocsSay(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl here")
	}
	if out, err := exec.Command(openssl, "pkeyutl", "-help").CombinedOutput(); err != nil || !bytes.Contains(out, []byte("-rawin")) {
		t.Skip("this openssl signs no ed25519")
	}
	doc, err := os.ReadFile("../docs/evidence.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)```sh\n(# With openssl.*?)```").FindSubmatch(doc)
	require.NotNil(t, found, "docs/evidence.md shows how to verify with openssl")
	_, key := newKey(1)
	pem, err := identity.PublicPEM(key)
	require.NoError(t, err)
	verify := func(text []byte) (string, error) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "BUNDLE"), text, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "PUBLIC.pem"), pem, 0o600))
		cmd := exec.Command("sh", "-eu", "-c", string(found[1]))
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	whole := bundle(t, key, 20)
	out, err := verify(whole)
	require.NoError(t, err, out)
	require.Contains(t, out, "Signature Verified Successfully")

	changed := bytes.Replace(whole, []byte(`"n":7`), []byte(`"n":8`), 1)
	out, err = verify(changed)
	require.Error(t, err)
	require.Contains(t, out, "9c9", "the ninth line differs")
	lines := split(whole)
	_, foreign := newKey(2)
	_, err = verify(join(replaced(lines, 21, split(bundle(t, foreign, 20))[21])))
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), "a signature of another key")
}
