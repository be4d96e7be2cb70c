package haproxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
)

// standing is what is set of a server, as it stands at its key: not what its checks find.
type standing struct {
	State  string `json:"state"` // ready, drain or maint
	Weight int    `json:"weight"`
	Agent  bool   `json:"agent"` // its agent check is on
	// Taken is muster's note, where it has taken the server out.
	Taken *note `json:"taken,omitempty"`
}

func (s standing) sameSettings(o standing) bool {
	return s.State == o.State && s.Weight == o.Weight && s.Agent == o.Agent
}

func serverKey(backend, server string) host.Key {
	return host.Key{Space: serverSpace, Name: backend + "/" + server}
}

// standing returns what is set of a server, with what pending changes leave of it, and
// the note that explains it, nil if none does.
func (f *farm) standing(ctx context.Context, v *host.View, r *row) (standing, *note, error) {
	value, laid, _, err := v.Look(serverKey(r.Backend, r.Name))
	if err != nil {
		return standing{}, nil, err
	}
	var s standing
	if laid && value != nil {
		err := host.Unmarshal(value, &s)
		return s, s.Taken, err
	}
	s = r.standing()
	if s.Taken, err = readNote(ctx, v, r.Backend, r.Name); err != nil {
		return s, nil, err
	}
	if s.Taken != nil && s.Taken.tells(s.State, f.daemon.Invocation, f.kept) {
		return s, s.Taken, nil
	}
	s.Taken = nil
	return s, nil, nil
}

func (r *row) standing() standing {
	return standing{State: r.forced(), Weight: r.Weight, Agent: r.agentOn()}
}

// planner plans one server.
type serverPlanner struct {
	*LiveServer
	v     *host.View
	farm  *farm
	row   row // as it will be
	now   standing
	taken *note // that explains it
}

func (p *serverPlanner) plan(ctx context.Context) (plan modules.Plan, err error) {
	if !host.IsRoot() {
		return plan, errors.New(`only root may ask HAProxy: give the task "become = true"`)
	}
	if p.farm, err = readFarm(ctx, p.v); err != nil {
		return plan, err
	}
	found := p.farm.find(p.Backend, p.Server)
	if found == nil {
		return plan, unknownServer(p.farm.rows, p.Backend, p.Server)
	}
	p.row = *found
	if p.now, p.taken, err = p.farm.standing(ctx, p.v, found); err != nil {
		return plan, err
	}
	p.row.become(p.now)
	c := &SetServer{Backend: p.Backend, Server: p.Server, From: p.now, To: p.now, Force: p.Force}
	switch p.State {
	case drain, maint:
		p.out(c)
	case ready:
		plan.Notes = p.back(c)
	}
	if p.Weight != "" {
		c.To.Weight, _ = weightOf(p.Weight, p.configured())
	}
	if c.Await == "" && c.To.sameSettings(c.From) && c.To.Taken.same(c.From.Taken) {
		plan.Output, err = host.Marshal(p.row.output(p.taken))
		return plan, err
	}
	if err := p.last(ctx, c); err != nil {
		return plan, err
	}
	plan.Changes, plan.Atomic = []host.Change{c}, c.Await != awaitUp
	return plan, nil
}

// out plans that the server gets no new requests.
func (p *serverPlanner) out(c *SetServer) {
	c.To.State = p.State
	if p.State == drain && p.now.State == maint && p.taken == nil {
		c.To.State = maint // somebody else's, and more than a drain
	}
	c.To.Agent = false
	idle := p.row.Sessions == 0 && p.taken == nil || p.taken != nil && p.taken.Settled
	if idle && c.To.sameSettings(p.now) {
		return
	}
	n := note{Backend: p.Backend, Server: p.Server, State: p.now.State, Weight: p.now.Weight, Initial: p.configured(), Agent: p.now.Agent}
	if p.taken != nil && !(p.taken.Settled && p.now.State == ready) { // else it has been put back since
		n = *p.taken
		n.Agent = n.Agent || p.now.Agent
	}
	n.Left, n.Settled = []string{c.To.State}, true
	c.To.Taken = n.planned()
	c.Await, c.Wait = awaitSessions, drainTime
	if p.DrainTimeout != nil {
		c.Wait = time.Duration(*p.DrainTimeout)
	}
}

// back plans that the server gets requests again, as far as it was muster who took it
// out, and returns what is left as it is.
func (p *serverPlanner) back(c *SetServer) []string {
	name := fmt.Sprintf("%s of the backend %s", p.Server, p.Backend)
	switch {
	case p.taken != nil:
		c.To.Taken, c.To.Agent = nil, p.now.Agent || p.taken.Agent && p.row.hasAgent()
		if p.taken.Initial == p.configured() { // else the configuration gives it another one by now
			c.To.Weight = p.taken.Weight
		}
		c.To.State = ready
		if p.now.State != ready && !p.Force {
			c.To.State = p.taken.State
		}
		if run := p.taken.Run; run != "" && run != p.v.RunName() && p.now.State != ready {
			c.Why = p.taken.left(p.now.State)
		}
		if c.To.State != ready {
			c.Why = strings.TrimPrefix(c.Why+"; it goes back to "+inWords(c.To.State)+", as it was before that", "; ")
			return nil
		}
	case p.now.State == ready:
		if p.row.Admin&(inheritedDrain|inheritedMaint) != 0 {
			return []string{fmt.Sprintf("%s is %s as the server is that it follows (track).", name, inWords(p.row.state()))}
		}
		return nil
	case p.Force:
		c.To.State = ready
	case p.row.Admin&configuredMaint != 0:
		return []string{fmt.Sprintf("%s is disabled in the configuration, and stays so. With force = true it is put back until HAProxy is started again.", name)}
	default:
		return []string{fmt.Sprintf("%s is %s, and not by muster: it stays so. With force = true it is put back.", name, inWords(p.now.State))}
	}
	c.Await, c.Wait = awaitUp, upTime
	return nil
}

// last refuses to take out the last server that serves.
func (p *serverPlanner) last(ctx context.Context, c *SetServer) error {
	if p.Force || !c.takesOut(&p.row) {
		return nil
	}
	var others []row
	for i := range p.farm.rows {
		r := p.farm.rows[i]
		if r.Backend != p.Backend || r.Name == p.Server {
			continue
		}
		s, _, err := p.farm.standing(ctx, p.v, &r)
		if err != nil {
			return err
		}
		r.become(s)
		others = append(others, r)
	}
	return lastOf(p.row, others)
}

// become sets what is planned of a server. One that is put back is waited for until it is
// up.
func (r *row) become(s standing) {
	if s.State == ready && r.forced() != ready {
		r.Op = opRunning
	}
	r.Weight = s.Weight
	r.Admin &^= forcedDrain | forcedMaint
	switch s.State {
	case drain:
		r.Admin |= forcedDrain
	case maint:
		r.Admin |= forcedMaint
	}
	if r.Agent &^= checkEnabled; s.Agent {
		r.Agent |= checkEnabled
	}
}

// lastOf is an error where a server is the last of its backend that serves. A backup
// serves only while none of the others does.
func lastOf(r row, others []row) error {
	if !r.serves() {
		return nil
	}
	mains := slices.ContainsFunc(others, func(o row) bool { return o.serves() && !o.Backup })
	backups := slices.ContainsFunc(others, func(o row) bool { return o.serves() && o.Backup })
	if mains || r.Backup && backups {
		return nil
	}
	return fmt.Errorf("%s is the last server of %s that is up: bring up another one first, or take it out with force = true", r.Name, r.Backend)
}

// unknownServer says what there is.
func unknownServer(rows []row, backend, server string) error {
	var backends, names []string
	for _, r := range rows {
		if !slices.Contains(backends, r.Backend) {
			backends = append(backends, r.Backend)
		}
		if r.Backend == backend {
			names = append(names, r.Name)
		}
	}
	what, list, wrong := "HAProxy has no backend "+backend+" with servers", backends, backend
	if len(names) > 0 {
		what, list, wrong = "the backend "+backend+" has no server "+server, names, server
	}
	switch {
	case len(list) == 0:
		return fmt.Errorf("%s: it has none at all", what)
	case modules.Nearest(wrong, list) != "":
		return fmt.Errorf("%s: did you mean %s? There are %s", what, modules.Nearest(wrong, list), enumerate(list))
	}
	return fmt.Errorf("%s: there are %s", what, enumerate(list))
}

// enumerate lists names, of many the first ones.
func enumerate(names []string) string {
	const most = 20
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// output is what a task offers.
func (r *row) output(taken *note) ServerOutput {
	o := ServerOutput{State: r.state(), Weight: r.Weight, Sessions: r.Sessions}
	switch {
	case r.forced() == ready:
	case taken != nil && taken.State == ready:
		o.By, o.Run = "muster", taken.Run
	case r.Admin&configuredMaint != 0 && r.forced() == maint:
		o.By = "configuration"
	default:
		o.By = "operator"
	}
	return o
}

func (p *serverPlanner) configured() int { return p.farm.config.weightOf(&p.row) }
