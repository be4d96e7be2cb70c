package mysql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"muster/host"
	"muster/modules"
)

// serverPlanner plans a server.
type serverPlanner struct {
	*Server
	about
	v       *host.View
	program string
	unit    string
	files   *optionFiles
	want    map[string]string
	text    string // of muster's own file as it is to be
	old     string // and as it is
	now     *running
	verdict *optionCheck
	tls     serverCertificates
}

// Plan compares the packages, the file, and what runs.
func (s *Server) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	if !host.IsRoot() {
		return modules.Plan{}, errors.New(`only root may set up a database server: give the task "become = true"`)
	}
	p := &serverPlanner{Server: s, v: v}
	plan, err := p.plan(ctx)
	if errors.Is(err, host.ErrNotYet) {
		plan = modules.Plan{Then: p.forecast()}
	}
	return plan, err
}

// forecast is what may be left to do once the server is installed and can be asked.
func (p *serverPlanner) forecast() []host.Description {
	f := p.flavor
	if f == "" {
		f = asFlavor(p.Flavor)
	}
	path := f.usualFolder() + "/" + ownName
	if p.files != nil {
		path = p.files.own
	}
	about := about{flavor: f, version: f.usualVersion()}
	return []host.Description{
		{Action: host.Create, Target: path, Diff: host.Diff(nil, []byte(ownText(p.options(&about)))), Impact: "where it doesn't hold that by then"},
		{Action: host.Restart, Target: f.unit(), Impact: "where it doesn't run with that"},
	}
}

func (p *serverPlanner) plan(ctx context.Context) (modules.Plan, error) {
	var none modules.Plan
	if err := p.addresses(ctx); err != nil {
		return none, err
	}
	install, err := p.installed(ctx)
	if err != nil {
		return none, err
	}
	if install != nil {
		return modules.Plan{Changes: []host.Change{install}, Then: p.forecast()}, nil
	}
	if p.files, err = readOptions(ctx, p.v, p.flavor); err != nil {
		return none, err
	}
	if p.now, err = p.runningNow(ctx); err != nil {
		return none, err
	}
	if err := p.wanted(ctx); err != nil {
		return none, err
	}
	data, err := p.v.ReadFile(ctx, p.files.own, optionLimit)
	if err != nil && !gone(err) {
		return none, err
	}
	p.old = string(data)
	if err := p.certificates(ctx); err != nil {
		return none, err
	}
	write, err := p.v.Rewrite(ctx, p.files.own, func(string) (string, error) { return p.text, nil })
	if err != nil {
		return none, err
	}
	if len(write) > 0 || !p.now.Running {
		if _, err := p.check(ctx); err != nil {
			return none, err
		}
	}
	load, err := p.load(ctx)
	if err != nil {
		return none, err
	}
	plan := modules.Plan{Changes: write, Atomic: true}
	if load != nil {
		plan.Changes = append(plan.Changes, load)
	}
	if p.verdict != nil && len(p.verdict.made) > 0 {
		plan.Notes = append(plan.Notes, "The server takes other values than are asked for, "+strings.Join(p.verdict.made, ", ")+".")
	}
	if len(plan.Changes) == 0 && p.now.vars != nil {
		plan.Output, err = p.output()
	}
	return plan, err
}

// wanted gathers the options that the file is to hold.
func (p *serverPlanner) wanted(ctx context.Context) error {
	if err := p.versioned(ctx); err != nil {
		return err
	}
	p.want = p.options(&p.about)
	if err := p.logStays(); err != nil {
		return err
	}
	if err := p.relayStays(ctx); err != nil {
		return err
	}
	if p.want["log_bin"] == "" {
		// One that lies somewhere stays there.
		said := last(p.files.lines, "log_bin", "skip_log_bin", "disable_log_bin")
		switch {
		case said != nil && said.name == "log_bin" && !off(said.value):
		case p.flavor == mariadb:
			p.want["log_bin"] = "mysqld-bin"
		case said != nil: // MySQL's own default is on
			p.want["log_bin"] = "binlog"
		}
	}
	for name := range p.want {
		if l := last(p.files.after, name); l != nil && !alike(l.value, p.want[name]) {
			arg, path := p.place(name)
			detail := fmt.Sprintf("%s has %s = %s, and is read after %s, so that this wouldn't count: take it out there.", l.file, name, l.value, p.files.own)
			if arg == "" {
				return errors.New(detail)
			}
			return modules.ArgError{Arg: arg, Path: path, Summary: "Another file has the last word", Detail: detail}
		}
	}
	p.text = ownText(p.want)
	return nil
}

// versioned finds out which version the server is: it tells, or where it can't its program.
func (p *serverPlanner) versioned(ctx context.Context) error {
	if p.now.vars != nil {
		p.about = p.now.about
		return nil
	}
	out, err := p.v.Query(ctx, host.Command{Argv: []string{p.program, "--no-defaults", "--version"}}, host.File(p.program))
	if err != nil {
		return err
	}
	_, version, _ := strings.Cut(string(out.Stdout), " Ver ")
	version, _, _ = strings.Cut(strings.TrimSpace(version), " ")
	return p.about.is(version, string(out.Stdout))
}

// load plans that the server runs with the file; nil where it does.
func (p *serverPlanner) load(ctx context.Context) (*LoadServer, error) {
	l := &LoadServer{Verb: serverSet, Flavor: p.flavor, Unit: p.unit, Program: p.program, Path: p.files.own, Sum: sumOf(p.text), TLS: p.tls.mark, marks: marksOf(p.want)}
	if !p.now.Running {
		l.Verb = serverStart
		return l, nil
	}
	different, err := p.different(ctx)
	if err != nil {
		return nil, err
	}
	l.Certificates = p.TLS != nil && p.staleCertificates()
	if len(different) == 0 && !l.Certificates {
		return nil, nil
	}
	if _, err := p.check(ctx); err != nil {
		return nil, err
	}
	if p.now.vars == nil { // something that isn't there yet: at its turn it is looked at once more
		l.Verb, l.For = serverRestart, different
		return l, nil
	}
	fixed := map[string]bool{}
	var ask []string
	for _, name := range different {
		if _, known := p.now.vars[name]; !known || name == "log_bin" || name == "gtid_mode" { // these take steps
			fixed[name] = true
		} else {
			ask = append(ask, name)
		}
	}
	told, err := asking(ctx, p.v, func(s *server) (map[string]bool, error) { return s.fixed(ctx, ask) })
	if err != nil {
		return nil, err
	}
	maps.Copy(fixed, told)
	for _, name := range different {
		value := p.verdict.starts[name]
		switch {
		case fixed[name]:
			l.Verb = serverRestart
			l.For = append(l.For, name)
		case p.want[name] != "" || p.wants(name):
			l.Set = append(l.Set, name)
		default:
			l.Back = append(l.Back, setting{name, value})
		}
		l.shows = append(l.shows, p.shown(name, p.now.vars[name], value))
	}
	if l.Verb == serverRestart {
		l.Set, l.Back, l.Certificates = nil, nil, false
	}
	return l, nil
}

func (p *serverPlanner) wants(name string) bool { _, ok := p.want[name]; return ok }

// shown is a line about a variable that changes.
func (p *serverPlanner) shown(name, has, value string) string {
	if p.wants(name) {
		value = p.want[name]
	}
	has, value = alikeWords(has, value)
	return fmt.Sprintf("%s: %s → %s", name, has, value)
}

// alikeWords are what a variable has and what it is to have, both written in one way: the
// servers say ON where their programs say TRUE, and bytes where people say 1G.
func alikeWords(has, value string) (string, string) {
	switch word := strings.ToUpper(has); {
	case word != "ON" && word != "OFF":
	case on(value):
		value = "ON"
	case off(value):
		value = "OFF"
	}
	if _, plain := strconv.ParseFloat(value, 64); plain != nil {
		if _, sized := number(value); sized {
			has = inUnits(has)
		}
	} else if _, err := strconv.ParseFloat(has, 64); err == nil && inUnits(has) != has && inUnits(value) != value {
		has, value = inUnits(has), inUnits(value)
	}
	for _, text := range []*string{&has, &value} {
		if *text == "" {
			*text = `""`
		}
	}
	return has, value
}

// inUnits is a number of bytes with the largest unit that it is a multiple of, from MiB on:
// 1073741824 is 1G.
func inUnits(text string) string {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n < 1<<20 || n%(1<<20) != 0 {
		return text
	}
	n >>= 20
	units := "MGTPE"
	for len(units) > 1 && n%1024 == 0 {
		n, units = n>>10, units[1:]
	}
	return strconv.FormatUint(n, 10) + units[:1]
}

// different are the options that the server runs with otherwise, in order: those wanted, and
// those that muster's file had.
func (p *serverPlanner) different(ctx context.Context) ([]string, error) {
	var list []string
	for _, name := range sortedNames(p.want) {
		agrees, err := p.agrees(ctx, name, p.want[name])
		if err != nil {
			return nil, err
		}
		if !agrees {
			list = append(list, name)
		}
	}
	if p.now.vars == nil {
		return list, nil
	}
	left := maps.Clone(p.now.note.Options)
	if left == nil {
		left = map[string]notedOption{}
	}
	for name := range ownOptions(p.old) {
		left[name] = notedOption{}
	}
	for _, name := range sortedNames(left) {
		if p.wants(name) {
			continue
		}
		verdict, err := p.check(ctx)
		if err != nil {
			return nil, err
		}
		has, known := p.now.vars[name]
		starts, tells := verdict.starts[name]
		if name == "log_bin" || !known || !tells || alike(starts, has) {
			continue
		}
		list = append(list, name)
	}
	return list, nil
}

// agrees reports whether the server runs with an option.
func (p *serverPlanner) agrees(ctx context.Context, name, value string) (bool, error) {
	if p.now.vars == nil {
		return p.now.Marks[name] == markOf(value), nil
	}
	agrees, known := runsWith(p.now.vars, name, value)
	noted := p.now.note.Options[name]
	switch {
	case agrees, strings.HasPrefix(name, "loose_") && !known:
		return true, nil
	case !known:
		return noted.Mark == markOf(value), nil
	case noted.Mark == markOf(value) && noted.Has == p.now.vars[name]:
		return true, nil
	}
	verdict, err := p.check(ctx)
	if err != nil {
		return false, err
	}
	starts, tells := verdict.starts[name]
	return tells && name != "log_bin" && alike(starts, p.now.vars[name]), nil
}

// output is what the server tells of itself.
func (p *serverPlanner) output() (json.RawMessage, error) {
	vars := p.now.vars
	o := ServerOutput{Flavor: strings.ToLower(string(p.flavor)), UUID: vars["server_uuid"], DataDir: vars["datadir"]}
	if p.flavor == mariadb {
		o.UUID = ""
	}
	v := p.now.about.version
	o.Version = fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2])
	o.Port, _ = strconv.Atoi(vars["port"])
	o.ServerID, _ = strconv.Atoi(vars["server_id"])
	return json.Marshal(o)
}
