package account

import (
	"context"
	"os"
	"strings"
	"testing"

	"muster/host"
	"muster/modules/modulestest"
)

// What came beside a file since it was planned counts when it is to land.
func TestRulesAreCheckedAgainBeforeTheyLand(t *testing.T) {
	if os.Getenv(modulestest.LabHost) == "" {
		t.Skip("edits sudo's rules: runs on the lab's hosts")
	}
	one := func(m *Sudoers) host.Change {
		t.Helper()
		p, err := plan(t, m)
		if err != nil || len(p.Changes) != 1 {
			t.Fatalf("got %+v, %v", p, err)
		}
		return p.Changes[0]
	}
	// What cases that were cut have left is none of this test.
	sh(t, `rm -rf /run/muster-plan-* /etc/sudoers.d/mt*; echo 'User_Alias MTADM = daemon' > /etc/sudoers.d/mtadm`)
	t.Cleanup(func() {
		sh(t, `rm -f /etc/sudoers.d/mt* /etc/mtrules; sed -i /mtrules/d /etc/sudoers; rm -rf "/etc/mt rules"`)
	})
	write := one(&Sudoers{Name: "mtnew", State: "present", Rules: []string{"User_Alias MTOTHER = games", "MTOTHER ALL=(ALL) ALL"}})
	remove := one(&Sudoers{Name: "mtadm", State: "absent"})
	sh(t, `printf 'MTADM ALL=(ALL) ALL\nUser_Alias MTOTHER = daemon\n' > /etc/sudoers.d/mtcame`)
	_, err := write.Apply(context.Background(), host.New())
	wantError(t, err, `Alias "MTOTHER" already defined`)
	_, err = remove.Apply(context.Background(), host.New())
	wantError(t, err, `User_Alias "MTADM" referenced but not defined`)
	sh(t, `test ! -e /etc/sudoers.d/mtnew; test -e /etc/sudoers.d/mtadm; test -z "$(ls -A /run | grep muster-plan)"`)

	// What /etc/sudoers includes elsewhere counts, too.
	sh(t, `mkdir -p "/etc/mt rules"; echo 'User_Alias MTFAR = daemon' > "/etc/mt rules/a"; echo '@include mt\ rules/b' > /etc/mtrules; echo 'User_Alias MTREL = daemon' > "/etc/mt rules/b"
printf '@includedir "/etc/mt rules"\n#include mtrules\n' | sed 's/include mtrules/include mtrules # mtrules/; s/rules"$/rules" # mtrules/' >> /etc/sudoers; rm /etc/sudoers.d/mt*`)
	_, err = plan(t, &Sudoers{Name: "mtnew", Rules: []string{"User_Alias MTFAR = games"}})
	wantError(t, err, `Alias "MTFAR" already defined`)
}

func TestSecretRulesAreNotShownWhereTheyAreRefused(t *testing.T) {
	if os.Getenv(modulestest.LabHost) == "" {
		t.Skip("runs visudo: runs on the lab's hosts")
	}
	for _, text := range []string{"CANARY ALL=(ALL) ALL\n", "canary ALL=(root NOPASSWD\n"} {
		h := host.New()
		body := h.Bodies.Keep([]byte(text), true)
		_, err := (&Sudoers{Name: "mtsecret", Content: &body}).Plan(context.Background(), host.NewView(h, nil))
		wantError(t, err, "/etc/sudoers.d/mtsecret:1:")
		if err != nil && strings.Contains(strings.ToLower(err.Error()), "canary") {
			t.Errorf("shown: %v", err)
		}
	}
}

func TestIncludesOfRules(t *testing.T) {
	for line, want := range map[string][2]string{
		"@includedir /etc/sudoers.d\n":       {"/etc/sudoers.d", "dir"},
		"#includedir /etc/sudoers.d\r\n":     {"/etc/sudoers.d", "dir"},
		"  @include\t\"a b\" # c\n":          {"a b", ""},
		"@include a\\ b\\\\c":                {`a b\c`, ""},
		"# include /etc/x\n":                 {},
		"#included /etc/x\n":                 {},
		"@include\n":                         {},
		"daemon ALL=(ALL) @include /etc/x\n": {},
	} {
		_, path, _, whole := cutInclude(line)
		if path != want[0] || whole != (want[1] == "dir") {
			t.Errorf("%q: %q, %v", line, path, whole)
		}
	}
}
