package mysql

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// begin plans the first connection of a replica that has none.
func (p *replicationPlanner) begin(ctx context.Context, v verdict) ([]host.Change, error) {
	h, err := p.own.compare(&p.donor)
	if err != nil {
		return nil, err
	}
	switch {
	case v.State == stateProvisioning:
		if err := p.askAgain(ctx); err != nil {
			return nil, err
		}
		return p.anew(ctx)
	case h.had && v.Blocked == "": // it has replicated from there before, or was given a copy
		return p.connect(ctx, v)
	case len(p.own.Schemas) > 0:
		if err := p.mayLose(ctx, v); err != nil {
			return nil, err
		}
		p.because = fmt.Sprintf("this host's own databases go, and the data of %s is copied", p.Primary)
		return p.anew(ctx)
	case p.Method == "logs":
		switch {
		case h.gap != "":
			return nil, modules.ArgError{Arg: "method", Summary: "Wrong value", Detail: fmt.Sprintf("The binary logs of %s don't reach back to the beginning: what came before %s is in none. Leave method out, so that its data is copied.", p.Primary, h.gap)}
		case h.extra != "" || h.had:
			return nil, modules.ArgError{Arg: "method", Summary: "Wrong value", Detail: fmt.Sprintf("%s, so that it can't begin with the first transaction of %s. Leave method out, so that its data is copied.", sentence("this host has made or got transactions already: "+p.own.Executed), p.Primary)}
		}
		return p.connect(ctx, v)
	case p.Method == "auto" && h.gap == "" && h.extra == "" && !h.had && len(p.donor.Schemas) == 0:
		return p.connect(ctx, v)
	}
	p.because = p.whyCopied(h)
	return p.anew(ctx)
}

// whyCopied is why a replica without databases isn't just connected.
func (p *replicationPlanner) whyCopied(h history) string {
	switch {
	case h.gap != "":
		return fmt.Sprintf("the data is copied, since the binary logs of %s don't reach back to the beginning: what came before %s is in none", p.Primary, h.gap)
	case h.extra != "" || h.had:
		return fmt.Sprintf("the data is copied, since this host has made or got transactions already: %s", p.own.Executed)
	case p.Method != "auto":
		return fmt.Sprintf("the data is copied by %s, as method says", p.Method)
	}
	return fmt.Sprintf("the data is copied, since %s holds databases, which may be older than its binary logs: %s", p.Primary, schemasText(p.donor.Schemas))
}

// anew plans a copy of the primary's data, and the connection.
func (p *replicationPlanner) anew(ctx context.Context) ([]host.Change, error) {
	if p.Method == "logs" {
		return nil, modules.ArgError{Arg: "method", Summary: "Wrong value", Detail: fmt.Sprintf("The binary logs of %s don't have all that this host needs: leave method out, so that its data is copied.", p.Primary)}
	}
	if err := p.resolves(ctx); err != nil {
		return nil, err
	}
	changes, notes, err := p.provision(ctx, &provisioning{view: p.v, primary: p.Primary, donor: &p.donor, own: p.own, state: p.state})
	if err != nil {
		return nil, err
	}
	p.told = append(p.told, notes...)
	return append(changes, p.set(SetSource{To: p.wanted(&p.donor, p.password.Sum), Anew: true})), nil
}

// mayLose is an error where the replica's data would go for the primary's, and nothing lets
// that be done.
func (p *replicationPlanner) mayLose(ctx context.Context, v verdict) error {
	if p.allowed() {
		return nil
	}
	switch v.State {
	case stateDiverged, stateErrant:
		return p.refuse(fmt.Sprintf("The replica is %s", v.State), fmt.Sprintf("%s. Nothing of that is skipped or undone: bring what is missing to %s by hand, or have all data of this host thrown away for that of %s.", sentence(v.Why), p.Primary, p.Primary))
	case stateNone, stateWrongSource:
		h, err := p.own.compare(&p.donor)
		if err != nil {
			return err
		}
		if v.State == stateNone && h.had && v.Blocked == "" {
			break
		}
		all, err := asking(ctx, p.v, func(s *server) ([]SchemaSize, error) { return s.schemas(ctx) })
		if err != nil || len(all) == 0 {
			return err
		}
		why := fmt.Sprintf("Its GTIDs have no transaction of %s, so that nothing tells them for a copy of what is there.", p.Primary)
		switch {
		case v.State == stateWrongSource:
			why = sentence(v.Why) + "."
		case v.Blocked != "":
			why = fmt.Sprintf("It can't just be connected: %s.", v.Blocked)
		}
		return p.refuse("The host has data of its own", fmt.Sprintf("Before it can be the replica of %s, this host's databases have to go: %s. %s", p.Primary, schemasText(all), why))
	}
	return p.alone(ctx)
}

// askAgain is mayLose where a copy was cut off: the server may have come to data since that
// copy was begun. What it has while a dump is loaded, or a clone made, is a part of the copy.
func (p *replicationPlanner) askAgain(ctx context.Context) error {
	left, err := leftOver(ctx, p.v)
	if err != nil || left == nil || left.State != copying && left.State != prepared {
		return err
	}
	own := *p.own
	own.Staging = ""
	v, err := own.judge(&p.donor, p.Primary, p.where(), p.MaxLag)
	if err != nil {
		return err
	}
	return p.mayLose(ctx, v)
}

// alone is an error where the replica holds databases that its primary lacks, which a copy
// would throw away, and nothing lets that be done.
func (p *replicationPlanner) alone(ctx context.Context) error {
	all, err := asking(ctx, p.v, func(s *server) ([]SchemaSize, error) { return s.schemas(ctx) })
	if err != nil {
		return err
	}
	own := slices.DeleteFunc(all, func(o SchemaSize) bool {
		return slices.ContainsFunc(p.donor.Schemas, func(d SchemaSize) bool { return strings.EqualFold(d.Name, o.Name) })
	})
	if len(own) == 0 {
		return nil
	}
	return p.refuse("The host has data of its own", fmt.Sprintf("The data of %s would be copied anew, and these databases of this host's own would go: %s.", p.Primary, schemasText(own)))
}

// again plans the rest of a copy that was cut off where the server doesn't run: the settings are
// those that it is started with.
func (p *replicationPlanner) again(ctx context.Context) (plan modules.Plan, err error) {
	if err := p.askAgainStopped(ctx); err != nil {
		return plan, err
	}
	p.own = &replica{Flavor: p.donor.Flavor, DataDir: "/var/lib/mysql/"}
	folder, err := p.folder(p.own.Flavor)
	if err != nil {
		return plan, err
	}
	kept, err := p.keeps(ctx, settingsFile(folder))
	if err != nil {
		return plan, err
	}
	changes, notes, err := p.provision(ctx, &provisioning{view: p.v, primary: p.Primary, donor: &p.donor, state: stateProvisioning})
	if err != nil {
		return plan, err
	}
	plan.Changes = slices.Concat(kept, changes, []host.Change{p.set(SetSource{To: p.wanted(&p.donor, p.password.Sum), Anew: true})})
	end, err := p.endCopy(ctx, p.v, plan.Changes)
	plan.Changes, plan.Notes = append(plan.Changes, end...), notes
	return plan, err
}

// askAgainStopped is askAgain where the server doesn't run, and only its directory tells what it
// has: a directory for each database.
func (p *replicationPlanner) askAgainStopped(ctx context.Context) error {
	left, err := leftOver(ctx, p.v)
	if err != nil || left == nil || left.State != copying && left.State != prepared || p.allowed() {
		return err
	}
	names, err := p.v.ReadDir(left.DataDir)
	if err != nil {
		return err
	}
	var more []string
	for _, name := range names {
		info, err := p.v.Lstat(path.Join(left.DataDir, name))
		if err != nil {
			return err
		}
		if info.Type == host.Directory && isDatabase(name) && !slices.Contains(left.Had, name) {
			more = append(more, name)
		}
	}
	if len(more) == 0 {
		return nil
	}
	return p.refuse("The host has data of its own", fmt.Sprintf("The server doesn't run, and a copy of %s's data was cut off. Since that was begun these databases have come to this host, and would go: %s.", left.Donor, some(more)))
}

// allowed reports whether the playbook lets this host's data be thrown away.
func (p *replicationPlanner) allowed() bool {
	return p.v.HostName() != "" && slices.Contains(p.AllowDestroy, p.v.HostName())
}

// refuse is the error of a plan that would throw data away.
func (p *replicationPlanner) refuse(summary, detail string) error {
	return modules.ArgError{Arg: "allow_destroy", Summary: summary, Detail: fmt.Sprintf("%s That is allowed by allow_destroy = [%q].", detail, p.v.HostName())}
}

// unfitMethod is an error where the method isn't one of the server's flavor, whether data is to
// be copied or not.
func (p *replicationPlanner) unfitMethod() error {
	switch {
	case p.Method == byClone && p.own.Flavor != mysqlOwn:
		return modules.ArgError{Arg: "method", Summary: "Wrong value", Detail: "clone is MySQL's, and this host has MariaDB: backup and dump are for that."}
	case p.Method == byBackup && p.own.Flavor != mariadb:
		return modules.ArgError{Arg: "method", Summary: "Wrong value", Detail: "backup is by mariadb-backup, and this host has MySQL: clone and dump are for that."}
	}
	return nil
}

// sentence begins with a capital.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// schemasText names databases with what they hold.
func schemasText(list []SchemaSize) string {
	const most = 8
	var parts []string
	for _, s := range list[:min(len(list), most)] {
		parts = append(parts, fmt.Sprintf("%s (%s, %s)", oneLine(s.Name, 64), count(s.Tables, "table"), roughly(s.Bytes)))
	}
	text := strings.Join(parts, ", ")
	if n := len(list) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}
