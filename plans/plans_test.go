package plans

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/drover-migration/drover/migration"
)

var update = flag.Bool("update", false, "write golden files, the schema and the reference again")

// golden compares got with a file that -update writes.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "go test ./plans -update writes it")
	require.Equal(t, string(want), string(got), "go test ./plans -update writes %s again", file)
}

func files(t testing.TB, pattern string) []string {
	t.Helper()
	all, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

func TestEveryExampleIsAValidPlan(t *testing.T) {
	for _, file := range files(t, "examples/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			p, err := Load(file)
			require.NoError(t, err)
			spec, err := Compile(p)
			require.NoError(t, err)
			body, err := spec.Encode()
			require.NoError(t, err)
			require.NotEmpty(t, body)
		})
	}
}

func TestEveryMistakeIsReportedAsWritten(t *testing.T) {
	for _, file := range files(t, "testdata/invalid/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := Load(file)
			require.Error(t, err)
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", []byte(err.Error()+"\n"))
		})
	}
}

func TestValidPlansCompileAsWritten(t *testing.T) {
	for _, file := range files(t, "testdata/valid/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			got, err := json.MarshalIndent(compiled(t, file), "", "  ")
			require.NoError(t, err)
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", append(got, '\n'))
		})
	}
}

func compiled(t *testing.T, file string) *migration.Spec {
	t.Helper()
	p, err := Load(file)
	require.NoError(t, err)
	spec, err := Compile(p)
	require.NoError(t, err)
	return spec
}

func TestTheLabsPlanHasTheBatchesThatTheDemonstrationNeeds(t *testing.T) {
	spec := compiled(t, "examples/lab.yaml")
	require.Len(t, spec.Customers, 12)
	var sizes []int
	for _, b := range spec.Batches {
		sizes = append(sizes, len(b.Customers))
	}
	require.Equal(t, []int{1, 3, 4, 4}, sizes)
	require.Equal(t, 1, spec.Batches[0].Approvals)
	require.Equal(t, migration.ReachBatch, spec.Batches[2].Rollback)
	require.Equal(t, migration.ReachCustomer, spec.Batches[3].Rollback)
}

func TestListedCustomersStayOutOfSelectionsWhichTakeLowTenantsFirst(t *testing.T) {
	spec := compiled(t, "testdata/valid/selections.yaml")
	var got [][]string
	for _, b := range spec.Batches {
		got = append(got, b.Customers)
	}
	require.Equal(t, [][]string{{"c"}, {"a", "d"}, {"e", "b"}}, got)
}

func TestAWindowInAnHourThatComesTwiceOpensAtTheFirst(t *testing.T) {
	spec := compiled(t, "testdata/valid/selections.yaml")
	require.Equal(t, time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC), spec.Batches[2].Window.Opens, "03:30 in Kyiv is 00:30 UTC before "+
		"the clocks go back and 01:30 after")
}

func TestATooLargeFileIsRefusedUnread(t *testing.T) {
	file := filepath.Join(t.TempDir(), "large.yaml")
	require.NoError(t, os.WriteFile(file, []byte("version: 1\n"), 0o600))
	require.NoError(t, os.Truncate(file, 50<<20))
	_, err := Load(file)
	require.EqualError(t, err, file+": the file is too large: found 52428800 bytes or more; want at most 16 MiB; put the customers into "+
		"a CSV file")
	_, problems := Parse("large.yaml", make([]byte, maxBytes+1), "")
	require.Len(t, problems, 1)
	require.Contains(t, problems.Error(), "too large")
}

func TestWhatWouldChokeTheParserIsRefusedFast(t *testing.T) {
	wide := &strings.Builder{}
	for i := range 200_000 {
		wide.WriteString("k" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + ": v\n")
	}
	for name, text := range map[string]string{
		"open lists":    strings.Repeat("[", 1<<20),
		"open mappings": strings.Repeat("{a: ", 1<<18),
		"dashes":        strings.Repeat("- ", 1<<20),
		"questions":     strings.Repeat("? ", 1<<18),
		"anchors":       strings.Repeat("&x ", 1<<18),
		"tags":          strings.Repeat("!x ", 1<<18),
		"wide":          wide.String(),
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, problems := Parse("bomb.yaml", []byte(text), "")
			require.NotEmpty(t, problems)
			require.Less(t, time.Since(start), time.Minute)
		})
	}
}

func TestTenThousandCustomersAreCheckedInSecondsEvenIfAllAreWrong(t *testing.T) {
	src, err := os.ReadFile("testdata/valid/defaults.yaml")
	require.NoError(t, err)
	head, _, _ := strings.Cut(string(src), "customers:\n  - ")
	var b strings.Builder
	b.WriteString(head + "customers:\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "  - {id: c%d, tenant: x%d, match: {host: [c%d.example.com]}, uses: {workloads: [wbe], datasets: [orders]}}\n", i,
			i, i)
	}
	b.WriteString("batches:\n  - {name: all, customers: {}}\n")
	start := time.Now()
	_, problems := Parse("plan.yaml", []byte(b.String()), "")
	require.Len(t, problems, 3, "one cause, one message: and a batch of so many is too large")
	require.Less(t, time.Since(start), 90*time.Second)
}

func TestAPlanThatWouldPassALimitOfTemporalIsRefused(t *testing.T) {
	src, err := os.ReadFile("testdata/valid/defaults.yaml")
	require.NoError(t, err)
	head, _, _ := strings.Cut(string(src), "customers:\n  - ")
	plan := func(customers int, batches string) []Problem {
		var b strings.Builder
		b.WriteString(head + "customers:\n")
		for i := range customers {
			fmt.Fprintf(&b, "  - {id: c%d, tenant: %d, match: {host: [c%d.example.com]}, uses: {workloads: [web], datasets: [orders]}}\n",
				i, i+1, i)
		}
		_, problems := Parse("plan.yaml", []byte(b.String()+"batches:\n"+batches), "")
		return problems
	}
	require.Empty(t, plan(MaxBatchCustomers, "  - {name: all, customers: {}}\n"))
	require.Equal(t,
		`batch "all" has too many customers: found 1501; want at most 1500: Temporal lets a workflow start and signal only so many at once; divide them among several batches`,
		said(plan(MaxBatchCustomers+1, "  - {name: all, customers: {}}\n")))
	var one strings.Builder
	for i := range MaxBatches + 1 {
		fmt.Fprintf(&one, "  - {name: b%d, customers: [c%d]}\n", i, i)
	}
	require.Equal(t,
		`too many batches: found 501; want at most 500: Temporal lets a workflow start and signal only so many at once; make batches larger, or divide the plan`,
		said(plan(MaxBatches+1, one.String())))
}

// said is the one problem, without its place.
func said(problems []Problem) string {
	if len(problems) != 1 {
		return fmt.Sprintf("%d problems: %v", len(problems), problems)
	}
	p := problems[0]
	return fmt.Sprintf("%s: found %s; want %s; %s", p.Message, p.Found, p.Want, p.Hint)
}

func TestNoSecretIsEverPrinted(t *testing.T) {
	for _, file := range files(t, "testdata/invalid/*.golden") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotContains(t, string(text), "hunter2", file)
	}
}

func TestASymbolicLinkOutOfThePlansDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret.sh")
	require.NoError(t, os.WriteFile(outside, []byte("#!/bin/sh\n"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "inside.sh")))
	src, err := os.ReadFile("testdata/valid/defaults.yaml")
	require.NoError(t, err)
	with := strings.Replace(string(src), "ec2: {}", "ec2: {}, config: {userData: {file: inside.sh}}", 1)
	_, problems := Parse("plan.yaml", []byte(with), dir)
	require.Len(t, problems, 1)
	require.Contains(t, problems[0].Message, "leads out of the plan's directory")
}

func TestUserDataIsText(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ud.gz"), []byte("\x1f\x8b\x08\x00packed"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ud.sh"),
		[]byte("#!/bin/sh\nexport PGPASSWORD=\"$(aws secretsmanager get-secret-value --secret-id db)\"\n"), 0o600))
	src, err := os.ReadFile("testdata/valid/defaults.yaml")
	require.NoError(t, err)
	with := func(file string) []byte {
		return []byte(strings.Replace(string(src), "ec2: {}", "ec2: {}, config: {userData: {file: "+file+"}}", 1))
	}
	_, problems := Parse("plan.yaml", with("ud.gz"), dir)
	require.Len(t, problems, 1)
	require.Contains(t, problems[0].Message, "not a text in UTF-8")
	_, problems = Parse("plan.yaml", with("ud.sh"), dir)
	require.Empty(t, problems, "what a command says is no secret in clear")
}

// An editor on Windows ends lines in two characters.
func TestAMistakeHasItsLineInAFileWithCRLF(t *testing.T) {
	for _, file := range files(t, "testdata/invalid/*.yaml") {
		src, err := os.ReadFile(file)
		require.NoError(t, err)
		if strings.Contains(string(src), "\r") {
			continue
		}
		_, want := Parse("plan.yaml", src, filepath.Dir(file))
		_, got := Parse("plan.yaml", []byte(strings.ReplaceAll("# first\n"+string(src), "\n", "\r\n")), filepath.Dir(file))
		require.Len(t, got, len(want), file)
		for i := range want {
			if want[i].Line > 0 && want[i].File == "plan.yaml" {
				require.Equal(t, want[i].Line+1, got[i].Line, "%s: %s", file, want[i].Message)
			}
		}
	}
}

func TestOnlyAValidatedPlanCompiles(t *testing.T) {
	_, err := Compile(&Plan{})
	require.ErrorContains(t, err, "has not passed validation")
}

// The order of mappings and of customers says nothing: it must not change what a plan compiles to,
// nor its digest.
func TestCompileDoesNotDependOnTheOrderOfTheFile(t *testing.T) {
	src, err := os.ReadFile("testdata/valid/selections.yaml")
	require.NoError(t, err)
	text := strings.NewReplacer("&all ", "", "*all", "{workloads: [web], datasets: [orders]}").Replace(string(src))
	blocks := topLevel(text)
	want := encoded(t, text)
	rapid.Check(t, func(rt *rapid.T) {
		shuffled := rapid.Permutation(blocks).Draw(rt, "blocks")
		for i, b := range shuffled {
			if lines := strings.SplitAfter(b, "\n"); lines[0] == "customers:\n" {
				rest := slices.DeleteFunc(lines[1:], func(l string) bool { return l == "" })
				shuffled[i] = lines[0] + strings.Join(rapid.Permutation(rest).Draw(rt, "customers"), "")
			}
		}
		require.Equal(rt, want, encoded(t, strings.Join(shuffled, "")))
	})
}

// topLevel cuts a plan before each key of its root.
func topLevel(text string) (out []string) {
	for _, line := range strings.SplitAfter(text, "\n") {
		if line == "" {
			continue
		}
		if line[0] != ' ' || len(out) == 0 {
			out = append(out, "")
		}
		out[len(out)-1] += line
	}
	return out
}

func encoded(t *testing.T, text string) string {
	t.Helper()
	p, problems := Parse("plan.yaml", []byte(text), "")
	require.Empty(t, problems)
	spec, err := Compile(p)
	require.NoError(t, err)
	body, err := spec.Encode()
	require.NoError(t, err)
	return string(body)
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"examples/*.yaml", "testdata/valid/*.yaml", "testdata/invalid/*.yaml"} {
		all, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range all {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		p, problems := Parse("fuzz.yaml", src, "")
		if (p == nil) == (len(problems) == 0) {
			t.Fatal("neither a plan nor problems, or both")
		}
		for _, pr := range problems {
			if strings.ContainsRune(pr.String(), '\n') {
				t.Fatalf("problem of more than one line: %q", pr.String())
			}
		}
		if p != nil {
			if _, err := Compile(p); err != nil {
				t.Fatal(err)
			}
		}
	})
}
