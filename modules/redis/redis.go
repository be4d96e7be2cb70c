// Package redis has the kinds that set up Redis: the server with its settings, and its users.
//
// Redis is asked through its own protocol (resp.go), on the socket or the loopback address
// that its configuration names (connect.go). Its file belongs to two writers: Redis
// rewrites it whole where somebody says CONFIG REWRITE, as Sentinel does. So lines are
// compared by what they mean (meaning.go), and only those that differ are edited (conf.go).
package redis

import (
	"errors"
	"io/fs"
	"path/filepath"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{
		{Name: "redis", Output: Output{}, Undoes: []host.Change{&Load{}, &SetAside{}}, New: func() modules.Module { return &Server{} }},
		{Name: "redis_user", Undoes: []host.Change{&PutUser{}}, New: func() modules.Module { return &User{} }},
	}
}

// serverKey is the key of what the server runs with.
var serverKey = host.Key{Space: "redis", Name: "server"}

// users is the space of the keys of Redis's users.
const users = "redis_user"

func userKey(name string) host.Key { return host.Key{Space: users, Name: name} }

// asked are what the server's answers depend on: the packages and units that bring it.
var asked = []host.Key{
	{Space: host.Packages, Name: "redis-server"}, {Space: host.Packages, Name: "redis"},
	{Space: host.Units, Name: "redis-server.service"}, {Space: host.Units, Name: "redis.service"},
}

// The files that muster keeps: whom the server was last told to follow, and what Redis has
// made of the commands that users were given.
const (
	stateDir    = "/var/lib/muster/redis"
	followsPath = stateDir + "/replica_of"
	usersDir    = stateDir + "/users"
)

// noteLimit is the size, in bytes, up to which muster's own files are read.
const noteLimit = 64 << 10

// keeps are the effects of noting something at path.
func keeps(path string) []host.Effect {
	list := []host.Effect{host.Open(host.Files, path)}
	for dir := filepath.Dir(path); dir != "/var/lib"; dir = filepath.Dir(dir) {
		list = append(list, host.Effect{Key: host.File(dir), State: host.Possible})
	}
	return list
}

// note writes one of muster's own files.
func note(path string, data []byte) error {
	d, err := host.MakeDirs(filepath.Dir(path), 0o700)
	if err != nil {
		return err
	}
	d.Close()
	return host.Put(path, data, 0o600)
}

func gone(err error) bool     { return errors.Is(err, fs.ErrNotExist) }
func isNotYet(err error) bool { return errors.Is(err, host.ErrNotYet) }
