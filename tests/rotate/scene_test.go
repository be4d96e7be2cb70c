package rotate

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"muster/tests/await"
)

// scenes are all rotations that are made here.
func scenes() []scene {
	return []scene{
		mysqlAppScene(),
		mysqlEightScene(),
		mysqlApplyScene(),
		mysqlNineScene(),
		mysqlReplicationScene(),
		registryScene(),
		deployKeyScene(),
		certificateScene(),
		authorityScene(),
		automationScene(),
		redisUserScene(),
		redisApplyScene(),
	}
}

// scene is a rotation on real hosts, and what uses the secret while it is made.
type scene struct {
	// name is the scene's, and the rotation's where that has none of its own.
	name, of string
	// long: it is made only where SCENES names it.
	long bool
	// kills: muster is killed in it where KILLS is unset.
	kills bool

	// hosts are the lab's that it needs; docker those of them that run containers, suites
	// those that are another release than the lab's usual one.
	hosts, docker []string
	suites        map[string]string

	// secret is the name of the value that is rotated; generate are arguments of "muster
	// secret generate" for the first one. With value, that is set instead.
	secret   string
	generate []string
	value    func(p *project) string
	// more are other secrets that the site has.
	more []string
	// site is the playbook site.hcl, which makes all that uses the secret; rotation is the
	// file of the rotation. files are more of the project's, by their paths; vars are
	// variables of both.
	site, rotation string
	files          map[string]string
	vars           map[string]string
	// prepare, if not nil, is called before the site is applied.
	prepare func(p *project)

	// load is what uses the secret all the time, once the site is applied.
	load load
	// lets tries a value from outside, where it is valid last: on replicas, too.
	lets func(p *project, value string) bool
	// after, if not nil, proves more where a rotation has come to its end.
	after func(p *project)
	// cutover: of the values that the store has, any may be the one that works.
	cutover bool

	// acceptor and consumer are the hosts whose power is cut; outage is what an operation
	// may say then.
	acceptor, consumer string
	outage             *regexp.Regexp
	// within, if not 0, is how long the rotation may take.
	within time.Duration
	// steps is how many lines muster says at least.
	steps int
}

// load is what uses a secret all the time.
type load interface {
	// begin forgets what was, and returns once there were operations again everywhere.
	begin(p *project)
	// counts returns how many operations ended well since begin, and what each of those
	// that didn't has said.
	counts(p *project) (served int, failed []string)
}

// onHosts is load that the site has on these hosts: a unit, enabled, that adds a line to
// /var/log/load.served or to /var/log/load.failed for each operation.
type onHosts []string

func (hosts onHosts) begin(p *project) {
	p.t.Helper()
	for _, host := range hosts {
		theLab.On(p.t, host, "rm -f /var/log/load.served /var/log/load.failed")
	}
	for _, host := range hosts {
		await.Until(p.t, host+" is served", func() bool { return lines(p, host, "served") != nil })
	}
	for _, host := range hosts { // of what was refused while all came up
		theLab.On(p.t, host, "rm -f /var/log/load.failed")
	}
}

func (hosts onHosts) counts(p *project) (served int, failed []string) {
	p.t.Helper()
	for _, host := range hosts {
		n, err := strconv.Atoi(theLab.On(p.t, host, "cat /var/log/load.served 2>/dev/null | wc -l"))
		if err != nil {
			p.t.Fatal(err)
		}
		served += n
		for _, line := range lines(p, host, "failed") {
			failed = append(failed, host+": "+line)
		}
	}
	return served, failed
}

// lines are those of a file of the load's.
func lines(p *project, host, which string) []string {
	p.t.Helper()
	text := theLab.On(p.t, host, "cat /var/log/load."+which+" 2>/dev/null || true")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
