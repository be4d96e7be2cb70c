package docs

import (
	"os/exec"
	"strings"
	"testing"

	"muster/tests/program"
)

func TestManualPagesAreWholeAndRenderWithoutWarnings(t *testing.T) {
	muster := program.Build(t, "muster/cmd/muster")
	pages, err := ManPages(muster, "2026-05-04")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"muster.1", "muster-plan.1", "muster-secret.1", "muster-secret-set.1"} {
		if pages[name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("no groff here: tests/setup.sh installs it")
	}
	for name, page := range pages {
		cmd := exec.Command(groff, "-man", "-ww", "-Tutf8", "-P-cbou", "-rLL=100n")
		cmd.Stdin = strings.NewReader(page)
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil || errs.Len() > 0 {
			t.Errorf("%s: %v\n%s", name, err, errs.String())
		}
		text := string(out)
		for _, want := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "--help"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s says nothing of %s", name, want)
			}
		}
		if strings.Contains(text, `\-`) || strings.Contains(text, `\e`) {
			t.Errorf("%s shows an escape:\n%s", name, text)
		}
	}
	// All that the help says is in the page, to the letter: what begins with a dot or a
	// quote, too, which roff would take for a request.
	m := readHelp("First.\n\n.dots 'quotes' \\back -dash\n'x' ~/y ^C `z`\n\nUsage:\n  muster x\n\nFlags:\n  -h, --help   help\n")
	cmd := exec.Command(groff, "-man", "-ww", "-Tutf8", "-P-cbou")
	cmd.Stdin = strings.NewReader(m.page([]string{"x"}, "short", "muster 1", "2026-05-04"))
	out, err := cmd.Output()
	if want := `.dots 'quotes' \back -dash 'x' ~/y ^C ` + "`z`"; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v: %s isn't in\n%s", err, want, out)
	}
}
