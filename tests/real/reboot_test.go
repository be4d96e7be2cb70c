package real

import (
	"strings"
	"testing"

	"muster/tests/await"
	"muster/tests/lab"
)

// rebooting are two plays, one on the bastion and two hosts behind it. One of these has
// rebooted before, so that nothing requires it there any more.
const rebooting = `
play "always" {
  hosts  = ["app2"]
  become = true
  task "reboot" "now" { message = "back in a minute" }
}
play "rebooting" {
  hosts  = ["nat", "app1", "app2"]
  become = true
  task "file" "kernel" {
    path    = "/srv/reboot/kernel"
    content = "6.2\n"
  }
  task "reboot" "now" {
    when_required = true
    timeout       = "3m"
  }
  task "command" "handler" {
    when  = task.file.kernel.changed
    shell = "echo >> /srv/reboot/handler"
  }
  task "file" "last" {
    path    = "/srv/reboot/last"
    content = "after ${task.command.handler.changed}\n"
  }
}
`

// All hosts of a play reboot, the bastion last, and the run goes on behind that: with the
// tasks to come, and with what was to follow a change that was made before.
func TestRunGoesOnBehindReboots(t *testing.T) {
	command(t.Context(), t)
	hosts := []string{"nat", "app1", "app2"}
	boot, init := map[string]string{}, map[string]int{}
	for _, name := range hosts {
		on(t, name, "rm -rf /srv/reboot /var/lib/muster/* && mkdir -p /srv/reboot && echo >/run/reboot-required && echo linux-image-6.2 >/run/reboot-required.pkgs")
		boot[name], init[name] = on(t, name, "cat /proc/sys/kernel/random/boot_id"), theLab.Host(name).PID()
	}
	path := playbook(t, rebooting)
	r := muster(t, "plan", path)
	for _, why := range []string{"required by linux-image-6.2", "runs every time", "where what is pending before it requires that"} {
		if !strings.Contains(r.Out, why) {
			t.Errorf("the plan doesn't say %q:\n%s%s", why, r.Out, r.Err)
		}
	}
	r = muster(t, "apply", path, "--yes", "--output", "json")
	if r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	list, _ := events(t, r)
	var order []string
	for _, e := range list {
		if e.Kind == "reboot" && e.Status == "changed" {
			order = append(order, e.Host)
		}
	}
	if got := strings.Join(order, " "); got != "app2 app1 nat" {
		t.Errorf("they rebooted in the order %s\n%s", got, r.Out)
	}
	for _, name := range hosts {
		if id := on(t, name, "cat /proc/sys/kernel/random/boot_id"); id == boot[name] || theLab.Host(name).PID() == init[name] {
			t.Errorf("%s is in the boot %s, and was in %s", name, id, boot[name])
		}
		if got := on(t, name, `for i in $(seq 200); do test -z "$(ls -A /var/lib/muster)" && break; sleep 0.05; done; wc -l </srv/reboot/handler; cat /srv/reboot/last; ls -A /var/lib/muster`); got != "1\nafter true" {
			t.Errorf("%s has\n%s", name, got)
		}
		boot[name] = on(t, name, "cat /proc/sys/kernel/random/boot_id")
	}
	r = muster(t, "apply", path, "--yes", "--limit", "nat,app1")
	if r.Code != 0 || on(t, "nat", "cat /proc/sys/kernel/random/boot_id") != boot["nat"] {
		t.Errorf("where nothing requires it, it ends with %d\n%s%s", r.Code, r.Out, r.Err)
	}
}

// A run that is killed while it waits for a host is made whole by the next one.
func TestRunThatIsKilledWhileAHostRebootsIsFollowedByAnother(t *testing.T) {
	command(t.Context(), t)
	host := theLab.Host("app1")
	on(t, "app1", "rm -rf /srv/reboot /var/lib/muster/* && mkdir -p /srv/reboot && echo >/run/reboot-required")
	init, path := host.PID(), playbook(t, strings.Replace(rebooting, `["nat", "app1", "app2"]`, `["app1"]`, 1))
	cmd := command(t.Context(), t, "apply", path, "--yes", "--limit", "app1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the host goes down", func() bool { return host.PID() != init })
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err := host.Boot(t.Context()); err != nil || host.State() != lab.Running {
		t.Fatal(err)
	}
	boot := on(t, "app1", "cat /proc/sys/kernel/random/boot_id")
	r := muster(t, "apply", path, "--yes", "--limit", "app1")
	if got := on(t, "app1", "cat /srv/reboot/last /proc/sys/kernel/random/boot_id"); r.Code != 0 || !strings.HasPrefix(got, "after ") || !strings.HasSuffix(got, boot) {
		t.Errorf("exit code %d; the host has %s, and was in the boot %s\n%s%s", r.Code, got, boot, r.Out, r.Err)
	}
	on(t, "app1", "rm -f /var/lib/muster/*") // what was in hand, which a later run removes in a day
}
