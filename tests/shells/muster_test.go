package shells

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"muster/tests/await"
	"muster/tests/program"
)

// At the question whether to make the changes, no and ^C both leave everything as it is, at
// once, and nobody who waits for the changes takes them for made.
func TestChangesAreRefusedAtATerminal(t *testing.T) {
	for _, c := range []struct {
		name, keys string
		code       int
	}{
		{"no", "n\n", 1},
		{"nothing", "\n", 1},
		{"the end of the input", "\x04", 1},
		{"an interrupt", "\x03", 130},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, cmd, term := asked(t, "--no-color")
			if err := term.write(c.keys); err != nil {
				t.Fatal(err)
			}
			if said, err := term.await("Nothing was changed."); err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			err := cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != c.code {
				t.Errorf("it ended with %v, not with the exit code %d", err, c.code)
			}
			if _, err := os.Stat(filepath.Join(dir, "made")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("it made the change: %v", err)
			}
		})
	}
}

// localProject makes a project for this machine, with a playbook in which DIR stands for its
// folder.
func localProject(t *testing.T, playbook string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write(t, filepath.Join(dir, "muster.hcl"), "inventory = \"hosts.hcl\"\n")
	write(t, filepath.Join(dir, "hosts.hcl"), "host \"here\" { connection = \"local\" }\n")
	write(t, filepath.Join(dir, "site.hcl"), strings.ReplaceAll(playbook, "DIR", dir))
	return dir
}

// asked begins an apply at a terminal that makes the file "made" in its folder, and awaits the
// question.
func asked(t *testing.T, flags ...string) (dir string, cmd *exec.Cmd, term *terminal) {
	t.Helper()
	dir = localProject(t, "play \"p\" {\n  hosts = [\"here\"]\n  task \"file\" \"DIR/made\" { content = \"x\" }\n}\n")
	cmd = exec.CommandContext(t.Context(), program.Muster(t), append([]string{"apply", "site.hcl"}, flags...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=xterm")
	term, err := open(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = term.close() })
	if said, err := term.await("Make these changes? [y/N] "); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return dir, cmd, term
}

// slow is a playbook whose one change goes on until the file "on" is there, in the folder DIR,
// or that folder is gone, and says by the file "begun" that it is made.
const slow = "play \"p\" {\n  hosts = [\"here\"]\n  task \"command\" \"migrate\" {\n    shell   = \"cd DIR; touch begun; while test -d DIR && ! test -e on; do sleep 0.05; done; touch DIR/ended\"\n    creates = \"DIR/ended\"\n  }\n}\n"

// slowly begins an apply of slow at a terminal, by a line of sh, and awaits that the change is
// made.
func slowly(t *testing.T, line string) (dir string, term *terminal) {
	t.Helper()
	muster := program.Muster(t)
	dir = localProject(t, slow)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=xterm", "PATH="+filepath.Dir(muster)+":"+os.Getenv("PATH"))
	term, err := open(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = term.close() })
	await.Until(t, "the change is being made", func() bool {
		_, err := os.Stat(filepath.Join(dir, "begun"))
		return err == nil
	})
	return dir, term
}

// The first ^C says what is still being finished, below the footer, and lets it end.
func TestTheFirstInterruptSaysWhatIsBeingFinished(t *testing.T) {
	dir, term := slowly(t, "exec muster apply site.hcl --yes")
	if said, err := term.await("command.migrate"); err != nil { // the footer names it
		t.Fatalf("%v\n%s", err, said)
	}
	if err := term.write("\x03"); err != nil {
		t.Fatal(err)
	}
	if said, err := term.await("Stopping once the changes in hand are finished; again to abort."); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if said, err := term.await("here: command.migrate"); err != nil || said != "\r\n  " {
		t.Fatalf("%v\n%q", err, said)
	}
	write(t, filepath.Join(dir, "on"), "")
	if said, err := term.await("1 changed"); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	var exit *exec.ExitError
	if err := term.cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("it ended with %v", err)
	}
}

// Who waits for another run's lock has nothing in hand: the footer names what it waits for, and
// after ^C it ends at once, without a failure.
func TestAnInterruptWhileAnotherRunHasTheHostEndsAtOnce(t *testing.T) {
	_, cmd, term := asked(t)
	dir, _ := slowly(t, "exec muster apply site.hcl --yes") // another run, which has the host from now on
	if err := term.write("y\n"); err != nil {
		t.Fatal(err)
	}
	if said, err := term.await("here: waiting for another run on this host"); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if err := term.write("\x03"); err != nil {
		t.Fatal(err)
	}
	if said, err := term.await("again to abort."); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	said, err := term.await("To go on: ")
	if err != nil || !strings.Contains(said, "1 not reached") || strings.Contains(said, "failed") || strings.Contains(said, "made") {
		t.Errorf("%v\n%s", err, said)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("it ended with %v", err)
	}
	write(t, filepath.Join(dir, "on"), "")
}

// What is shown through a pipe has the screen for itself: no footer is drawn over it.
func TestNoFooterIsDrawnOverWhatAPipeShows(t *testing.T) {
	dir, term := slowly(t, "muster apply site.hcl --yes | cat; echo over")
	if said, err := term.await("1 host: 1 applying"); err != nil || strings.Contains(said, "\x1b") { // every ten seconds, on a line of its own
		t.Fatalf("%v\n%q", err, said)
	}
	write(t, filepath.Join(dir, "on"), "")
	said, err := term.await("over")
	if err != nil || !strings.Contains(said, "1 changed") || strings.Contains(said, "\x1b") {
		t.Errorf("%v\n%q", err, said)
	}
}

// What a host says is broken for the terminal by muster, below its own indentation, and never
// begins a row.
func TestALongLineOfAHostGoesOnBelowItsIndentation(t *testing.T) {
	muster := program.Muster(t)
	dir := localProject(t, "play \"p\" {\n  hosts = [\"here\"]\n  task \"print\" \"say\" { message = \"well"+strings.Repeat(" ", 200)+"Failed in 1s\" }\n}\n")
	for _, args := range [][]string{{"plan", "site.hcl"}, {"run", "here", "--", "printf", "%s%200s", "well", "Failed in 1s"}} {
		cmd := exec.CommandContext(t.Context(), muster, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=dumb")
		term, err := open(cmd)
		if err != nil {
			t.Fatal(err)
		}
		defer term.close()
		said, err := term.await("Failed in 1s")
		if row := said[strings.LastIndex(said, "\n")+1:]; err != nil || len(row) < 2 || len(row) > 200 || strings.TrimLeft(row, " ") != "" || !strings.Contains(said, "well") {
			t.Errorf("%v: %v\n%q", args, err, said)
		}
	}
}
