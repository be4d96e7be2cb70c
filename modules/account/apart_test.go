package account

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/host"
	"muster/host/hosttest"
)

// users gives copies of the account files two users with homes in a folder that is
// everybody's, and returns it.
func users(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	sh(t, fmt.Sprintf(`cd %s; mkdir -p leaver/sub other; touch leaver/sub/kept other/kept
echo 'mtleaver:x:61001:61001::%[1]s/leaver:/bin/sh' >> /etc/passwd
echo 'mtother:x:61002:61002::%[1]s/other:/bin/sh' >> /etc/passwd
printf 'mtleaver:x:61001:\nmtother:x:61002:\n' >> /etc/group
printf 'mtleaver:!:19000::::::\nmtother:!:19000::::::\n' >> /etc/shadow
chown -R 61001:61001 leaver; chown -R 61002:61002 other`, dir))
	return dir
}

// What isn't the user's alone stays where the user goes with their home: the plan says so,
// and so does the removal where that has come about since.
func TestAHomeThatIsNotTheUsersAloneIsLeft(t *testing.T) {
	if hosttest.Apart(t, "/etc") {
		return
	}
	dir := users(t)
	home := filepath.Join(dir, "leaver")
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	leaver := &User{Name: "mtleaver", State: "absent", RemoveHome: true}
	for name, c := range map[string]struct{ does, undoes, says string }{
		"it belongs to another":           {"chown mtother leaver", "chown mtleaver leaver", "belongs to mtother"},
		"another's home is in it":         {"sed -i s,/other:,/leaver/sub:, /etc/passwd", "", "holds the home of mtother too"},
		"it is another's home as well":    {"sed -i s,/other:,/leaver:, /etc/passwd", "", "holds the home of mtother too"},
		"something is mounted in it":      {"mount --bind other leaver/sub", "umount leaver/sub", "is mounted in the home of mtleaver"},
		"something is mounted at it":      {"mount --bind other leaver; chown mtleaver leaver", "chown mtother leaver; umount leaver", "is mounted in the home of mtleaver"},
		"a file stands there":             {"mv leaver was; touch leaver; chown mtleaver leaver", "rm leaver; mv was leaver", "is a file"},
		"a link of the user's leads away": {"mv leaver was; ln -s other leaver; chown -h mtleaver leaver", "rm leaver; mv was leaver", "is a link"},
	} {
		t.Run(name, func(t *testing.T) {
			in := func(script string) { sh(t, "cd "+dir+"; "+script) }
			before, err := plan(t, leaver)
			if err != nil || len(before.Changes) == 0 {
				t.Fatalf("%+v, %v", before, err)
			}
			in(c.does)
			defer func() {
				in(c.undoes)
				if err := os.WriteFile("/etc/passwd", passwd, 0o644); err != nil {
					t.Error(err)
				}
			}()
			_, err = plan(t, leaver)
			wantError(t, err, c.says)
			if strings.HasPrefix(name, "another's") || strings.HasPrefix(name, "it is another's") {
				return // of another's home the removal knows nothing
			}
			if _, err := before.Changes[0].Apply(t.Context(), host.New()); !errors.Is(err, host.ErrMoved) {
				t.Errorf("planned before, it ended with %v", err)
			}
			in("test -e other/kept")
		})
	}
	p, err := plan(t, leaver)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Changes[0].Apply(t.Context(), host.New()); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(home); !os.IsNotExist(err) {
		t.Errorf("the home is left: %v", err)
	}
}

// A home that somebody has made since the plan isn't replaced.
func TestAHomeThatSomebodyHasMadeIsLeft(t *testing.T) {
	if hosttest.Apart(t, "/etc") {
		return
	}
	dir := users(t)
	at := filepath.Join(dir, "new")
	c := &MakeHome{Path: at, User: "mtleaver", Skeleton: "/etc/skel", Mode: 0o700}
	for what, make := range map[string]string{"a folder": "mkdir new; touch new/theirs", "an empty folder": "mkdir new", "a link": "ln -s other new", "a file": "touch new"} {
		sh(t, "cd "+dir+"; "+make)
		before, err := os.Lstat(at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Apply(t.Context(), host.New()); !errors.Is(err, host.ErrMoved) {
			t.Errorf("over %s it ended with %v", what, err)
		}
		if now, err := os.Lstat(at); err != nil || !os.SameFile(now, before) {
			t.Errorf("%s is gone: %v", what, err)
		}
		sh(t, "rm -rf "+at)
	}
	if _, err := c.Apply(t.Context(), host.New()); err != nil {
		t.Error(err)
	}
}

// What came beside a file of rules since it was planned counts when it is to land, and
// when it is to go.
func TestRulesThatCameSinceThePlanCount(t *testing.T) {
	if _, err := os.Stat(visudo); err != nil {
		t.Skip("there is no visudo here")
	}
	if hosttest.Apart(t, "/etc", "/run") {
		return
	}
	sh(t, `rm -f /etc/sudoers.d/mt*; echo 'User_Alias MTADM = daemon' > /etc/sudoers.d/mtadm; chmod 440 /etc/sudoers.d/mtadm`)
	one := func(m *Sudoers) host.Change {
		t.Helper()
		p, err := plan(t, m)
		if err != nil || len(p.Changes) != 1 {
			t.Fatalf("got %+v, %v", p, err)
		}
		return p.Changes[0]
	}
	h := host.New()
	write := &Sudoers{Name: "mtnew", State: "present", Rules: []string{"User_Alias MTOTHER = games", "MTOTHER ALL=(ALL) ALL"}}
	p, err := write.Plan(t.Context(), host.NewView(h, nil))
	if err != nil || len(p.Changes) != 1 {
		t.Fatalf("got %+v, %v", p, err)
	}
	remove := one(&Sudoers{Name: "mtadm", State: "absent"})
	sh(t, `printf 'MTADM ALL=(ALL) ALL\nUser_Alias MTOTHER = daemon\n' > /etc/sudoers.d/mtcame; chmod 440 /etc/sudoers.d/mtcame`)
	_, err = p.Changes[0].Apply(t.Context(), h)
	wantError(t, err, `Alias "MTOTHER" already defined`)
	_, err = remove.Apply(t.Context(), h)
	wantError(t, err, `User_Alias "MTADM" referenced but not defined`)
	sh(t, `test ! -e /etc/sudoers.d/mtnew; test -e /etc/sudoers.d/mtadm`)
}
