package host

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// User is an account, as passwd(5) has it.
type User struct {
	Name    string `json:"name"`
	UID     int    `json:"uid"` // -1 where a pending change lets the system choose
	GID     int    `json:"gid"`
	Comment string `json:"comment,omitempty"`
	Home    string `json:"home"`
	Shell   string `json:"shell"`
}

// Group is a group, as group(5) has it.
type Group struct {
	Name    string   `json:"name"`
	GID     int      `json:"gid"` // -1 where a pending change lets the system choose
	Members []string `json:"members,omitempty"`
}

// User returns the account of that name, nil if there is none.
func (v *View) User(ctx context.Context, name string) (*User, error) {
	return Read(v, Key{Users, name}, func() (*User, error) {
		lines, err := v.database(ctx, "/etc/passwd", "passwd", name)
		for _, f := range lines {
			if f[0] == name && len(f) >= 7 {
				uid, _ := strconv.Atoi(f[2])
				gid, _ := strconv.Atoi(f[3])
				return &User{Name: name, UID: uid, GID: gid, Comment: f[4], Home: f[5], Shell: f[6]}, nil
			}
		}
		return nil, err
	})
}

// Group returns the group of that name, nil if there is none.
func (v *View) Group(ctx context.Context, name string) (*Group, error) {
	return Read(v, Key{Groups, name}, func() (*Group, error) {
		lines, err := v.database(ctx, "/etc/group", "group", name)
		for _, f := range lines {
			if f[0] == name && len(f) >= 4 {
				gid, _ := strconv.Atoi(f[2])
				g := &Group{Name: name, GID: gid}
				if f[3] != "" {
					g.Members = strings.Split(f[3], ",")
				}
				return g, nil
			}
		}
		return nil, err
	})
}

// Users returns every account in /etc/passwd, without pending changes.
func (v *View) Users() ([]User, error) {
	lines, err := v.lines("/etc/passwd")
	var users []User
	for _, f := range lines {
		if len(f) >= 7 {
			uid, _ := strconv.Atoi(f[2])
			gid, _ := strconv.Atoi(f[3])
			users = append(users, User{Name: f[0], UID: uid, GID: gid, Comment: f[4], Home: f[5], Shell: f[6]})
		}
	}
	return users, err
}

// Groups returns every group in /etc/group, without pending changes.
func (v *View) Groups() ([]Group, error) {
	lines, err := v.lines("/etc/group")
	var groups []Group
	for _, f := range lines {
		if len(f) >= 4 {
			gid, _ := strconv.Atoi(f[2])
			g := Group{Name: f[0], GID: gid}
			if f[3] != "" {
				g.Members = strings.Split(f[3], ",")
			}
			groups = append(groups, g)
		}
	}
	return groups, err
}

// database returns the lines of a file of accounts; where name isn't in it,
// the name services are asked (LDAP and such).
func (v *View) database(ctx context.Context, file, service, name string) ([][]string, error) {
	lines, err := v.lines(file)
	for _, f := range lines {
		if f[0] == name {
			return lines, nil
		}
	}
	if err != nil || !v.nameServices() {
		return nil, err
	}
	out, err := v.h.Runner.Run(ctx, Command{Argv: []string{"getent", service, "--", name}})
	if err != nil || out.ExitCode != 0 { // 2: not found; anything else is no reason to doubt the file
		return nil, nil
	}
	return fields(out.Stdout), nil
}

// nameServices reports whether accounts may come from elsewhere than files.
func (v *View) nameServices() bool {
	found, _ := Once(v, "nsswitch", func() (bool, error) {
		conf, err := os.ReadFile("/etc/nsswitch.conf")
		if err != nil {
			return false, nil
		}
		for _, line := range strings.Split(string(conf), "\n") {
			if db, list, ok := strings.Cut(line, ":"); ok && (db == "passwd" || db == "group") {
				for _, s := range strings.Fields(list) {
					if s != "files" && s != "systemd" && s != "compat" && !strings.HasPrefix(s, "[") {
						return true, nil
					}
				}
			}
		}
		return false, nil
	})
	return found
}

func (v *View) lines(file string) ([][]string, error) {
	return Once(v, "lines "+file, func() ([][]string, error) {
		data, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return fields(data), err
	})
}

func fields(data []byte) [][]string {
	var lines [][]string
	scan := bufio.NewScanner(bytes.NewReader(data))
	for scan.Scan() {
		if line := scan.Text(); line != "" && line[0] != '#' && line[0] != '+' && line[0] != '-' {
			lines = append(lines, strings.Split(line, ":"))
		}
	}
	return lines
}

// lookupOwner returns the numbers of an owner and group, -1 where not given.
func lookupOwner(owner, group string) (uid, gid int, err error) {
	uid, gid = -1, -1
	if owner != "" {
		if uid, err = strconv.Atoi(owner); err != nil {
			u, err := user.Lookup(owner)
			if err != nil {
				return 0, 0, err
			}
			uid, _ = strconv.Atoi(u.Uid)
		}
	}
	if group != "" {
		if gid, err = strconv.Atoi(group); err != nil {
			g, err := user.LookupGroup(group)
			if err != nil {
				return 0, 0, err
			}
			gid, _ = strconv.Atoi(g.Gid)
		}
	}
	return uid, gid, nil
}
