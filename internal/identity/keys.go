package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// Authority signs passes.
type Authority struct {
	key ed25519.PrivateKey
	id  string
}

// NewAuthority makes an authority of its key.
func NewAuthority(key ed25519.PrivateKey) *Authority {
	public, _ := key.Public().(ed25519.PublicKey)
	return &Authority{key: key, id: KeyID(public)}
}

// ReadAuthority reads an authority's private key (see ParseKey) from a file that nobody but its
// owner may read.
func ReadAuthority(path string) (*Authority, error) {
	b, err := ReadOwn(path)
	if err != nil {
		return nil, fmt.Errorf("read the identity key: %w", err)
	}
	key, err := ParseKey(b)
	if err != nil {
		return nil, fmt.Errorf("read the identity key: %s %w", path, err)
	}
	return NewAuthority(key), nil
}

// ParseKey reads a private ed25519 key: PKCS 8 in PEM, as `openssl genpkey -algorithm ed25519`
// writes it. An error says what the text holds, and never quotes it.
func ParseKey(text []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("holds no PEM block PRIVATE KEY")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok { // the parser's words might quote the key
		return nil, errors.New("holds no ed25519 key")
	}
	return key, nil
}

// ReadOwn reads a file that nobody but its owner may read or write; any other is refused.
func ReadOwn(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others may read or write %s: take that away with chmod go-rwx", path)
	}
	return os.ReadFile(path)
}

// WriteAuthority makes a new key and writes it to a file that must not exist.
func WriteAuthority(path string) (*Authority, error) {
	key, err := WriteKey(path)
	if err != nil {
		return nil, err
	}
	return NewAuthority(key), nil
}

// WriteKey makes a new private ed25519 key and writes it, as ParseKey reads it, to a file that must
// not exist and that nobody but its owner may read.
func WriteKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the key: %w", err)
	}
	if err := errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Close()); err != nil {
		return nil, fmt.Errorf("write the key: %w", err)
	}
	return key, nil
}

// Public is the authority's public key in PEM, for the workers.
func (a *Authority) Public() ([]byte, error) { return PublicPEM(a.key) }

// PublicPEM is the public half of a key, in PEM.
func PublicPEM(key ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), err
}

// Keys are the authorities that a worker trusts.
type Keys struct {
	by map[string]ed25519.PublicKey // by the key's id
}

// NewKeys trusts these authorities.
func NewKeys(public ...ed25519.PublicKey) *Keys {
	k := &Keys{by: map[string]ed25519.PublicKey{}}
	for _, p := range public {
		k.by[KeyID(p)] = p
	}
	return k
}

// ReadKeys reads the authorities' keys (see ReadPublic), so that an authority's key can be changed
// without a pause.
func ReadKeys(path string) (*Keys, error) {
	public, err := ReadPublic(path)
	if err != nil {
		return nil, fmt.Errorf("read the identity keys: %w", err)
	}
	return NewKeys(public...), nil
}

// ReadPublic reads public ed25519 keys: one or more PEM blocks, of which each is trusted.
func ReadPublic(path string) (public []ed25519.PublicKey, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		key, ok := parsed.(ed25519.PublicKey)
		if block.Type != "PUBLIC KEY" || err != nil || !ok {
			return nil, fmt.Errorf("a PEM block of %s is no public ed25519 key (a private one does not belong there)", path)
		}
		public = append(public, key)
	}
	if len(public) == 0 {
		return nil, fmt.Errorf("%s holds no PEM block PUBLIC KEY", path)
	}
	return public, nil
}

// KeyID names a public key, for people and as a hint: the first 12 bytes of its SHA-256, base64.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
