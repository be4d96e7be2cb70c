package haproxy

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
)

// LiveServer is a server of a backend, as HAProxy has it while it runs: whether it gets
// requests, and how many of them. A reload keeps that, a restart doesn't: what is to last
// stands in the task haproxy, which writes the configuration.
//
// A server that is drained or in maintenance gets no new requests, and the task waits for
// those that it has. Drained, it still gets those of clients that stick to it (a cookie);
// in maintenance it gets none, and isn't checked. Its agent check is off meanwhile: an
// agent that answers "ready" would bring it back. muster notes on the host how the server
// was before. "ready" puts that back, its weight included, and waits until the server is
// up. A server that somebody else has taken out stays so.
//
// The last server of a backend that is up is neither drained nor put into maintenance.
type LiveServer struct {
	// The server's name in its backend.
	Server string `arg:"server,key,required"`
	// The backend, or the listen section, that it belongs to.
	Backend string `arg:"backend,required"`
	// Whether it gets requests. Not given: that is left as it is.
	State string `arg:"state" oneof:"ready drain maint"`
	// Its weight, from "0" to "256", or in percent of the configured one: "50%". Not
	// given: it stays, and "ready" puts back the one from before the drain.
	Weight string `arg:"weight"`
	// How long its sessions have to end by themselves. Where some are left then, the task
	// fails and the server is put back. Only for drain and maint.
	DrainTimeout *modules.Duration `arg:"drain_timeout" means:"30s"`
	// Ends the sessions that are left after drain_timeout, takes out the last server that
	// is up, and has "ready" put back what somebody else has taken out.
	Force bool `arg:"force"`
}

// ServerOutput is what a task of the kind offers.
type ServerOutput struct {
	// ready, drain, maint; down where it is ready and its check fails; stopping where its
	// check lets only known clients in.
	State string `json:"state"`
	// Its weight.
	Weight int `json:"weight"`
	// How many sessions it has.
	Sessions int `json:"sessions"`
	// Who has taken it out: muster, operator, configuration; "" where nobody has.
	By string `json:"by"`
	// The run that has taken it out, where it was muster.
	Run string `json:"run"`
}

// What may be done with a server.
const (
	ready = "ready"
	drain = "drain"
	maint = "maint"
)

const (
	serverSpace = "haproxy_server" // the space of their keys
	drainTime   = 30 * time.Second // what drain_timeout is where it isn't given
	upTime      = 60 * time.Second // how long a server may take to be up
	mostWeight  = 256
)

// serverName is what HAProxy takes for a name. "." and "..", which it takes too, aren't
// wanted: notes are files of these names.
var serverName = regexp.MustCompile(`^[A-Za-z0-9_.:-]*[A-Za-z0-9_:-][A-Za-z0-9_.:-]*$`)

// Check refuses names and weights that can't be, and a time to drain where nothing is.
func (s *LiveServer) Check(unknown func(string) bool) (errs []modules.ArgError) {
	fail := func(arg, summary, detail string, args ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
		}
	}
	for _, n := range []struct{ arg, name string }{{"server", s.Server}, {"backend", s.Backend}} {
		if !serverName.MatchString(n.name) {
			fail(n.arg, "Wrong value", "%q is no name of HAProxy's: these are made of letters, digits and \"-_.:\".", n.name)
		}
	}
	if _, ok := weightOf(s.Weight, 1); s.Weight != "" && !ok {
		fail("weight", "Wrong value", "%q is no weight: it is a number from 0 to 256, or a percentage of the configured weight, \"50%%\".", s.Weight)
	}
	if s.DrainTimeout != nil && s.State != drain && s.State != maint && !unknown("state") {
		fail("drain_timeout", "Conflicting arguments", "How long sessions have to end is about state = \"drain\" and state = \"maint\" only: leave drain_timeout out.")
	}
	return errs
}

// weightOf is the weight that text stands for, of a server with that configured weight.
// HAProxy rounds down, and takes what is more than 256 for that.
func weightOf(text string, initial int) (weight int, ok bool) {
	number, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseUint(number, 10, 16)
	switch {
	case err != nil || number[0] == '+':
		return 0, false
	case percent:
		return min(initial*int(n)/100, mostWeight), n <= 100*mostWeight
	}
	return int(n), n <= mostWeight
}

// Withhold hides the lines of what is sensitive.
func (s *LiveServer) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "state", "weight")
}

// May is the server, and what is noted of it.
func (s *LiveServer) May() []host.Effect {
	if s.Backend == "" || s.Server == "" {
		return []host.Effect{host.Open(serverSpace, ""), host.Open(host.Files, "")}
	}
	return append(noteEffects(s.Backend, s.Server), host.Open(serverSpace, s.Backend+"/"+s.Server))
}

// Plan compares what is set of the server with what the task declares.
func (s *LiveServer) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	p := &serverPlanner{LiveServer: s, v: v}
	return p.plan(ctx)
}
