// Package rotate rotates secrets on the lab's hosts, while what uses them goes on.
//
// Each rotation is a scene (scene_test.go), in a file of its own. Of each scene TestRotation
// makes one rotation under load, and then cuts rotations off, at each thing that muster says
// in turn, and goes on with them. The environment chooses:
//
//	SCENES     the scenes, by name, with commas between them; unset: all that aren't long
//	KILLS      what is killed: some of muster, consumer, bastion and acceptor, with commas
//	           between them, or all of them in turn; unset: muster, in the scenes that say so; none: nothing
//	KILLS_LOG  a file to which each kill adds a row of a table
package rotate

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/tests/lab"
	"muster/tests/operator"
)

// theLab has the hosts of the scenes that are chosen.
var theLab *operator.Lab

func TestMain(m *testing.M) {
	list, err := chosen()
	if err == nil {
		_, err = victims()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	o := lab.Options{ID: "rotate", Suites: map[string]string{}}
	for _, s := range list {
		o.Hosts = append(o.Hosts, s.hosts...)
		o.Docker = append(o.Docker, s.docker...)
		maps.Copy(o.Suites, s.suites)
	}
	for _, hosts := range []*[]string{&o.Hosts, &o.Docker} {
		slices.Sort(*hosts)
		*hosts = slices.Compact(*hosts)
	}
	operator.Main(m, o, func(l *operator.Lab) { theLab = l })
}

// chosen are the scenes that SCENES names, else those that aren't long.
func chosen() (list []scene, err error) {
	var known []string
	wanted := strings.FieldsFunc(os.Getenv("SCENES"), func(r rune) bool { return r == ',' })
	for _, s := range scenes() {
		known = append(known, s.name)
		if slices.Contains(wanted, s.name) || len(wanted) == 0 && !s.long {
			list = append(list, s)
		}
	}
	for _, s := range list {
		for _, host := range s.hosts {
			if other := list[0]; slices.Contains(other.hosts, host) && s.suites[host] != other.suites[host] {
				return nil, fmt.Errorf("SCENES: %s and %s need another release on %s: make them one after the other", other.name, s.name, host)
			}
		}
	}
	for _, name := range wanted {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("SCENES: there is no scene %q, only %s", name, strings.Join(known, ", "))
		}
	}
	return list, nil
}

// victims are what KILLS names; nil where it is unset.
func victims() ([]string, error) {
	all := []string{"muster", "consumer", "bastion", "acceptor"}
	switch what := os.Getenv("KILLS"); what {
	case "":
		return nil, nil
	case "none":
		return []string{}, nil
	case "all":
		return all, nil
	default:
		list := strings.Split(what, ",")
		for _, name := range list {
			if !slices.Contains(all, name) {
				return nil, fmt.Errorf("KILLS=%s: it is some of %s, with commas between them, or all, or none", what, strings.Join(all, ", "))
			}
		}
		return list, nil
	}
}

func TestRotation(t *testing.T) {
	theLab.Need(t)
	list, err := chosen()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		t.Run(s.name, func(t *testing.T) {
			p := newProject(t, s)
			p.begin()
			if !t.Run("under load", func(t *testing.T) { p.in(t).underLoad() }) {
				return
			}
			kills, err := victims()
			if err != nil {
				t.Fatal(err)
			}
			if kills == nil && s.kills {
				kills = []string{"muster"}
			}
			t.Run("killed", func(t *testing.T) {
				for _, what := range kills {
					if what != "muster" && p.victim(what) == "" {
						continue // it is the machine that muster runs on
					}
					t.Run(what, func(t *testing.T) { p.in(t).cutOff(what) })
				}
			})
		})
	}
}

// underLoad makes one rotation, in which nothing is refused.
func (p *project) underLoad() {
	t := p.t
	p.load.begin(p)
	old := p.values().current
	r := p.ends(0, "rotate", p.rotates(), "--yes")
	v := p.values()
	if old == v.current || strings.Contains(r.Out+r.Err, old) || strings.Contains(r.Out+r.Err, v.current) {
		t.Errorf("the value wasn't changed, or is shown:\n%s%s", r.Out, r.Err)
	}
	p.one(old)
	p.unchanged("after the rotation")
	served, failed := p.load.counts(p)
	t.Logf("the rotation took %s, with %d operations in it\n%s", r.Took.Round(time.Millisecond), served, r.Err)
	if p.within > 0 && r.Took > 3*p.within { // others may be at work on this machine
		t.Errorf("three times what it may take: %s", p.within)
	}
	if served == 0 {
		t.Error("nothing was served")
	}
	if len(failed) > 0 {
		t.Errorf("%d operations failed, the first with %s", len(failed), failed[0])
	}
}

// one checks that the current value is the only one, and that an old one works no more.
func (p *project) one(old string) {
	p.t.Helper()
	v := p.values()
	if v.pending+v.previous != "" {
		p.t.Errorf("the rotation isn't over: %s", v)
	}
	if !p.lets(p, v.current) {
		p.t.Errorf("the current value doesn't work (%s)", v)
	}
	if old != v.current && p.lets(p, old) {
		p.t.Errorf("the old value works still (%s)", v)
	}
	if p.after != nil {
		p.after(p)
	}
}

// values are a secret's as the store has them, "" for those that it hasn't.
type values struct {
	current, pending, previous string
	numbers                    [3]int
}

// String names the versions, and no value.
func (v values) String() string {
	parts := []string{fmt.Sprintf("current %d", v.numbers[0])}
	for i, name := range []string{"pending", "previous"} {
		if n := v.numbers[i+1]; n != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", name, n))
		}
	}
	return strings.Join(parts, ", ")
}

// open reports whether a rotation has begun and isn't over.
func (v values) open() bool { return cmp.Or(v.pending, v.previous) != "" }
