package files

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of S3 (a key, in bytes) and of Linux (a name, in bytes).
const (
	maxKey  = 1024
	maxName = 255
)

// tempPrefix begins the names of files that are being written; they are nobody's data.
const tempPrefix = ".drover-tmp-"

// checkName says why a path below the root must not become a key, or a key a path: "" if it may.
// What comes from a bucket may have been named by anybody.
func checkName(prefix, p string) string {
	switch {
	case p == "":
		return "is empty"
	case !utf8.ValidString(p):
		return "is not UTF-8"
	case strings.ContainsFunc(p, unicode.IsControl):
		return "has control characters"
	case strings.HasPrefix(p, "/"):
		return "is absolute"
	case path.Clean(p) != p || p == "." || p == ".." || strings.HasPrefix(p, "../"):
		return "has empty, . or .. elements"
	case len(prefix)+len(p) > maxKey:
		return fmt.Sprintf("makes a key longer than %d bytes", maxKey)
	}
	for name := range strings.SplitSeq(p, "/") {
		if len(name) > maxName {
			return fmt.Sprintf("has an element longer than %d bytes", maxName)
		}
		if strings.HasPrefix(name, tempPrefix) {
			return "is the name of a file being written"
		}
	}
	return ""
}

// escapes says whether a symbolic link at p leads out of the tree, by its text alone.
func escapes(p, target string) bool {
	to := path.Join(path.Dir(p), target)
	return strings.HasPrefix(target, "/") || to == ".." || strings.HasPrefix(to, "../")
}
