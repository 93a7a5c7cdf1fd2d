package evidence

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/drover-migration/drover/internal/identity"
)

// What the signed part of a bundle calls itself (in-toto attestation framework, v1).
const (
	payloadType   = "application/vnd.in-toto+json"
	statementType = "https://in-toto.io/Statement/v1"
	// PredicateType tells a statement of ours from any other that the same key has signed.
	PredicateType = "https://github.com/drover-migration/drover/evidence/v1"
)

// statement is what is signed.
type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"` // of each line, in order
	PredicateType string    `json:"predicateType"`
	Predicate     predicate `json:"predicate"`
}

type subject struct {
	Name   string `json:"name"` // number of the line, from 1
	Digest digest `json:"digest"`
}

type digest struct {
	SHA256 string `json:"sha256"` // of the line with its newline, hex
}

type predicate struct {
	Lines int `json:"lines"` // before the signature
}

func digestOf(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// Seal makes a bundle: the lines, each a JSON object without a newline in it, and the signature
// over all of them. The same lines and key give the same bytes.
func Seal(lines [][]byte, key ed25519.PrivateKey) ([]byte, error) {
	if len(lines) == 0 {
		return nil, errors.New("seal a bundle of evidence: it has no lines")
	}
	var out bytes.Buffer
	s := statement{Type: statementType, PredicateType: PredicateType, Predicate: predicate{Lines: len(lines)}}
	for i, line := range lines {
		if bytes.ContainsRune(line, '\n') || !bytes.HasPrefix(line, recordStart) || !json.Valid(line) {
			return nil, fmt.Errorf("seal a bundle of evidence: line %d is no record", i+1)
		}
		from := out.Len()
		out.Write(line)
		out.WriteByte('\n')
		s.Subject = append(s.Subject, subject{Name: strconv.Itoa(i + 1), Digest: digest{digestOf(out.Bytes()[from:])}})
	}
	body, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("seal a bundle of evidence: %w", err)
	}
	signer, err := dsse.NewEnvelopeSigner(private(key))
	if err != nil {
		return nil, fmt.Errorf("seal a bundle of evidence: %w", err)
	}
	env, err := signer.SignPayload(context.Background(), payloadType, body)
	if err != nil {
		return nil, fmt.Errorf("seal a bundle of evidence: %w", err)
	}
	last, err := envelopeLine(*env)
	if err != nil {
		return nil, fmt.Errorf("seal a bundle of evidence: %w", err)
	}
	out.Write(last)
	return out.Bytes(), nil
}

// A line is a record or the signature, by its first bytes: both are written by this package.
var (
	recordStart    = []byte(`{"kind":`)
	signatureStart = []byte(`{"payloadType":`)
)

// envelopeLine is the one way in which a signature is written.
func envelopeLine(e dsse.Envelope) ([]byte, error) {
	line, err := json.Marshal(e)
	return append(line, '\n'), err
}

// private signs and public verifies, as dsse wants them. The name of a key is that of
// identity.KeyID: a hint, which counts for nothing.
type (
	private ed25519.PrivateKey
	public  ed25519.PublicKey
)

func (p private) Sign(_ context.Context, data []byte) ([]byte, error) {
	return ed25519.Sign(ed25519.PrivateKey(p), data), nil
}

func (p private) KeyID() (string, error) {
	of, ok := ed25519.PrivateKey(p).Public().(ed25519.PublicKey)
	if !ok {
		return "", errors.New("it is no ed25519 key")
	}
	return identity.KeyID(of), nil
}

func (p public) Verify(_ context.Context, data, sig []byte) error {
	if !ed25519.Verify(ed25519.PublicKey(p), data, sig) {
		return errors.New("the signature is not good")
	}
	return nil
}

func (p public) KeyID() (string, error) { return identity.KeyID(ed25519.PublicKey(p)), nil }

func (p public) Public() crypto.PublicKey { return ed25519.PublicKey(p) }
