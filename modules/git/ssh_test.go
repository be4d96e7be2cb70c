package git_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/modules/git"
	"muster/tests/await"
)

// server is an sshd that lets a key in to one repository, and nothing else.
type server struct {
	dir, url        string
	key, hostKey    string // the private key that is let in, the server's public one
	otherKey, other string
	pid             int
	there           map[string]bool // what others have kept
}

// serve starts the server. Whoever logs in gets git-upload-pack, after a look for the private
// key in all that the host has of the programs that run, and in the folders where one might be
// kept meanwhile: what is found is written to the file "seen".
func serve(t *testing.T) *server {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("an sshd for tests takes root")
	}
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	if _, err := os.Stat("/run/sshd"); errors.Is(err, os.ErrNotExist) {
		must(t, os.Mkdir("/run/sshd", 0o755))
		t.Cleanup(func() { _ = os.Remove("/run/sshd") })
	}
	s := &server{dir: dir, there: kept()}
	shell(t, dir, `ssh-keygen -q -t ed25519 -N "" -f hostkey && ssh-keygen -q -t ed25519 -N "" -f key && ssh-keygen -q -t ed25519 -N "" -f otherkey && ssh-keygen -q -t ed25519 -N "" -f other
		export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
		git init -q -b main origin && echo one >origin/release && git -C origin add release && git -C origin commit -q -m one`)
	s.key, s.otherKey = read(t, dir+"/key"), read(t, dir+"/otherkey")
	s.hostKey, s.other = strings.TrimSpace(read(t, dir+"/hostkey.pub")), strings.TrimSpace(read(t, dir+"/other.pub"))
	secret := strings.Split(s.key, "\n")[3] // the line that the private part stands in
	must(t, os.Remove(dir+"/key"))
	must(t, os.WriteFile(dir+"/look", []byte(fmt.Sprintf(`#!/bin/sh
		cd %s
		grep -rlF -f secret /run/muster-plan-* /dev/shm /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null >>seen
		find /tmp /run -xdev -newer started -type f -size -64k ! -path "$PWD/secret" -exec grep -lF -f secret {} + 2>/dev/null >>seen
		echo looked >>looks
		if [ -e hold ]; then touch held; sleep 60; fi
		exec git-upload-pack %s/origin
	`, dir, dir)), 0o755))
	must(t, os.WriteFile(dir+"/secret", []byte(secret), 0o600))
	must(t, os.WriteFile(dir+"/authorized", []byte(fmt.Sprintf("restrict,command=\"%s/look\" %s", dir, read(t, dir+"/key.pub"))), 0o644))
	must(t, os.WriteFile(dir+"/started", nil, 0o644))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	must(t, listener.Close())
	conf := fmt.Sprintf("ListenAddress 127.0.0.1:%d\nHostKey %s/hostkey\nAuthorizedKeysFile %s/authorized\nPidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\n", port, dir, dir)
	must(t, os.WriteFile(dir+"/sshd_config", []byte(conf), 0o644))
	sshd := exec.Command("/usr/sbin/sshd", "-D", "-f", dir+"/sshd_config", "-E", dir+"/log")
	must(t, sshd.Start())
	s.pid = sshd.Process.Pid
	t.Cleanup(func() { _ = sshd.Process.Kill(); _ = sshd.Wait() })
	me, err := user.Current()
	must(t, err)
	s.url = fmt.Sprintf("ssh://%s@127.0.0.1:%d/shop.git", me.Username, port)
	await.Until(t, "sshd listens", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return s
}

// make plans a checkout and makes it, and returns the first error.
func (s *server) make(ctx context.Context, t *testing.T, c *git.Checkout) error {
	t.Helper()
	h := host.New()
	plan, err := c.Plan(ctx, host.NewView(h, nil))
	if err != nil {
		return err
	}
	for _, change := range plan.Changes {
		_, data, err := host.Encode(change)
		must(t, err)
		if strings.Contains(string(data), "OPENSSH") {
			t.Errorf("the change is encoded with the key: %s", data)
		}
		if _, err := change.Apply(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// kept is what programs that run for ssh have on this machine: their folders' files, and
// agents.
func kept() map[string]bool {
	list := map[string]bool{}
	for _, pattern := range []string{"/run/muster-plan-*/agent.*", "/run/muster-plan-*/known_hosts"} {
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			list[f] = true
		}
	}
	out, _ := exec.Command("pgrep", "-fa", "^ssh-agent -a /run/muster-plan-").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		list[line] = true
	}
	return list
}

// left fails where anything that was needed for ssh is left. What was there before is
// somebody else's.
func (s *server) left(t *testing.T) {
	t.Helper()
	await.Until(t, "nothing that ssh needed is left", func() bool {
		for what := range kept() {
			if !s.there[what] {
				return false
			}
		}
		return true
	})
}

// An agent looks every ten seconds whether who has started it is there: ssh-agent(1).
func TestAnAgentEndsWithAGitThatIsKilled(t *testing.T) {
	s := serve(t)
	must(t, os.WriteFile(s.dir+"/hold", nil, 0o644))
	ctx, kill := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.make(ctx, t, &git.Checkout{Path: filepath.Join(s.dir, "shop"), Repository: s.url, Key: content(s.key), HostKeys: []string{s.hostKey}})
	}()
	await.Until(t, "somebody has logged in", func() bool {
		_, err := os.Stat(s.dir + "/held")
		return err == nil
	})
	kill()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	s.left(t)
}

func content(text string) *host.Content {
	c := host.ContentOf([]byte(text), true)
	return &c
}

func TestAKeyIsInNoFileAndGoneAfterwards(t *testing.T) {
	s := serve(t)
	for name, u := range map[string]string{"root": "", "another user": "daemon"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(s.dir, "shop"+u)
			// The end of the key's last line is lost easily.
			c := &git.Checkout{Path: path, Repository: s.url, User: u, Key: content(strings.TrimSpace(s.key)), HostKeys: []string{s.other, s.hostKey}}
			if err := s.make(t.Context(), t, c); err != nil {
				t.Fatal(err, "\n", read(t, s.dir+"/log"))
			}
			if got := read(t, path+"/release"); got != "one\n" {
				t.Errorf("the checkout holds %q", got)
			}
			ended := time.Now()
			s.left(t)
			if took := time.Since(ended); took > 8*time.Second { // by itself an agent ends after ten
				t.Errorf("the agent has the key for %v after git has ended", took)
			}
			if seen := read(t, s.dir+"/seen"); seen != "" {
				t.Errorf("the key was seen in\n%s", seen)
			}
			if n := strings.Count(read(t, s.dir+"/looks"), "looked"); n < 2 {
				t.Errorf("it was looked for %d times, and not in the plan and the clone", n)
			}
			if config := read(t, path+"/.git/config"); strings.Contains(config, "ssh-agent") || strings.Contains(config, "known_hosts") {
				t.Errorf("the checkout's configuration is\n%s", config)
			}
		})
	}
}

func TestAHostIsKnownByTheKeysGivenAlone(t *testing.T) {
	s := serve(t)
	for name, keys := range map[string][]string{"another key": {s.other}, "none": nil} {
		t.Run(name, func(t *testing.T) {
			err := s.make(t.Context(), t, &git.Checkout{Path: filepath.Join(s.dir, "shop"), Repository: s.url, Key: content(s.key), HostKeys: keys})
			if err == nil || !strings.Contains(err.Error(), "Host key verification failed") {
				t.Errorf("the error is %v", err)
			}
			s.left(t)
		})
	}
}

func TestAKeyThatIsNotLetInIsAnErrorAndNoQuestion(t *testing.T) {
	s := serve(t)
	// Who is asked knows the passphrase, and says that there was a question.
	shell(t, s.dir, `ssh-keygen -q -t ed25519 -N word -f locked
		printf '#!/bin/sh\necho "$1" >>%s/asked\necho word\n' "$PWD" >ask && chmod +x ask`)
	ctx := host.WithEnvironment(t.Context(), []string{"DISPLAY=:0", "SSH_ASKPASS=" + s.dir + "/ask"})
	for name, c := range map[string]struct{ key, words string }{
		"another key":           {s.otherKey, "Permission denied"},
		"one with a passphrase": {read(t, s.dir+"/locked"), "has a passphrase, or is no"},
		"no key":                {"nothing", "has a passphrase, or is no"},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.make(ctx, t, &git.Checkout{Path: filepath.Join(s.dir, "shop"), Repository: s.url, Key: content(c.key), HostKeys: []string{s.hostKey}})
			if err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("the error is %v", err)
			}
			if asked, err := os.ReadFile(s.dir + "/asked"); err == nil {
				t.Errorf("somebody was asked: %s", asked)
			}
			s.left(t)
		})
	}
}

func shell(t *testing.T, dir, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
