package real

import (
	"context"
	"strings"
	"testing"
)

// serverSettings is a playbook that gives app1's sshd settings.
func serverSettings(t *testing.T, settings string) string {
	return playbook(t, `
play "ssh" {
  hosts  = ["app1"]
  become = true
  task "sshd_config" "40-probation" {
    settings = { `+settings+` }
  }
}
`)
}

// unsettled leaves app1's sshd without the settings, before a test and after it.
func unsettled(t *testing.T) {
	t.Helper()
	clean := func() {
		_, _ = theLab.Host("app1").Exec(context.Background(), "sh", "-c", "rm -f /etc/ssh/sshd_config.d/40-probation*; systemctl reset-failed ssh; systemctl restart ssh")
	}
	clean()
	t.Cleanup(clean)
}

func TestSettingsOfSSHDThatLetNoLoginInAreTakenBack(t *testing.T) {
	command(t.Context(), t)
	for name, settings := range map[string]string{
		"nobody may":     `AllowUsers = "nobody-at-all"`,
		"no key is read": `AuthorizedKeysFile = "none"`,
		"another port":   `Port = 2222`,
	} {
		t.Run(name, func(t *testing.T) {
			unsettled(t)
			if r := muster(t, "apply", serverSettings(t, `VersionAddendum = "before"`), "--yes"); r.Code != 0 {
				t.Fatalf("settings that let logins in aren't kept: exit code %d\n%s%s", r.Code, r.Out, r.Err)
			}
			r := muster(t, "apply", serverSettings(t, settings), "--yes")
			if r.Code == 0 || !strings.Contains(r.Out+r.Err, "has been taken back") {
				t.Errorf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
			}
			on(t, "app1", "test \"$(cat /etc/ssh/sshd_config.d/40-probation.conf)\" = 'VersionAddendum before' && ! ls /etc/ssh/sshd_config.d/*.old 2>/dev/null")
			// That the host itself has sshd read the old ones again muster can't know: it
			// does so once more.
			r = muster(t, "apply", serverSettings(t, `VersionAddendum = "before"`), "--yes")
			if r.Code != 0 || strings.Contains(r.Out, "update") {
				t.Errorf("more is to do than a reload: exit code %d\n%s%s", r.Code, r.Out, r.Err)
			}
			if r := muster(t, "plan", serverSettings(t, `VersionAddendum = "before"`), "--detailed-exitcode"); r.Code != 0 {
				t.Errorf("something is left to do: exit code %d\n%s%s", r.Code, r.Out, r.Err)
			}
		})
	}
}
