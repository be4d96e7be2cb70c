package results

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/tests/promises"
)

func TestStageIsShownAndRecorded(t *testing.T) {
	for name, want := range map[string]struct {
		text   string
		failed bool
	}{
		"here": {"ok\tone\t0.3 s, 3 passed, 2 skipped\nok\ttwo\t0.1 s, 1 passed\n", false},
		"fails": {"go: downloading something\n" +
			"--- FAIL: TestFail (0.00s)\n    a_test.go:4: it is bad\n--- FAIL: TestFail/bad (0.00s)\nFAIL\nFAIL\tmuster/one\t0.003s\n", true},
		"cut":     {"    a_test.go:9: before it hung\n--- TestHangs hasn't ended\nFAIL\tmuster/one: it hasn't ended\n", true},
		"unbuilt": {"# muster/one\none/a.go:3:1: syntax error\nFAIL\tmuster/one [build failed]\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := os.ReadFile("testdata/" + name + "/here.json")
			if err != nil {
				t.Fatal(err)
			}
			var file, out bytes.Buffer
			s, err := Record(bytes.NewReader(in), &file, &out)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want.text, out.String()); d != "" {
				t.Errorf("shown (-want +got):\n%s", d)
			}
			if s.Failed() != want.failed {
				t.Errorf("failed is %t", s.Failed())
			}
			events := strings.ReplaceAll(string(in), "go: downloading something\n", "")
			if d := cmp.Diff(events, file.String()); d != "" {
				t.Errorf("recorded (-want +got):\n%s", d)
			}
		})
	}
}

func TestSkippedTestsAreTold(t *testing.T) {
	stages := stages(t, "here")
	want := []string{"one TestPass/skipped: needs a host", "one TestSkip: needs two hosts"}
	if d := cmp.Diff(want, stages[0].Skipped()); d != "" {
		t.Error(d)
	}
	if passed, skipped := stages[0].Count("pass"), stages[0].Count("skip"); passed != 4 || skipped != 2 {
		t.Errorf("%d passed, %d skipped", passed, skipped)
	}
}

func stages(t *testing.T, folder string) []Stage {
	t.Helper()
	list, err := Read("testdata/" + folder)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestTestThatRunsInNoStageIsFound(t *testing.T) {
	one := promises.Test{Package: "one", Name: "TestPass/skipped"}
	two := promises.Test{Package: "one", Name: "TestPass"}
	promise := func(command string, tests ...promises.Test) []promises.Promise {
		return []promises.Promise{{Line: 7, Text: "It works.", Tests: tests, Command: command}}
	}
	for name, test := range map[string]struct {
		folder string
		list   []promises.Promise
		want   []string
	}{
		"a stage alone": {"here", nil, []string{
			"one TestPass/skipped was skipped, and runs in no stage (here: needs a host)",
			"one TestSkip was skipped, and runs in no stage (here: needs two hosts)",
		}},
		"another stage can't run one of them": {"excused", promise("tests/real.sh two", promises.Test{Package: "one", Name: "TestSkip/below"}), []string{
			"one TestPass/skipped was skipped, and runs in no stage (here: needs a host)"}},
		"another stage runs one of them": {"both", nil, []string{"one TestSkip was skipped, and runs in no stage (here: needs two hosts)"}},
		"a promise that is held":         {"whole", promise("go test ./one", two), nil},
		"held on hosts":                  {"whole", promise("tests/real.sh kinds", one, two), nil},
		"held by the whole script":       {"whole", promise("tests/real.sh", one), nil},
		"held by all":                    {"whole", promise("make test", one), nil},
		"with a variable":                {"whole", promise("MUSTER_LAB_HOST=1 go test ./one", one), nil},
		"skipped by its command": {"whole", promise("go test ./one", one), []string{
			"docs/promises.md:7: `go test ./one` doesn't run one TestPass/skipped: it passed in the stage kinds-one"}},
		"another part of the script": {"whole", promise("tests/real.sh lab", one), []string{
			"docs/promises.md:7: `tests/real.sh lab` doesn't run one TestPass/skipped: it passed in the stage kinds-one"}},
		"run by what takes longer": {"whole", promise("make test-long", promises.Test{Package: "one", Name: "TestGone"}), nil},
		"run nowhere": {"whole", promise("make test", promises.Test{Package: "one", Name: "TestGone"}), []string{
			"docs/promises.md:7: one TestGone passed in no stage"}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(test.want, Check(stages(t, test.folder), test.list)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestWhatIsNoRecordIsRefused(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(dir); err == nil {
		t.Error("an empty folder is a run")
	}
	if err := os.WriteFile(dir+"/here.json", []byte("{\"Action\":\"start\"}\nok\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "here.json:2 is no event") {
		t.Error(err)
	}
}
