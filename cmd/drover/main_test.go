package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	time.Local = time.FixedZone("EET", 2*60*60) // a reader's own zone
	testscript.Main(m, map[string]func(){"drover": main})
}

// TestSessions runs what a person would type, in testdata: what is printed, where, and the exit
// code. `exits N command...` wants a command to end with exit code N.
func TestSessions(t *testing.T) {
	examples, err := filepath.Abs("../../plans/examples")
	if err != nil {
		t.Fatal(err)
	}
	bundles, err := filepath.Abs("../../evidence/testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("EXAMPLES", examples)
			env.Setenv("BUNDLES", bundles)
			env.Setenv("USER", "ann")
			env.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1") // nobody listens there
			return nil
		},
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		UpdateScripts: os.Getenv("UPDATE_GOLDEN") != "",
	})
}
