package all_test

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster/host"
	"muster/internal/remote"
	"muster/internal/wire"
	"muster/modules/all"
	"muster/modules/modulestest"
)

// several is how many tasks of a kind there are.
const several = 4

// asks is how many programs a plan starts for all unchanged tasks of a kind, and for each.
type asks struct{ all, each int }

// What unchanged tasks cost their host, of each kind: how many programs are asked is held to
// what is listed here, and what the remote's own time is, in the processor and in all, without
// those programs, is told. It edits the machine itself, and runs on the lab's hosts.
func TestUnchangedTasksOfAKindAskTogether(t *testing.T) {
	if os.Getenv(modulestest.LabHost) == "" {
		t.Skip("edits the machine itself: runs on the lab's hosts")
	}
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	shell(t, dir, `mkdir src && echo one >src/one && tar -cf a.tar src && git init -q -b main origin &&
		git -C origin -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m one; echo fetched >fetched`)
	sum := sha256.Sum256([]byte("hello"))
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer web.Close()
	authority := authorities(t)
	for _, kind := range []struct {
		name string
		asks asks
		args func(n int) map[string]any
	}{
		{"file", asks{}, func(n int) map[string]any { return args("path", dir+"/file%d", n, "content", "x\n") }},
		{"fetch", asks{}, func(n int) map[string]any { return args("path", dir+"/fetched", n, "to", fmt.Sprint("to", n)) }},
		{"download", asks{}, func(n int) map[string]any {
			return args("path", dir+"/download%d", n, "url", web.URL, "checksum", "sha256:"+hex.EncodeToString(sum[:]))
		}},
		{"archive", asks{}, func(n int) map[string]any { return args("path", dir+"/archive%d", n, "from_path", dir+"/a.tar") }},
		{"certificate", asks{}, func(n int) map[string]any {
			return args("path", dir+"/certificate%d", n, "key", fmt.Sprint(dir, "/key", n), "names", []any{"web.example.com"})
		}},
		{"ca_trust", asks{}, func(n int) map[string]any { return args("name", "bench%d", n, "certificate", authority[n]) }},
		{"known_hosts", asks{}, func(n int) map[string]any {
			return args("name", "web%d.example.com", n, "keys", []any{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMHzyPOXYGQzNGZvKpT2nXfBCV6tgFYAPJ1Z6Z6wvT4z"})
		}},
		{"limits", asks{}, func(n int) map[string]any {
			return args("name", "5%d-bench", n, "domain", []string{"games", "news", "lp", "uucp"}[n], "soft", map[string]any{"nofile": "4096"})
		}},
		{"kernel_module", asks{}, func(n int) map[string]any { return args("name", "bench%d", n, "state", "blacklisted") }},
		{"mount", asks{}, func(n int) map[string]any {
			return args("path", "/srv/bench%d", n, "device", "tmpfs", "type", "tmpfs", "state", "present")
		}},
		{"cron", asks{}, func(n int) map[string]any {
			return args("name", "bench %d", n, "schedule", "30 3 * * *", "command", "true", "user", "root")
		}},
		{"timer", asks{1, 0}, func(n int) map[string]any {
			return args("name", "bench%d", n, "on_calendar", "Mon 03:30", "command", "/bin/true")
		}},
		{"logrotate", asks{}, func(n int) map[string]any {
			return args("name", "bench%d", n, "paths", []any{fmt.Sprint("/var/log/bench", n)}, "frequency", "daily")
		}},
		{"locale", asks{1, 0}, func(n int) map[string]any {
			return map[string]any{"name": []string{"de_DE.UTF-8", "en_US.UTF-8", "fr_FR.UTF-8", "it_IT.UTF-8"}[n]}
		}},
		{"sshd_config", asks{1, 0}, func(n int) map[string]any {
			return args("name", "5%d-bench", n, "settings", map[string]any{[]string{"MaxSessions", "LoginGraceTime", "ClientAliveCountMax", "MaxAuthTries"}[n]: "11"})
		}},
		{"nftables", asks{2, 0}, func(n int) map[string]any {
			return args("table", "inet bench%d", n, "content", "chain c {\n\ttype filter hook input priority filter;\n\ttcp dport 22 accept\n}\n")
		}},
		{"apt_repository", asks{}, func(n int) map[string]any {
			return args("name", "bench%d", n, "uris", "http://deb.debian.org/debian", "suites", []string{"bookworm", "bookworm-updates", "bookworm", "bookworm-updates"}[n], "components", []string{"contrib", "contrib", "non-free", "non-free"}[n], "signed_by", "/usr/share/keyrings/debian-archive-keyring.gpg")
		}},
		{"git", asks{1, 3}, func(n int) map[string]any { return args("path", dir+"/git%d", n, "repository", dir+"/origin") }},
	} {
		t.Run(kind.name, func(t *testing.T) {
			var tasks []wire.Task
			for n := range several {
				tasks = append(tasks, wire.Task{ID: fmt.Sprintf("%s-%d", kind.name, n), Kind: kind.name, Args: kind.args(n)})
			}
			copies := &kept{file: dir + "/fetched"}
			s, _ := session(copies)
			for _, task := range tasks {
				p, _ := s.Plan(t.Context(), task)
				if p.Status != wire.Pending {
					t.Fatalf("before it is made, %s is %s %s", task.ID, p.Status, p.Error)
				}
				if d := s.Apply(t.Context(), task.ID); d.Status != wire.Changed {
					t.Fatalf("making %s: %s %s", task.ID, d.Status, d.Error)
				}
			}
			s, programs := session(copies)
			s.Expect(kind.name, tasks)
			var took [several]cost
			for n, task := range tasks {
				before, start, theirs := processor(), time.Now(), programs.took
				p, _ := s.Plan(t.Context(), task)
				took[n] = cost{processor() - before, time.Since(start) - (programs.took - theirs)}
				if p.Status != wire.Unchanged {
					t.Errorf("planned again, %s is %s: %s%v", task.ID, p.Status, p.Error, p.Changes)
				}
			}
			t.Logf("%s: the first %s, each further one %s (at most 1 ms); programs for %d: %d, %.1f ms", kind.name, took[0], median(took[1:]), several, len(programs.ran), programs.took.Seconds()*1000)
			if want := kind.asks.all + several*kind.asks.each; len(programs.ran) != want {
				t.Errorf("%d programs were asked, and not %d:\n%s", len(programs.ran), want, strings.Join(programs.ran, "\n"))
			}
		})
	}
}

// cost is the time that a plan takes the remote itself: the processor's, and all but that
// of programs.
type cost struct{ processor, wall time.Duration }

func (c cost) String() string {
	return fmt.Sprintf("%.2f ms (of the processor's %.2f)", c.wall.Seconds()*1000, c.processor.Seconds()*1000)
}

// median is that of either time.
func median(list []cost) cost {
	middle := func(of func(cost) time.Duration) time.Duration {
		sorted := slices.SortedFunc(slices.Values(list), func(a, b cost) int { return cmp.Compare(of(a), of(b)) })
		return of(sorted[len(sorted)/2])
	}
	return cost{middle(func(c cost) time.Duration { return c.processor }), middle(func(c cost) time.Duration { return c.wall })}
}

// args are a task's, one of which has a number in it.
func args(key, format string, n int, more ...any) map[string]any {
	m := map[string]any{key: format}
	if strings.Contains(format, "%d") {
		m[key] = fmt.Sprintf(format, n)
	}
	for i := 0; i < len(more); i += 2 {
		m[more[i].(string)] = more[i+1]
	}
	return m
}

// session is a remote's, whose programs are noted.
func session(c *kept) (*remote.Session, *asked) {
	h, programs := host.New(), &asked{}
	h.Runner = programs
	s := remote.NewSession(all.Registry(), h, []byte("bench"))
	s.Copies = c
	return s, programs
}

// asked notes the programs that run, and how long they take.
type asked struct {
	ran  []string
	took time.Duration
}

func (a *asked) Run(ctx context.Context, c host.Command) (host.Output, error) {
	start := time.Now()
	defer func() { a.took += time.Since(start) }()
	a.ran = append(a.ran, strings.Join(c.Argv, " "))
	return host.System{}.Run(ctx, c)
}

// kept are copies in a project, which holds what was brought.
type kept struct {
	file string
	have map[string]host.Copy
}

func (k *kept) Copy(_ context.Context, id string) (host.Copy, error) { return k.have[id], nil }

func (k *kept) Bring(_ context.Context, id string, c host.Content, r io.Reader) error {
	if k.have == nil {
		k.have = map[string]host.Copy{}
	}
	k.have[id] = host.Copy{Path: id, Sum: c.Sum, Size: c.Size}
	_, err := io.Copy(io.Discard, r)
	return err
}

// processor is what this process has taken of it, without the programs that it has run.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// authorities are certificates of authorities.
func authorities(t *testing.T) (list []string) {
	t.Helper()
	for n := range several {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		c := &x509.Certificate{SerialNumber: big.NewInt(int64(n + 1)), Subject: pkix.Name{CommonName: fmt.Sprint("bench ", n)}, NotBefore: time.Now(), NotAfter: time.Now().AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
		der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
		must(t, err)
		list = append(list, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	}
	return list
}

func shell(t *testing.T, dir, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
