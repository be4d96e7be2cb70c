package account

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"muster/host"
	"muster/modules"
	"muster/modules/modulestest"
)

const aKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEhXZKlJzP0dWQp0X0PzJmCq1mJ0nB2u0f3u0m4kqf2s"

func str(s string) *string { return &s }

// plan plans a module on the machine itself, on which effects are laid.
func plan(t testing.TB, m modules.Module, effects ...host.Effect) (modules.Plan, error) {
	t.Helper()
	var p host.Preview
	p.Lay(effects)
	return m.Plan(context.Background(), host.NewView(host.New(), &p))
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got the error %v, want %q", err, want)
	}
}

func TestAUserWhomAPackageMayBringIsPlannedAsNew(t *testing.T) {
	if !host.IsRoot() {
		t.Skip("only root plans changes")
	}
	p, err := plan(t, &User{Name: "mtpackaged", Groups: []string{"mtpackagedgroup"}}, host.May(host.Users), host.May(host.Groups))
	if err != nil || len(p.Changes) == 0 {
		t.Fatalf("got %+v, %v", p, err)
	}
	if d := p.Changes[0].Describe(); d.Action != host.Create || d.Impact != "unless an earlier task brings it" {
		t.Errorf("got %+v", d)
	}
	// At its turn the user may be there: the wish of usermod is the same.
	now := &User{Name: "daemon", Shell: "/bin/sh", Comment: str("x")}
	create, err := plan(t, now, host.Gone(host.Key{Space: host.Users, Name: "daemon"}), host.May(host.Users))
	if err != nil {
		t.Fatal(err)
	}
	update, err := plan(t, now)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := host.Want(create.Changes[0])
	b, _ := host.Want(update.Changes[0])
	if string(a) != string(b) {
		t.Errorf("useradd wants %s, usermod %s", a, b)
	}
}

func TestAnAbsentUserWhomAPackageMayBringWaits(t *testing.T) {
	_, err := plan(t, &User{Name: "mtpackaged", State: "absent"}, host.May(host.Users))
	if !errors.Is(err, host.ErrNotYet) {
		t.Errorf("got %v", err)
	}
	_, err = plan(t, &Group{Name: "mtpackaged", State: "absent"}, host.May(host.Groups))
	if !errors.Is(err, host.ErrNotYet) {
		t.Errorf("got %v", err)
	}
	_, err = plan(t, &AuthorizedKey{User: "mtpackaged", Keys: []string{aKey}}, host.May(host.Users))
	if !errors.Is(err, host.ErrNotYet) {
		t.Errorf("got %v", err)
	}
}

func TestNoHashIsInAChange(t *testing.T) {
	if !host.IsRoot() {
		t.Skip("only root plans changes")
	}
	p, err := plan(t, &User{Name: "mtnobodyhas", PasswordHash: "$6$salt$canarycanary"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Changes {
		data, _ := json.Marshal(c)
		want, _ := host.Want(c)
		effects, _ := json.Marshal(c.Effects())
		for _, b := range [][]byte{data, want, effects} {
			if strings.Contains(string(b), "canary") {
				t.Errorf("%s holds the hash: %s", c.Type(), b)
			}
		}
	}
}

func TestPlansAreTheSameEachTime(t *testing.T) {
	if !host.IsRoot() {
		t.Skip("only root plans changes")
	}
	u := &User{Name: "mtsame", Groups: []string{"sudo", "daemon", "bin"}, PasswordHash: "$6$a$b"}
	one, err := plan(t, u)
	if err != nil {
		t.Skip(err)
	}
	two, _ := plan(t, u)
	a, _ := json.Marshal(one)
	b, _ := json.Marshal(two)
	if string(a) != string(b) {
		t.Errorf("%s\n%s", a, b)
	}
}

func TestWhoIsNotRoot(t *testing.T) {
	if host.IsRoot() {
		if os.Getenv(modulestest.LabHost) == "" {
			t.Skip("becomes another user: runs on the lab's hosts")
		}
		dir := t.TempDir()
		for d := dir; d != filepath.Clean(os.TempDir()); d = filepath.Dir(d) {
			_ = os.Chmod(d, 0o755)
		}
		self, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			t.Fatal(err)
		}
		bin := filepath.Join(dir, "test")
		if err := os.WriteFile(bin, self, 0o755); err != nil {
			t.Fatal(err)
		}
		sh := `id mtplain >/dev/null 2>&1 || useradd -m mtplain; rm -rf /home/mtplain/.ssh /home/mtplain/keys
cd /; exec setpriv --reuid mtplain --regid mtplain --clear-groups env HOME=/home/mtplain ` + bin + ` -test.run '^TestWhoIsNotRoot$' -test.v`
		out, err := exec.Command("sh", "-c", sh).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if p, err := plan(t, &User{Name: "daemon", Home: "/usr/sbin"}); err != nil || len(p.Changes) > 0 {
		t.Errorf("an account as it is: %+v, %v", p, err)
	}
	_, err := plan(t, &User{Name: "daemon", Comment: str("other")})
	wantError(t, err, `give the task "become = true"`)
	yes := true
	_, err = plan(t, &User{Name: "daemon", Locked: &yes})
	wantError(t, err, "reading the password's state of daemon: only root can")
	_, err = plan(t, &Group{Name: "mtnew"})
	wantError(t, err, `give the task "become = true"`)
	_, err = plan(t, &AuthorizedKey{User: "root", Keys: []string{aKey}})
	if err == nil {
		t.Error("another's keys can be planned")
	}
	home := os.Getenv("HOME")
	if home != "/home/mtplain" {
		return
	}
	mine := &AuthorizedKey{User: "mtplain", Keys: []string{aKey}}
	apply := func() {
		t.Helper()
		p, err := plan(t, mine)
		if err != nil || len(p.Changes) != 1 {
			t.Fatalf("own keys: %+v, %v", p, err)
		}
		if _, err := p.Changes[0].Apply(context.Background(), host.New()); err != nil {
			t.Fatal(err)
		}
		if p, err := plan(t, mine); err != nil || len(p.Changes) != 0 {
			t.Errorf("planned again: %+v, %v", p, err)
		}
	}
	apply()
	// One's own link leads where one wants.
	if err := os.Rename(home+"/.ssh/authorized_keys", home+"/keys"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(home+"/keys", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../keys", home+"/.ssh/authorized_keys"); err != nil {
		t.Fatal(err)
	}
	apply()
	if info, err := os.Lstat(home + "/.ssh/authorized_keys"); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
}

// A user who swaps their directory for a link between plan and making must
// not get root to write elsewhere.
func TestASwappedDirectoryIsNotFollowed(t *testing.T) {
	if os.Getenv(modulestest.LabHost) == "" {
		t.Skip("makes a user: runs on the lab's hosts")
	}
	sh(t, `id mtswap >/dev/null 2>&1 || useradd -m mtswap
rm -rf /home/mtswap/.ssh /srv/mtswap; mkdir -m 0700 /srv/mtswap
install -d -m 0700 -o mtswap -g mtswap /home/mtswap/.ssh`)
	p, err := plan(t, &AuthorizedKey{User: "mtswap", Keys: []string{aKey}})
	if err != nil || len(p.Changes) != 1 {
		t.Fatal(p, err)
	}
	sh(t, `rmdir /home/mtswap/.ssh; ln -s /srv/mtswap /home/mtswap/.ssh; chown -h mtswap /home/mtswap/.ssh`)
	_, err = p.Changes[0].Apply(context.Background(), host.New())
	wantError(t, err, "/home/mtswap/.ssh is a link")

	sh(t, `rm /home/mtswap/.ssh; install -d -m 0700 -o mtswap -g mtswap /home/mtswap/.ssh`)
	h := host.New()
	h.Step = func(where string) error { // swapped in the middle
		if where == "entered the directory" {
			sh(t, `mv /home/mtswap/.ssh /home/mtswap/old; ln -s /srv/mtswap /home/mtswap/.ssh`)
		}
		return nil
	}
	if _, err = p.Changes[0].Apply(context.Background(), h); err != nil {
		t.Error(err)
	}
	sh(t, `test -z "$(ls -A /srv/mtswap)"; test "$(stat -c %U /srv/mtswap)" = root; test -s /home/mtswap/old/authorized_keys; rm -rf /home/mtswap/old /home/mtswap/.ssh`)

	// A link that is planted at the temporary name is removed, not written through.
	sh(t, `install -d -m 0700 -o mtswap -g mtswap /home/mtswap/.ssh; echo keep > /srv/mtswap/victim; ln -s /srv/mtswap/victim /home/mtswap/.ssh/.muster-authorized_keys.tmp`)
	if _, err = p.Changes[0].Apply(context.Background(), host.New()); err != nil {
		t.Error(err)
	}
	sh(t, `test "$(cat /srv/mtswap/victim)" = keep; test "$(ls -A /home/mtswap/.ssh)" = authorized_keys`)

	// What changed since the plan is left alone.
	sh(t, `echo other > /home/mtswap/.ssh/authorized_keys; chown mtswap /home/mtswap/.ssh/authorized_keys`)
	if _, err = p.Changes[0].Apply(context.Background(), host.New()); !errors.Is(err, host.ErrMoved) {
		t.Errorf("got %v, want ErrMoved", err)
	}
}

func sh(t *testing.T, script string) {
	t.Helper()
	if out, err := exec.Command("sh", "-euc", script).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// BenchmarkUnchanged plans a hundred tasks that change nothing on a new
// connection, the reading of the account files included.
func BenchmarkUnchanged(b *testing.B) {
	for name, m := range map[string]modules.Module{
		"user":           &User{Name: "daemon", UID: new(int), Groups: []string{"daemon"}, Home: "/usr/sbin"},
		"group":          &Group{Name: "sudo"},
		"authorized_key": keysAsTheyAre(b),
	} {
		if u, ok := m.(*User); ok {
			*u.UID = 1
		}
		if m == (*AuthorizedKey)(nil) {
			continue
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				v := host.NewView(host.New(), nil)
				for range 100 {
					p, err := m.Plan(context.Background(), v)
					if err != nil || len(p.Changes) > 0 {
						b.Fatal(p, err)
					}
				}
			}
		})
	}
}

// keysAsTheyAre wants the keys of the lab's login user that are there.
func keysAsTheyAre(b *testing.B) *AuthorizedKey {
	data, err := os.ReadFile("/home/ops/.ssh/authorized_keys")
	if err != nil {
		b.Log("no keys to look at: ", err)
		return nil
	}
	return &AuthorizedKey{User: "ops", Keys: []string{string(data)}}
}
