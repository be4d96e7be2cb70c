package mysql

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"muster/host"
)

// positionLine begins the last line of a dump: the position that it was made at. A stream
// without it isn't whole.
const positionLine = "-- muster position: "

// packetLimit is the largest packet that the dump's tools and clients take, in bytes: the
// servers' own limit.
const packetLimit = "--max-allowed-packet=1073741824"

// sendDump streams statements that make all databases but the system's, as they are at one
// moment, and all accounts but those that each server has for itself. What isn't
// transactional has no such moment: it is refused, or locked where that is asked for.
//
// Accounts aren't transactional either. They are read before the moment and after it: two
// readings that differ are an error, since the binary log from the position on would have
// an account made that is there.
func sendDump(ctx context.Context, h *host.Host, s *server, r donorRequest, w io.Writer) error {
	socket, err := s.one(ctx, "SELECT @@GLOBAL.socket", 1)
	if err != nil {
		return err
	}
	var o DonorOutput
	if err := s.holds(ctx, &o); err != nil {
		return err
	}
	if len(o.Emptied) > 0 && !r.Lock {
		return fmt.Errorf("tables that aren't InnoDB's would be dumped torn: %s", strings.Join(o.Emptied, ", "))
	}
	before, err := s.accountStatements(ctx)
	if err != nil {
		return fmt.Errorf("reading the accounts: %w", err)
	}
	found := &positionFinder{to: w, flavor: s.flavor}
	if len(o.Schemas) == 0 {
		position, err := s.positionNow(ctx)
		if err != nil {
			return err
		}
		found.found = []string{"", position}
	} else if err := s.runDump(ctx, h, socket[0], o.Schemas, r.Lock, found); err != nil {
		return err
	}
	// The connection may have been idle for longer than the server allows.
	again, err := acting(ctx, h)
	if err != nil {
		return err
	}
	defer again.Close()
	position, err := again.positionOf(ctx, found)
	if err != nil {
		return err
	}
	after, err := again.accountStatements(ctx)
	if err != nil {
		return fmt.Errorf("reading the accounts: %w", err)
	}
	if !slices.Equal(before, after) {
		return errors.New("accounts or privileges were altered while the dump was made: run again")
	}
	_, err = fmt.Fprintf(w, "\n%s\n%s%s\n", strings.Join(after, "\n"), positionLine, position)
	return err
}

// runDump has the server's own tool dump the databases.
func (s *server) runDump(ctx context.Context, h *host.Host, socket string, schemas []SchemaSize, lock bool, w io.Writer) error {
	program := "mariadb-dump"
	if s.flavor == mysqlOwn {
		program = "mysqldump"
	}
	argv := []string{
		program, "--no-defaults", "--user=root", "--socket=" + socket, packetLimit, "--default-character-set=utf8mb4",
		"--quick", "--hex-blob", "--routines", "--events", "--triggers", "--add-drop-database", "--tz-utc",
	}
	if lock {
		argv = append(argv, "--lock-all-tables")
	} else {
		argv = append(argv, "--single-transaction")
	}
	switch {
	case s.flavor == mariadb:
		argv = append(argv, "--master-data=2", "--gtid")
	case s.atLeast([3]int{8, 0, 26}):
		argv = append(argv, "--source-data=2", "--set-gtid-purged=COMMENTED")
	default:
		argv = append(argv, "--master-data=2", "--set-gtid-purged=COMMENTED")
	}
	argv = append(argv, "--databases")
	for _, d := range schemas {
		argv = append(argv, d.Name)
	}
	out, err := h.Runner.Run(ctx, host.Command{Argv: argv, Stdout: w, OutputLimit: toolOutput})
	switch {
	case errors.Is(err, host.ErrNoProgram):
		return fmt.Errorf("%s isn't installed: it comes with the server's client", program)
	case err != nil:
		return err
	case out.ExitCode != 0:
		return &host.SaidError{Err: fmt.Errorf("%s has ended with exit code %d", program, out.ExitCode), Said: toolWords(out.Stderr)}
	}
	return nil
}

// positionNow is the position of a server on which nothing is to be dumped.
func (s *server) positionNow(ctx context.Context) (string, error) {
	query := "SELECT @@GLOBAL.gtid_binlog_pos"
	if s.flavor == mysqlOwn {
		query = "SELECT @@GLOBAL.gtid_executed"
	}
	row, err := s.one(ctx, query, 1)
	if err != nil {
		return "", err
	}
	return oneWord(row[0]), nil
}

// How the tools write, in comments, the position of what they dump. MariaDB's write its
// GTIDs at the end, where a routine's text could have such a line, too: the place in the
// binary log stands at the beginning.
var (
	mariadbPosition = regexp.MustCompile(`(?m)^-- CHANGE MASTER TO MASTER_LOG_FILE='([^'\\]+)', MASTER_LOG_POS=(\d+);`)
	mysqlPosition   = regexp.MustCompile(`SET @@GLOBAL\.GTID_PURGED=(?:/\*!80000 '\+'\*/ )?'\+?([0-9a-zA-Z_,:\-\s]*)';`)
)

// positionLimit is within how many bytes, from its beginning, a dump says its position.
const positionLimit = 1 << 20

// positionFinder hands a dump on, and finds the position that it says at its beginning,
// before the first statement that a database's own texts are in.
type positionFinder struct {
	to     io.Writer
	flavor flavor
	head   []byte
	found  []string // what has matched
}

func (f *positionFinder) Write(p []byte) (int, error) {
	if f.found == nil && len(f.head) < positionLimit {
		f.head = append(f.head, p...)
		pattern, word := mariadbPosition, "MASTER_LOG_POS="
		if f.flavor == mysqlOwn {
			pattern, word = mysqlPosition, "GTID_PURGED="
		}
		if bytes.Contains(f.head, []byte(word)) {
			f.found = pattern.FindStringSubmatch(string(f.head))
		}
		if f.found != nil {
			f.head = nil
		}
	}
	return f.to.Write(p)
}

// positionOf is what the server calls the position that was found.
func (s *server) positionOf(ctx context.Context, f *positionFinder) (string, error) {
	switch len(f.found) {
	case 0:
		return "", errors.New("the dump doesn't say at which position it was made: the server has to keep a binary log, with GTIDs")
	case 3: // a binary log, and where in it
		row, err := s.one(ctx, "SELECT IFNULL(BINLOG_GTID_POS("+literal(f.found[1])+", "+f.found[2]+"), '?')", 1)
		if err == nil && row[0] == "?" {
			err = fmt.Errorf("the binary log %s, in which the dump was made, is gone already: keep logs for longer (expire_logs_days)", f.found[1])
		}
		if err != nil {
			return "", err
		}
		return oneWord(row[0]), nil
	}
	return oneWord(f.found[1]), nil
}
