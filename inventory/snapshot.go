package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// snapshotPart is the size, in bytes, after which a snapshot goes on in another
// file: one file of an inventory has at most hclguard.MaxBytes.
const snapshotPart = 4 << 20

// Snapshot writes the inventory as files of HCL that ask no source: written
// to a folder as names that sort in this order (and end in .hcl) and loaded,
// they give the same hosts, bastions and groups in the same order, with the
// same variables and reached in the same way. What was decided between
// settings stays decided: each host has its own, so that Host.Connection
// names no group or defaults, and positions are those in the snapshot.
// Identities below the user's home are written with "~/", so that they are
// found in the home of whoever loads it; other paths are absolute.
//
// The same inventory gives the same bytes. A partial one is an error, so is
// what stands in where there is none (LocalOnly), and a value that HCL has no text for.
func (inv *Inventory) Snapshot() ([][]byte, error) { return inv.snapshot(snapshotPart) }

// snapshot begins another file after every part bytes.
func (inv *Inventory) snapshot(part int) ([][]byte, error) {
	if inv.Partial {
		return nil, errors.New("writing a snapshot of the inventory: there may be more than is known of it")
	}
	if inv.alone {
		return nil, errors.New("writing a snapshot of the inventory: there is none")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "" // identities stay absolute
	}
	s := snapshot{home: home, part: part}
	for _, h := range inv.bastions {
		s.host("bastion", h)
	}
	given := inv.groupVars()
	for i, g := range inv.groups {
		s.group(i == 0, g, given[g.Name])
	}
	for _, h := range inv.hosts {
		s.host("host", h)
	}
	return append(s.parts, s.text.Bytes()), s.err
}

// groupVars returns what each group says itself, as far as a host is in it.
func (inv *Inventory) groupVars() map[string][]assignment {
	given := map[string][]assignment{}
	done := map[*layer]bool{}
	for _, h := range inv.hosts {
		if done[h.groups] {
			continue
		}
		done[h.groups] = true
		for _, c := range h.groups.vars {
			for _, d := range append([]definition{c.definition}, c.beat...) {
				name := strings.TrimPrefix(d.where, "group ")
				if _, ok := find(given[name], d.name); !ok {
					given[name] = append(given[name], d.assignment)
				}
			}
		}
	}
	return given
}

// snapshot is the text of an inventory while it is written.
type snapshot struct {
	home  string
	part  int
	parts [][]byte
	text  bytes.Buffer
	err   error // the first
}

// block writes a block, unless it would be empty and can be left out.
func (s *snapshot) block(head string, omit bool, body func()) {
	before := s.text.Len()
	fmt.Fprintf(&s.text, "%s {\n", head)
	begun := s.text.Len()
	body()
	if s.text.Len() == begun && omit {
		s.text.Truncate(before)
		return
	}
	s.text.WriteString("}\n")
	if s.text.Len() > s.part {
		s.parts = append(s.parts, bytes.Clone(s.text.Bytes()))
		s.text.Reset()
	}
}

func (s *snapshot) group(all bool, g *Group, vars []assignment) {
	s.block("group "+quoteHCL(g.Name), all, func() {
		s.vars("group "+g.Name, vars)
		if len(g.Children) > 0 {
			fmt.Fprintf(&s.text, "  children = %s\n", names(g.Children))
		}
		if len(g.Hosts) > 0 && !all {
			fmt.Fprintf(&s.text, "  hosts = %s\n", names(g.Hosts))
		}
	})
}

func (s *snapshot) host(block string, h *Host) {
	s.block(block+" "+quoteHCL(h.Name), false, func() {
		text := func(name, value string) {
			if value != "" {
				fmt.Fprintf(&s.text, "  %s = %s\n", name, quoteHCL(value))
			}
		}
		t := h.target
		if h.Address != h.Name {
			text("address", h.Address)
		}
		if t.Local {
			text("connection", "local")
		}
		text("user", t.User)
		if t.Port != 0 {
			fmt.Fprintf(&s.text, "  port = %d\n", t.Port)
		}
		text("identity", s.identity(t.Identity))
		if t.Via != nil {
			text("via", t.Via.Name)
		}
		s.vars("host "+h.Name, h.node.vars)
	})
}

// identity writes the path of a key as it is on any machine.
func (s *snapshot) identity(path string) string {
	if path == "" {
		return ""
	}
	if s.home != "" && s.home != "/" {
		if rest, ok := strings.CutPrefix(path, strings.TrimSuffix(s.home, "/")+"/"); ok {
			return "~/" + rest
		}
	}
	if !filepath.IsAbs(path) {
		if abs, err := filepath.Abs(path); err == nil {
			return abs
		}
	}
	return path
}

func (s *snapshot) vars(where string, list []assignment) {
	if len(list) == 0 {
		return
	}
	s.text.WriteString("  vars = {\n")
	for _, a := range list {
		fmt.Fprintf(&s.text, "    %s = ", quoteHCL(a.name))
		if err := writeHCL(&s.text, a.value, 0); err != nil && s.err == nil {
			s.err = fmt.Errorf("writing a snapshot of the inventory: %s: variable %s: %w", where, quote(a.name), err)
		}
		s.text.WriteByte('\n')
	}
	s.text.WriteString("  }\n")
}

func names(list []string) string {
	v := make([]cty.Value, len(list))
	for i, name := range list {
		v[i] = cty.StringVal(name)
	}
	var b bytes.Buffer
	_ = writeHCL(&b, cty.TupleVal(v), 0) // text is never refused
	return b.String()
}
