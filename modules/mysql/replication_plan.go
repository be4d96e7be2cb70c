package mysql

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

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
	// told is what the user is to be told besides, because why the data is copied.
	told    []string
	because string
	// state is the one that it is in.
	state state
	// waited: a connection that was under way has had its time.
	waited bool
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
	if p.trust, err = p.trusts(ctx); err != nil {
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
	if p.own = &own; own.source() != nil {
		if err := p.started(); err != nil {
			return plan, r.foreseen(&plan, err)
		}
	}
	return p.plan(ctx)
}

// started has the replica run where a pending change starts it.
func (p *replicationPlanner) started() error {
	value, laid, _, err := p.v.Look(runningKey)
	if err != nil || !laid || string(value) != "true" {
		return err
	}
	p.own.Channels = slices.Clone(p.own.Channels)
	c := p.own.source()
	c.IO, c.SQL, c.IOErrno, c.SQLErrno = "Yes", "Yes", 0, 0
	return nil
}

// foreseen adds what is planned once err, if it is host.ErrNotYet, is over.
func (r *Replication) foreseen(plan *modules.Plan, err error) error {
	if errors.Is(err, host.ErrNotYet) && r.State != "absent" {
		plan.Then = []host.Description{{Action: host.Update, Target: replicationTarget, Impact: "from " + r.Primary + ", where it isn't so once what is pending before it is done"}}
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
	if err := p.unfitMethod(); err != nil {
		return plan, err
	}
	v, err := p.own.judge(&p.donor, p.Primary, p.where(), p.MaxLag)
	if err != nil {
		return plan, err
	}
	p.state = v.State
	settings, err := p.settings(ctx)
	if err != nil {
		return plan, err
	}
	switch v.State {
	case stateNone, stateProvisioning:
		plan.Changes, err = p.begin(ctx, v)
	case stateDiverged, stateErrant, statePurgedGap:
		if err := p.mayLose(ctx, v); err != nil {
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
			return p.broken(ctx, v)
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
	if text := p.says(v); text != "" && len(plan.Changes) > 0 {
		plan.Notes = append([]string{text}, plan.Notes...)
	}
	if len(plan.Changes) == 0 {
		plan.Output, err = host.Marshal(p.own.output(v))
	}
	return plan, err
}

// broken plans where a replica can't connect although it is told to as it should be: that is
// an error, once it has had the time to try again, and where nothing is about to be mended.
func (p *replicationPlanner) broken(ctx context.Context, v verdict) (plan modules.Plan, err error) {
	if p.donor.Accounts {
		err = p.foreseen(&plan, fmt.Errorf("whether %s lets it in is %w", p.Primary, host.ErrNotYet))
		return plan, err
	}
	if p.waited || !p.own.source().connecting() {
		return plan, fmt.Errorf("%s: %s", v.State, v.Why)
	}
	p.waited = true
	staging := p.own.Staging
	if p.own, err = p.connected(ctx); err != nil {
		return plan, err
	}
	p.own.Staging = staging
	return p.plan(ctx)
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

// says is the state that the replica is in and why, where there is something to do about it
// and nothing else says so.
func (p *replicationPlanner) says(v verdict) string {
	switch v.State {
	case stateRunning, stateLagging, stateStopped, stateBrokenIO, stateWrongSource: // changes of the connection say why
		return ""
	case stateProvisioning: // the copy says it
		return ""
	}
	text := fmt.Sprintf("%s: %s", sentence(string(v.State)), v.Why)
	if p.because != "" {
		text += ". " + sentence(p.because)
	}
	return text + "."
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

// about is what a replica's server is, as statements have to know.
func (r *replica) about() *about {
	a := &about{}
	_ = a.is(r.Version, string(r.Flavor))
	return a
}

func (a *about) replicaWord() string { word, _ := a.words(); return word }
