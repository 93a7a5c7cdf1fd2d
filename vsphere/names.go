package vsphere

import (
	"path"
	"strings"
)

// vCenter's API escapes three characters in names, since a slash separates names in a path. Its
// pages, and so the authors of plans, show them as they are.
var (
	unescape = strings.NewReplacer("%2f", "/", "%2F", "/", "%5c", `\`, "%5C", `\`, "%25", "%")
	escape   = strings.NewReplacer("%", "%25", "/", "%2f", `\`, "%5c")
)

// plain is a name of the API's as people know it.
func plain(name string) string { return unescape.Replace(name) }

// like says whether a name matches a shell pattern. A slash in a name is a character like any
// other, and no separator.
func like(pattern, name string) bool {
	const aside = "\x00" // in no name and in no pattern
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", aside), strings.ReplaceAll(name, "/", aside))
	return ok && err == nil
}
