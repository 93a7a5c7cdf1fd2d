package evidence

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/drover-migration/drover/internal/identity"
)

// BrokenError says why a text is not the bundle that was signed.
type BrokenError struct {
	Line int // of the text, from 1; one past its end: what is missing there
	Why  string
}

func (b *BrokenError) Error() string { return fmt.Sprintf("line %d: %s", b.Line, b.Why) }

func broken(line int, format string, args ...any) error {
	return &BrokenError{Line: line, Why: fmt.Sprintf(format, args...)}
}

// Bundle is a text that is what was signed.
type Bundle struct {
	Head  Head
	Lines [][]byte // all records, the head's first
	Key   string   // name of the key that signed it (identity.KeyID)
}

// Verify wants a text to be exactly what one of the keys has signed: no line changed, missing,
// added, in another place, or signed again. Anything else is a *BrokenError, which names the first
// line that is not right.
func Verify(text []byte, trusted ...ed25519.PublicKey) (Bundle, error) {
	lines := bytes.SplitAfter(text, []byte("\n"))
	lines = slices.DeleteFunc(lines, func(l []byte) bool { return len(l) == 0 })
	at := slices.IndexFunc(lines, func(l []byte) bool { return bytes.HasPrefix(l, signatureStart) })
	n := len(lines)
	switch {
	case n == 0 || at < 0 && bytes.HasPrefix(lines[n-1], recordStart):
		return Bundle{}, broken(n+1, "the signature, which is the last line of a bundle, is missing")
	case at < 0:
		return Bundle{}, broken(n, "it is not the signature that the last line of a bundle is: it was changed, or this is no bundle")
	case at < n-1:
		return Bundle{}, broken(at+2, "it stands after the signature: it was added, or moved there")
	}
	s, key, err := signed(lines[at], at+1, trusted)
	if err != nil {
		return Bundle{}, err
	}
	if err := same(lines[:at], s.Subject); err != nil {
		return Bundle{}, err
	}
	b := Bundle{Lines: lines[:at], Key: key}
	if err := strictly(lines[0], &b.Head); err != nil || b.Head.Kind != KindBatch || b.Head.Format != format {
		return Bundle{}, broken(1, "it is not the head of a bundle that this version of drover can read (format %d)", format)
	}
	return b, nil
}

// signed is what the signature covers, and the name of the key that made it.
func signed(line []byte, no int, trusted []ed25519.PublicKey) (s statement, key string, err error) {
	var env dsse.Envelope
	if err := strictly(line, &env); err != nil {
		return s, "", broken(no, "the signature cannot be read: it was changed")
	}
	// What a signature does not cover is its own form and the name of its key.
	if whole, err := envelopeLine(env); err != nil || !bytes.Equal(whole, line) || len(env.Signatures) != 1 ||
		env.PayloadType != payloadType || !plainBase64(env.Payload) || !plainBase64(env.Signatures[0].Sig) {
		return s, "", broken(no, "the signature is not in the form in which drover writes it: it was changed")
	}
	for _, k := range trusted {
		name := identity.KeyID(k)
		v, err := dsse.NewEnvelopeVerifier(public(k))
		if err != nil {
			return s, "", fmt.Errorf("verify the signature: %w", err)
		}
		if _, err := v.Verify(context.Background(), &env); err != nil || env.Signatures[0].KeyID != name {
			continue
		}
		body, err := env.DecodeB64Payload()
		if err != nil {
			return s, "", broken(no, "the signature cannot be read: it was changed")
		}
		if err := strictly(body, &s); err != nil || s.Type != statementType || s.PredicateType != PredicateType ||
			s.Predicate.Lines != len(s.Subject) || len(s.Subject) == 0 {
			return s, "", broken(no, "the key has signed something else: it is no bundle of evidence")
		}
		return s, name, nil
	}
	var names []string
	for _, k := range trusted {
		names = append(names, identity.KeyID(k))
	}
	if said := env.Signatures[0].KeyID; !slices.Contains(names, said) {
		return s, "", broken(no, "it was signed with another key: its signature names the key %q, and is to be of %s", said,
			strings.Join(names, " or "))
	}
	return s, "", broken(no, "the signature is not good: this line was changed, or signed with another key")
}

// plainBase64 says whether a text is base64 as drover writes it. Others read as the same bytes:
// with bits set that count for nothing, newlines, or the alphabet of addresses.
func plainBase64(s string) bool {
	b, err := base64.StdEncoding.DecodeString(s)
	return err == nil && base64.StdEncoding.EncodeToString(b) == s
}

// same holds the lines of a text against those that were signed.
func same(lines [][]byte, signed []subject) error {
	have := make([]string, len(lines))
	for i, l := range lines {
		have[i] = digestOf(l)
	}
	want := make([]string, len(signed))
	for i, s := range signed {
		want[i] = s.Digest.SHA256
	}
	i := 0
	for i < len(have) && i < len(want) && have[i] == want[i] {
		i++
	}
	switch {
	case i == len(have) && i == len(want):
		return nil
	case i == len(have):
		return broken(i+1, "the line that stood here when the bundle was signed is missing: %d of %d lines are left", len(have), len(want))
	case i == len(want):
		return broken(i+1, "it was added after the bundle was signed")
	}
	was := slices.Index(want, have[i])          // where this line stood; -1: nowhere
	moved := slices.Contains(have[i:], want[i]) // the line that stood here is further below
	switch {
	case moved && was >= 0 && count(have, have[i]) > count(want, have[i]):
		return broken(i+1, "it was added after the bundle was signed: it repeats line %d", was+1)
	case moved && was >= 0:
		return broken(i+1, "it is not where it was when the bundle was signed: it was line %d", was+1)
	case moved:
		return broken(i+1, "it was added after the bundle was signed")
	case was >= 0:
		return broken(i+1, "the line that stood here when the bundle was signed is missing")
	default:
		return broken(i+1, "it was changed after the bundle was signed")
	}
}

func count(in []string, of string) (n int) {
	for _, s := range in {
		if s == of {
			n++
		}
	}
	return n
}

// strictly reads one JSON value that has no keys but those of into, and nothing after it.
func strictly(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after it")
	}
	return nil
}
