package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	// DefaultID is the lab that the program lab means when it isn't told another.
	DefaultID = "demo"
	// CacheVariable names the environment variable that moves the cache folder.
	CacheVariable = "MUSTER_LAB_CACHE"

	defaultCache = "/var/cache/muster-lab"
	runFolder    = "/run/muster-lab"
	netnsFolder  = "/run/netns"
)

var validID = regexp.MustCompile(`^[a-z0-9]{1,6}$`)

// paths are the places and names of one lab.
type paths struct {
	id    string
	cache string // base trees, packages and overlays of all labs
}

// newPaths checks the ID, which becomes part of names that have to be short,
// and the cache folder, which becomes part of mount options.
func newPaths(id, cache string) (paths, error) {
	if id == "" {
		id = DefaultID
	}
	if !validID.MatchString(id) {
		return paths{}, fmt.Errorf("the lab's ID %q is not made of 1 to 6 letters a-z and digits", id)
	}
	if cache == "" {
		cache = os.Getenv(CacheVariable)
	}
	if cache == "" {
		cache = defaultCache
	}
	if !filepath.IsAbs(cache) || strings.ContainsAny(cache, `:,\"' `+"\n\t") {
		return paths{}, fmt.Errorf("the cache folder %q is not an absolute path free of spaces, quotes, commas, colons and backslashes", cache)
	}
	return paths{id: id, cache: filepath.Clean(cache)}, nil
}

func (p paths) run() string            { return filepath.Join(runFolder, p.id) }
func (p paths) lock() string           { return filepath.Join(runFolder, p.id+".lock") }
func (p paths) state() string          { return filepath.Join(p.run(), "state.json") }
func (p paths) home() string           { return filepath.Join(p.run(), "home") }
func (p paths) sshConfig() string      { return filepath.Join(p.run(), "ssh_config") }
func (p paths) proxyPID() string       { return filepath.Join(p.run(), "proxy.pid") }
func (p paths) proxyLog() string       { return filepath.Join(p.run(), "proxy.log") }
func (p paths) packages() string       { return filepath.Join(p.cache, "packages") }
func (p paths) disk() string           { return filepath.Join(p.cache, "labs", p.id) }
func (p paths) host(h string) string   { return filepath.Join(p.run(), "hosts", h) }
func (p paths) onDisk(h string) string { return filepath.Join(p.disk(), h) }
func (p paths) root(h string) string   { return filepath.Join(p.onDisk(h), "root") }
func (p paths) console(h string) string {
	return filepath.Join(p.onDisk(h), "console.log")
}

// prefix starts every name of the lab's in a name space that all share. No
// lab's prefix starts another's, since an ID holds no hyphen.
func (p paths) prefix() string           { return "mlab-" + p.id + "-" }
func (p paths) netns(name string) string { return p.prefix() + name }
func (p paths) netnsPath(name string) string {
	return filepath.Join(netnsFolder, p.netns(name))
}

// Namespaces that aren't a host's. No host may have these names.
const (
	switchSpace      = "switch"
	workstationSpace = "ws"
)

// state is what another process needs to know of a lab; it is written before
// anything else is made.
type state struct {
	ID     string   `json:"id"`
	Cache  string   `json:"cache"`
	Hosts  []string `json:"hosts"` // in the lab's order
	Docker []string `json:"docker,omitempty"`
	// Bases are the base trees' folders by host name.
	Bases  map[string]string `json:"bases"`
	Suites map[string]string `json:"suites,omitempty"`
	Up     bool              `json:"up"` // Up came to its end
}

// suite returns the Debian release of a host.
func (st state) suite(host string) string {
	if s := st.Suites[host]; s != "" {
		return s
	}
	return DefaultSuite
}

// readState returns the lab's state; found is false where there is none.
func (p paths) readState() (st state, found bool, err error) {
	b, err := os.ReadFile(p.state())
	if errors.Is(err, fs.ErrNotExist) {
		return st, false, nil
	}
	if err != nil {
		return st, false, err
	}
	if err := json.Unmarshal(b, &st); err != nil {
		return st, false, fmt.Errorf("reading %s: %w", p.state(), err)
	}
	return st, true, nil
}

func (p paths) writeState(st state) error {
	b, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(p.state(), string(b)+"\n", 0o644)
}

// Labs returns the IDs of the labs that have a state on this machine, up or half-dead.
func Labs() []string {
	found, _ := filepath.Glob(filepath.Join(runFolder, "*", "state.json"))
	var ids []string
	for _, f := range found {
		ids = append(ids, filepath.Base(filepath.Dir(f)))
	}
	return ids
}

// acquire takes the lock in the file name, waiting for other processes to
// release it, and returns how to release it. A shared lock keeps out exclusive
// ones alone. The file itself stays: removing a lock file would let two
// processes hold "the" lock.
func acquire(name string, how lockKind, waiting func()) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	ok, err := lockFile(file, how, false)
	if err == nil && !ok {
		waiting()
		_, err = lockFile(file, how, true)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("locking %s: %w", name, err)
	}
	return func() { file.Close() }, nil
}

// lockKind is who else may hold a lock.
type lockKind int

const (
	exclusive lockKind = iota // nobody
	shared                    // others who share it
)
