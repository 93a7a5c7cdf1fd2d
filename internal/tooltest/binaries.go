package tooltest

import (
	"os"
	"os/exec"
)

// Builder is what Binaries needs of a *testing.T.
type Builder interface {
	Test
	TempDir() string
}

// Binaries is the folder of the shipped drover and lab: DROVER_BIN, or one where they are built.
func Binaries(t Builder) string {
	t.Helper()
	if d := os.Getenv("DROVER_BIN"); d != "" {
		return d
	}
	const module = "github.com/drover-migration/drover"
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir+"/", module+"/cmd/drover", module+"/cmd/lab").CombinedOutput(); err != nil {
		t.Fatalf("build drover and lab: %v\n%s", err, out)
	}
	return dir
}
