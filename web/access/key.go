package access

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drover-migration/drover/internal/identity"
	"github.com/drover-migration/drover/migration"
)

// Key is the secret from which sessions and links are made. Several boards that share it take each
// other's.
type Key struct {
	sessions cipher.AEAD
	links    []byte // of an HMAC
}

// leastKey is how many bytes a key file has at least.
const leastKey = 32

// NewKey derives a key from a secret of at least 32 bytes.
func NewKey(secret []byte) (*Key, error) {
	if len(secret) < leastKey {
		return nil, fmt.Errorf("the key has %d bytes and needs %d; make one with `head -c 32 /dev/urandom | base64`", len(secret), leastKey)
	}
	derive := func(use string) ([]byte, error) { return hkdf.Key(sha256.New, secret, nil, "drover web "+use, 32) }
	forSessions, err := derive("sessions")
	if err != nil {
		return nil, err
	}
	forLinks, err := derive("links")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(forSessions)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &Key{sessions: aead, links: forLinks}, err
}

// RandomKey is a key that nobody else has: its sessions and links end with this process.
func RandomKey() *Key {
	secret := make([]byte, leastKey)
	_, _ = rand.Read(secret) // it never fails (crypto/rand)
	k, err := NewKey(secret)
	if err != nil {
		panic(err) // only a short secret is refused
	}
	return k
}

// ReadKey reads a key file, which nobody but its owner may read.
func ReadKey(path string) (*Key, error) {
	b, err := identity.ReadOwn(path)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	k, err := NewKey([]byte(strings.TrimSpace(string(b))))
	if err != nil {
		return nil, fmt.Errorf("read the key of %s: %w", path, err)
	}
	return k, nil
}

var errNotOurs = errors.New("it was not made with this key, or was changed")

// Seal encrypts v for a cookie. Use keeps what is sealed for one purpose from being taken for
// another.
func (k *Key) Seal(use string, v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(k.sessions.Seal(nil, nil, b, []byte(use))), nil
}

// Unseal reads what Seal made.
func (k *Key) Unseal(use, sealed string, into any) error {
	b, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return errNotOurs
	}
	if b, err = k.sessions.Open(nil, nil, b, []byte(use)); err != nil {
		return errNotOurs
	}
	return json.Unmarshal(b, into)
}

// link is what a link says.
type link struct {
	Plan     string `json:"p"`
	Customer string `json:"c"`
	Expires  int64  `json:"e"` // Unix, seconds
}

// LongestLink is how long a link may be good.
const LongestLink = 90 * 24 * time.Hour

// Link signs a read-only link to one customer: the last part of its address.
func (k *Key) Link(plan, customer string, expires time.Time) (string, error) {
	if plan == "" || customer == "" {
		return "", errors.New("a link needs a plan and a customer")
	}
	b, err := json.Marshal(link{Plan: plan, Customer: customer, Expires: expires.Unix()})
	if err != nil {
		return "", err
	}
	said := base64.RawURLEncoding.EncodeToString(b)
	return said + "." + base64.RawURLEncoding.EncodeToString(k.signature(said)), nil
}

// ReadLink gives the identity of whoever opens a link.
func (k *Key) ReadLink(s string, now time.Time) (Identity, error) {
	said, signed, _ := strings.Cut(s, ".")
	signature, err := base64.RawURLEncoding.DecodeString(signed)
	if err != nil || !hmac.Equal(signature, k.signature(said)) {
		return Identity{}, errNotOurs
	}
	b, err := base64.RawURLEncoding.DecodeString(said)
	if err != nil {
		return Identity{}, errNotOurs
	}
	var l link
	if err := json.Unmarshal(b, &l); err != nil || l.Plan == "" || l.Customer == "" {
		return Identity{}, errNotOurs
	}
	expires := time.Unix(l.Expires, 0)
	if !now.Before(expires) {
		return Identity{}, fmt.Errorf("it was good until %s", expires.UTC().Format(migration.TimeLayout))
	}
	return Identity{Name: "the customer, by its link", Role: Guest, How: HowLink, Plan: l.Plan, Customer: l.Customer, Expires: expires}, nil
}

func (k *Key) signature(said string) []byte {
	mac := hmac.New(sha256.New, k.links)
	_, _ = mac.Write([]byte(said)) // a hash takes everything
	return mac.Sum(nil)
}
