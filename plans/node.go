package plans

import (
	"fmt"
	"regexp"
	"strings"
)

// node is a place in the plan: the way to it from the root. The zero pointer is the root.
type node struct {
	parent *node
	key    string
	index  int // -1: a key
}

func (n *node) at(key string) *node { return &node{parent: n, key: key, index: -1} }
func (n *node) item(i int) *node    { return &node{parent: n, index: i} }
func (n *node) ats(keys ...string) *node {
	for _, k := range keys {
		n = n.at(k)
	}
	return n
}

// steps is the way from the root.
func (n *node) steps() []*node {
	if n == nil {
		return nil
	}
	return append(n.parent.steps(), n)
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_$-]{1,80}$`)

func (n *node) String() string {
	var b strings.Builder
	for i, s := range n.steps() {
		switch {
		case s.index >= 0:
			fmt.Fprintf(&b, "[%d]", s.index)
		case !plainKey.MatchString(s.key):
			fmt.Fprintf(&b, "[%s]", quoted(s.key))
		case i > 0:
			b.WriteString("." + s.key)
		default:
			b.WriteString(s.key)
		}
	}
	return b.String()
}
