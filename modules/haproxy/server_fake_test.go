package haproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/host"
)

// fakeHAProxy is a master's command line with a worker behind it, as far as servers go.
type fakeHAProxy struct {
	t       *testing.T
	address string
	backend string // its notes are on this machine, so that each fake has a name of its own

	mu         sync.Mutex
	rows       []row
	asked      []string
	old        map[int]int       // sessions of the first server in workers that end, by their numbers
	say        map[string]string // what is answered instead, by how a command begins
	once       map[string]string // the same, for one answer
	torn       int               // how many more answers are cut short
	broken     bool              // connections are closed without an answer
	step       func(at time.Time)
	time       time.Time
	invocation string
}

// newFake returns a fake with these servers, that listens on a socket of its own.
func newFake(t *testing.T, rows ...row) *fakeHAProxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "") // a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	f := &fakeHAProxy{t: t, address: filepath.Join(dir, "master.sock"), rows: rows, say: map[string]string{}, once: map[string]string{}, old: map[int]int{}, time: time.Unix(1e9, 0), invocation: "i1"}
	if !host.IsRoot() {
		t.Skip("notes are root's: needs root")
	}
	f.backend = fmt.Sprintf("test-%d-%s", os.Getpid(), t.Name())
	f.backend = strings.NewReplacer("/", "-", "#", "-", ",", "").Replace(f.backend)
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Join(notesDir, f.backend)) })
	for i := range f.rows {
		f.rows[i].Backend = f.backend
	}
	l, err := net.Listen("unix", f.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(conn)
		}
	}()
	return f
}

// up is a server that is up, without a check.
func up(name string) row {
	return row{BackendID: "2", Name: name, Op: opRunning, Weight: 1, Initial: 1}
}

func (f *fakeHAProxy) host() *host.Host {
	h := host.New()
	h.RunName = "aaaa1111"
	h.Runner = f
	return h
}

func (f *fakeHAProxy) view() *host.View { return host.NewView(f.host(), nil) }

// Run is systemctl.
func (f *fakeHAProxy) Run(context.Context, host.Command) (host.Output, error) {
	return host.Output{Stdout: []byte("LoadState=loaded\nActiveState=active\nMainPID=0\nInvocationID=" + f.invocation + "\nExecStart={ path=/usr/sbin/haproxy ; argv[]=/usr/sbin/haproxy -Ws -f /nowhere/haproxy.cfg -S " + f.address + " ; }\n")}, nil
}

func (f *fakeHAProxy) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.time
}

// sleep moves the time, and what happens meanwhile.
func (f *fakeHAProxy) sleep(ctx context.Context, d time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.time = f.time.Add(d)
	if f.step != nil {
		f.step(f.time)
	}
	return ctx.Err()
}

func (f *fakeHAProxy) serve(conn net.Conn) {
	defer conn.Close()
	// The master reads until it is told that no more comes.
	var all []byte
	for buf := make([]byte, 4096); ; {
		n, err := conn.Read(buf)
		if all = append(all, buf[:n]...); err != nil {
			break
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	command := strings.TrimSpace(string(all))
	f.asked = append(f.asked, command)
	if f.broken {
		return
	}
	answer := f.answer(command)
	if f.torn > 0 && len(answer) > 100 {
		f.torn--
		answer = answer[:len(answer)*2/3]
	}
	_, _ = conn.Write([]byte(answer))
}

func (f *fakeHAProxy) answer(command string) string {
	for begin, answer := range f.once {
		if strings.HasPrefix(command, begin) {
			delete(f.once, begin)
			return answer
		}
	}
	for begin, answer := range f.say {
		if strings.HasPrefix(command, begin) {
			return answer
		}
	}
	if command == "show proc" {
		list := "#<PID> <type> <reloads>\n1 master 0 [failed: 0]\n# workers\n2 worker 0\n# old workers\n"
		for pid := range f.old {
			list += fmt.Sprintf("%d worker 1\n", pid)
		}
		return list + "# programs\n\n"
	}
	to, command, _ := strings.Cut(command, " ")
	rows := f.rows
	if pid, err := strconv.Atoi(strings.TrimPrefix(to, "@!")); err == nil {
		left, ok := f.old[pid]
		if !ok {
			return "Can't find the target PID matching the prefix '" + to + "'\n"
		}
		rows = []row{f.rows[0]}
		rows[0].Sessions = left
	}
	words := strings.Fields(command)
	switch {
	case strings.HasPrefix(command, "show servers state"):
		text := "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_check_state srv_agent_state\n"
		for _, r := range rows {
			if len(words) == 3 || words[3] == r.Backend {
				text += fmt.Sprintf("%s %s 1 %s 127.0.0.1 %d %d %d %d %d %d\n", r.BackendID, r.Backend, r.Name, r.Op, r.Admin, r.Weight, r.Initial, r.Check, r.Agent)
			}
		}
		return text + "\n"
	case strings.HasPrefix(command, "show stat"):
		text := "# pxname,svname,qcur,scur,status,bck,check_rise,check_fall,check_health,last_chk,last_agt,\n"
		for _, r := range rows {
			health, backup := 0, 0
			if r.Healthy {
				health = 4
			}
			if r.Backup {
				backup = 1
			}
			if words[2] == "-1" || words[2] == r.BackendID {
				text += fmt.Sprintf("%s,%s,0,%d,%s,%d,2,3,%d,\"%s, it says\",,\n", r.Backend, r.Name, r.Sessions, "UP", backup, health, r.Says)
			}
		}
		return text + "\n"
	}
	if strings.HasPrefix(to, "@!") {
		return "\n"
	}
	return f.set(command, words)
}

func (f *fakeHAProxy) set(command string, words []string) string {
	at := 2
	if words[0] == "shutdown" {
		at = 3
	}
	backend, name, _ := strings.Cut(words[at], "/")
	r := rowOf(f.rows, backend, name)
	if r == nil {
		return "No such server.\n\n"
	}
	switch words[0] + " " + words[1] {
	case "set server":
		r.Admin &^= forcedDrain | forcedMaint
		switch words[4] {
		case drain:
			r.Admin |= forcedDrain
		case maint:
			r.Admin |= forcedMaint
		}
	case "set weight":
		r.Weight, _ = strconv.Atoi(words[3])
	case "disable agent":
		r.Agent &^= checkEnabled
	case "enable agent":
		r.Agent |= checkEnabled
	case "shutdown sessions":
		r.Sessions = 0
	default:
		return "Unknown command: '" + command + "'\n"
	}
	return "\n"
}

// done returns the commands that were given, without the questions.
func (f *fakeHAProxy) done() (list []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.asked {
		if !strings.Contains(c, "show ") {
			list = append(list, strings.TrimPrefix(c, "@1 "))
		}
	}
	return list
}

// questions counts what the worker was asked.
func (f *fakeHAProxy) questions() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.asked {
		if strings.Contains(c, "show ") {
			n++
		}
	}
	return n
}

// note is what is noted of a server.
func (f *fakeHAProxy) note(name string) *note {
	f.t.Helper()
	n, err := lookNote(f.backend, name)
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// task is one about a server.
func (f *fakeHAProxy) task(name, state string) *LiveServer {
	return &LiveServer{Server: name, Backend: f.backend, State: state}
}

// make plans a task and makes it, as of the time of the fake; what it does is undone where
// it fails, as an atomic plan is.
func (f *fakeHAProxy) make(s *LiveServer) error {
	f.t.Helper()
	plan, err := s.Plan(context.Background(), f.view())
	if err != nil {
		return err
	}
	if len(plan.Changes) != 1 {
		return errors.New("nothing is planned")
	}
	h := f.host()
	var undo []host.Change
	h.Undo = func(u host.Undo) error { undo = append(undo, u.Changes...); return nil }
	if _, err := plan.Changes[0].(*SetServer).apply(context.Background(), h, f); err != nil && plan.Atomic {
		for _, c := range undo {
			if _, back := c.Apply(context.Background(), f.host()); back != nil {
				return errors.Join(err, back)
			}
		}
		return err
	} else if err != nil {
		return err
	}
	return nil
}
