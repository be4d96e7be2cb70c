package packages

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"muster/host"
)

// Installed is a package on a host, as previews hold it.
type Installed struct {
	Version string `json:"version"`
	Held    bool   `json:"held,omitempty"`
}

// record is a package in dpkg's database (dpkg(1), "package states").
type record struct {
	name     string // with ":arch" where that isn't the host's own
	version  string
	held     bool
	reinst   bool   // its files are damaged: it must be installed again
	status   string // "installed", "half-configured", "config-files", …
	provides []string
	fresh    bool // no version of it was ever configured
}

func (r *record) installed() bool {
	return r.status == "installed" || r.status == "triggers-pending" || r.status == "triggers-awaited"
}

// broken reports whether dpkg was interrupted in the middle of this package.
func (r *record) broken() bool {
	return r.reinst || r.status == "half-installed" || r.status == "unpacked" || r.status == "half-configured"
}

// database is what dpkg knows of a host.
type database struct {
	native      string // the host's architecture
	packages    map[string]*record
	interrupted bool // dpkg's journal wasn't merged
	providers   map[string][]string
}

// admin is dpkg's folder.
const admin = "/var/lib/dpkg"

// errNoDpkg is a host of another family.
var errNoDpkg = errors.New("there is no dpkg database (/var/lib/dpkg/status): packages of this kind of system can't be managed yet, only Debian's and its relatives'")

// readDatabase reads the database once until the host is changed.
func readDatabase(v *host.View) (*database, error) {
	return host.Once(v, "dpkg", func() (*database, error) { return loadDatabase(admin) })
}

func loadDatabase(dir string) (*database, error) {
	data, err := os.ReadFile(filepath.Join(dir, "status"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoDpkg
	}
	if err != nil {
		return nil, err
	}
	db := &database{}
	list, err := parseStatus(data)
	if err != nil {
		return nil, fmt.Errorf("reading dpkg's database: %w", err)
	}
	// What an interrupted dpkg had noted, in order, stands over the database.
	updates, err := os.ReadDir(filepath.Join(dir, "updates"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range updates {
		if strings.Trim(e.Name(), "0123456789") != "" {
			continue
		}
		db.interrupted = true
		data, err := os.ReadFile(filepath.Join(dir, "updates", e.Name()))
		if err != nil {
			return nil, err
		}
		if more, err := parseStatus(data); err == nil {
			list = append(list, more...)
		}
	}
	db.fill(list)
	return db, nil
}

// stanza is a package with its architecture, as the database has it.
type stanza struct {
	record
	arch string
}

func (db *database) fill(list []stanza) {
	for _, s := range list {
		if s.name == "dpkg" {
			db.native = s.arch
		}
	}
	db.packages, db.providers = map[string]*record{}, map[string][]string{}
	for i := range list {
		s := &list[i]
		if s.arch != db.native && s.arch != "all" && s.arch != "" && db.native != "" {
			s.name += ":" + s.arch
		}
		db.packages[s.name] = &s.record
	}
	for name, r := range db.packages {
		if r.installed() {
			for _, p := range r.provides {
				db.providers[p] = append(db.providers[p], name)
			}
		}
	}
}

// parseStatus reads stanzas of the form of deb-control(5).
func parseStatus(data []byte) ([]stanza, error) {
	var list []stanza
	var s stanza
	flush := func() {
		if s.name != "" {
			list = append(list, s)
		}
		s = stanza{}
	}
	scan := bufio.NewScanner(bytes.NewReader(data))
	scan.Buffer(make([]byte, 0, 64<<10), 4<<20)
	for scan.Scan() {
		line := scan.Bytes()
		if len(line) == 0 {
			flush()
			continue
		}
		if line[0] == ' ' || line[0] == '\t' || line[0] < 'A' || line[0] > 'V' {
			continue
		}
		field, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		switch string(field) {
		case "Package":
			s.name = string(bytes.TrimSpace(value))
		case "Architecture":
			s.arch = string(bytes.TrimSpace(value))
		case "Version":
			s.version = string(bytes.TrimSpace(value))
		case "Status":
			w := strings.Fields(string(value))
			if len(w) != 3 {
				return nil, fmt.Errorf("the status of %s is %q", s.name, value)
			}
			s.held, s.reinst, s.status = w[0] == "hold", w[1] != "ok", w[2]
			s.fresh = true
		case "Config-Version":
			s.fresh = false
		case "Provides":
			for _, p := range strings.Split(string(value), ",") {
				name, _, _ := strings.Cut(strings.TrimSpace(p), " ")
				name, _, _ = strings.Cut(name, ":")
				s.provides = append(s.provides, name)
			}
		}
	}
	flush()
	return list, scan.Err()
}

// broken are the packages in whose middle dpkg was interrupted, sorted.
func (db *database) broken() []string {
	var list []string
	for name, r := range db.packages {
		if r.broken() {
			list = append(list, name)
		}
	}
	sort.Strings(list)
	return list
}

// lookup returns a package through the preview; nil where it isn't installed.
func (db *database) lookup(v *host.View, name string) (*Installed, error) {
	return host.Read(v, host.Key{Space: host.Packages, Name: name}, func() (*Installed, error) {
		r := db.packages[name]
		if r == nil || !r.installed() {
			return nil, nil
		}
		return &Installed{Version: r.version, Held: r.held}, nil
	})
}

// files are the paths that a package has brought.
func (db *database) files(name string) []string {
	data, err := os.ReadFile(filepath.Join(admin, "info", name+".list"))
	if err != nil {
		data, err = os.ReadFile(filepath.Join(admin, "info", name+":"+db.native+".list"))
	}
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}
