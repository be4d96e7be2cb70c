// Package memcached has the kind that sets up Memcached.
//
// Memcached reads its options when it starts and can be told few of them later, and with
// its process go all items. So what runs is asked for (`stats settings`, and the command
// line of its process), and a restart is planned only where that differs.
package memcached

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{{Name: "memcached", Output: Output{}, Undoes: []host.Change{&Load{}}, New: func() modules.Module { return &Server{} }}}
}

// Memcached's files and unit, as Debian's package has them.
const (
	configPath = "/etc/memcached.conf"
	authPath   = "/etc/memcached.auth"
	unit       = "memcached.service"
	pidPath    = "/var/run/memcached/memcached.pid"
	account    = "memcache"
	fileLimit  = 1 << 20
	// What the file begins with where it is muster's.
	ours = `# Written by muster, by a task "memcached": what is changed here is overwritten.`
)

var serverKey = host.Key{Space: "memcached", Name: "server"}

// asked are what the server's answers depend on.
var asked = []host.Key{{Space: host.Packages, Name: "memcached"}, {Space: host.Units, Name: unit}}

// Server is the Memcached of the host: its options, and that it runs with them. It has to be
// installed by an earlier task; the role "memcached" does all of it.
//
// Its file is the task's as a whole. What runs is compared, not only the file: a package
// starts Memcached with its own options. The memory is changed while it runs, and its items
// stay; all else takes a restart, of which the plan says how many items it loses. Where
// Memcached doesn't come up, or runs with something else, the file that was there before is
// put back and loaded, and the task fails. It never listens on UDP.
type Server struct {
	// The addresses that it listens on: "127.0.0.1", "10.0.1.41", "::1".
	Listen modules.OneOrMore `arg:"listen" means:"127.0.0.1, this host alone"`
	// The port that it listens on.
	Port int `arg:"port" default:"11211"`
	// How much memory its items may take: "64m", "2g".
	Memory string `arg:"memory" default:"64m"`
	// How many connections it takes at once.
	Connections int `arg:"connections" default:"1024"`
	// How many threads it answers with.
	Threads int `arg:"threads" default:"4"`
	// The largest item: "1m", "512k".
	MaxItemSize string `arg:"max_item_size" default:"1m"`
	// The certificate with which it takes TLS, and nothing else.
	TLS *TLS `arg:"tls"`
	// Who is let in, with their passwords. Not given: everybody who reaches it.
	Auth map[string]string `arg:"auth,sensitive,single"`
	// Other options as its command line has them: ["-o modern", "-v"].
	Extra []string `arg:"extra"`
}

// TLS is the certificate of a Memcached.
type TLS struct {
	// The path of its certificate on the host, those that lead to the CA's behind it.
	Certificate string `arg:"certificate,path,required"`
	// The path of its key. Memcached reads it as root, but by its permissions: one of
	// root:memcache with 0640 will do, one that belongs to "memcache" alone won't.
	Key string `arg:"key,path,required"`
}

// Output is what a Memcached tells of itself.
type Output struct {
	// Its version: "1.6.18".
	Version string `json:"version"`
	// How many items it holds.
	Items int `json:"items"`
}

// size reads a size with a unit.
func size(text string, plain uint64) (uint64, bool) {
	factor := plain
	lower := strings.ToLower(text)
	for suffix, f := range map[string]uint64{"k": 1 << 10, "m": 1 << 20, "g": 1 << 30} {
		if rest, ok := strings.CutSuffix(lower, suffix); ok {
			lower, factor = rest, f
			break
		}
	}
	n, err := strconv.ParseUint(lower, 10, 32)
	return n * factor, err == nil && n > 0
}

// Check refuses what can't be its options.
func (s *Server) Check(unknown func(string) bool) (errs []modules.ArgError) {
	fail := func(arg, path, summary, detail string, args ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Path: path, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
		}
	}
	if s.Listen != nil && len(s.Listen) == 0 {
		fail("listen", "", "Empty value", "A list without addresses is none to listen on: leave the argument out, and it is this host alone.")
	}
	for i, a := range s.Listen {
		if net.ParseIP(a) == nil {
			fail("listen", fmt.Sprintf("[%d]", i), "Wrong value", "%q is no address: it is one such as \"10.0.1.41\" or \"::1\"; \"0.0.0.0\" is all. The port is an argument of its own.", a)
		}
	}
	if s.Port < 1 || s.Port > 65535 {
		fail("port", "", "Wrong value", "A port is a number from 1 to 65535.")
	}
	if n, ok := size(s.Memory, 1<<20); !ok || n < 8<<20 || n%(1<<20) != 0 {
		fail("memory", "", "Wrong value", "%q is no size: it is one such as \"64m\" or \"2g\", of whole megabytes, 8 or more.", s.Memory)
	}
	if n, ok := size(s.MaxItemSize, 1); !ok || n < 1<<10 || n > 1<<30 {
		fail("max_item_size", "", "Wrong value", "%q is no size of an item: it is one from \"1k\" to \"1g\".", s.MaxItemSize)
	}
	if s.Connections < 1 || s.Connections > 1<<20 {
		fail("connections", "", "Wrong value", "It is a number from 1 to 1048576.")
	}
	if s.Threads < 1 || s.Threads > 128 {
		fail("threads", "", "Wrong value", "It is a number from 1 to 128.")
	}
	if t := s.TLS; t != nil {
		for _, p := range []struct{ arg, path string }{{"certificate", t.Certificate}, {"key", t.Key}} {
			if p.path != "" && (!filepath.IsAbs(p.path) || strange(p.path) != "" || strings.ContainsAny(p.path, " ,=")) {
				fail("tls", "."+p.arg, "Wrong value", "%q isn't the whole path of a file on the host, of letters, digits and _./:@%%+- alone, as Memcached's file can hold it.", p.path)
			}
		}
	}
	if s.Auth != nil && len(s.Auth) == 0 {
		fail("auth", "", "Empty value", "With nobody to let in it would let in nobody: leave the argument out where everybody is.")
	}
	for _, user := range slices.Sorted(maps.Keys(s.Auth)) {
		if user == "" || strings.ContainsAny(user+s.Auth[user], ": \r\n\x00") || len(user) > 32 || len(s.Auth[user]) > 256 {
			fail("auth", fmt.Sprintf("[%q]", user), "Wrong value", "A user's name has up to 32 letters, a password up to 256, and none of them is a space or a colon: memcached's file couldn't hold it.")
		}
	}
	for i, e := range s.Extra {
		if summary, detail := refuseExtra(e); detail != "" {
			fail("extra", fmt.Sprintf("[%d]", i), summary, "%s", detail)
		}
	}
	return errs
}

// Withhold shows diffs where only the passwords are sensitive: they are in none.
func (s *Server) Withhold(diff string, sensitive []string) (string, bool) {
	return diff, !slices.ContainsFunc(sensitive, func(a string) bool { return a != "auth" })
}

// May is its files, and the server.
func (s *Server) May() []host.Effect {
	return []host.Effect{host.Open(host.Files, configPath), host.Open(host.Files, authPath), host.Open(serverKey.Space, serverKey.Name), host.Open(host.Units, unit)}
}

// addresses are those that it listens on.
func (s *Server) addresses() []string {
	if len(s.Listen) == 0 {
		return []string{"127.0.0.1"}
	}
	return s.Listen
}

// text is its file. Debian's wrapper hands each line on to Memcached.
func (s *Server) text() string {
	var listen []string
	for _, a := range s.addresses() {
		if strings.Contains(a, ":") {
			a = "[" + a + "]"
		}
		listen = append(listen, a)
	}
	memory, _ := size(s.Memory, 1<<20)
	lines := []string{ours,
		"-u " + account, "-P " + pidPath, "-l " + strings.Join(listen, ","), fmt.Sprintf("-p %d", s.Port), "-U 0",
		fmt.Sprintf("-m %d", memory>>20), fmt.Sprintf("-c %d", s.Connections), fmt.Sprintf("-t %d", s.Threads), "-I " + strings.ToLower(s.MaxItemSize)}
	if s.TLS != nil {
		lines = append(lines, "-Z", "-o ssl_chain_cert="+s.TLS.Certificate+",ssl_key="+s.TLS.Key)
	}
	if len(s.Auth) > 0 {
		lines = append(lines, "-Y "+authPath)
	}
	return strings.Join(append(lines, s.Extra...), "\n") + "\n"
}

// authText is the file of those who are let in.
func (s *Server) authText() string {
	var b strings.Builder
	for _, user := range slices.Sorted(maps.Keys(s.Auth)) {
		fmt.Fprintf(&b, "%s:%s\n", user, s.Auth[user])
	}
	return b.String()
}

// settings are what `stats settings` is to say.
func (s *Server) settings() map[string]string {
	memory, _ := size(s.Memory, 1<<20)
	item, _ := size(s.MaxItemSize, 1)
	want := map[string]string{
		"maxbytes": strconv.FormatUint(memory, 10), "maxconns": strconv.Itoa(s.Connections), "tcpport": strconv.Itoa(s.Port), "udpport": "0",
		"num_threads": strconv.Itoa(s.Threads), "item_size_max": strconv.FormatUint(item, 10), "ssl_enabled": "no", "auth_enabled_ascii": "no",
	}
	if s.TLS != nil {
		want["ssl_enabled"] = "yes"
	}
	if len(s.Auth) > 0 {
		want["auth_enabled_ascii"] = authPath
	}
	return want
}

func gone(err error) bool     { return errors.Is(err, fs.ErrNotExist) }
func isNotYet(err error) bool { return errors.Is(err, host.ErrNotYet) }
