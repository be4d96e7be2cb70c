package real

import "testing"

// The play gives a user what they then act with: a folder, a group, and themselves.
// In the end they go, while muster has a process that runs as them.
func TestUsersActWithWhatThePlayGivesThem(t *testing.T) {
	before := playbook(t, `
play "before" {
  hosts  = ["app1"]
  become = true
  task "user" "sailor" {}
  task "directory" "/srv/hold" { mode = "0700" }
}
`)
	given := playbook(t, `
play "given" {
  hosts  = ["app1"]
  become = true
  task "file" "own" {
    path    = "/home/sailor/own"
    content = "before they are in the crew\n"
    become  = "sailor"
  }
  task "directory" "/srv/hold" {
    owner = "sailor"
    mode  = "0700"
  }
  task "file" "/srv/hold/log" {
    content = "a folder of theirs\n"
    become  = "sailor"
  }
  task "group" "crew" {}
  task "directory" "/srv/deck" {
    group = "crew"
    mode  = "2770"
  }
  task "user" "sailor" { groups = ["crew"] }
  task "file" "/srv/deck/log" {
    content = "a group of theirs\n"
    become  = "sailor"
  }
  task "user" "cook" { groups = ["crew"] }
  task "file" "/srv/deck/menu" {
    content = "a user of the run's\n"
    become  = "cook"
  }
}
`)
	gone := playbook(t, `
play "gone" {
  hosts  = ["app1"]
  become = true
  task "file" "/srv/hold/log" {
    state  = "absent"
    become = "sailor"
  }
  task "user" "sailor" { state = "absent" }
  task "file" "/srv/deck/menu" {
    state  = "absent"
    become = "cook"
  }
  task "command" "another way" { argv = ["userdel", "cook"] }
}
`)
	for _, file := range []string{before, given, gone} {
		if file == gone {
			if got := on(t, "app1", "stat -c %U /srv/hold/log /srv/deck/log /srv/deck/menu"); got != "sailor\nsailor\ncook" {
				t.Errorf("the files are of %q", got)
			}
			if r := muster(t, "plan", given, "--detailed-exitcode"); r.Code != 0 {
				t.Errorf("planned again: exit code %d\n%s%s", r.Code, r.Out, r.Err)
			}
		}
		if r := muster(t, "apply", file, "--yes"); r.Code != 0 {
			t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
		}
	}
	if got := on(t, "app1", "ls /srv/hold /srv/deck; getent passwd sailor cook || true"); got != "/srv/deck:\nlog\n\n/srv/hold:" {
		t.Errorf("what is left is %q", got)
	}
}
