package plans

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	linked  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N}_\- ]`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	fenced  = regexp.MustCompile("(?ms)^```.*?^```")
)

// anchors are the places of a page that a link may name, as GitHub calls its headings.
func anchors(page string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		text := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(m[1], "$1")
		out[strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(text), ""), " ", "-")] = true
	}
	return out
}

// TestEveryLinkOfThePagesLeadsSomewhere: who follows one in the night is where it says.
func TestEveryLinkOfThePagesLeadsSomewhere(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	followed := 0
	for _, page := range append(pages, "../README.md", "../CONTRIBUTING.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range linked.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(m[1], "://") {
				continue
			}
			to := page
			if path != "" {
				to = filepath.Join(filepath.Dir(page), path)
			}
			if !strings.HasSuffix(to, ".md") {
				_, err = os.Stat(to)
				require.NoError(t, err, "%s links %s", page, m[1])
				continue
			}
			there, err := os.ReadFile(to)
			require.NoError(t, err, "%s links %s", page, m[1])
			if anchor != "" {
				require.True(t, anchors(string(there))[anchor], "%s links %s: no heading of %s is called so", page, m[1], to)
				followed++
			}
		}
	}
	require.Greater(t, followed, 20, "links are not found any more")
}
