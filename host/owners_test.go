package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOwnersAreThoseOfPlannedAccounts(t *testing.T) {
	if !IsRoot() {
		t.Skip("gives files to other users, which only root can")
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 2, 64999); err != nil { // Debian's user bin, and nobody's group
		t.Fatal(err)
	}
	user := func(name string, uid int) Effect {
		return Is(Key{Users, name}, User{Name: name, UID: uid, Home: "/bin"})
	}
	for name, c := range map[string]struct {
		laid  []Effect
		owner string
		group string
	}{
		"nothing pending":                {nil, "bin", "64999"},
		"the user has another shell":     {[]Effect{user("bin", 2)}, "bin", "64999"},
		"the user has another number":    {[]Effect{user("bin", 3000)}, "2", "64999"},
		"another user takes the number":  {[]Effect{user("bin", 3000), user("new", 2)}, "new", "64999"},
		"the user is gone":               {[]Effect{Gone(Key{Users, "bin"})}, "2", "64999"},
		"the user comes back, somewhere": {[]Effect{Gone(Key{Users, "bin"}), user("bin", -1)}, "2", "64999"},
		"a group takes the number":       {[]Effect{Is(Key{Groups, "new"}, Group{Name: "new", GID: 64999})}, "bin", "new"},
		"anything may be":                {[]Effect{{Key: Key{Users, "bin"}, State: Unknown}}, "bin", "64999"},
	} {
		var p Preview
		p.Lay(c.laid)
		info, err := NewView(New(), &p).Lstat(path)
		if err != nil || info.Owner != c.owner || info.Group != c.group {
			t.Errorf("%s: %s:%s (%v), want %s:%s", name, info.Owner, info.Group, err, c.owner, c.group)
		}
	}
}
