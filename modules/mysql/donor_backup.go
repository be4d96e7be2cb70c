package mysql

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"

	"muster/host"
)

// backupProgram copies MariaDB's files while it runs, and makes the copy usable.
const backupProgram = "mariadb-backup"

// backupDone is the tool's last line where all went well. It is asked for besides the
// exit code: versions of the tool have ended with 0 after an error.
const backupDone = "completed OK!"

// toolOutput is how much of what a tool says is kept, in bytes.
const toolOutput = 256 << 10

// sendBackup streams the server's files in the format of mbstream, with the binary log's
// position of its end. While its last part is read commits wait: where nobody takes the
// stream the tool is killed, and the server lets go of all locks with its connection.
func sendBackup(ctx context.Context, h *host.Host, s *server, _ donorRequest, w io.Writer) error {
	if s.flavor != mariadb {
		return errors.New("mariadb-backup copies MariaDB, and this is MySQL")
	}
	socket, err := s.one(ctx, "SELECT @@GLOBAL.socket, @@GLOBAL.datadir", 2)
	if err != nil {
		return err
	}
	scratch, err := host.NewScratch()
	if err != nil {
		return err
	}
	defer scratch.Remove()
	out, err := h.Runner.Run(ctx, host.Command{
		Argv: []string{
			backupProgram, "--backup", "--stream=mbstream", "--target-dir=" + scratch.Path(), "--datadir=" + socket[1],
			"--user=root", "--socket=" + socket[0], fmt.Sprintf("--parallel=%d", threads()),
			// In its last part, while commits wait, the tool sleeps for as long: its own is a second.
			"--log-copy-interval=100",
		},
		Stdout: w, OutputLimit: toolOutput,
	})
	return toolError(backupProgram, out, err)
}

// threads is how many files a tool copies at once.
func threads() int { return min(4, runtime.NumCPU()) }

// toolError is what became of a run of the backup's tool.
func toolError(name string, out host.Output, err error) error {
	switch {
	case errors.Is(err, host.ErrNoProgram):
		return fmt.Errorf("%s isn't installed: install the package mariadb-backup in an earlier task", name)
	case err != nil:
		return err
	case out.ExitCode != 0:
		return &host.SaidError{Err: fmt.Errorf("%s has ended with exit code %d", name, out.ExitCode), Said: toolWords(out.Stderr)}
	case !bytes.HasSuffix(bytes.TrimSpace(out.Stderr), []byte(backupDone)):
		return &host.SaidError{Err: fmt.Errorf("%s has ended without saying that all went well", name), Said: toolWords(out.Stderr)}
	}
	return nil
}

var (
	// stamped is what the tool puts before each line: "[00] 2026-11-28 18:47:05 ".
	stamped = regexp.MustCompile(`^(\[\d+\] )?\d{4}-\d\d-\d\d +\d+:\d\d:\d\d( \d+)? `)
	// alarming is what lines say that tell why it failed.
	alarming = regexp.MustCompile(`(?i)error|fail|can't|cannot|denied|unable|refused|no space|abort|fatal`)
)

// toolWords is what a tool has said about why it failed: of hundreds of lines the last ones
// that sound like it, else the last ones.
func toolWords(stderr []byte) string {
	var all, alarms []string
	for line := range strings.Lines(string(stderr)) {
		line = strings.TrimSpace(stamped.ReplaceAllString(strings.TrimSpace(line), ""))
		if line == "" {
			continue
		}
		all = append(all, oneLine(line, 300))
		if alarming.MatchString(line) {
			alarms = append(alarms, oneLine(line, 300))
		}
	}
	if len(alarms) > 0 {
		all = alarms
	}
	return strings.Join(all[max(0, len(all)-5):], "\n")
}
