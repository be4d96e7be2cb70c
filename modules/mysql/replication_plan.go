package mysql

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"muster/host"
	"muster/modules"
)

// replicationPlanner plans one replica.
type replicationPlanner struct {
	*Replication
	v     *host.View
	donor DonorOutput
	own   *replica
	// password is the content of the password that is wanted.
	password host.Content
	// trust is the mark of what TLS is made with.
	trust string
	// told is what the user is to be told besides.
	told []string
}

// Plan compares the replica with what is declared of it.
func (r *Replication) Plan(ctx context.Context, v *host.View) (plan modules.Plan, err error) {
	if err := settledRole(v); err != nil {
		return plan, r.foreseen(&plan, err)
	}
	p := &replicationPlanner{Replication: r, v: v}
	if r.State == "absent" {
		return p.absent(ctx)
	}
	if err := v.Companion(r.Primary, &p.donor); err != nil {
		return plan, r.foreseen(&plan, err)
	}
	p.password = v.Keep([]byte(r.Password), true)
	if p.trust, err = p.mark(); err != nil {
		return plan, r.foreseen(&plan, err)
	}
	if value, laid, _, err := v.Look(sourceKey); err != nil {
		return plan, r.foreseen(&plan, err)
	} else if laid {
		return p.behind(ctx, value)
	}
	left, err := r.leftOver(ctx, v)
	if err != nil {
		return plan, r.foreseen(&plan, err)
	}
	p.own, err = readReplica(ctx, v)
	if err != nil && left != "" && !errors.Is(err, host.ErrNotYet) { // it may be what keeps the server from running
		return p.again(ctx)
	}
	if err != nil {
		return plan, r.foreseen(&plan, err)
	}
	own := *p.own
	own.Staging = left
	p.own = &own
	return p.plan(ctx)
}

// foreseen adds what is planned once err, if it is host.ErrNotYet, is over.
func (r *Replication) foreseen(plan *modules.Plan, err error) error {
	if errors.Is(err, host.ErrNotYet) && r.State != "absent" {
		plan.Then = []host.Description{{Action: host.Create, Target: replicationTarget, Impact: "from " + r.Primary + ", once what is pending before it is done"}}
	}
	return err
}

const replicationTarget = "replication"

// where is how the primary is to be found.
func (p *replicationPlanner) where() string {
	l := p.wanted(&p.donor, "")
	return l.Host + ":" + strconv.Itoa(l.Port)
}

// behind plans on what pending changes leave.
func (p *replicationPlanner) behind(ctx context.Context, value []byte) (plan modules.Plan, err error) {
	var from *link
	if value != nil {
		from = &link{}
		if err := host.Unmarshal(value, from); err != nil {
			return plan, err
		}
	}
	if plan.Changes, err = p.settings(ctx); err != nil {
		return plan, err
	}
	to := p.wanted(&p.donor, p.password.Sum)
	if from == nil || *from != to {
		plan.Changes = append(plan.Changes, p.set(SetSource{From: from, To: to}))
	}
	return plan, nil
}

// plan plans by the state that the replica is in.
func (p *replicationPlanner) plan(ctx context.Context) (plan modules.Plan, err error) {
	if why := p.own.unfit(&p.donor, p.Primary); why != "" {
		return plan, errors.New(why)
	}
	v, err := p.own.judge(&p.donor, p.Primary, p.where(), p.MaxLag)
	if err != nil {
		return plan, err
	}
	settings, err := p.settings(ctx)
	if err != nil {
		return plan, err
	}
	switch v.State {
	case stateNone, stateProvisioning:
		plan.Changes, err = p.begin(ctx, v)
	case stateDiverged, stateErrant:
		if !p.allowed() {
			return plan, p.refuse(fmt.Sprintf("The replica is %s", v.State), fmt.Sprintf("%s. Nothing of that is skipped or undone: bring what is missing to %s by hand, or have all data of this host thrown away for that of %s.", sentence(v.Why), p.Primary, p.Primary))
		}
		plan.Changes, err = p.anew(ctx)
	case statePurgedGap:
		if err := p.alone(ctx); err != nil {
			return plan, err
		}
		plan.Changes, err = p.anew(ctx)
	case stateBrokenSQL:
		return plan, fmt.Errorf("%s: %s. Nothing is skipped: find out how this host's rows came to differ (mysql_checksum finds others), and put them right in a session with sql_log_bin = 0, then START %s; or end replication with state = \"absent\" and have the data copied anew with allow_destroy", v.State, v.Why, p.own.about().replicaWord())
	case stateWrongSource:
		if v.Blocked != "" {
			return plan, fmt.Errorf("%s: %s, and it can't be pointed at %s: %s", v.State, v.Why, p.Primary, v.Blocked)
		}
		plan.Changes, err = p.connect(ctx, v)
	default:
		plan.Changes, err = p.connect(ctx, v)
		if err == nil && len(plan.Changes) == 0 && v.State == stateStopped {
			plan.Changes = []host.Change{&StartReplica{Why: v.Why}}
		}
		if err == nil && len(plan.Changes) == 0 && v.State == stateBrokenIO {
			return plan, fmt.Errorf("%s: %s", v.State, v.Why)
		}
	}
	if err != nil {
		return plan, err
	}
	plan.Changes = append(settings, plan.Changes...)
	end, err := p.endCopy(ctx, p.v, plan.Changes)
	if err != nil {
		return plan, err
	}
	plan.Changes = append(plan.Changes, end...)
	plan.Notes = append(p.told, p.notes(v)...)
	if len(plan.Changes) == 0 {
		plan.Output, err = host.Marshal(p.own.output(v))
	}
	return plan, err
}

// output is what the task offers.
func (r *replica) output(v verdict) ReplicationOutput {
	o := ReplicationOutput{State: string(v.State), Reason: v.Why, Lag: -1, Behind: int(v.Behind), GTID: r.Executed}
	if r.Flavor == mariadb && r.SlavePos != "" {
		o.GTID = r.SlavePos
	}
	if c := r.source(); c != nil && c.Seconds != nil {
		o.Lag = *c.Seconds
	}
	return o
}

// notes are what the user should know though nothing is done about it.
func (p *replicationPlanner) notes(v verdict) (notes []string) {
	if v.State == stateLagging {
		notes = append(notes, fmt.Sprintf("The replica is lagging: %s.", v.Why))
	}
	if p.SemiSync != nil && *p.SemiSync && !p.donor.SemiSync {
		notes = append(notes, fmt.Sprintf("The replica acknowledges what it gets, but %s waits for nobody's acknowledgement: that is a setting of its mysql_server.", p.Primary))
	}
	return notes
}

// begin plans the first connection of a replica that has none.
func (p *replicationPlanner) begin(ctx context.Context, v verdict) ([]host.Change, error) {
	h, err := p.own.compare(&p.donor)
	if err != nil {
		return nil, err
	}
	switch {
	case v.State == stateProvisioning:
		return p.anew(ctx)
	case h.had && v.Blocked == "": // it has replicated from there before, or was given a copy
		return p.connect(ctx, v)
	case len(p.own.Schemas) > 0 && !p.allowed():
		return nil, p.refuse("The host has data of its own", fmt.Sprintf("Before it can be the replica of %s, this host's databases have to go: %s. It has no transaction of %s, so that they aren't a copy of what is there.", p.Primary, schemasText(p.own.Schemas), p.Primary))
	case len(p.own.Schemas) > 0:
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
	return p.anew(ctx)
}

// anew plans a copy of the primary's data, and the connection.
func (p *replicationPlanner) anew(ctx context.Context) ([]host.Change, error) {
	if p.Method == "logs" {
		return nil, modules.ArgError{Arg: "method", Summary: "Wrong value", Detail: fmt.Sprintf("The binary logs of %s don't have all that this host needs: leave method out, so that its data is copied.", p.Primary)}
	}
	if err := p.resolves(ctx); err != nil {
		return nil, err
	}
	changes, notes, err := p.provision(ctx, &provisioning{view: p.v, primary: p.Primary, donor: &p.donor, own: p.own})
	if err != nil {
		return nil, err
	}
	p.told = append(p.told, notes...)
	return append(changes, p.set(SetSource{To: p.wanted(&p.donor, p.password.Sum), Anew: true})), nil
}

// alone is an error where the replica holds databases that its primary lacks, which a copy
// would throw away, and nothing lets that be done.
func (p *replicationPlanner) alone(ctx context.Context) error {
	if p.allowed() {
		return nil
	}
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
	return p.refuse("The host has data of its own", fmt.Sprintf("The binary logs of %s don't have what this replica needs next, so that its data would be copied anew, and these databases of this host's own would go: %s.", p.Primary, schemasText(own)))
}

// again plans the rest of a copy that was cut off where the server doesn't run: the settings are
// those that it is started with.
func (p *replicationPlanner) again(ctx context.Context) (plan modules.Plan, err error) {
	p.own = &replica{Flavor: p.donor.Flavor, DataDir: "/var/lib/mysql/"}
	folder, err := p.folder(p.own.Flavor)
	if err != nil {
		return plan, err
	}
	kept, err := p.keeps(ctx, settingsFile(folder))
	if err != nil {
		return plan, err
	}
	changes, notes, err := p.provision(ctx, &provisioning{view: p.v, primary: p.Primary, donor: &p.donor})
	if err != nil {
		return plan, err
	}
	plan.Changes = slices.Concat(kept, changes, []host.Change{p.set(SetSource{To: p.wanted(&p.donor, p.password.Sum), Anew: true})})
	end, err := p.endCopy(ctx, p.v, plan.Changes)
	plan.Changes, plan.Notes = append(plan.Changes, end...), notes
	return plan, err
}

// connect plans how the replica is connected, where that isn't as it should be.
func (p *replicationPlanner) connect(ctx context.Context, v verdict) ([]host.Change, error) {
	to := p.wanted(&p.donor, p.password.Sum)
	c := p.own.source()
	if c == nil {
		set := p.set(SetSource{To: to})
		if p.own.Flavor == mariadb {
			at, err := p.own.reached()
			if err != nil {
				return nil, err
			}
			if set.Position = at.String(); set.Position == p.own.SlavePos {
				set.Position = ""
			}
		}
		return []host.Change{set}, p.resolves(ctx)
	}
	stored, err := p.own.storedPassword(ctx, p.v)
	if err != nil {
		return nil, err
	}
	from := linkOf(c, host.ContentOf([]byte(stored), true).Sum)
	other, err := p.distrusted(ctx, p.trust)
	if err != nil {
		return nil, err
	}
	if *from == to && !other {
		return nil, nil
	}
	if from.Host != to.Host {
		if err := p.resolves(ctx); err != nil {
			return nil, err
		}
	}
	set := p.set(SetSource{From: from, To: to})
	switch {
	case v.State != stateRunning && v.State != stateLagging:
		set.Why = string(v.State) + ": " + v.Why
	case other:
		set.Why = "connected by a certificate of " + p.Primary + " or a CA that isn't the one there is now"
	}
	return []host.Change{set}, nil
}

// set adds to a change of the connection what all have.
func (p *replicationPlanner) set(c SetSource) *SetSource {
	c.Primary, c.Password, c.File = p.Primary, p.password, p.own.sourceFile()
	c.Trust = p.trust
	c.Is = identity{ServerID: p.donor.ServerID, UUID: p.donor.UUID}
	return &c
}

// resolves is an error where the primary's name stands for no address on this host.
func (p *replicationPlanner) resolves(ctx context.Context) error {
	name := p.address()
	if _, err := netip.ParseAddr(name); err == nil {
		return nil
	}
	out, err := p.v.Query(ctx, host.Command{Argv: []string{"getent", "ahosts", name}}, host.File("/etc/hosts"), host.File("/etc/resolv.conf"), host.File("/etc/nsswitch.conf"))
	switch {
	case errors.Is(err, host.ErrNoProgram):
		return nil
	case err != nil:
		return err
	case out.ExitCode != 2: // getent(1): the key isn't there
		return nil
	}
	arg := "address"
	if p.Address == "" {
		arg = "primary"
	}
	return modules.ArgError{Arg: arg, Summary: "Unknown name", Detail: fmt.Sprintf("%s stands for no address on this host: give it one in an earlier task, task \"hosts_entry\" %q, or say where the primary is with address.", name, name)}
}

// allowed reports whether the playbook lets this host's data be thrown away.
func (p *replicationPlanner) allowed() bool {
	name, err := os.Hostname()
	short, _, _ := strings.Cut(name, ".")
	return err == nil && name != "" && (slices.Contains(p.AllowDestroy, name) || slices.Contains(p.AllowDestroy, short))
}

// refuse is the error of a plan that would throw data away.
func (p *replicationPlanner) refuse(summary, detail string) error {
	name, _ := os.Hostname()
	short, _, _ := strings.Cut(name, ".")
	return modules.ArgError{Arg: "allow_destroy", Summary: summary, Detail: fmt.Sprintf("%s That is allowed by allow_destroy = [%q].", detail, short)}
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

// about is what a replica's server is, as statements have to know.
func (r *replica) about() *about {
	a := &about{}
	_ = a.is(r.Version, string(r.Flavor))
	return a
}

func (a *about) replicaWord() string { word, _ := a.words(); return word }

// storedPassword is the one by which the replica logs in at its source: MariaDB keeps it in a
// file that only the server and root can read, MySQL in a table.
func (r *replica) storedPassword(ctx context.Context, v *host.View) (string, error) {
	if r.Flavor == mysqlOwn {
		return host.Once(v, "mysql replica's password", func() (string, error) {
			return asking(ctx, v, func(s *server) (string, error) {
				rows, err := s.rows(ctx, "SELECT User_password FROM mysql.slave_master_info WHERE Channel_name = ''")
				if err != nil || len(rows) == 0 {
					return "", err
				}
				return rows[0][0], nil
			})
		})
	}
	data, err := v.ReadFile(ctx, r.sourceFile(), 1<<20)
	if err != nil {
		return "", fmt.Errorf("reading the replica's password: %w", err)
	}
	return passwordIn(string(data))
}

// sourceFile is where MariaDB keeps how it is connected; "" for MySQL.
func (r *replica) sourceFile() string {
	if r.Flavor == mysqlOwn {
		return ""
	}
	return path.Join(r.DataDir, "master.info")
}

// passwordIn reads MariaDB's master.info: the number of its lines, then log, position, host,
// user, password, port, …
func passwordIn(info string) (string, error) {
	lines := strings.Split(info, "\n")
	if n, err := strconv.Atoi(lines[0]); err != nil || n < 7 || len(lines) < 7 {
		return "", errors.New("master.info isn't as MariaDB writes it")
	}
	return lines[5], nil
}
