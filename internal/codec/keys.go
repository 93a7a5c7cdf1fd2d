package codec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

const (
	// Encrypted marks an encrypted payload in its metadata, by the word of Temporal's samples.
	Encrypted = "binary/encrypted"
	// keyID is where the metadata of an encrypted payload names its key.
	keyID = "encryption-key-id"
	// keyBytes is the size of a key: AES-256.
	keyBytes = 32
)

// Keys are what payloads are encrypted with, by AES-256 in Galois/Counter Mode (NIST SP 800-38D)
// with a random nonce each. The first encrypts; all decrypt. It is safe for concurrent use.
//
// One key is good for 2^32 payloads (SP 800-38D, section 8.3, for random nonces): rotate before.
type Keys struct {
	first string
	byID  map[string]cipher.AEAD
}

// keyLine is a line of a key file: an id, which histories name, and the key in base64.
var keyLine = regexp.MustCompile(`^([a-z0-9][a-z0-9.-]{0,31})[ \t]+([A-Za-z0-9+/]{43}=)$`)

// NewKey makes a line for ParseKeys with a new key.
func NewKey(id string) (line string, err error) {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // it never fails
	line = id + " " + base64.StdEncoding.EncodeToString(key)
	if !keyLine.MatchString(line) {
		return "", fmt.Errorf("%q cannot be a key's id: use up to 32 lower-case letters, digits, dots and hyphens", id)
	}
	return line, nil
}

// ParseKeys reads keys, one a line as ID BASE64, the one that encrypts first. Empty lines and lines
// that begin with # do not count. No error holds a key.
func ParseKeys(text string) (*Keys, error) {
	k := &Keys{byID: map[string]cipher.AEAD{}}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		m := keyLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("line %d is not of the form ID BASE64, with a key of %d bytes", i+1, keyBytes)
		}
		key, err := base64.StdEncoding.Strict().DecodeString(m[2])
		if err != nil {
			return nil, fmt.Errorf("line %d: the key of %q is not base64", i+1, m[1])
		}
		if k.byID[m[1]] != nil {
			return nil, fmt.Errorf("line %d: there are two keys %q; histories could not say which", i+1, m[1])
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("line %d: the key of %q does not fit AES", i+1, m[1])
		}
		if k.byID[m[1]], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, fmt.Errorf("line %d: the key of %q does not fit AES-GCM", i+1, m[1])
		}
		if k.first == "" {
			k.first = m[1]
		}
	}
	if k.first == "" {
		return nil, errors.New("there is no key in it")
	}
	return k, nil
}

// Encode encrypts every payload with the first key, its metadata too.
func (k *Keys) Encode(in []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(in))
	for i, p := range in {
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("encrypt payload %d: %w", i, err)
		}
		out[i] = &commonpb.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(Encrypted), keyID: []byte(k.first)},
			Data:     k.byID[k.first].Seal(nil, nil, plain, []byte(k.first)),
		}
	}
	return out, nil
}

// Decode undoes Encode, under whichever of the keys it was. What is not encrypted passes through:
// it was sent before there were keys.
func (k *Keys) Decode(in []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(in))
	for i, p := range in {
		if string(p.GetMetadata()[converter.MetadataEncoding]) != Encrypted {
			out[i] = p
			continue
		}
		id := string(p.GetMetadata()[keyID])
		if k.byID[id] == nil {
			return nil, fmt.Errorf("payload %d is encrypted under key %q, which is not among the keys here (%s)", i, id, KeysVariable)
		}
		plain, err := k.byID[id].Open(nil, nil, p.GetData(), []byte(id))
		if err != nil {
			return nil, fmt.Errorf("payload %d was not made with the key %q that is here, or was changed since", i, id)
		}
		out[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(plain, out[i]); err != nil {
			return nil, fmt.Errorf("read decrypted payload %d: %w", i, err)
		}
	}
	return out, nil
}

// none stands for no keys: it says of an encrypted payload that one is missing.
type none struct{}

func (none) Encode(in []*commonpb.Payload) ([]*commonpb.Payload, error) { return in, nil }

func (none) Decode(in []*commonpb.Payload) ([]*commonpb.Payload, error) {
	for i, p := range in {
		if string(p.GetMetadata()[converter.MetadataEncoding]) == Encrypted {
			return nil, fmt.Errorf("payload %d is encrypted under key %q, and there are no keys here; set %s", i,
				p.GetMetadata()[keyID], KeysVariable)
		}
	}
	return in, nil
}
