package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"muster/host"
)

// answerTime is how long HAProxy may take to answer a command.
const answerTime = 10 * time.Second

// answerLimit is the size, in bytes, up to which an answer is read: a row of
// `show stat` has some 500, and there may be thousands of servers.
const answerLimit = 16 << 20

// dial connects to a socket of HAProxy's.
type dial func(ctx context.Context, address string) (net.Conn, error)

// socket is a command line of HAProxy's: the master's, or a worker's own.
type socket struct {
	dial    dial
	address string
	prefix  string // in front of each command: "@1 " for the master's current worker
}

// ask sends one command and returns the answer, without its end. The sockets close after
// each command that is sent by itself.
func (s socket) ask(ctx context.Context, command string) (string, error) {
	if strings.ContainsAny(command, "\n\r") {
		return "", fmt.Errorf("a command for HAProxy is one line: %q", command)
	}
	return s.send(ctx, s.prefix+command+"\n")
}

// askWith is ask for a command with a payload, a certificate: it ends at an empty line.
func (s socket) askWith(ctx context.Context, command, payload string) (string, error) {
	for line := range strings.Lines(payload) {
		if strings.TrimRight(line, "\r\n") == "" {
			return "", fmt.Errorf("what follows %q holds an empty line", command)
		}
	}
	return s.send(ctx, s.prefix+command+" <<\n"+strings.TrimRight(payload, "\n")+"\n\n")
}

func (s socket) send(ctx context.Context, text string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	conn, err := s.dial(ctx, s.address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	// The master's keeps a connection open until nothing more can come.
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return "", err
		}
	}
	data, err := io.ReadAll(io.LimitReader(conn, answerLimit+1))
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s hasn't answered within %s", strings.TrimPrefix(s.address, "unix:"), answerTime)
	case err != nil:
		return "", err
	case len(data) > answerLimit:
		return "", fmt.Errorf("%s answers with more than %d bytes", strings.TrimPrefix(s.address, "unix:"), answerLimit)
	}
	return strings.TrimRight(string(data), "\n"), nil
}

// do is ask for a command that says nothing where it succeeds. HAProxy says what is
// wrong in text alone: "No such server."
func (s socket) do(ctx context.Context, command string) error {
	answer, err := s.ask(ctx, command)
	if err == nil && strings.TrimSpace(answer) != "" {
		err = fmt.Errorf("HAProxy refuses %q: %s", command, strings.TrimSpace(answer))
	}
	return err
}

// unanswered says what to do about a socket that doesn't answer.
func unanswered(err error) error {
	switch {
	case errors.Is(err, host.ErrNotYet):
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("HAProxy doesn't run on this host: start it in an earlier task, task \"haproxy\" \"haproxy\" { … }, or see what stopped it: journalctl -u %s", unit)
	case errors.Is(err, os.ErrPermission):
		return errors.New(`only root may ask HAProxy: give the task "become = true"`)
	}
	return fmt.Errorf("asking HAProxy: %w", err)
}

// worker returns the command line of the worker that serves. Where the unit gives the
// master one that is used: it leads to the newest worker. Otherwise it is the first
// `stats socket` of the configuration with the level admin.
func (d *daemon) worker(with dial, config []byte) (socket, error) {
	if at := d.masterSocket(); at != "" {
		return socket{dial: with, address: at, prefix: "@1 "}, nil
	}
	for line := range strings.Lines(string(config)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "stats" || f[1] != "socket" {
			continue
		}
		if at := slices.Index(f, "level"); at > 0 && at+1 < len(f) && f[at+1] == "admin" && address(f[2]) != "" {
			return socket{dial: with, address: address(f[2])}, nil
		}
	}
	return socket{}, fmt.Errorf("HAProxy can't be asked on this host: give its unit -S /run/haproxy-master.sock, or its configuration a stats socket of the level admin")
}

// process is a row of the master's `show proc`.
type process struct {
	PID    int
	Type   string // master, worker, program
	Old    bool   // a worker that ends, its connections done
	Failed int    // of the master: reloads that failed since its start

	ticks   uint64 // its start, by the kernel's clock
	started time.Time
}

// processes asks the master for its workers.
func (s socket) processes(ctx context.Context) ([]process, error) {
	s.prefix = ""
	answer, err := s.ask(ctx, "show proc")
	if err != nil {
		return nil, err
	}
	return parseProcesses(answer), nil
}

func parseProcesses(answer string) (list []process) {
	old := false
	for line := range strings.Lines(answer) {
		if strings.HasPrefix(line, "#") {
			old = strings.Contains(line, "old")
			continue
		}
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		pid, err := strconv.Atoi(f[0])
		if err != nil {
			continue
		}
		p := process{PID: pid, Type: f[1], Old: old}
		if _, rest, ok := strings.Cut(line, "[failed:"); ok && p.Type == "master" {
			number, _, _ := strings.Cut(rest, "]")
			p.Failed, _ = strconv.Atoi(strings.TrimSpace(number))
		}
		list = append(list, p)
	}
	return list
}
