package host

import "encoding/json"

// Key names one thing on a host: {"file", "/etc/motd"}, {"unit", "cron.service"}.
// The name "*" stands for a whole space, and {"*", "*"} for everything.
type Key struct {
	Space string `json:"space"`
	Name  string `json:"name"`
}

// Spaces of keys. A module may use others of its own.
const (
	Files    = "file"
	Users    = "user"
	Groups   = "group"
	Packages = "package"
	Units    = "unit"
	Kernel   = "sysctl"
	// All is every space, and every name of a space.
	All = "*"
)

// File is the key of a path.
func File(path string) Key { return Key{Files, path} }

func (k Key) String() string {
	switch {
	case k.Space == All:
		return "anything"
	case k.Name == All:
		return "any " + k.Space
	}
	return k.Space + " " + k.Name
}

// State says what stands at a key after a change.
type State string

// The states of a key.
const (
	Present  State = "present"
	Absent   State = "absent"
	Unknown  State = "unknown"  // something, but nobody can tell what
	Possible State = "possible" // what exists stays as it is; what doesn't may appear
)

// Effect is what stands at Key after a change. Effects lay the preview over
// the host, and find two tasks that want one thing in two states.
type Effect struct {
	Key   Key             `json:"key"`
	State State           `json:"state"`
	Value json.RawMessage `json:"value,omitempty"` // of a present key, in the form its reader takes (FileInfo, User, …)
	// Prefix: the key's name is how names begin, each of which may appear (Possible).
	Prefix bool `json:"prefix,omitempty"`
}

// Open returns the effect that leaves something at a name of a space, nobody can
// tell what. The name "" is one that isn't known: that leaves the whole space open.
func Open(space, name string) Effect {
	if name == "" {
		name = All
	}
	return Effect{Key: Key{space, name}, State: Unknown}
}

// Is returns the effect that leaves value at key. It panics where value is no
// JSON, a mistake in the program.
func Is(key Key, value any) Effect {
	b, err := Marshal(value)
	if err != nil {
		panic("host: the effect on " + key.String() + ": " + err.Error())
	}
	return Effect{Key: key, State: Present, Value: b}
}

// Gone returns the effect that leaves nothing at key.
func Gone(key Key) Effect { return Effect{Key: key, State: Absent} }

// Begins returns the effect of a change that may create keys whose names begin so.
func Begins(space, prefix string) Effect {
	return Effect{Key: Key{space, prefix}, State: Possible, Prefix: true}
}

// May returns the effect of a change that may create any key of a space.
func May(space string) Effect { return Effect{Key: Key{space, All}, State: Possible} }
