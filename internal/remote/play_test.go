package remote

import (
	"cmp"
	"context"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"muster/host"
	"muster/internal/wire"
	"muster/modules/all"
)

// other is a user of every host, whose worker the tests play or start.
const other = "nobody"

// asWorker is the variable that makes this program a worker, asRemote the one that makes
// it a remote, whose lock and records are in the folder that it names.
const (
	asWorker = "MUSTER_TEST_WORKER"
	asRemote = "MUSTER_TEST_REMOTE"
)

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		if Serve(context.Background(), os.Stdin, os.Stdout, Options{Kinds: all.Registry(), Worker: true}) != nil {
			os.Exit(1)
		}
		return
	}
	if dir := os.Getenv(asRemote); dir != "" {
		o := Options{Kinds: all.Registry(), Spawn: spawnWorker, Lock: filepath.Join(dir, "lock"), Records: filepath.Join(dir, "records"), Facts: func(context.Context) []byte { return []byte("{}") }}
		if Serve(context.Background(), os.Stdin, os.Stdout, o) != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// workerProcess is a worker's process.
type workerProcess struct {
	io.WriteCloser
	io.Reader
	cmd *exec.Cmd
}

func (p *workerProcess) Pid() int { return p.cmd.Process.Pid }

func (p *workerProcess) Close() error {
	_ = p.WriteCloser.Close()
	return p.cmd.Wait()
}

// spawnWorker starts this program as another user.
func spawnWorker(_ context.Context, name string) (io.ReadWriteCloser, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	cmd := exec.Command("/proc/self/exe")
	cmd.Dir, cmd.Env = "/", []string{asWorker + "=1", "GORACE=atexit_sleep_ms=0"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &workerProcess{in, out, cmd}, cmd.Start()
}

// controller is a controller whose remote serves in this process.
type controller struct {
	*wire.Conn
	t      *testing.T
	bodies map[string]string // that it has, by sum
	needed []string          // that it was asked for
	fault  string            // that the remote is to end with
}

// serving starts a remote of root's; spawn starts its workers.
func serving(t *testing.T, spawn func(context.Context, string) (io.ReadWriteCloser, error)) *controller {
	t.Helper()
	return servingAs(t, Options{Kinds: all.Registry(), Spawn: spawn})
}

func servingAs(t *testing.T, o Options) *controller {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root starts workers")
	}
	toRemote, in := io.Pipe()
	out, fromRemote := io.Pipe()
	ended := make(chan error, 1)
	o.Lock = cmp.Or(o.Lock, filepath.Join(t.TempDir(), "lock"))
	o.Facts = func(context.Context) []byte { return []byte("{}") }
	go func() {
		defer fromRemote.Close()
		ended <- Serve(t.Context(), toRemote, fromRemote, o)
	}()
	c := &controller{Conn: wire.NewConn(out, in), t: t, bodies: map[string]string{}}
	if m, err := c.Receive(); err != nil || m.Hello == nil {
		t.Fatal(m, err)
	}
	t.Cleanup(func() {
		in.Close()
		go func() { _, _ = io.Copy(io.Discard, out) }()
		if err := <-ended; err != nil && err.Error() != c.fault {
			t.Errorf("the remote ended with %v", err)
		}
	})
	return c
}

// content is a text that travels when it is asked for.
func (c *controller) content(text string) host.Content {
	content := host.ContentOf([]byte(text), false)
	c.bodies[content.Sum] = text
	content.Data = nil
	return content
}

// answer sends a message and returns the first answer that isn't a wish for content.
func (c *controller) answer(m *wire.Message) *wire.Message {
	c.t.Helper()
	if err := c.Send(m); err != nil {
		c.t.Fatal(err)
	}
	for {
		m, err := c.Receive()
		switch {
		case err != nil:
			c.t.Fatal(err)
		case m.Alive != nil, m.Progress != nil, m.Undo != nil:
		case m.Need != nil:
			c.needed = append(c.needed, m.Need.Sum)
			chunk := &wire.Chunk{Stream: m.Need.Stream, Last: true}
			if text, ok := c.bodies[m.Need.Sum]; ok {
				chunk.Data = []byte(text)
			} else {
				chunk.Error = "no task has content " + m.Need.Sum
			}
			if err := c.Send(&wire.Message{Chunk: chunk}); err != nil {
				c.t.Fatal(err)
			}
		default:
			return m
		}
	}
}

// plan has a task planned.
func (c *controller) plan(t wire.Task) *wire.Planned {
	c.t.Helper()
	m := c.answer(&wire.Message{Task: &t})
	if m.Planned == nil || m.Planned.ID != t.ID {
		c.t.Fatalf("planning %s is answered by %+v", t.ID, m)
	}
	return m.Planned
}

// make has a task made.
func (c *controller) make(id string) *wire.Done {
	c.t.Helper()
	m := c.answer(&wire.Message{Grant: &wire.Grant{IDs: []string{id}, Epoch: 1}})
	if m.Done == nil || m.Done.ID != id {
		c.t.Fatalf("granting %s is answered by %+v", id, m)
	}
	return m.Done
}

// doing is a task by its kind, its arguments and whoever acts.
func doing(kind, label, as string, args map[string]any) wire.Task {
	return wire.Task{ID: "0/task." + kind + "." + label, Kind: kind, As: as, Args: args}
}

// folder is a directory that everybody can reach, of a user.
func folder(t *testing.T, owner string) string {
	t.Helper()
	dir := t.TempDir()
	for at := dir; strings.HasPrefix(at, os.TempDir()+"/"); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	give(t, dir, owner)
	return dir
}

// give gives a file to a user.
func give(t *testing.T, path, owner string) {
	t.Helper()
	u, err := user.Lookup(owner)
	if err != nil {
		t.Skip(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
}
