package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2"
	"golang.org/x/term"

	"muster/internal/lang"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/notify"
	"muster/internal/project"
	"muster/internal/report"
	"muster/internal/view"
	"muster/inventory"
	"muster/modules"
	"muster/modules/all"
	"muster/secret"
)

// app is what every command shares: its flags, streams and view.
type app struct {
	passing  string   // the file of a playbook that stands for a command line; "": none
	args     []string // the command line, without muster itself
	out, err io.Writer
	in       *os.File

	inventoryFile string
	storeFile     string
	limit         []string
	vars          []string
	varFiles      []string
	parallel      int
	askBecome     bool
	output        string
	noColor       bool
	verbose       bool
	quiet         bool
	tags          []string
	skipTags      []string
	login         loginAs
	scheduled     bool      // a timer runs this
	notify        bool      // whoever is told of drift is told, also where no timer runs this
	job           string    // the schedule
	started       time.Time // of its run
	said          []string  // of that; see says
	asRoot        bool      // every remote runs as root, whatever its tasks need
	bastions      bool      // playbooks see bastions as hosts
	reports       []report.Target
	reported      string    // the command whose run is reported
	began         time.Time // of that
	newLogin      bool      // this machine is logged in to anew, for the groups of that
	// secretsLater: what can't be opened with the user's identity comes with a later run.
	secretsLater bool
	laterMu      sync.Mutex
	later        map[string]bool // secrets that were to be read, and are to come
	// becomePassword is what sudo wants, once it was asked for.
	becomePassword *secret.String

	begin  sync.Once
	shown  view.View
	held   *view.Unless // of shown, where that is to be quiet
	screen *view.Screen // that it writes to
	kinds  *modules.Registry
}

// registry returns the kinds.
func (a *app) registry() *modules.Registry {
	if a.kinds == nil {
		a.kinds = all.Registry()
	}
	return a.kinds
}

// view returns the view that the flags ask for. As JSON, it begins with a line
// that tells the version. Warnings of connections may be what begins it.
func (a *app) view() view.View {
	a.begin.Do(func() {
		terminal := isTerminal(a.out)
		format := a.output
		if format == "" || format == "pretty" && !terminal {
			format = "plain"
			if terminal {
				format = "pretty"
			}
		}
		color := format == "pretty" && !a.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		a.screen = view.NewScreen(a.out, a.err, a.footing(format), terminal)
		begin := func() view.View {
			o := view.Options{Format: format, Color: color, Verbose: a.verbose, Out: a.screen.Out(), Err: a.screen.Err()}
			if format != "json" {
				o.Out, o.Err = view.Folding(o.Out, columns(a.out)), view.Folding(o.Err, columns(a.err))
			}
			return view.New(o)
		}
		if a.quiet {
			a.held = view.UnlessWell(begin)
			a.shown = a.held
		} else {
			a.shown = begin()
		}
		if len(a.reports) > 0 {
			a.shown = report.Record(a.shown, a.reported, a.began)
		}
	})
	return a.shown
}

// checkFlags refuses values that flags can't have.
func (a *app) checkFlags() error {
	switch a.output {
	case "", "pretty", "plain", "json":
	default:
		given := a.output
		a.output = ""
		return fmt.Errorf("--output is pretty, plain or json, not %q", given)
	}
	return nil
}

// footing tells how large the terminal is that a footer can stand on; nil: there is none.
func (a *app) footing(format string) func() (columns, rows int) {
	f, ok := a.err.(*os.File)
	if !ok || !isTerminal(f) || os.Getenv("TERM") == "dumb" || format == "plain" && isTerminal(a.out) || piped(a.out) {
		return nil
	}
	return func() (int, int) {
		columns, rows, _ := term.GetSize(int(f.Fd()))
		return columns, rows
	}
}

// columns tells how wide the terminal is that is written to; nil: it is none.
func columns(w io.Writer) func() int {
	f, ok := w.(interface{ Fd() uintptr })
	if !ok || !isTerminal(w) {
		return nil
	}
	return func() int {
		columns, _, _ := term.GetSize(int(f.Fd()))
		return columns
	}
}

// text returns where lines for people go that a host may have had a say in.
func (a *app) text() io.Writer { return view.Folding(a.out, columns(a.out)) }

// watch says how a run gets on, until the function that it returns is called.
func (a *app) watch(r *prepared) (stop func()) {
	v := a.view()
	if a.quiet || a.scheduled && !a.screen.Terminal() {
		return func() {} // nobody waits for it
	}
	return view.Watch(a.screen, v, r.run, time.Now())
}

// piped reports whether another program reads what is written. It may show it on the
// terminal that the footer stands on.
func piped(w io.Writer) bool {
	f, ok := w.(interface{ Stat() (os.FileInfo, error) })
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// fail shows diagnostics, and returns errShown where they hold an error. Where
// there are none the view isn't begun: commands that print a JSON document of
// their own print no line before it.
func (a *app) fail(diags hcl.Diagnostics, sources map[string][]byte) error {
	if len(diags) == 0 {
		return nil
	}
	a.view().Diagnostics(a.placed(diags), sources)
	if diags.HasErrors() {
		return errShown
	}
	return nil
}

// loaded is a project with its inventory.
type loaded struct {
	project   *project.Project
	inventory *inventory.Inventory
	path      string // of the inventory; "": this machine alone
	notify    []*notify.Block
	secrets   plays.Secrets
	sources   map[string][]byte
	given     givenTo // who the variables of the command line are for
}

// givenTo says which variables a playbook is to declare.
type givenTo int

const (
	toAll     givenTo = iota // all that the command line gives: another one is a mistake
	toSome                   // those that are its own: the others are for other playbooks
	toNothing                // none, of those that the command line gives
)

// load reads the project and the inventory. Static asks no source of hosts.
func (a *app) load(ctx context.Context, static bool) (*loaded, hcl.Diagnostics, error) {
	if err := a.checkFlags(); err != nil {
		return nil, nil, err
	}
	p, diags := project.Find(".")
	l := &loaded{project: p, sources: map[string][]byte{p.Name: p.Source}}
	receivers, more := notify.Read(p.Notify)
	l.notify, diags = receivers, append(diags, more...)
	path := p.Inventory
	if a.inventoryFile != "" {
		path = a.inventoryFile
	}
	l.path = path
	switch {
	case path == "":
		l.inventory = inventory.LocalOnly()
	case a.inventoryFile == "" && missing(path): // which project.Find says
		l.inventory = &inventory.Inventory{Partial: true}
	default:
		if rel, err := filepath.Rel(mustGetwd(), path); err == nil && filepath.IsAbs(path) && !strings.HasPrefix(rel, "../../..") {
			path = rel
		}
		inv, more := inventory.Load(ctx, path, inventory.Options{Static: static, Sources: hostSources()})
		if missing(path) {
			inv.Partial = true // no play is to blame for hosts that it lacks
		}
		l.inventory, diags = inv, append(diags, more...)
		for name, f := range inv.Files() {
			if f != nil {
				l.sources[name] = f.Bytes
			}
		}
	}
	return l, diags, nil
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

func mustGetwd() string {
	wd, err := os.Getwd()
	if err != nil {
		return "/"
	}
	return wd
}

// limited is the hosts that --limit names; nil for all.
func (a *app) limited(inv *inventory.Inventory) (map[string]bool, error) {
	if len(a.limit) == 0 {
		return nil, nil
	}
	hosts, err := inv.Match(a.limit)
	if err != nil {
		return nil, fmt.Errorf("--limit: %w", err)
	}
	if len(hosts) == 0 {
		return nil, fmt.Errorf("--limit %s matches no host", strings.Join(a.limit, ","))
	}
	set := map[string]bool{}
	for _, h := range hosts {
		set[h.Name] = true
	}
	return set, nil
}

// chosen is the hosts that patterns match, and --limit too.
func (a *app) chosen(inv *inventory.Inventory, patterns []string) ([]*inventory.Host, error) {
	hosts, err := inv.Match(patterns)
	if err != nil {
		return nil, err
	}
	return a.within(inv, hosts)
}

// within is those of hosts that --limit matches.
func (a *app) within(inv *inventory.Inventory, hosts []*inventory.Host) ([]*inventory.Host, error) {
	limit, err := a.limited(inv)
	if err != nil || limit == nil {
		return hosts, err
	}
	return slices.DeleteFunc(hosts, func(h *inventory.Host) bool { return !limit[h.Name] }), nil
}

// varSources are the values given outside the playbook, weakest first. The
// files among them become sources of l.
func (a *app) varSources(l *loaded) ([]plays.VarSource, hcl.Diagnostics, error) {
	var list []plays.VarSource
	env := os.Environ()
	sort.Strings(env)
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if v, ok := strings.CutPrefix(name, "MUSTER_VAR_"); ok {
			list = append(list, plays.VarSource{Name: v, Text: value, Origin: name, Optional: true})
		}
	}
	if l.given == toNothing {
		return list, nil, nil
	}
	var diags hcl.Diagnostics
	for _, file := range a.varFiles {
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, fmt.Errorf("--var-file: %w", err)
		}
		l.sources[file] = src
		vars, more := lang.ParseVarFile(file, src)
		list, diags = append(list, vars...), append(diags, more...)
	}
	for _, v := range a.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, nil, fmt.Errorf("--var takes NAME=VALUE, not %q", v)
		}
		if value == secret.Hidden {
			return nil, nil, fmt.Errorf("--var %s=%s: that stands where a value isn't shown; give the value itself", name, value)
		}
		list = append(list, plays.VarSource{Name: name, Text: value, Origin: "--var"})
	}
	for i := range list {
		list[i].Optional = list[i].Optional || l.given == toSome
	}
	return list, diags, nil
}

// withoutValues has lines of files of variables not be shown with what is wrong in them, nor
// hints made of them, where they may be values of sensitive variables.
func (a *app) withoutValues(pb *eval.Playbook, l *loaded, diags hcl.Diagnostics) hcl.Diagnostics {
	declared := pb.Declared()
	if len(declared) > 0 && !slices.ContainsFunc(declared, func(v *plays.Variable) bool { return v.Sensitive }) {
		return diags
	}
	return a.withoutLines(l, diags)
}

// withoutLines is that where all of them may be.
func (a *app) withoutLines(l *loaded, diags hcl.Diagnostics) hcl.Diagnostics {
	for _, file := range a.varFiles {
		delete(l.sources, file)
		for i, d := range diags {
			if d.Subject != nil && d.Subject.Filename == file {
				plain := *d
				plain.Extra = nil
				diags[i] = &plain
			}
		}
	}
	return diags
}

// collectLess lets the heap grow to three times what lives in it, until the
// function that it returns is called. Reading a playbook makes much garbage in a
// short time: 10,000 tasks take a fifth less time so, and 40 MB more.
func collectLess() func() {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	old := debug.SetGCPercent(200)
	return func() { debug.SetGCPercent(old) }
}

// playbook reads a playbook with all its checks. Where it has errors, they
// are shown and errShown is returned.
func (a *app) playbook(l *loaded, before hcl.Diagnostics, file string, values bool) (*eval.Playbook, error) {
	return a.playbookOf(l, before, file, values, nil)
}

// readingOf is what playbooks are read against.
func (a *app) readingOf(l *loaded, vars []plays.VarSource) plays.Options {
	return plays.Options{
		Kinds: a.registry(), Fleet: a.machines(l.inventory), Root: l.project.Dir, Reads: l.project.Reads(), EmbeddedRoles: embeddedRoles(),
		Vars: vars, Facts: factsType(), Secrets: l.secrets,
	}
}

// playbookOf reads a playbook, or a part of a rotation in it.
func (a *app) playbookOf(l *loaded, before hcl.Diagnostics, file string, values bool, phase *plays.Phase) (*eval.Playbook, error) {
	vars, diags, err := a.varSources(l)
	if err != nil {
		return nil, err
	}
	values = values && !diags.HasErrors() // what is wrong in a file was to be a value
	diags = append(before, diags...)
	defer collectLess()()
	var more hcl.Diagnostics
	if l.secrets == nil {
		l.secrets, more = a.secrets(l.project, l.sources)
		diags = append(diags, more...)
	}
	o := a.readingOf(l, vars)
	o.RequireValues, o.Phase = values, phase
	pb, more := lang.Load(file, o)
	diags = append(a.withoutValues(pb, l, diags), more...)
	for name, src := range pb.Sources {
		l.sources[name] = src
	}
	if err := a.fail(diags, l.sources); err != nil || !values {
		return pb, err
	}
	return pb, a.openSecrets(pb, l.secrets, l.sources)
}
