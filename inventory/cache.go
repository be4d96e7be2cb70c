package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// errNone is that nothing was kept. Asking again can't help.
var errNone = errors.New("nothing was kept")

// cache keeps the last listing of every remote source, in a file named after
// what its block says and its Lister's key, so that a changed block finds
// nothing.
type cache struct{ dir string }

// kept is the content of a file. Version changes with its meaning.
type kept struct {
	Version  int         `json:"version"`
	Source   string      `json:"source"`
	Time     time.Time   `json:"time"`
	Hosts    []keptEntry `json:"hosts"`
	Bastions []keptEntry `json:"bastions,omitempty"`
	Groups   []keptEntry `json:"groups,omitempty"`
	Warnings []string    `json:"warnings,omitempty"`
}

type keptEntry struct {
	Name     string      `json:"name"`
	Hosts    []string    `json:"hosts,omitempty"`
	Children []string    `json:"children,omitempty"`
	Settings []keptValue `json:"settings,omitempty"`
	Vars     []keptValue `json:"vars,omitempty"`
	At       hcl.Range   `json:"at"`
}

type keptValue struct {
	Name  string                  `json:"name"`
	Value ctyjson.SimpleJSONValue `json:"value"`
	At    hcl.Range               `json:"at"`
}

const keptVersion = 1

// path names the file for a source.
func (c cache) path(s *sourceNode) (string, error) {
	if c.dir == "" {
		return "", errors.New("the user's cache folder is unknown")
	}
	folder, err := filepath.Abs(filepath.Dir(s.block.File))
	if err != nil {
		return "", err
	}
	names := make([]string, 0, len(s.block.Args))
	for name := range s.block.Args {
		names = append(names, name)
	}
	slices.Sort(names)
	var key strings.Builder
	fmt.Fprintf(&key, "%d\n%q %q %q\n", keptVersion, s.block.Type, s.block.Name, folder)
	if k, ok := s.lister.(Keyed); ok {
		fmt.Fprintf(&key, "%q\n", k.Key())
	}
	for _, name := range names {
		value, err := ctyjson.Marshal(s.block.Args[name], cty.DynamicPseudoType)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&key, "%s = %s\n", name, value)
	}
	sum := sha256.Sum256([]byte(key.String()))
	return filepath.Join(c.dir, hex.EncodeToString(sum[:])+".json"), nil
}

// get returns what was kept of a source, and when.
func (c cache) get(s *sourceNode) (*Listing, time.Time, error) {
	path, err := c.path(s)
	if err != nil {
		return nil, time.Time{}, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, time.Time{}, errNone
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	var k kept
	if err := json.Unmarshal(data, &k); err != nil {
		return nil, time.Time{}, fmt.Errorf("reading %s: %w", path, err)
	}
	if k.Version != keptVersion || len(k.Hosts) == 0 {
		return nil, time.Time{}, errNone
	}
	l := &Listing{}
	for _, e := range k.Hosts {
		l.Hosts = append(l.Hosts, e.entry())
	}
	for _, e := range k.Bastions {
		l.Bastions = append(l.Bastions, e.entry())
	}
	for _, e := range k.Groups {
		x := e.entry()
		l.Groups = append(l.Groups, GroupEntry{Name: x.Name, Hosts: e.Hosts, Children: e.Children, Settings: x.Settings, Vars: x.Vars, At: x.At})
	}
	for _, w := range k.Warnings {
		l.Warnings = append(l.Warnings, FileError{Err: errors.New(w)})
	}
	return l, k.Time, nil
}

// put keeps a listing, which only its user can read: variables may be private.
func (c cache) put(s *sourceNode, l *Listing) error {
	path, err := c.path(s)
	if err != nil {
		return err
	}
	k := kept{Version: keptVersion, Source: s.where, Time: time.Now().UTC()}
	for _, e := range l.Hosts {
		k.Hosts = append(k.Hosts, keep(e))
	}
	for _, e := range l.Bastions {
		k.Bastions = append(k.Bastions, keep(e))
	}
	for _, g := range l.Groups {
		e := keep(Entry{Name: g.Name, Settings: g.Settings, Vars: g.Vars, At: g.At})
		e.Hosts, e.Children = g.Hosts, g.Children
		k.Groups = append(k.Groups, e)
	}
	for _, w := range l.Warnings {
		k.Warnings = append(k.Warnings, w.Err.Error())
	}
	data, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	return replace(path, data)
}

// replace writes a file under a temporary name, readable by its owner alone,
// and renames it, so that another run reads all of it or none.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".listing-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func keep(e Entry) keptEntry {
	return keptEntry{Name: e.Name, Settings: keepValues(e.Settings), Vars: keepValues(e.Vars), At: e.At}
}

func keepValues(values []Value) []keptValue {
	list := make([]keptValue, 0, len(values))
	for _, v := range values {
		list = append(list, keptValue{v.Name, ctyjson.SimpleJSONValue{Value: v.Value}, v.At})
	}
	return list
}

func (e keptEntry) entry() Entry {
	return Entry{Name: e.Name, Settings: values(e.Settings), Vars: values(e.Vars), At: e.At}
}

func values(list []keptValue) []Value {
	out := make([]Value, 0, len(list))
	for _, v := range list {
		value := v.Value.Value
		if value == cty.NilVal {
			value = cty.NullVal(cty.DynamicPseudoType)
		}
		out = append(out, Value{v.Name, value, v.At})
	}
	return out
}
