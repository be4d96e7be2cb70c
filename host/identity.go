package host

import (
	"os"
	"strconv"
)

// Identity is a user as permission bits know them. Users and groups are what FileInfo
// calls them: by name, and by number where that has none.
type Identity struct {
	Name   string
	Root   bool // may do everything
	Owners map[string]bool
	Groups map[string]bool
}

// Permission bits, as they stand for others.
const (
	MayRead  Mode = 4
	MayWrite Mode = 2
	MayEnter Mode = 1
)

// May reports whether permission bits let the user do all of what. Access control
// lists are not read.
func (id Identity) May(info FileInfo, what Mode) bool {
	bits := info.Mode
	switch {
	case id.Root:
		return true
	case id.Owners[info.Owner]:
		bits >>= 6
	case id.Groups[info.Group]:
		bits >>= 3
	}
	return bits&what == what
}

// Perhaps is May, but for a list of access control, whose entries grant at most what the
// group bits say: they get the benefit of the doubt.
func (id Identity) Perhaps(info FileInfo, what Mode) bool {
	return id.May(info, what) || info.ACL && info.Mode>>3&what == what
}

// self is who this process acts as.
func self() Identity {
	uid := os.Geteuid()
	me := Identity{Name: UserName(uint32(uid)), Root: IsRoot(), Owners: map[string]bool{UserName(uint32(uid)): true, strconv.Itoa(uid): true}, Groups: map[string]bool{}}
	list, _ := os.Getgroups()
	for _, gid := range append(list, os.Getegid()) {
		me.Groups[GroupName(uint32(gid))], me.Groups[strconv.Itoa(gid)] = true, true
	}
	return me
}

// Member reports whether whoever acts can give a file that group and setgid with it.
func Member(group string) bool { return IsRoot() || self().Groups[group] }
