package modulestest

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
	"testing"
)

// as does something as a user, for which this process has to be root's. Programs that
// are run meanwhile are the user's for good.
func as(t testing.TB, name string, do func()) {
	t.Helper()
	if name == "" {
		do()
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can act as " + name)
	}
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := u.GroupIds()
	if err != nil {
		t.Fatal(err)
	}
	var ids []int
	for _, g := range groups {
		ids = append(ids, number(t, g))
	}
	was, err := syscall.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	gid, uid := number(t, u.Gid), number(t, u.Uid)
	defer func() {
		check(t, syscall.Setresuid(0, 0, 0))
		check(t, syscall.Setresgid(0, 0, 0))
		check(t, syscall.Setgroups(was))
	}()
	check(t, syscall.Setgroups(ids))
	check(t, syscall.Setresgid(gid, gid, 0))
	check(t, syscall.Setresuid(uid, uid, 0))
	do()
}

func number(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	check(t, err)
	return n
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// asRoot does something as root again, within what as does as a user.
func asRoot(t testing.TB, do func()) {
	uid := os.Geteuid()
	if uid == 0 || syscall.Setresuid(0, 0, 0) != nil {
		do()
		return
	}
	defer func() { check(t, syscall.Setresuid(uid, uid, 0)) }()
	do()
}
