// Package version says which Drover this is.
package version

import (
	"fmt"
	"runtime/debug"
)

// linked is set when a release is linked (-X); otherwise the build says what it was made from.
var linked string

// String is the version: that of the release, or dev and the commit of the build.
func String() string {
	if linked != "" {
		return linked
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return fmt.Sprintf("dev-%.12s", s.Value)
		}
	}
	return "dev"
}
