package access

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// tokenBegin marks a token, so that scanners of source code find one that was left there.
const tokenBegin = "drv_"

// nameForm is what a name in the file may be made of.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$`)

// Tokens are the people of a file: one a line, NAME ROLE SHA256, where the last is the hash of the
// token in hex; # begins a comment. The file is read again after it was changed, so that a line
// that is taken out ends its sessions.
type Tokens struct {
	path string

	mu    sync.Mutex
	stamp stamp
	lines []tokenLine
	err   error
}

// stamp tells a changed file from the one that was read.
type stamp struct {
	size     int64
	modified time.Time
	looked   time.Time
}

type tokenLine struct {
	name string
	role Role
	hash [sha256.Size]byte
}

// NewToken makes a token for a person, and the line that the file is to have. Only the person is to
// know the token: it has 256 random bits, which is why its plain hash gives nothing away.
func NewToken(name string, role Role) (token, line string, err error) {
	if !nameForm.MatchString(name) {
		return "", "", fmt.Errorf("name %q: use letters, digits and ._@+- (100 characters at most), without spaces", name)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails (crypto/rand)
	token = tokenBegin + base64.RawURLEncoding.EncodeToString(secret)
	hash := sha256.Sum256([]byte(token))
	return token, fmt.Sprintf("%s %s %s", name, role, hex.EncodeToString(hash[:])), nil
}

// OpenTokens reads the file. Every mistake in it is an error, with its line.
func OpenTokens(path string) (*Tokens, error) {
	t := &Tokens{path: path}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.read()
	return t, t.err
}

// Find gives the person of a token. It takes as long for a wrong token as for a right one.
func (t *Tokens) Find(token string) (Identity, bool) {
	hash := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return t.find(hash)
}

// Still gives the person of a session as the file has it now; false: its line is gone.
func (t *Tokens) Still(i Identity) (Identity, bool) {
	b, err := hex.DecodeString(i.Token)
	if err != nil || len(b) != sha256.Size {
		return Identity{}, false
	}
	now, ok := t.find([sha256.Size]byte(b))
	i.Name, i.Role = now.Name, now.Role
	return i, ok
}

func (t *Tokens) find(hash [sha256.Size]byte) (found Identity, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.read()
	for _, l := range t.lines {
		if subtle.ConstantTimeCompare(l.hash[:], hash[:]) == 1 {
			found, ok = Identity{Name: l.name, Role: l.role, How: HowToken, Token: hex.EncodeToString(hash[:])}, true
		}
	}
	return found, ok
}

// read takes the file in if it was changed. One that cannot be read lets nobody in.
func (t *Tokens) read() {
	if time.Since(t.stamp.looked) < time.Second {
		return
	}
	info, err := os.Stat(t.path)
	if err != nil {
		t.lines, t.err, t.stamp = nil, fmt.Errorf("read the tokens: %w", err), stamp{}
		return
	}
	now := stamp{size: info.Size(), modified: info.ModTime(), looked: time.Now()}
	if t.err == nil && now.size == t.stamp.size && now.modified.Equal(t.stamp.modified) {
		t.stamp = now
		return
	}
	t.stamp = now
	if info.Mode().Perm()&0o022 != 0 {
		t.lines, t.err = nil, fmt.Errorf("read the tokens: others may write %s: take that away with chmod go-w", t.path)
		return
	}
	b, err := os.ReadFile(t.path)
	if err != nil {
		t.lines, t.err = nil, fmt.Errorf("read the tokens: %w", err)
		return
	}
	if t.lines, t.err = parseTokens(b); t.err != nil {
		t.lines, t.err = nil, fmt.Errorf("read the tokens of %s: %w", t.path, t.err)
	}
}

func parseTokens(b []byte) (out []tokenLine, err error) {
	seen := map[string]bool{}
	in := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; in.Scan(); n++ {
		words := strings.Fields(in.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 3 || !nameForm.MatchString(words[0]) {
			return nil, fmt.Errorf("line %d is not NAME ROLE SHA256; `drover web token NAME` makes one", n)
		}
		role, err := ParseRole(words[1])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		hash, err := hex.DecodeString(words[2])
		if err != nil || len(hash) != sha256.Size {
			return nil, fmt.Errorf("line %d: the third word is no SHA-256 in hex; the token itself does not belong here", n)
		}
		if seen[words[0]] {
			return nil, fmt.Errorf("line %d: %s has a line already", n, words[0])
		}
		seen[words[0]] = true
		out = append(out, tokenLine{name: words[0], role: role, hash: [sha256.Size]byte(hash)})
	}
	return out, in.Err()
}
