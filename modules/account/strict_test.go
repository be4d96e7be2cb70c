package account

import (
	"context"
	"os"
	"strings"
	"testing"

	"muster/host"
	"muster/modules/modulestest"
)

// Each state of the files on the way to the keys is shown to muster and to a
// real sshd: where one lets the user in the other does, and for the same reason.
func TestWhoIsLetInIsWhomSshdLetsIn(t *testing.T) {
	if os.Getenv(modulestest.LabHost) == "" {
		t.Skip("runs sshd: runs on the lab's hosts")
	}
	const ( // what becomes of the task
		fits  = "nothing to do"
		mends = "mended"
		told  = "told"
	)
	home := newSshd(t, "mtmode", "")
	elsewhere := newSshd(t, "mtaway", "AuthorizedKeysFile /srv/mtkeys/%u")
	for name, c := range map[string]struct {
		d      *sshd
		script string // with $u, $h the home, $s its .ssh and $f the file
		want   string
	}{
		"as muster makes it":                          {home, "", fits},
		"a file of root's":                            {home, "chown root: $f; chmod 0644 $f", fits},
		"a file of root's that the user can't read":   {home, "chown root: $f", told},
		"one that the user can read by a group":       {home, "chown root:$u $f; chmod 0640 $f", fits},
		"root's directory and file":                   {home, "chown root: $s $f; chmod 0755 $s; chmod 0644 $f", fits},
		"root's directory that keeps the user out":    {home, "chown root: $s", told},
		"another's file":                              {home, "chown daemon $f; chmod 0644 $f", told},
		"another's directory":                         {home, "chown daemon $s; chmod 0755 $s", told},
		"a home that the user's own group may write":  {home, "chmod 0775 $h", fits},
		"a home that a group may write":               {home, "chgrp users $h; chmod 0775 $h", told},
		"a home that others of the group may write":   {home, "gpasswd -a daemon $u; chmod 0775 $h", told},
		"a home that the group's member may write":    {home, "gpasswd -a $u $u; chmod 0775 $h", fits},
		"root's home that the group may write":        {home, "gpasswd -a $u $u; chown root $h; chmod 0775 $h", told},
		"a home that all may write":                   {home, "chmod 0757 $h", told},
		"another's home":                              {home, "chown daemon $h", told},
		"root's home":                                 {home, "chown root $h", fits},
		"a home that nobody can enter":                {home, "chmod 0600 $h", told},
		"a file that its group may write":             {home, "chgrp users $f; chmod 0660 $f", mends},
		"a directory that all may write":              {home, "chmod 0777 $s", mends},
		"a directory that its owner can't enter":      {home, "chmod 0600 $s", mends},
		"a file that its owner can't read":            {home, "chmod 0200 $f", mends},
		"root's directory that all may write":         {home, "chown root $s; chmod 0777 $s", mends},
		"a file elsewhere":                            {elsewhere, "", fits},
		"elsewhere, the user's":                       {elsewhere, "chown $u $f; chmod 0600 $f", fits},
		"elsewhere, unreadable":                       {elsewhere, "chmod 0600 $f", told},
		"elsewhere, in a folder that all may write":   {elsewhere, "chmod 0777 /srv/mtkeys", told},
		"elsewhere, in another's folder":              {elsewhere, "chown daemon /srv/mtkeys", told},
		"elsewhere, far below one that all may write": {elsewhere, "chmod 0777 /srv", told},
		"elsewhere, below one that keeps users out":   {elsewhere, "chmod 0700 /srv", told},
		"elsewhere, beside a home that all may write": {elsewhere, "chmod 0777 $h", fits},
	} {
		t.Run(name, func(t *testing.T) {
			d := c.d
			task := &AuthorizedKey{User: d.user, Keys: []string{d.key}, State: "present"}
			file, owner, mode := "/home/"+d.user+"/.ssh/authorized_keys", d.user, "0600"
			if d == elsewhere {
				file, owner, mode = "/srv/mtkeys/"+d.user, "root", "0644"
				task.Path = file
			}
			sh(t, `u=`+d.user+` h=/home/`+d.user+` s=/home/`+d.user+`/.ssh f=`+file+`
sed -i "s/^$u:.*/$u:x:$(id -g $u):/" /etc/group; chmod 0755 $h /srv; chown $u:$u $h; rm -rf $s /srv/mtkeys
install -d -m 0755 /srv/mtkeys; install -d -m 0700 -o $u -g $u $s
echo '`+d.key+`' > $f; chown `+owner+`: $f; chmod `+mode+` $f
`+c.script)
			t.Cleanup(func() { sh(t, "chmod 0755 /srv; rm -rf /srv/mtkeys") })
			p, err := plan(t, task)
			log := d.login(t, "", c.want != fits)
			switch {
			case c.want == told && err == nil:
				t.Errorf("muster says nothing, sshd %s", lastWords(log))
			case c.want == told && !strings.Contains(name, "another's file") && !strings.Contains(name, "another's directory"):
				if _, says, ok := strings.Cut(err.Error(), `"`); !ok || !strings.Contains(log, says[:strings.Index(says, `"`)]) {
					t.Errorf("muster says %v, sshd\n%s", err, lastWords(log))
				}
			case c.want == told && !strings.Contains(log, "Authentication refused: bad ownership or modes for"):
				t.Errorf("muster says %v, sshd\n%s", err, lastWords(log))
			case c.want != told && err != nil:
				t.Error(err)
			case (c.want == mends) != (len(p.Changes) == 1):
				t.Errorf("planned %+v", p.Changes)
			case c.want == mends:
				if _, err := p.Changes[0].Apply(context.Background(), host.New()); err != nil {
					t.Fatal(err)
				}
				if p, err := plan(t, task); err != nil || len(p.Changes) > 0 {
					t.Errorf("planned again: %+v, %v", p.Changes, err)
				}
				d.login(t, "", false)
			}
			// A key is taken away whatever sshd makes of the file.
			if _, err := plan(t, &AuthorizedKey{User: d.user, Keys: []string{d.key}, Path: task.Path, State: "absent"}); err != nil && !strings.Contains(name, "another's") {
				t.Errorf("taking the key away: %v", err)
			}
		})
	}
	t.Run("StrictModes no", func(t *testing.T) {
		sh(t, `u=mtmode h=/home/mtmode s=/home/mtmode/.ssh
chown $u: $h; rm -rf $s; install -d -m 0700 -o $u -g $u $s
echo '`+home.key+`' > $s/authorized_keys; chown $u: $s/authorized_keys
chmod 0777 $h; mkdir -p /run/sshd; echo 'StrictModes no' > /etc/ssh/sshd_config.d/mt.conf`)
		t.Cleanup(func() { sh(t, "rm /etc/ssh/sshd_config.d/mt.conf") })
		if _, err := plan(t, &AuthorizedKey{User: "mtmode", Keys: []string{home.key}}); err != nil {
			t.Error(err)
		}
	})
}

func TestOptionsThatStandInTheFileAreHeldToSshdToo(t *testing.T) {
	if os.Getenv(modulestest.LabHost) == "" {
		t.Skip("makes a user: runs on the lab's hosts")
	}
	sh(t, `! id mtold >/dev/null 2>&1 || userdel -rf mtold 2>/dev/null; useradd -m mtold; chmod 0755 /home/mtold
install -d -m 0700 -o mtold -g mtold /home/mtold/.ssh
echo 'no-ptyy `+aKey+` c' > /home/mtold/.ssh/authorized_keys; chown mtold: /home/mtold/.ssh/authorized_keys`)
	t.Cleanup(func() { sh(t, "userdel -rf mtold 2>/dev/null || true") })
	_, err := plan(t, &AuthorizedKey{User: "mtold", Keys: []string{aKey}})
	wantError(t, err, `"no-ptyy" is no option that sshd knows; give the task other options`)
	if p, err := plan(t, &AuthorizedKey{User: "mtold", Keys: []string{aKey}, Options: str("no-pty")}); err != nil || len(p.Changes) != 1 {
		t.Errorf("got %+v, %v", p, err)
	}
	// A second line that sshd can read lets the key in.
	sh(t, `echo '`+aKey+`' >> /home/mtold/.ssh/authorized_keys`)
	if p, err := plan(t, &AuthorizedKey{User: "mtold", Keys: []string{aKey}}); err != nil || len(p.Changes) != 0 {
		t.Errorf("got %+v, %v", p, err)
	}
	_, err = plan(t, &AuthorizedKey{User: "mtold", Keys: []string{aKey}, Options: str(`permitopen="db:mtnosuch"`)})
	wantError(t, err, `"mtnosuch" is no port`)
}
