package host

import (
	"slices"
	"strconv"
	"strings"
)

// account is a user or a group that a pending change leaves.
type account struct {
	Key
	absent bool
	user   User
	number int // -1 where the system chooses it
}

// accounts returns the users and groups laid, by name.
func (p *Preview) accounts() []account {
	if p == nil || !p.holders {
		return nil
	}
	if p.held == nil {
		p.held = []account{}
		for key, e := range p.exact {
			a := account{Key: key, absent: e.State == Absent, number: -1}
			var g Group
			switch {
			case key.Space != Users && key.Space != Groups || e.State != Absent && e.State != Present:
				continue
			case a.absent:
			case key.Space == Users && Unmarshal(e.Value, &a.user) == nil:
				a.number = a.user.UID
			case key.Space == Groups && Unmarshal(e.Value, &g) == nil:
				a.number = g.GID
			default:
				continue
			}
			p.held = append(p.held, a)
		}
		slices.SortFunc(p.held, func(a, b account) int { return strings.Compare(a.Name, b.Name) })
	}
	return p.held
}

// owned returns a file of the host with the owner and group that its numbers
// will mean once the pending changes of users and groups are made. A number that
// nobody has any more stands for itself. What lies in the home of a user whose
// number or primary group is changed goes with them: usermod(8), -u and -g.
func (v *View) owned(path string, i FileInfo) FileInfo {
	laid := v.preview.accounts()
	if len(laid) == 0 {
		return i
	}
	uid, gid := int(i.uid), int(i.gid)
	for _, a := range laid {
		if a.Space != Users || a.absent || a.user.Home == "" || a.user.Home == "/" || !below(path, a.user.Home) {
			continue
		}
		now := v.passwd(a.Name)
		if now == nil {
			continue
		}
		if int(i.uid) == now.UID && a.user.UID >= 0 {
			uid = a.user.UID
		}
		if int(i.gid) == now.GID && a.user.GID >= 0 {
			gid = a.user.GID
		}
	}
	i.Owner = holder(laid, Users, uid, UserName(uint32(uid)))
	i.Group = holder(laid, Groups, gid, GroupName(uint32(gid)))
	return i
}

// holder returns the name that a number will have, which the host calls name.
func holder(laid []account, space string, number int, name string) string {
	digits, found := strconv.Itoa(number), ""
	for _, a := range laid {
		switch {
		case a.Space != space:
		case a.Name == name && a.number != number:
			name = digits
		case a.number == number && found == "":
			found = a.Name
		}
	}
	if name == digits && found != "" {
		return found
	}
	return name
}

// passwd returns a user of /etc/passwd as the host is, nil if there is none.
func (v *View) passwd(name string) *User {
	users, _ := Once(v, "passwd by name", func() (map[string]*User, error) {
		list, err := v.Users()
		byName := make(map[string]*User, len(list))
		for i := range list {
			byName[list[i].Name] = &list[i]
		}
		return byName, err
	})
	return users[name]
}
